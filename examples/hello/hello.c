/*
 * Hello in C: prints its arguments, its environment, and a little of what it runs on. It knows nothing of wick.
 *
 *	cc -O2 -static -o bin/hello examples/hello/hello.c	(gcc with glibc, or musl-gcc)
 *	bin/hello one two					on Linux
 *	wick run -e NAME=value bin/hello one two		in a VM
 */
#include <stdio.h>
#include <sys/utsname.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv)
{
	struct utsname u;

	printf("Hello from C!\n");
	if (uname(&u) == 0)
		printf("system: %s %s on %s\n", u.sysname, u.release, u.machine);
	printf("process: %d, page size: %ld\n", (int)getpid(), sysconf(_SC_PAGESIZE));
	for (int i = 0; i < argc; i++)
		printf("argv[%d]: %s\n", i, argv[i]);
	for (char **e = environ; *e; e++)
		printf("env: %s\n", *e);
	return fflush(stdout) == 0 ? 0 : 1;
}
