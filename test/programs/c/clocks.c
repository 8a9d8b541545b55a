/*
 * Clocks as programs read them without a system call, vdso(7): that they can, that they do, and that it is the same clock.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include "check.h"

static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE,
				   CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME, CLOCK_TAI};
#define CLOCKS (sizeof clocks / sizeof *clocks)

static int64_t ns(const struct timespec *ts) { return ts->tv_sec * 1000000000LL + ts->tv_nsec; }

/* by_libc reads a clock as the C library does, which is by the vDSO. */
static int64_t by_libc(clockid_t clock)
{
	struct timespec ts = {0};

	clock_gettime(clock, &ts);
	return ns(&ts);
}

static int64_t by_kernel(clockid_t clock)
{
	struct timespec ts = {0};

	syscall(SYS_clock_gettime, clock, &ts);
	return ns(&ts);
}

static int64_t (*const readers[])(clockid_t) = {by_libc, by_kernel};

/* area finds a mapping by its name. */
static int area(const char *name, unsigned long *start, unsigned long *end, char rights[5])
{
	char line[512], found[256];
	FILE *f = fopen("/proc/self/maps", "r");
	int ok = 0;

	CHECK(f != NULL);
	while (!ok && fgets(line, sizeof line, f))
		ok = sscanf(line, "%lx-%lx %4s %*s %*s %*s %255s", start, end, rights, found) == 4 && strcmp(found, name) == 0;
	fclose(f);
	return ok;
}

static void in_the_auxiliary_vector(void)
{
	unsigned long base = getauxval(AT_SYSINFO_EHDR), start, end;
	char rights[5];

	CHECK(base != 0);
	CHECK(area("[vdso]", &start, &end, rights));
	EQUAL(base, start);
	CHECK(strcmp(rights, "r-xp") == 0);
	CHECK(memcmp((void *)base, "\177ELF", 4) == 0);
	CHECK(area("[vvar]", &start, &end, rights));
	CHECK(end <= base);
	CHECK(strcmp(rights, "r--p") == 0);
}

static sigjmp_buf faulted;

static void on_fault(int sig)
{
	(void)sig;
	siglongjmp(faulted, 1);
}

/* faults tells whether a byte can't be overwritten by what it is. */
static int faults(unsigned long at)
{
	volatile char *byte = (char *)at;

	if (sigsetjmp(faulted, 1))
		return 1;
	*byte = *byte;
	return 0;
}

static void read_only(void)
{
	unsigned long code, data, end;
	char rights[5];

	CHECK(signal(SIGSEGV, on_fault) != SIG_ERR);
	CHECK(area("[vdso]", &code, &end, rights) && area("[vvar]", &data, &end, rights));
	CHECK(faults(code));
	CHECK(faults(data));
	CHECK(signal(SIGSEGV, SIG_DFL) != SIG_ERR);
}

/* quickest returns the least time that one reading of a clock has taken in many. */
static int64_t quickest(int64_t (*reader)(clockid_t), clockid_t clock)
{
	int64_t least = INT64_MAX;

	for (int i = 0; i < 2000; i++) {
		int64_t before = reader(CLOCK_MONOTONIC);
		reader(clock);
		int64_t took = reader(CLOCK_MONOTONIC) - before;
		if (took < least)
			least = took;
	}
	return least;
}

static void without_a_call(void)
{
	for (unsigned i = 0; i < CLOCKS; i++) {
		int64_t libc = quickest(by_libc, clocks[i]), kernel = quickest(by_kernel, clocks[i]);

		if (libc * 2 > kernel)
			FAIL("clock %d is read in %lld ns by the C library, in %lld by a system call", (int)clocks[i],
			     (long long)libc, (long long)kernel);
	}
}

static void in_turn(void)
{
	for (unsigned i = 0; i < CLOCKS; i++) {
		int64_t last = 0;

		for (int n = 0; n < 20000; n++) {
			int64_t now = readers[n / 3 % 2](clocks[i]);
			if (now < last)
				FAIL("clock %d went back by %lld ns, reading %d", (int)clocks[i], (long long)(last - now), n);
			last = now;
		}
	}
}

/* What several threads have read at last, and by how much one has read less than had been read before it began to. */
static _Atomic int64_t latest, back;
static clockid_t racing;

static void *race(void *arg)
{
	int n = (int)(intptr_t)arg;

	for (int64_t end = by_kernel(CLOCK_MONOTONIC) + 300000000; by_libc(CLOCK_MONOTONIC) < end; n++) {
		int64_t seen = latest, now = readers[n / 3 % 2](racing);

		if (now < seen)
			back = seen - now;
		while (seen < now && !atomic_compare_exchange_weak(&latest, &seen, now))
			;
	}
	return NULL;
}

static void between_threads(void)
{
	for (unsigned i = 0; i < CLOCKS; i++) {
		pthread_t threads[4];

		latest = back = 0;
		racing = clocks[i];
		for (intptr_t n = 0; n < 4; n++)
			EQUAL(pthread_create(&threads[n], NULL, race, (void *)n), 0);
		for (int n = 0; n < 4; n++)
			EQUAL(pthread_join(threads[n], NULL), 0);
		if (back)
			FAIL("clock %d went back by %lld ns", (int)racing, (long long)back);
	}
}

