/*
 * Timers: setitimer, POSIX timers (timer_create), timerfd, sleeps.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/times.h>
#include <time.h>

#include "check.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

#define MS 1000000L

static volatile sig_atomic_t count;

static void counted(int sig)
{
	(void)sig;
	count++;
}

static int64_t now_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static struct timespec at_ns(int64_t ns) { return (struct timespec){ns / 1000000000, ns % 1000000000}; }

static struct itimerspec every(long value_ns, long interval_ns)
{
	return (struct itimerspec){.it_value = at_ns(value_ns), .it_interval = at_ns(interval_ns)};
}

static void hold_back(int sig, int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	EQUAL(sigprocmask(how, &set, NULL), 0);
}

/* take waits for a signal that is held back. */
static void take(int sig, siginfo_t *info)
{
	sigset_t set;
	struct timespec patience = {30, 0};

	sigemptyset(&set);
	sigaddset(&set, sig);
	memset(info, 0, sizeof *info);
	EQUAL(sigtimedwait(&set, info, &patience), sig);
}

/* Both count CPU time: they come while the program computes, and not while it sleeps. */
static void cpu_itimers(void)
{
	static const struct {
		int which, signal;
	} timers[] = {{ITIMER_PROF, SIGPROF}, {ITIMER_VIRTUAL, SIGVTALRM}};

	for (int i = 0; i < 2; i++) {
		struct itimerval it = {.it_interval = {0, 10000}, .it_value = {0, 10000}}, got;
		clock_t begin;
		int tries = 0;

		CHECK(signal(timers[i].signal, counted) != SIG_ERR);
		do { /* microseconds; it would be 50 ms, but Linux counts whole ticks, part of which others may have had */
			CHECK(tries++ < 20);
			count = 0;
			begin = clock();
			EQUAL(setitimer(timers[i].which, &it, NULL), 0);
			while (count < 5)
				;
		} while (clock() - begin < 40000);
		EQUAL(getitimer(timers[i].which, &got), 0);
		EQUAL(got.it_interval.tv_usec, 10000);
		CHECK(got.it_value.tv_sec == 0 && got.it_value.tv_usec <= 14000); /* to the next tick */
		memset(&it, 0, sizeof it);
		EQUAL(setitimer(timers[i].which, &it, &got), 0);
		EQUAL(got.it_interval.tv_usec, 10000);
		count = 0;
		it.it_value.tv_sec = 3600;
		EQUAL(setitimer(timers[i].which, &it, NULL), 0);
		usleep(20000);
		EQUAL(getitimer(timers[i].which, &got), 0);
		CHECK(got.it_value.tv_sec > 3000);
		memset(&it, 0, sizeof it);
		EQUAL(setitimer(timers[i].which, &it, NULL), 0);
		EQUAL(count, 0);
		signal(timers[i].signal, SIG_DFL);
	}
}

static void posix_signal(void)
{
	int here;
	struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1, .sigev_value.sival_ptr = &here};
	struct itimerspec it = every(5 * MS, 0), got;
	siginfo_t info;
	timer_t id;

	hold_back(SIGRTMIN + 1, SIG_BLOCK);
	EQUAL(timer_create(CLOCK_MONOTONIC, &e, &id), 0);
	EQUAL(timer_gettime(id, &got), 0);
	CHECK(got.it_value.tv_sec == 0 && got.it_value.tv_nsec == 0);
	EQUAL(timer_settime(id, 0, &it, NULL), 0);
	take(SIGRTMIN + 1, &info);
	EQUAL(info.si_code, SI_TIMER);
	CHECK(info.si_value.sival_ptr == &here);
	EQUAL(info.si_overrun, 0);
	EQUAL(timer_getoverrun(id), 0);
	EQUAL(timer_gettime(id, &got), 0);
	CHECK(got.it_value.tv_sec == 0 && got.it_value.tv_nsec == 0);

	/* Armed again, it tells what was left. */
	it = every(3600 * 1000 * MS, 7 * MS);
	EQUAL(timer_settime(id, 0, &it, NULL), 0);
	EQUAL(timer_gettime(id, &got), 0);
	CHECK(got.it_value.tv_sec > 3000 && got.it_value.tv_sec < 3600);
	EQUAL(got.it_interval.tv_nsec, 7 * MS);
	it = every(0, 0);
	EQUAL(timer_settime(id, 0, &it, &got), 0);
	CHECK(got.it_value.tv_sec > 3000 && got.it_value.tv_sec < 3600);
	EQUAL(timer_delete(id), 0);
	hold_back(SIGRTMIN + 1, SIG_UNBLOCK);
}

