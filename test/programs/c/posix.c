/*
 * What C libraries make of the system: files and directories, poll and select, time, environment, resolver.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <net/if.h>
#include <ifaddrs.h>
#include <grp.h>
#include <netdb.h>
#include <poll.h>
#include <pwd.h>
#include <pthread.h>
#include <sys/auxv.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <time.h>

#include "check.h"

static char directory[] = "/tmp/posix-XXXXXX";

static const char *in_directory(const char *name)
{
	static char path[4][200];
	static int next;
	char *p = path[next++ % 4];

	snprintf(p, sizeof path[0], "%s/%s", directory, name);
	return p;
}

static void stdio_files(void)
{
	FILE *f = fopen(in_directory("f"), "w+");
	char line[100];
	long double parsed;

	CHECK(f);
	for (int i = 0; i < 10000; i++)
		CHECK(fprintf(f, "line %d %.10Lf\n", i, i / 3.0L) > 0);
	rewind(f);
	for (int i = 0; i < 10000; i++) {
		int n;
		CHECK(fgets(line, sizeof line, f));
		EQUAL(sscanf(line, "line %d %Lf", &n, &parsed), 2);
		EQUAL(n, i);
		CHECK(parsed > i / 3.0L - 1e-9L && parsed < i / 3.0L + 1e-9L);
	}
	CHECK(!fgets(line, sizeof line, f) && feof(f));
	EQUAL(fseek(f, -5, SEEK_END), 0);
	EQUAL(fread(line, 1, 100, f), 5);
	EQUAL(fclose(f), 0);
	CHECK(!fopen(in_directory("missing"), "r"));
	EQUAL(errno, ENOENT);
	f = tmpfile();
	CHECK(f);
	EQUAL(fclose(f), 0);
}

static void list_directory(void)
{
	DIR *d;
	struct dirent *e;
	int seen = 0, dots = 0;
	char name[20];

	EQUAL(mkdir(in_directory("many"), 0755), 0);
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof name, "many/%d", i);
		int fd = open(in_directory(name), O_CREAT | O_WRONLY, 0644);
		CHECK(fd >= 0);
		EQUAL(close(fd), 0);
	}
	d = opendir(in_directory("many"));
	CHECK(d);
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			dots++;
		else
			seen++;
		struct stat st;
		EQUAL(fstatat(dirfd(d), e->d_name, &st, 0), 0);
		if (e->d_name[0] != '.')
			EQUAL(st.st_ino, e->d_ino);
	}
	EQUAL(seen, 300);
	EQUAL(dots, 2);
	rewinddir(d);
	CHECK(readdir(d));
	EQUAL(closedir(d), 0);
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof name, "many/%d", i);
		EQUAL(unlink(in_directory(name)), 0);
	}
	EQUAL(rmdir(in_directory("many")), 0);
}

static void working_directory(void)
{
	char path[200], *end;

	EQUAL(chdir(directory), 0);
	CHECK(getcwd(path, sizeof path) && strcmp(path, directory) == 0);
	EQUAL(mkdir("sub", 0700), 0);
	end = realpath("./sub/../sub", NULL);
	CHECK(end && strcmp(end, in_directory("sub")) == 0);
	free(end);
	EQUAL(chdir("/"), 0);
	EQUAL(rmdir(in_directory("sub")), 0);
	EQUAL(access(in_directory("sub"), F_OK), -1);
}

static void *write_later(void *arg)
{
	usleep(5000);
	(void)!write(*(int *)arg, "x", 1);
	return NULL;
}

static void poll_select(void)
{
	int fds[2];
	pthread_t thread;
	fd_set set;
	struct timeval tv = {100, 0};
	struct timespec ts = {100, 0};

	EQUAL(pipe2(fds, O_CLOEXEC), 0);
	struct pollfd p[2] = {{.fd = fds[0], .events = POLLIN}, {.fd = fds[1], .events = POLLOUT}};
	EQUAL(poll(p, 2, -1), 1);
	EQUAL(p[0].revents, 0);
	EQUAL(p[1].revents, POLLOUT);
	EQUAL(pthread_create(&thread, NULL, write_later, &fds[1]), 0);
	EQUAL(poll(p, 1, -1), 1);
	EQUAL(p[0].revents, POLLIN);
	EQUAL(pthread_join(thread, NULL), 0);
	EQUAL(ppoll(p, 1, &ts, NULL), 1);
	EQUAL(ts.tv_sec, 100); /* the libraries keep the caller's time */

	FD_ZERO(&set);
	FD_SET(fds[0], &set);
	EQUAL(select(fds[0] + 1, &set, NULL, NULL, &tv), 1);
	CHECK(FD_ISSET(fds[0], &set));
	char c;
	EQUAL(read(fds[0], &c, 1), 1);
	tv = (struct timeval){0, 10000};
	EQUAL(select(fds[0] + 1, &set, NULL, NULL, &tv), 0);
	CHECK(!FD_ISSET(fds[0], &set));
	FD_SET(fds[0], &set);
	EQUAL(pthread_create(&thread, NULL, write_later, &fds[1]), 0);
	EQUAL(pselect(fds[0] + 1, &set, NULL, NULL, NULL, NULL), 1);
	EQUAL(pthread_join(thread, NULL), 0);

	int ep = epoll_create1(EPOLL_CLOEXEC), ev = eventfd(0, EFD_NONBLOCK);
	struct epoll_event e = {.events = EPOLLIN, .data.u64 = 0x123456789abcdef0}, got[3];
	CHECK(ep >= 0 && ev >= 0);
	EQUAL(epoll_ctl(ep, EPOLL_CTL_ADD, ev, &e), 0);
	EQUAL(epoll_wait(ep, got, 3, 0), 0);
	EQUAL(eventfd_write(ev, 1), 0);
	EQUAL(epoll_pwait(ep, got, 3, -1, NULL), 1);
	EQUAL(got[0].data.u64, 0x123456789abcdef0);
	EQUAL(got[0].events, EPOLLIN);
	close(ep);
	close(ev);
	close(fds[0]);
	close(fds[1]);
}

