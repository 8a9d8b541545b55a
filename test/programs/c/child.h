/*
 * Children of the test programs.
 */
#ifndef CHILD_H
#define CHILD_H

#include <sys/wait.h>

/* end waits for a child and returns its exit code, or 1000 plus the signal that has ended it. */
static inline int end(pid_t pid)
{
	int status;
	pid_t got;

	do
		got = waitpid(pid, &status, 0);
	while (got < 0 && errno == EINTR);
	if (got != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* CHILD(pid) is followed by what the child does, which must end it. */
#define CHILD(pid)                  \
	fflush(stdout);             \
	pid_t pid = fork();         \
	CHECK(pid >= 0);            \
	if (pid == 0)

#endif
