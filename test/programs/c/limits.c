/*
 * Limits: whatever a program asks for without end, at some point it is told that there is no more, gives all back, and gets as
 * much again. Nothing here is about how much; a small machine has less.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include "check.h"

/* How often each case asks for all there is. The second time shows whether it was given back. */
#define ROUNDS 2

/* Natively there is more of everything than a test should ask for. */
#define ENOUGH 20000

static int fds[ENOUGH];

static void close_all(int n)
{
	while (n > 0)
		close(fds[--n]);
}

/* until opens descriptors until there are no more, and checks why; it returns how many. */
static int until(int (*open_one)(void))
{
	int n = 0;

	while (n < ENOUGH && (fds[n] = open_one()) >= 0)
		n++;
	if (n < ENOUGH)
		CHECK(errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS);
	CHECK(n >= 50);
	return n;
}

static int open_null(void) { return open("/dev/null", O_RDONLY); }
static int open_event(void) { return eventfd(0, 0); }
static int open_epoll(void) { return epoll_create1(0); }
static int open_timer(void) { return timerfd_create(CLOCK_MONOTONIC, 0); }
static int open_udp(void) { return socket(AF_INET, SOCK_DGRAM, 0); }
static int open_tcp(void) { return socket(AF_INET, SOCK_STREAM, 0); }
static int open_unix(void) { return socket(AF_UNIX, SOCK_DGRAM, 0); }

static int open_memfd(void)
{
	int fd = (int)syscall(SYS_memfd_create, "limit", 0);

	if (fd >= 0 && ftruncate(fd, 4096) != 0)
		FAIL("ftruncate: %s", strerror(errno));
	return fd;
}

static void descriptors(void)
{
	static int (*const kinds[])(void) = {open_null, open_event, open_epoll, open_timer, open_memfd};

	for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
		int n[ROUNDS];

		for (int i = 0; i < ROUNDS; i++)
			close_all(n[i] = until(kinds[k]));
		CHECK(n[1] >= n[0] / 2);
	}
}

static void sockets(void)
{
	static int (*const kinds[])(void) = {open_udp, open_tcp, open_unix};

	for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
		int n[ROUNDS];

		for (int i = 0; i < ROUNDS; i++)
			close_all(n[i] = until(kinds[k]));
		CHECK(n[1] >= n[0] / 2);
	}
}

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void *wait_at_gate(void *arg)
{
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
	return arg;
}

static void threads(void)
{
	enum { MOST = 2000 };
	static pthread_t all[MOST];
	pthread_attr_t attr;
	int n[ROUNDS];

	EQUAL(pthread_attr_init(&attr), 0);
	EQUAL(pthread_attr_setstacksize(&attr, 32 << 10), 0);
	for (int i = 0; i < ROUNDS; i++) {
		int err = 0, count = 0;

		pthread_mutex_lock(&gate);
		while (count < MOST && (err = pthread_create(&all[count], &attr, wait_at_gate, NULL)) == 0)
			count++;
		pthread_mutex_unlock(&gate);
		for (int k = 0; k < count; k++)
			pthread_join(all[k], NULL);
		if (count < MOST)
			CHECK(err == EAGAIN || err == ENOMEM);
		CHECK(count >= 20);
		n[i] = count;
	}
	CHECK(n[1] >= n[0] / 2);
}

/* mappings_at_most is how many mappings a program may have. */
static long mappings_at_most(void)
{
	FILE *f = fopen("/proc/sys/vm/max_map_count", "r");
	long n = 65530;

	if (f) {
		CHECK(fscanf(f, "%ld", &n) == 1);
		fclose(f);
	}
	return n;
}

/* Mappings that can't be merged, because every other one is read-only. */
static void mappings(void)
{
	enum { MOST = 100000, PAGE = 4096 };
	static char *at[MOST];

	for (int i = 0; i < ROUNDS; i++) {
		int n = 0;

		while (n < MOST && (at[n] = mmap(NULL, PAGE, n & 1 ? PROT_READ : PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
						 -1, 0)) != MAP_FAILED)
			n++;
		int err = errno;
		for (int k = 0; k < n; k++)
			munmap(at[k], PAGE);
		CHECK(n < MOST || mappings_at_most() >= MOST); /* some systems have a limit of a million */
		if (n < MOST)
			EQUAL(err, ENOMEM);
		CHECK(n >= 500);
	}
}