static void vectors(void)
{
	int fd = open(in_directory("v"), O_CREAT | O_RDWR, 0600);
	struct iovec out[3] = {{"one", 3}, {"", 0}, {"two", 3}};
	char a[2], b[10];
	struct iovec in[2] = {{a, 2}, {b, 10}};

	CHECK(fd >= 0);
	EQUAL(writev(fd, out, 3), 6);
	EQUAL(preadv(fd, in, 2, 0), 6);
	EQUAL(memcmp(a, "on", 2), 0);
	EQUAL(memcmp(b, "etwo", 4), 0);
	EQUAL(close(fd), 0);
}

static void times(void)
{
	time_t t = 1234567890;
	struct tm tm;
	char text[40];
	struct timespec a, b;
	clock_t c = clock();

	EQUAL(setenv("TZ", "UTC", 1), 0);
	tzset();
	CHECK(localtime_r(&t, &tm));
	EQUAL(strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm), 19);
	EQUAL(strcmp(text, "2009-02-13 23:31:30"), 0);
	CHECK(time(NULL) > 1700000000);
	clock_gettime(CLOCK_MONOTONIC, &a);
	EQUAL(usleep(12000), 0);
	clock_gettime(CLOCK_MONOTONIC, &b);
	CHECK((b.tv_sec - a.tv_sec) * 1000000000 + b.tv_nsec - a.tv_nsec >= 12000000);
	for (volatile int i = 0; i < 30000000; i++)
		;
	CHECK(clock() > c);
}

