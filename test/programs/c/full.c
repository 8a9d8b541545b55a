/*
 * Memory is full, all that programs may have: whatever is asked of the kernel then fails or is done, or who has the memory is killed for
 * it, but the kernel goes on. On a machine with much memory it is not filled.
 */
#define _GNU_SOURCE
#include "check.h"
#include "child.h"
#include "fill.h"

#include <fcntl.h>
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
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "nothing") == 0)
		return 0;
	return check_main(cases, argc, argv);
}
