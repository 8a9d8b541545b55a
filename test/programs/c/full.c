/*
 * Memory is full, all that programs may have: whatever is asked of the kernel then fails or is done, or who has the memory is killed for
 * it, but the kernel goes on. On a machine with much memory it is not filled.
 */
#define _GNU_SOURCE
#include "check.h"
#include "child.h"
#include "fill.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

enum { SECONDS = 1, MOST_THREADS = 4 };

static char buf[64 << 10];

static void pipes(void)
{
	int p[2];
	if (pipe2(p, O_NONBLOCK) != 0)
		return;
	fcntl(p[1], F_SETPIPE_SZ, 1 << 20);
	if (write(p[1], buf, 4096) < 0)
		usleep(100);
	close(p[0]);
	close(p[1]);
}

static void capacities(void)
{
	static _Thread_local int p[2];
	if (p[1] == 0 && pipe2(p, O_NONBLOCK) != 0)
		return;
	fcntl(p[1], F_SETPIPE_SZ, 1 << 20);
	fcntl(p[1], F_SETPIPE_SZ, 4096);
}

static void texts(void)
{
	int fd = open("/proc/self/maps", O_RDONLY);
	while (fd >= 0 && read(fd, buf, sizeof buf) > 0) {}
	close(fd);
}

static void files(void)
{
	char name[40];
	snprintf(name, sizeof name, "/tmp/full.%d.%lx", getpid(), (long)pthread_self());
	int fd = open(name, O_CREAT | O_RDWR, 0600);
	if (fd < 0)
		return;
	if (write(fd, buf, 10) < 0)
		usleep(100);
	close(fd);
	unlink(name);
}

static void forks(void)
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

static void run(char **args)
{
	pid_t pid = vfork();
	if (pid == 0) {
		execv("/proc/self/exe", args);
		_exit(1);
	}
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

static void programs(void) { run((char *[]){"full", "nothing", NULL}); }

static void long_arguments(void)
{
	static char big[100 << 10];
	char *args[20] = {"full", "nothing"};
	memset(big, 'a', sizeof big - 1);
	for (int i = 2; i < 19; i++)
		args[i] = big;
	run(args);
}

static void datagrams(void)
{
	static _Thread_local int s[2];
	if (s[1] == 0 && socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, s) != 0)
		return;
	if (send(s[0], buf, 60000, 0) < 0)
		while (recv(s[1], buf, sizeof buf, 0) > 0) {}
}

static void vectors(void)
{
	struct iovec v[1024];
	for (int i = 0; i < 1024; i++)
		v[i] = (struct iovec){buf, 1};
	int fd = open("/dev/null", O_WRONLY);
	if (writev(fd, v, 1024) < 0)
		usleep(100);
	close(fd);
}

static void polls(void)
{
	struct pollfd f[1000];
	for (int i = 0; i < 1000; i++)
		f[i] = (struct pollfd){1, POLLIN, 0};
	poll(f, 1000, 0);
}

static void sockets(void)
{
	int s = socket(AF_INET, SOCK_STREAM, 0);
	if (s >= 0)
		close(s);
}

static void interest(void)
{
	int ep = epoll_create1(0), s = socket(AF_UNIX, SOCK_DGRAM, 0);
	epoll_ctl(ep, EPOLL_CTL_ADD, s, &(struct epoll_event){0});
	close(ep);
	close(s);
}

static void mappings(void)
{
	size_t size = 1 << 30;
	char *m = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m == MAP_FAILED)
		return;
	mprotect(m + 8192, 4096, PROT_READ);
	munmap(m, size);
}

static void (*volatile doing)(void);
static time_t over;

static void *work(void *unused)
{
	while (time(NULL) < over)
		doing();
	return unused;
}

/* full does something again and again, on all CPUs, with memory full. It is a child of this one that has the memory. */
static void full(void (*what)(void))
{
	CHILD(pid) {
		pthread_t threads[MOST_THREADS];
		int n = 1;
		memset(buf, 1, sizeof buf);
		char *m;
		fill(&m);
		doing = what;
		over = time(NULL) + SECONDS + 1;
		for (; n < MOST_THREADS && n < sysconf(_SC_NPROCESSORS_ONLN); n++)
			if (pthread_create(&threads[n], NULL, work, NULL) != 0)
				break;
		work(NULL);
		while (--n > 0)
			pthread_join(threads[n], NULL);
		_exit(5);
	}
	int how = end(pid);
	CHECK(how == 5 || how == 1000 + SIGKILL);
}