static void other_functions(void)
{
	struct timeval tv, later;
	time_t stored;

	for (int i = 0; i < 10000; i++) {
		int64_t before = by_kernel(CLOCK_REALTIME) / 1000;
		EQUAL(gettimeofday(&tv, NULL), 0);
		EQUAL(syscall(SYS_gettimeofday, &later, NULL), 0);
		int64_t first = tv.tv_sec * 1000000LL + tv.tv_usec, second = later.tv_sec * 1000000LL + later.tv_usec;
		if (first < before || second < first || tv.tv_usec < 0 || tv.tv_usec > 999999)
			FAIL("%lld us, then %lld, then %lld", (long long)before, (long long)first, (long long)second);
	}
	/* time shows the second of the last tick, so it may be behind. */
	time_t now = time(&stored);
	EQUAL(now, stored);
	CHECK(now >= tv.tv_sec - 1 && now <= by_kernel(CLOCK_REALTIME) / 1000000000);
	for (unsigned i = 0; i < CLOCKS; i++) {
		struct timespec libc, kernel;

		EQUAL(clock_getres(clocks[i], &libc), 0);
		EQUAL(syscall(SYS_clock_getres, clocks[i], &kernel), 0);
		EQUAL(ns(&libc), ns(&kernel));
	}
}

static void other_clocks(void)
{
	struct timespec ts;

	CHECK(by_libc(CLOCK_PROCESS_CPUTIME_ID) > 0);
	CHECK(by_libc(CLOCK_THREAD_CPUTIME_ID) > 0);
	ERRNO(clock_gettime(12, &ts), EINVAL);
	ERRNO(clock_gettime(64, &ts), EINVAL);
	ERRNO(clock_gettime(0x7fffffff, &ts), EINVAL);
	ERRNO(clock_getres(99, &ts), EINVAL);
}

static atomic_bool seen[CPU_SETSIZE];
static atomic_uint refused, nodes;
static atomic_int stop;

static void *look_for_cpus(void *arg)
{
	cpu_set_t mine;

	CPU_ZERO(&mine);
	CPU_SET((intptr_t)arg, &mine);
	if (sched_setaffinity(0, sizeof mine, &mine) != 0)
		refused++;
	while (!stop) {
		unsigned cpu = 0, node = 1;

		seen[sched_getcpu()] = true;
		if (syscall(SYS_getcpu, &cpu, &node, NULL) != 0)
			refused++;
		seen[cpu] = true;
		nodes |= node;
	}
	return NULL;
}

/* Whether all CPUs of a set have been seen. */
static bool all_seen(const cpu_set_t *cpus)
{
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, cpus) && !seen[cpu])
			return false;
	return true;
}

/*
 * Threads that all have work see all CPUs, and no others. They ask for one each: where another program has as much work,
 * Linux may leave all of this one's on one CPU for minutes.
 */
static void cpus(void)
{
	static pthread_t threads[CPU_SETSIZE];
	cpu_set_t mine;

	EQUAL(sched_getaffinity(0, sizeof mine, &mine), 0);
	CHECK(CPU_COUNT(&mine) > 0);
	for (intptr_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &mine))
			EQUAL(pthread_create(&threads[cpu], NULL, look_for_cpus, (void *)cpu), 0);
	while (!all_seen(&mine))
		sched_yield();
	stop = 1;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, &mine))
			EQUAL(pthread_join(threads[cpu], NULL), 0);
		else
			CHECK(!seen[cpu]);
	}
	EQUAL(refused, 0);
	CHECK(nodes == 0 || access("/sys/devices/system/node/node1", F_OK) == 0);
}

static void after_fork(void)
{
	int64_t before = by_libc(CLOCK_MONOTONIC);
	pid_t pid = fork();
	int status;

	CHECK(pid >= 0);
	if (pid == 0) {
		int64_t child = by_libc(CLOCK_MONOTONIC);
		_exit(child < before || by_kernel(CLOCK_MONOTONIC) < child || quickest(by_libc, CLOCK_MONOTONIC) * 2 >
			quickest(by_kernel, CLOCK_MONOTONIC));
	}
	EQUAL(waitpid(pid, &status, 0), pid);
	EQUAL(status, 0);
}

static void after_execve(void)
{
	pid_t pid = fork();
	int status;

	CHECK(pid >= 0);
	if (pid == 0) {
		/* Its cases fail if it has none. */
		if (!freopen("/dev/null", "w", stdout))
			_exit(1);
		execl("/proc/self/exe", "clocks", "in-the-auxiliary-vector", "without-a-call", "in-turn", (char *)NULL);
		_exit(1);
	}
	EQUAL(waitpid(pid, &status, 0), pid);
	EQUAL(status, 0);
}

static void another_page(int *differs)
{
	unsigned long base = 0;
	int fds[2], status;

	EQUAL(pipe(fds), 0);
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		dup2(fds[1], 1);
		execl("/proc/self/exe", "clocks", "-where", (char *)NULL);
		_exit(1);
	}
	EQUAL(read(fds[0], &base, sizeof base), sizeof base);
	close(fds[0]);
	close(fds[1]);
	EQUAL(waitpid(pid, &status, 0), pid);
	EQUAL(status, 0);
	*differs |= base != getauxval(AT_SYSINFO_EHDR);
}

/* Nobody can tell where it is in another program. */
static void at_random(void)
{
	int differs = 0;

	for (int i = 0; i < 3 && !differs; i++)
		another_page(&differs);
	CHECK(differs);
}

static const struct check_case cases[] = {
	{"in-the-auxiliary-vector", in_the_auxiliary_vector},
	{"read-only", read_only},
	{"without-a-call", without_a_call},
	{"in-turn", in_turn},
	{"between-threads", between_threads},
	{"other-functions", other_functions},
	{"other-clocks", other_clocks},
	{"cpus", cpus},
	{"after-fork", after_fork},
	{"after-execve", after_execve},
	{"at-random", at_random},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "-where") == 0) {
		unsigned long base = getauxval(AT_SYSINFO_EHDR);
		return write(1, &base, sizeof base) != sizeof base;
	}
	return check_main(cases, argc, argv);
}