/* What is written and never read, in pipes, sockets and datagram queues. */
static void queue_bytes(void)
{
	static const char data[4096];
	static const int pairs[][2] = {{AF_UNIX, SOCK_STREAM}, {AF_UNIX, SOCK_DGRAM}, {AF_UNIX, SOCK_SEQPACKET}, {0, 0}};

	for (int i = 0; i < ROUNDS; i++) {
		for (size_t k = 0; k < sizeof pairs / sizeof pairs[0]; k++) {
			long total = 0;
			int n = 0;

			while (n + 2 <= 600) {
				int err = pairs[k][0] ? socketpair(pairs[k][0], pairs[k][1] | SOCK_NONBLOCK, 0, &fds[n])
						      : pipe2(&fds[n], O_NONBLOCK);
				ssize_t wrote;

				if (err < 0)
					break;
				n += 2;
				for (int w = 0; w < 1000 && (wrote = write(fds[n - 1], data, sizeof data)) > 0; w++)
					total += wrote;
			}
			close_all(n);
			CHECK(n >= 4);
			CHECK(total >= 64 << 10);
		}
	}
}

static void datagrams(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	static const char data[1400];

	for (int i = 0; i < ROUNDS; i++) {
		int n = 0, out = socket(AF_INET, SOCK_DGRAM, 0);

		CHECK(out >= 0);
		while (n < 300 && (fds[n] = socket(AF_INET, SOCK_DGRAM, 0)) >= 0) {
			socklen_t len = sizeof at;

			at.sin_port = 0;
			if (bind(fds[n], (struct sockaddr *)&at, len) != 0)
				break;
			EQUAL(getsockname(fds[n], (struct sockaddr *)&at, &len), 0);
			for (int k = 0; k < 300; k++)
				sendto(out, data, sizeof data, MSG_DONTWAIT, (struct sockaddr *)&at, len); /* may be dropped */
			n++;
		}
		close_all(n);
		close(out);
		CHECK(n >= 2);
	}
}

/* Signals that nobody takes. */
static void queued_signals(void)
{
	sigset_t set;
	struct timespec none = {0, 0};

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	EQUAL(sigprocmask(SIG_BLOCK, &set, NULL), 0);
	for (int i = 0; i < ROUNDS; i++) {
		int n = 0, taken = 0;

		while (n < 200000 && sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = n}) == 0)
			n++;
		if (n < 200000)
			EQUAL(errno, EAGAIN);
		while (sigtimedwait(&set, NULL, &none) == SIGRTMIN)
			taken++;
		EQUAL(taken, n);
		CHECK(n >= 32);
	}
	EQUAL(sigprocmask(SIG_UNBLOCK, &set, NULL), 0);
}

static void timers(void)
{
	struct sigevent e = {.sigev_notify = SIGEV_NONE};
	static int ids[20000];

	for (int i = 0; i < ROUNDS; i++) {
		int n = 0;

		while (n < 20000 && syscall(SYS_timer_create, CLOCK_MONOTONIC, &e, &ids[n]) == 0)
			n++;
		if (n < 20000)
			EQUAL(errno, EAGAIN);
		for (int k = 0; k < n; k++)
			EQUAL(syscall(SYS_timer_delete, ids[k]), 0);
		CHECK(n >= 32);
	}
}

/* Files, names and links in the memory of the machine. */
static void files(void)
{
	static char name[64], directory[40];

	for (int i = 0; i < ROUNDS; i++) {
		int n = 0;

		snprintf(directory, sizeof directory, "/tmp/limits-%d", (int)getpid());
		EQUAL(mkdir(directory, 0700), 0);
		for (; n < 5000; n++) {
			snprintf(name, sizeof name, "%s/%d", directory, n);
			int fd = open(name, O_CREAT | O_WRONLY | O_EXCL, 0600);
			if (fd < 0) {
				CHECK(errno == ENOSPC || errno == ENOMEM);
				break;
			}
			close(fd);
		}
		CHECK(n >= 100);
		while (n > 0) {
			snprintf(name, sizeof name, "%s/%d", directory, --n);
			EQUAL(unlink(name), 0);
		}
		EQUAL(rmdir(directory), 0);
	}
}

/* Children that have ended, and nobody has waited for. */
static void processes(void)
{
	enum { MANY = 400 };

	for (int i = 0; i < ROUNDS; i++) {
		int n = 0;

		for (; n < MANY; n++) {
			siginfo_t info;
			pid_t pid = fork();

			if (pid == 0)
				_exit(0);
			if (pid < 0) {
				CHECK(errno == EAGAIN || errno == ENOMEM);
				break;
			}
			EQUAL(waitid(P_PID, pid, &info, WEXITED | WNOWAIT), 0);
		}
		CHECK(n >= 50); /* 166 in a new machine of 24 MiB; fewer after the cases before, by the holes they leave in its heap */
		while (n > 0 && wait(NULL) > 0)
			n--;
		EQUAL(n, 0);
	}
}

static const struct check_case cases[] = {
	{"descriptors", descriptors},
	{"sockets", sockets},
	{"threads", threads},
	{"mappings", mappings},
	{"queue-bytes", queue_bytes},
	{"datagrams", datagrams},
	{"queued-signals", queued_signals},
	{"timers", timers},
	{"files", files},
	{"processes", processes},
	{NULL, NULL},
};

int main(int argc, char **argv) { return check_main(cases, argc, argv); }