/* The signal of a timer is pending once; the expirations in between are counted. */
static void posix_overrun(void)
{
	static const int signals[] = {SIGUSR1, 0 /* SIGRTMIN */};

	for (int i = 0; i < 2; i++) {
		int sig = i == 0 ? signals[i] : SIGRTMIN;
		struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = sig};
		struct itimerspec it = every(2 * MS, 2 * MS);
		struct timespec none = {0, 0};
		sigset_t set;
		siginfo_t info;
		timer_t id;
		int64_t begin = now_ns(CLOCK_MONOTONIC);

		hold_back(sig, SIG_BLOCK);
		EQUAL(timer_create(CLOCK_MONOTONIC, &e, &id), 0);
		EQUAL(timer_settime(id, 0, &it, NULL), 0);
		usleep(30000);
		take(sig, &info);
		CHECK(info.si_overrun >= 10);
		CHECK(info.si_overrun <= (now_ns(CLOCK_MONOTONIC) - begin) / (2 * MS));
		EQUAL(timer_getoverrun(id), info.si_overrun);
		take(sig, &info); /* it goes on */
		it = every(0, 0);
		EQUAL(timer_settime(id, 0, &it, NULL), 0);
		sigemptyset(&set);
		sigaddset(&set, sig);
		while (sigtimedwait(&set, NULL, &none) > 0)
			;
		EQUAL(timer_delete(id), 0);
		hold_back(sig, SIG_UNBLOCK);
	}
}

static void posix_handler(void)
{
	struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2};
	struct itimerspec it = every(MS, MS);
	timer_t id;
	int64_t begin = now_ns(CLOCK_MONOTONIC);

	count = 0;
	CHECK(signal(SIGUSR2, counted) != SIG_ERR);
	EQUAL(timer_create(CLOCK_REALTIME, &e, &id), 0);
	EQUAL(timer_settime(id, 0, &it, NULL), 0);
	while (count < 20)
		pause();
	CHECK(now_ns(CLOCK_MONOTONIC) - begin >= 20 * MS);
	EQUAL(timer_delete(id), 0);
	signal(SIGUSR2, SIG_DFL);
}

static void posix_absolute(void)
{
	static const clockid_t clocks[] = {CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME};
	struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
	siginfo_t info;

	hold_back(SIGRTMIN, SIG_BLOCK);
	for (int i = 0; i < 3; i++) {
		struct itimerspec it = {.it_value = at_ns(now_ns(clocks[i]) + 20 * MS)}, got;
		int64_t wanted = it.it_value.tv_sec * 1000000000LL + it.it_value.tv_nsec;
		timer_t id;

		EQUAL(timer_create(clocks[i], &e, &id), 0);
		EQUAL(timer_settime(id, TIMER_ABSTIME, &it, NULL), 0);
		EQUAL(timer_gettime(id, &got), 0);
		CHECK(got.it_value.tv_sec == 0 && got.it_value.tv_nsec <= 20 * MS);
		take(SIGRTMIN, &info);
		CHECK(now_ns(clocks[i]) >= wanted);
		it.it_value = (struct timespec){0, 1}; /* long ago */
		EQUAL(timer_settime(id, TIMER_ABSTIME, &it, NULL), 0);
		take(SIGRTMIN, &info);
		EQUAL(timer_delete(id), 0);
	}
	hold_back(SIGRTMIN, SIG_UNBLOCK);
}

static atomic_int notified;