static void environment(void)
{
	EQUAL(setenv("POSIX_TEST", "value", 1), 0);
	CHECK(strcmp(getenv("POSIX_TEST"), "value") == 0);
	EQUAL(unsetenv("POSIX_TEST"), 0);
	CHECK(!getenv("POSIX_TEST"));
	EQUAL(getauxval(AT_PAGESZ), 4096);
	CHECK(getauxval(AT_PHDR) && getauxval(AT_ENTRY) && getauxval(AT_RANDOM) && getauxval(AT_EXECFN));
	CHECK(((unsigned char *)getauxval(AT_RANDOM))[0] | ((unsigned char *)getauxval(AT_RANDOM))[8]);
	CHECK(sysconf(_SC_NPROCESSORS_ONLN) >= 1);
	CHECK(sysconf(_SC_PHYS_PAGES) > 4000);
	EQUAL(sysconf(_SC_CLK_TCK), 100);
	CHECK(sysconf(_SC_OPEN_MAX) >= 256);
	unsigned char random[64] = {0}, zeros[64] = {0};
	EQUAL(getrandom(random, sizeof random, 0), 64);
	CHECK(memcmp(random, zeros, 64) != 0);
	struct utsname u;
	EQUAL(uname(&u), 0);
	CHECK(strcmp(u.sysname, "Linux") == 0);
	char host[100];
	EQUAL(gethostname(host, sizeof host), 0);
	CHECK(strcmp(host, u.nodename) == 0);
}

static void terminals(void)
{
	int fds[2];

	EQUAL(pipe(fds), 0);
	EQUAL(isatty(fds[0]), 0);
	EQUAL(errno, ENOTTY);
	ERRNO(isatty(-1) - 1, EBADF);
	close(fds[0]);
	close(fds[1]);
}

static void interfaces(void)
{
	struct ifaddrs *all, *i;
	int loopback = 0;

	EQUAL(getifaddrs(&all), 0);
	for (i = all; i; i = i->ifa_next) {
		if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET)
			continue;
		struct sockaddr_in *a = (struct sockaddr_in *)i->ifa_addr;
		if (a->sin_addr.s_addr == htonl(INADDR_LOOPBACK)) {
			loopback++;
			CHECK(i->ifa_flags & IFF_LOOPBACK && i->ifa_flags & IFF_UP);
			EQUAL(if_nametoindex(i->ifa_name), 1);
			EQUAL(((struct sockaddr_in *)i->ifa_netmask)->sin_addr.s_addr, htonl(0xff000000));
		}
	}
	freeifaddrs(all);
	EQUAL(loopback, 1);
	char name[IF_NAMESIZE];
	CHECK(if_indextoname(1, name) && strcmp(name, "lo") == 0);
	EQUAL(if_nametoindex("no-such0"), 0);
}

/* The databases of names in /etc. */
static void databases(void)
{
	struct servent *s = getservbyname("https", "tcp");
	CHECK(s != NULL);
	EQUAL(ntohs(s->s_port), 443);
	s = getservbyname("www", "tcp");
	CHECK(s != NULL && ntohs(s->s_port) == 80);
	s = getservbyport(htons(53), "udp");
	CHECK(s != NULL && strcmp(s->s_name, "domain") == 0);
	CHECK(getservbyname("no-such-service", "tcp") == NULL);
	struct protoent *p = getprotobyname("udp");
	CHECK(p != NULL && p->p_proto == 17);
	p = getprotobynumber(1);
	CHECK(p != NULL && strcmp(p->p_name, "icmp") == 0);
	struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_DGRAM}, *list;
	EQUAL(getaddrinfo("127.0.0.1", "ntp", &hints, &list), 0);
	EQUAL(ntohs(((struct sockaddr_in *)list->ai_addr)->sin_port), 123);
	freeaddrinfo(list);
	EQUAL(getpwnam("nobody")->pw_uid, 65534);
	EQUAL(getpwuid(0)->pw_uid, 0);
	EQUAL(getgrnam("nogroup")->gr_gid, 65534);
}

static const struct check_case cases[] = {
	{"stdio", stdio_files},
	{"directory", list_directory},
	{"working-directory", working_directory},
	{"poll-select", poll_select},
	{"vectors", vectors},
	{"times", times},
	{"environment", environment},
	{"terminals", terminals},
	{"interfaces", interfaces},
	{"databases", databases},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	if (!mkdtemp(directory)) {
		perror(directory);
		return 1;
	}
	int status = check_main(cases, argc, argv);
	unlink(in_directory("f"));
	unlink(in_directory("v"));
	rmdir(directory);
	return status;
}