#define FULL(what) static void full_##what(void) { full(what); }
FULL(pipes)
FULL(capacities)
FULL(texts)
FULL(files)
FULL(forks)
FULL(programs)
FULL(long_arguments)
FULL(datagrams)
FULL(vectors)
FULL(polls)
FULL(sockets)
FULL(interest)
FULL(mappings)

/* fired is what timers do. */
static void fired(int sig) { (void)sig; }

/* full_timers has a thousand timers expire at once with memory full. */
static void full_timers(void)
{
	enum { TIMERS = 1000, EVERY_MS = 20, MS = 1000000 };
	CHILD(pid) {
		static timer_t ids[TIMERS];
		int n = 0;
		struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
		signal(SIGRTMIN, fired);
		while (n < TIMERS && timer_create(CLOCK_MONOTONIC, &event, &ids[n]) == 0)
			n++;
		char *m;
		fill(&m);
		struct itimerspec at = {.it_interval.tv_nsec = EVERY_MS * MS};
		clock_gettime(CLOCK_MONOTONIC, &at.it_value);
		at.it_value.tv_sec += 1;
		while (--n >= 0)
			timer_settime(ids[n], TIMER_ABSTIME, &at, NULL);
		for (over = time(NULL) + SECONDS + 2; time(NULL) < over;)
			usleep(1000);
		_exit(5);
	}
	int how = end(pid);
	CHECK(how == 5 || how == 1000 + SIGKILL);
}

enum { STACK = 16 << 10 };

static pthread_rwlock_t gate = PTHREAD_RWLOCK_INITIALIZER;

static void *work_behind_gate(void *unused)
{
	pthread_rwlock_rdlock(&gate);
	return work(unused);
}

/* crowded has many threads do something at the same moment, with memory full. */
static void crowded(void (*what)(void))
{
	CHILD(pid) {
		enum { MOST = 120 };
		pthread_attr_t attr;
		pthread_t thread;
		struct filling f = ready_to_fill();
		char *stacks = mmap(NULL, MOST * STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (stacks == MAP_FAILED)
			_exit(8);
		pthread_rwlock_wrlock(&gate);
		for (int i = 0; i < MOST; i++) {
			memset(stacks + i * STACK, 1, STACK);
			pthread_attr_init(&attr);
			pthread_attr_setstack(&attr, stacks + i * STACK, STACK);
			if (pthread_create(&thread, &attr, work_behind_gate, NULL) != 0)
				break;
		}
		doing = what;
		fill_up(f);
		over = time(NULL) + SECONDS + 2;
		pthread_rwlock_unlock(&gate);
		while (time(NULL) < over)
			usleep(10000);
		_exit(5);
	}
	int how = end(pid);
	CHECK(how == 5 || how == 1000 + SIGKILL);
}

/* loopback sends over IPv6 to itself, which makes long stacks. */
static void loopback(void)
{
	static int s;
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons(9), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	if (s == 0)
		s = socket(AF_INET6, SOCK_DGRAM, 0);
	sendto(s, buf, 1000, 0, (void *)&a, sizeof a);
}

/* large_loopback sends much. */
static void large_loopback(void)
{
	static int s;
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (s == 0)
		s = socket(AF_INET, SOCK_DGRAM, 0);
	sendto(s, buf, 60000, 0, (void *)&a, sizeof a);
}

/* some_polls polls for a while, so that all do at once. */
static void some_polls(void)
{
	enum { MANY = 200 };
	struct pollfd f[MANY];
	for (int i = 0; i < MANY; i++)
		f[i] = (struct pollfd){0, POLLPRI, 0};
	poll(f, MANY, 50);
}

#define CROWDED(what) static void crowded_##what(void) { crowded(what); }
CROWDED(loopback)
CROWDED(large_loopback)
CROWDED(some_polls)

static const struct check_case cases[] = {
	{"pipes", full_pipes},
	{"capacities", full_capacities},
	{"texts", full_texts},
	{"files", full_files},
	{"forks", full_forks},
	{"programs", full_programs},
	{"long-arguments", full_long_arguments},
	{"datagrams", full_datagrams},
	{"vectors", full_vectors},
	{"polls", full_polls},
	{"sockets", full_sockets},
	{"interest", full_interest},
	{"mappings", full_mappings},
	{"timers", full_timers},
	{"crowded-loopback", crowded_loopback},
	{"crowded-large-loopback", crowded_large_loopback},
	{"crowded-polls", crowded_some_polls},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "nothing") == 0)
		return 0;
	return check_main(cases, argc, argv);
}