static void notify(union sigval v) { atomic_fetch_add(&notified, v.sival_int); }

/* SIGEV_THREAD: the C library calls a function on a thread. */
static void posix_thread(void)
{
	struct sigevent e = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = notify, .sigev_value.sival_int = 3};
	struct itimerspec it = every(2 * MS, 2 * MS);
	timer_t id;

	EQUAL(timer_create(CLOCK_MONOTONIC, &e, &id), 0);
	EQUAL(timer_settime(id, 0, &it, NULL), 0);
	while (atomic_load(&notified) < 15)
		usleep(1000);
	EQUAL(timer_delete(id), 0);
	EQUAL(atomic_load(&notified) % 3, 0);
}

static atomic_int target_tid, taken_by, stop;

static void who(int sig)
{
	(void)sig;
	atomic_store(&taken_by, (int)syscall(SYS_gettid));
}

static void *target(void *arg)
{
	atomic_store(&target_tid, (int)syscall(SYS_gettid));
	while (!atomic_load(&stop))
		usleep(1000);
	return arg;
}

static void posix_thread_id(void)
{
	struct sigevent e = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
	struct itimerspec it = every(MS, 0);
	pthread_t thread;
	timer_t id;

	CHECK(signal(SIGUSR1, who) != SIG_ERR);
	EQUAL(pthread_create(&thread, NULL, target, NULL), 0);
	while (!atomic_load(&target_tid))
		usleep(1000);
	e.sigev_notify_thread_id = atomic_load(&target_tid);
	EQUAL(timer_create(CLOCK_MONOTONIC, &e, &id), 0);
	EQUAL(timer_settime(id, 0, &it, NULL), 0);
	while (!atomic_load(&taken_by))
		usleep(1000);
	EQUAL(atomic_load(&taken_by), atomic_load(&target_tid));

	/* When the thread is gone nobody gets the signal. */
	atomic_store(&stop, 1);
	EQUAL(pthread_join(thread, NULL), 0);
	atomic_store(&taken_by, 0);
	EQUAL(timer_settime(id, 0, &it, NULL), 0);
	usleep(10000);
	EQUAL(atomic_load(&taken_by), 0);
	EQUAL(timer_delete(id), 0);
	signal(SIGUSR1, SIG_DFL);
}

static void posix_none(void)
{
	struct sigevent e = {.sigev_notify = SIGEV_NONE};
	struct itimerspec it = every(3600 * 1000 * MS, 0), got;
	timer_t id;

	EQUAL(timer_create(CLOCK_MONOTONIC, &e, &id), 0);
	EQUAL(timer_settime(id, 0, &it, NULL), 0);
	EQUAL(timer_gettime(id, &got), 0);
	CHECK(got.it_value.tv_sec > 3000 && got.it_value.tv_sec < 3600);
	it = every(20 * MS, 0);
	EQUAL(timer_settime(id, 0, &it, NULL), 0);
	do {
		EQUAL(timer_gettime(id, &got), 0);
	} while (got.it_value.tv_nsec != 0);
	EQUAL(timer_delete(id), 0);
}

/* Timers that count the CPU time of the process and of a thread. */
static void posix_cpu(void)
{
	static const clockid_t clocks[] = {CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID};
	struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	struct itimerspec it = every(300 * MS, 0), got;

	CHECK(signal(SIGUSR1, counted) != SIG_ERR);
	for (int i = 0; i < 2; i++) {
		int64_t begin = now_ns(clocks[i]);
		timer_t id;

		count = 0;
		EQUAL(timer_create(clocks[i], &e, &id), 0);
		EQUAL(timer_settime(id, 0, &it, NULL), 0);
		usleep(60000); /* costs no CPU time to speak of */
		EQUAL(timer_gettime(id, &got), 0);
		/* unless it has cost some: what a host takes of a machine's time while a program is run there, the program has used */
		if (now_ns(clocks[i]) - begin < 150 * MS)
			CHECK(count == 0 && got.it_value.tv_nsec > 0);
		while (count < 1)
			;
		CHECK(now_ns(clocks[i]) - begin >= 150 * MS);
		EQUAL(timer_delete(id), 0);
	}
	signal(SIGUSR1, SIG_DFL);
}

