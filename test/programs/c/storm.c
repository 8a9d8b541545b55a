/*
 * More processes and more memory than there may be: fork fails with EAGAIN or ENOMEM, a child that needs too much is killed,
 * and everything is as before when the children have gone. On a machine with much memory the cases stop before that.
 */
#define _GNU_SOURCE
#include "check.h"
#include "child.h"

#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <time.h>

enum { MOST = 700, PATIENCE = 300 /* tenths of a second */ };

/* fork_at_last waits for the memory of those who have ended, which need not be free at once. */
static pid_t fork_at_last(void)
{
	pid_t pid;

	for (int i = 0; (pid = fork()) < 0 && (errno == EAGAIN || errno == ENOMEM) && i < PATIENCE; i++)
		usleep(100000);
	return pid;
}

/* storm makes children that wait, as many as can be, and ends them. It returns how many there were. */
static int storm(void)
{
	static pid_t pids[MOST];
	int n = 0, hold[2];

	CHECK(pipe(hold) == 0);
	fflush(stdout);
	for (; n < MOST; n++) {
		pids[n] = fork();
		if (pids[n] == 0) {
			char c;
			close(hold[1]);
			_exit(read(hold[0], &c, 1) == 0 ? 5 : 6);
		}
		if (pids[n] < 0) {
			CHECK(errno == EAGAIN || errno == ENOMEM);
			break;
		}
	}
	close(hold[0]);
	close(hold[1]);
	int killed = 0;
	for (int i = 0; i < n; i++) {
		int how = end(pids[i]);
		CHECK(how == 5 || how == 1000 + SIGKILL);
		killed += how != 5;
	}
	CHECK(killed < n);
	return n;
}

static void children(void)
{
	int first = storm();
	CHECK(first > 10);
	for (int i = 0; i < 3; i++) {
		int again = storm();
		for (int tries = 0; again <= first / 4 && tries < PATIENCE / 10; tries++) {
			usleep(1000000); /* the kernel's memory need not be in order again at once */
			again = storm();
		}
		CHECK(again > first / 4);
	}
}

/* Each child makes children until none can be made. */
static void generations_of_all(void)
{
	fflush(stdout);
	pid_t first = fork_at_last();
	if (first == 0) {
		for (int depth = 0; depth < 8; depth++)
			if (fork() < 0)
				break;
		while (waitpid(-1, NULL, 0) > 0 || errno == EINTR) {}
		_exit(7);
	}
	CHECK(first > 0);
	int how = end(first);
	CHECK(how == 7 || how == 1000 + SIGKILL);
	while (waitpid(-1, NULL, 0) > 0) {} /* orphans, if this is process 1 */
	pid_t pid = fork_at_last();
	if (pid == 0)
		_exit(0);
	CHECK(pid > 0);
	EQUAL(end(pid), 0);
}

/* Copies of memory that do not all fit: who writes when there is no more is killed, the others keep what they have. */
static void copies(void)
{
	struct sysinfo info;
	CHECK(sysinfo(&info) == 0);
	size_t size = info.freeram * info.mem_unit / 3;
	if (size > 64 << 20)
		size = 8 << 20;
	size &= ~(size_t)4095;
	unsigned char *m = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(m != MAP_FAILED);
	for (size_t i = 0; i < size; i += 4096)
		m[i] = i >> 12;
	int made = 0, fine = 0, killed = 0;
	pid_t pids[6];
	for (; made < 6; made++) {
		fflush(stdout);
		pids[made] = made ? fork() : fork_at_last();
		if (pids[made] == 0) {
			for (size_t i = 0; i < size; i += 4096) {
				if (m[i] != (unsigned char)(i >> 12))
					_exit(9);
				m[i] += made + 1;
			}
			for (size_t i = 0; i < size; i += 4096)
				if (m[i] != (unsigned char)((i >> 12) + made + 1))
					_exit(9);
			nanosleep(&(struct timespec){.tv_nsec = 100 * 1000 * 1000}, NULL);
			_exit(5);
		}
		if (pids[made] < 0) {
			CHECK(errno == ENOMEM || errno == EAGAIN);
			break;
		}
	}
	for (int i = 0; i < made; i++) {
		int how = end(pids[i]);
		fine += how == 5;
		killed += how == 1000 + SIGKILL;
	}
	EQUAL(fine + killed, made);
	CHECK(fine > 0);
	for (size_t i = 0; i < size; i += 4096)
		EQUAL(m[i], (unsigned char)(i >> 12));
	munmap(m, size);
}

/* One has nearly all memory, and another one finds none: who has it is killed, not who is the first to want more. */
static void largest(void)
{
	struct sysinfo info;
	CHECK(sysinfo(&info) == 0);
	int fits = info.freeram * info.mem_unit > 192 << 20; /* no machine to fill */
	size_t size = fits ? 8 << 20 : info.freeram * info.mem_unit;
	int full[2], hold[2];
	char c;

	CHECK(pipe(full) == 0 && pipe(hold) == 0);
	CHILD(large) {
		close(hold[1]);
		char *m = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (m == MAP_FAILED)
			_exit(8);
		for (size_t i = 0; i < size; i += 4096) {
			if (!fits && (sysinfo(&info) != 0 || info.freeram * info.mem_unit < 2 << 20))
				break;
			m[i] = 1;
		}
		if (write(full[1], "", 1) != 1)
			_exit(9);
		_exit(read(hold[0], &c, 1) == 0 ? 5 : 6);
	}
	close(full[1]);
	CHECK(read(full[0], &c, 1) == 1);
	CHILD(small) {
		close(hold[1]);
		char *m = mmap(NULL, 6 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (m == MAP_FAILED)
			_exit(8);
		memset(m, 1, 6 << 20);
		_exit(5);
	}
	EQUAL(end(small), 5);
	close(hold[0]);
	close(hold[1]);
	EQUAL(end(large), fits ? 5 : 1000 + SIGKILL);
	close(full[0]);
}

/* The time of a child's life must not grow with the number of those before it. */
static void in_a_row(void)
{
	for (int i = 0; i < 1000; i++) {
		pid_t pid;
		volatile int tries = 0;
		fflush(stdout);
		while ((pid = vfork()) < 0 && (errno == EAGAIN || errno == ENOMEM) && tries++ < PATIENCE)
			usleep(100000); /* as fork_at_last */
		if (pid == 0)
			_exit(3);
		EQUAL(end(pid), 3);
	}
}

static const struct check_case cases[] = {
	{"children", children},
	{"generations", generations_of_all},
	{"copies", copies},
	{"largest", largest},
	{"in-a-row", in_a_row},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return check_main(cases, argc, argv);
}
