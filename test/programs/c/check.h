/*
 * The runner of cases for the test programs in C: prints `ok NAME`, or `FAIL NAME: file:line: why`, for each case,
 * and exits with 0 only if all passed. Arguments choose cases by name; -list prints the names.
 *
 * A failure ends its case by longjmp, so cases must not be left by a failure while they hold what others need.
 */
#ifndef CHECK_H
#define CHECK_H

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct check_case {
	const char *name;
	void (*run)(void);
};

static jmp_buf check_end;
static const char *check_name;

#define FAIL(...)                                                                      \
	do {                                                                           \
		printf("FAIL %s: %s:%d: ", check_name, __FILE__, __LINE__);           \
		printf(__VA_ARGS__);                                                   \
		printf("\n");                                                          \
		longjmp(check_end, 1);                                                 \
	} while (0)

/* CHECK ends the case unless the condition holds; it may be used on the main thread only. */
#define CHECK(cond)                                                                    \
	do {                                                                           \
		if (!(cond))                                                           \
			FAIL("%s does not hold (errno %d, %s)", #cond, errno, strerror(errno)); \
	} while (0)

/* EQUAL compares two integers and shows both. */
#define EQUAL(got, want)                                                               \
	do {                                                                           \
		long long got_ = (long long)(got), want_ = (long long)(want);          \
		if (got_ != want_)                                                     \
			FAIL("%s is %lld (%#llx), want %lld (%#llx)", #got, got_, got_, want_, want_); \
	} while (0)

/* ERRNO checks that a call fails with -1 and the given errno. */
#define ERRNO(call, want)                                                              \
	do {                                                                           \
		errno = 0;                                                             \
		long long got_ = (long long)(call);                                    \
		int errno_ = errno;                                                    \
		if (got_ != -1 || errno_ != (want))                                    \
			FAIL("%s gave %lld with errno %d (%s), want -1 with %d (%s)", #call, got_, errno_, \
			     strerror(errno_), want, strerror(want));                  \
	} while (0)

/* A case that hangs is ended by SIGALRM's default action after this many seconds, unless it uses alarm(2) itself. */
#define CHECK_SECONDS 120

static int check_run(const struct check_case *c)
{
	check_name = c->name;
	alarm(CHECK_SECONDS);
	if (setjmp(check_end) != 0)
		return 1;
	c->run();
	alarm(0);
	printf("ok %s\n", c->name);
	fflush(stdout);
	return 0;
}

static int check_main(const struct check_case *cases, int argc, char **argv)
{
	int failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 2 && strcmp(argv[1], "-list") == 0) {
		for (const struct check_case *c = cases; c->name; c++)
			printf("%s\n", c->name);
		return 0;
	}
	if (argc < 2) {
		for (const struct check_case *c = cases; c->name; c++)
			failed |= check_run(c);
		return failed;
	}
	for (int i = 1; i < argc; i++) {
		const struct check_case *c = cases;
		while (c->name && strcmp(c->name, argv[i]) != 0)
			c++;
		if (!c->name) {
			fprintf(stderr, "no case %s (-list prints them)\n", argv[i]);
			return 2;
		}
		failed |= check_run(c);
	}
	return failed;
}

#endif