/* Without a sigevent: SIGALRM, with the timer's number for the value. */
static void posix_default(void)
{
	struct itimerspec it = every(MS, 0);
	siginfo_t info;
	int id;

	alarm(0);
	hold_back(SIGALRM, SIG_BLOCK);
	EQUAL(syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, &id), 0);
	EQUAL(syscall(SYS_timer_settime, id, 0, &it, NULL), 0);
	take(SIGALRM, &info);
	EQUAL(info.si_code, SI_TIMER);
	EQUAL(info.si_value.sival_int, id);
	EQUAL(syscall(SYS_timer_delete, id), 0);
	hold_back(SIGALRM, SIG_UNBLOCK);
}

static void posix_errors(void)
{
	struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	struct itimerspec it = every(MS, 0), wrong = {.it_value = {0, 1000000000}};
	int id, other;

	ERRNO(syscall(SYS_timer_create, 99, &e, &id), EINVAL);
	ERRNO(syscall(SYS_timer_create, CLOCK_MONOTONIC, 8, &id), EFAULT);
	ERRNO(syscall(SYS_timer_create, CLOCK_MONOTONIC, &e, NULL), EFAULT);
	e.sigev_signo = 65;
	ERRNO(syscall(SYS_timer_create, CLOCK_MONOTONIC, &e, &id), EINVAL);
	e.sigev_signo = SIGUSR1;
	e.sigev_notify = SIGEV_THREAD_ID;
	e.sigev_notify_thread_id = 1 << 29;
	ERRNO(syscall(SYS_timer_create, CLOCK_MONOTONIC, &e, &id), EINVAL);
	e.sigev_notify = 77;
	ERRNO(syscall(SYS_timer_create, CLOCK_MONOTONIC, &e, &id), EINVAL);
	e.sigev_notify = SIGEV_NONE;
	EQUAL(syscall(SYS_timer_create, CLOCK_MONOTONIC, &e, &id), 0);
	EQUAL(syscall(SYS_timer_create, CLOCK_MONOTONIC, &e, &other), 0);
	CHECK(id != other);
	ERRNO(syscall(SYS_timer_settime, id, 0, &wrong, NULL), EINVAL);
	ERRNO(syscall(SYS_timer_settime, id, 0, NULL, NULL), EINVAL);
	ERRNO(syscall(SYS_timer_settime, id, 0, 8, NULL), EFAULT);
	EQUAL(syscall(SYS_timer_delete, id), 0);
	ERRNO(syscall(SYS_timer_delete, id), EINVAL);
	ERRNO(syscall(SYS_timer_settime, id, 0, &it, NULL), EINVAL);
	ERRNO(syscall(SYS_timer_gettime, id, &it), EINVAL);
	ERRNO(syscall(SYS_timer_getoverrun, id), EINVAL);
	EQUAL(syscall(SYS_timer_delete, other), 0);
}

/* Timers that nobody takes signals from, with the smallest of intervals, cost nothing that stops the others. */
static void posix_many(void)
{
	enum { N = 500 };
	struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	struct itimerspec it = every(1, 1), got;
	static int ids[N];

	CHECK(signal(SIGUSR1, SIG_IGN) != SIG_ERR);
	for (int i = 0; i < N; i++) {
		EQUAL(syscall(SYS_timer_create, CLOCK_MONOTONIC, &e, &ids[i]), 0);
		EQUAL(syscall(SYS_timer_settime, ids[i], 0, &it, NULL), 0);
	}
	usleep(20000);
	hold_back(SIGUSR1, SIG_BLOCK);
	signal(SIGUSR1, SIG_DFL);
	usleep(20000);
	for (int i = 0; i < N; i++) {
		EQUAL(syscall(SYS_timer_gettime, ids[i], &got), 0);
		EQUAL(got.it_interval.tv_nsec, 1);
		EQUAL(syscall(SYS_timer_delete, ids[i]), 0);
	}
	signal(SIGUSR1, SIG_IGN); /* forgets what is pending */
	signal(SIGUSR1, SIG_DFL);
	hold_back(SIGUSR1, SIG_UNBLOCK);
}

static void timer_descriptor(void)
{
	struct itimerspec it = every(10 * MS, 10 * MS), got;
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), ep = epoll_create1(0);
	struct epoll_event ev = {.events = EPOLLIN};
	uint64_t n = 0, total = 0;
	int64_t begin = now_ns(CLOCK_MONOTONIC);

	CHECK(fd >= 0 && ep >= 0);
	EQUAL(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev), 0);
	EQUAL(epoll_wait(ep, &ev, 1, 0), 0);
	EQUAL(timerfd_settime(fd, 0, &it, NULL), 0);
	usleep(35000);
	EQUAL(read(fd, &n, sizeof n), 8);
	CHECK(n >= 3 && (int64_t)n <= (now_ns(CLOCK_MONOTONIC) - begin) / (10 * MS));
	for (total = n; total < 6; total += n) {
		EQUAL(epoll_wait(ep, &ev, 1, 10000), 1);
		EQUAL(read(fd, &n, sizeof n), 8);
	}
	CHECK(now_ns(CLOCK_MONOTONIC) - begin >= 60 * MS);
	ERRNO(read(fd, &n, 4), EINVAL);
	do { /* Linux says 0 between an expiration and its interrupt, which a host that stops the CPU makes long */
		EQUAL(timerfd_gettime(fd, &got), 0);
		EQUAL(got.it_interval.tv_nsec, 10 * MS);
		CHECK(got.it_value.tv_sec == 0 && got.it_value.tv_nsec <= 10 * MS);
	} while (got.it_value.tv_nsec == 0);
	it = every(0, 0);
	EQUAL(timerfd_settime(fd, 0, &it, &got), 0);
	EQUAL(epoll_wait(ep, &ev, 1, 30), 0);

	it.it_value = at_ns(now_ns(CLOCK_MONOTONIC) + 10 * MS);
	EQUAL(timerfd_settime(fd, TFD_TIMER_ABSTIME, &it, NULL), 0);
	EQUAL(read(fd, &n, sizeof n), 8);
	EQUAL(n, 1);
	CHECK(now_ns(CLOCK_MONOTONIC) >= it.it_value.tv_sec * 1000000000LL + it.it_value.tv_nsec);
	close(fd);
	close(ep);
	fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);
	CHECK(fd >= 0);
	ERRNO(read(fd, &n, sizeof n), EAGAIN);
	ERRNO(write(fd, &n, sizeof n), EINVAL);
	it.it_value = (struct timespec){1, 0}; /* in 1970 */
	EQUAL(timerfd_settime(fd, TFD_TIMER_ABSTIME, &it, NULL), 0);
	while (read(fd, &n, sizeof n) != 8)
		EQUAL(errno, EAGAIN);
	EQUAL(n, 1);
	close(fd);
	ERRNO(timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0), EINVAL);
	ERRNO(timerfd_create(CLOCK_MONOTONIC, 0x40), EINVAL);
	ERRNO(timerfd_gettime(0x7fff, &got), EBADF);
}

/* Who doesn't read the expirations is told of one, and of another when it has asked for the time that is left. */
static void timer_descriptor_edge(void)
{
	struct itimerspec it = every(1, 1), got; /* a nanosecond */
	int fd = timerfd_create(CLOCK_MONOTONIC, 0), ep = epoll_create1(0);
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET};
	uint64_t n = 0;

	CHECK(fd >= 0 && ep >= 0);
	EQUAL(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev), 0);
	EQUAL(timerfd_settime(fd, 0, &it, NULL), 0);
	EQUAL(epoll_wait(ep, &ev, 1, 10000), 1);
	EQUAL(epoll_wait(ep, &ev, 1, 20), 0);
	EQUAL(timerfd_gettime(fd, &got), 0);
	EQUAL(epoll_wait(ep, &ev, 1, 10000), 1);
	EQUAL(epoll_wait(ep, &ev, 1, 20), 0);
	EQUAL(read(fd, &n, sizeof n), 8);
	CHECK(n >= 40000000);
	EQUAL(epoll_wait(ep, &ev, 1, 10000), 1);
	close(fd);
	close(ep);
}

static void sleeps(void)
{
	struct timespec ts = at_ns(now_ns(CLOCK_MONOTONIC) + 10 * MS), left = {0, 0};
	/* Again and again: the first one may come before the sleep that it is to end. */
	struct itimerval it = {.it_interval = {0, 10000}, .it_value = {0, 10000}};

	EQUAL(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL), 0);
	CHECK(now_ns(CLOCK_MONOTONIC) >= ts.tv_sec * 1000000000LL + ts.tv_nsec);
	alarm(0);
	CHECK(signal(SIGALRM, counted) != SIG_ERR);
	EQUAL(setitimer(ITIMER_REAL, &it, NULL), 0);
	ts = (struct timespec){3600, 0};
	ERRNO(nanosleep(&ts, &left), EINTR);
	CHECK(left.tv_sec > 3000 && left.tv_sec < 3600);
	EQUAL(clock_nanosleep(CLOCK_REALTIME, 0, &ts, &left), EINTR);
	CHECK(left.tv_sec > 3000 && left.tv_sec < 3600);
	memset(&it, 0, sizeof it);
	EQUAL(setitimer(ITIMER_REAL, &it, NULL), 0);
	ts.tv_nsec = 1000000000;
	ERRNO(nanosleep(&ts, NULL), EINVAL);
	signal(SIGALRM, SIG_DFL);
}

/* getrusage, times, clock and the CPU clocks tell of the same time. */
static void cpu_time(void)
{
	struct rusage begin, end;
	struct tms t0, t1;
	int64_t cpu, used;

	EQUAL(getrusage(RUSAGE_SELF, &begin), 0);
	CHECK(times(&t0) != (clock_t)-1);
	cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID); /* last: a host that stops the machine in between makes the program use much time */
	while (now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu < 60 * MS)
		;
	EQUAL(getrusage(RUSAGE_SELF, &end), 0);
	CHECK(times(&t1) != (clock_t)-1);
	used = (end.ru_utime.tv_sec - begin.ru_utime.tv_sec + end.ru_stime.tv_sec - begin.ru_stime.tv_sec) * 1000000L +
	       end.ru_utime.tv_usec - begin.ru_utime.tv_usec + end.ru_stime.tv_usec - begin.ru_stime.tv_usec;
	CHECK(used >= 45000);
	CHECK(t1.tms_utime + t1.tms_stime - t0.tms_utime - t0.tms_stime >= 3); /* of 10 ms */
	CHECK(end.ru_maxrss > 0);
	EQUAL(getrusage(RUSAGE_THREAD, &end), 0);
	EQUAL(getrusage(RUSAGE_CHILDREN, &end), 0);
	EQUAL(end.ru_utime.tv_sec, 0);
	ERRNO(getrusage(99, &end), EINVAL);
}

static const struct check_case cases[] = {
	{"cpu-itimers", cpu_itimers},
	{"posix-signal", posix_signal},
	{"posix-overrun", posix_overrun},
	{"posix-handler", posix_handler},
	{"posix-absolute", posix_absolute},
	{"posix-thread", posix_thread},
	{"posix-thread-id", posix_thread_id},
	{"posix-none", posix_none},
	{"posix-cpu", posix_cpu},
	{"posix-default", posix_default},
	{"posix-errors", posix_errors},
	{"posix-many", posix_many},
	{"timerfd", timer_descriptor},
	{"timerfd-edge", timer_descriptor_edge},
	{"sleeps", sleeps},
	{"cpu-time", cpu_time},
	{NULL, NULL},
};

int main(int argc, char **argv) { return check_main(cases, argc, argv); }
