/*
 * What Linux has beyond POSIX, called as C programs call it: signalfd, ppoll and pselect6, statx, prlimit64, sendmmsg and
 * recvmmsg, membarrier, scheduling, identity, sysinfo, /proc.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <time.h>

#include "check.h"

static void hold_back(const sigset_t *set, int how) { EQUAL(sigprocmask(how, set, NULL), 0); }

static volatile sig_atomic_t handled;

static void handler(int sig) { handled = sig; }

static void *kill_later(void *arg)
{
	usleep(20000);
	kill(getpid(), (int)(intptr_t)arg);
	return NULL;
}

static void signal_descriptor(void)
{
	struct signalfd_siginfo got[4];
	sigset_t set;
	int fd, ep = epoll_create1(0);
	struct epoll_event ev = {.events = EPOLLIN};
	pthread_t thread;
	char little[sizeof got[0] - 1];

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGRTMIN + 2);
	hold_back(&set, SIG_BLOCK);
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	CHECK(fd >= 0 && ep >= 0);
	ERRNO(read(fd, got, sizeof got), EAGAIN);
	ERRNO(read(fd, little, sizeof little), EINVAL);
	ERRNO(write(fd, got, sizeof got), EINVAL);
	EQUAL(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev), 0);
	EQUAL(epoll_wait(ep, &ev, 1, 0), 0);

	EQUAL(sigqueue(getpid(), SIGRTMIN + 2, (union sigval){.sival_int = 7}), 0);
	EQUAL(sigqueue(getpid(), SIGRTMIN + 2, (union sigval){.sival_int = 8}), 0);
	EQUAL(kill(getpid(), SIGUSR1), 0);
	EQUAL(epoll_wait(ep, &ev, 1, -1), 1);
	EQUAL(read(fd, got, sizeof got), 3 * sizeof got[0]); /* by number, then by age */
	EQUAL(got[0].ssi_signo, SIGUSR1);
	EQUAL(got[0].ssi_code, SI_USER);
	EQUAL(got[0].ssi_pid, getpid());
	for (int i = 0; i < 2; i++) {
		EQUAL(got[i + 1].ssi_signo, SIGRTMIN + 2);
		EQUAL(got[i + 1].ssi_code, SI_QUEUE);
		EQUAL(got[i + 1].ssi_int, 7 + i);
	}
	EQUAL(epoll_wait(ep, &ev, 1, 0), 0);

	/* A reader that waits, and one that waits in epoll. */
	EQUAL(fcntl(fd, F_SETFL, 0), 0);
	EQUAL(pthread_create(&thread, NULL, kill_later, (void *)SIGUSR1), 0);
	EQUAL(read(fd, got, sizeof got), sizeof got[0]);
	EQUAL(got[0].ssi_signo, SIGUSR1);
	EQUAL(pthread_join(thread, NULL), 0);
	EQUAL(pthread_create(&thread, NULL, kill_later, (void *)SIGUSR1), 0);
	EQUAL(epoll_wait(ep, &ev, 1, -1), 1);
	EQUAL(pthread_join(thread, NULL), 0);
	raise(SIGRTMIN + 2); /* to this thread */
	EQUAL(read(fd, got, sizeof got), 2 * sizeof got[0]);
	EQUAL(got[0].ssi_code + got[1].ssi_code, 2 * SI_TKILL + 6); /* kill is 0, raise SI_TKILL: -6 */

	/* Another mask for the same descriptor. */
	raise(SIGUSR1);
	sigdelset(&set, SIGUSR1);
	EQUAL(signalfd(fd, &set, 0), fd);
	EQUAL(epoll_wait(ep, &ev, 1, 0), 0);
	sigaddset(&set, SIGUSR1);
	EQUAL(signalfd(fd, &set, 0), fd);
	EQUAL(epoll_wait(ep, &ev, 1, -1), 1);
	EQUAL(read(fd, got, sizeof got), sizeof got[0]);
	ERRNO(signalfd(ep, &set, 0), EINVAL);
	ERRNO(signalfd(-1, &set, 1), EINVAL);
	close(fd);
	close(ep);
	hold_back(&set, SIG_UNBLOCK);
}

/* The calls themselves store what is left of the timeout, which the C libraries hide. */
static void raw_poll_select(void)
{
	struct timespec ts = {100, 0}, soon = {0, 10000000};
	struct {
		const sigset_t *set;
		size_t size;
	} mask = {NULL, 8};
	sigset_t usr1, none;
	fd_set set;
	int fds[2];

	EQUAL(pipe(fds), 0);
	struct pollfd p = {.fd = fds[1], .events = POLLOUT};
	EQUAL(syscall(SYS_ppoll, &p, 1, &ts, NULL, 8), 1);
	CHECK(ts.tv_sec < 100 || ts.tv_nsec == 0);
	CHECK(ts.tv_sec > 50);
	p.fd = fds[0], p.events = POLLIN;
	EQUAL(syscall(SYS_ppoll, &p, 1, &soon, NULL, 8), 0);
	EQUAL(soon.tv_sec + soon.tv_nsec, 0);
	ERRNO(syscall(SYS_ppoll, &p, 1, &ts, &usr1, 7), EINVAL);

	FD_ZERO(&set);
	FD_SET(fds[0], &set);
	soon = (struct timespec){0, 10000000};
	EQUAL(syscall(SYS_pselect6, fds[0] + 1, &set, NULL, NULL, &soon, &mask), 0);
	EQUAL(soon.tv_sec + soon.tv_nsec, 0);
	CHECK(!FD_ISSET(fds[0], &set));
	FD_SET(fds[1], &set);
	ts = (struct timespec){100, 0};
	EQUAL(syscall(SYS_pselect6, fds[1] + 1, NULL, &set, NULL, &ts, NULL), 1);
	CHECK(ts.tv_sec > 50 && ts.tv_sec <= 100);
	CHECK(FD_ISSET(fds[1], &set));

	/* A signal that only the call's mask lets through ends it. */
	CHECK(signal(SIGUSR1, handler) != SIG_ERR);
	sigemptyset(&none);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	hold_back(&usr1, SIG_BLOCK);
	raise(SIGUSR1);
	handled = 0;
	FD_ZERO(&set);
	FD_SET(fds[0], &set);
	mask.set = &none;
	ERRNO(syscall(SYS_pselect6, fds[0] + 1, &set, NULL, NULL, &ts, &mask), EINTR);
	EQUAL(handled, SIGUSR1);
	raise(SIGUSR1);
	handled = 0;
	ERRNO(syscall(SYS_ppoll, &p, 1, &ts, &none, 8), EINTR);
	EQUAL(handled, SIGUSR1);
	hold_back(&usr1, SIG_UNBLOCK);
	signal(SIGUSR1, SIG_DFL);
	close(fds[0]);
	ERRNO(syscall(SYS_pselect6, fds[0] + 1, &set, NULL, NULL, &ts, NULL), EBADF);
	close(fds[1]);
}

/* struct statx [linux/stat.h], which older C libraries don't have. */
struct statx_image {
	uint32_t mask, blksize;
	uint64_t attributes;
	uint32_t nlink, uid, gid;
	uint16_t mode, spare0;
	uint64_t ino, size, blocks, attributes_mask;
	struct {
		int64_t sec;
		uint32_t nsec;
		int32_t reserved;
	} atime, btime, ctime, mtime;
	uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
	uint64_t spare[14];
};

static void stat_extended(void)
{
	char directory[] = "/tmp/statx-XXXXXX", path[40], link[40], missing[40];
	const unsigned basic = 0x7ff, birth = 0x800;
	struct statx_image x;
	struct stat st;
	int fd;

	EQUAL(sizeof x, 256);
	CHECK(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/file", directory);
	snprintf(link, sizeof link, "%s/link", directory);
	snprintf(missing, sizeof missing, "%s/missing", directory);
	fd = open(path, O_CREAT | O_RDWR | O_EXCL, 0640);
	CHECK(fd >= 0);
	EQUAL(write(fd, "0123456789", 10), 10);
	EQUAL(fstat(fd, &st), 0);
	memset(&x, 0xff, sizeof x);
	EQUAL(syscall(SYS_statx, AT_FDCWD, path, 0, basic | birth, &x), 0);
	EQUAL(x.mask & basic, basic);
	EQUAL(x.size, 10);
	EQUAL(x.mode, st.st_mode);
	EQUAL(x.nlink, 1);
	EQUAL(x.ino, st.st_ino);
	EQUAL(x.blocks, st.st_blocks);
	EQUAL(makedev(x.dev_major, x.dev_minor), st.st_dev);
	EQUAL(x.mtime.sec, st.st_mtim.tv_sec);
	EQUAL(x.mtime.nsec, st.st_mtim.tv_nsec);
	if (x.mask & birth)
		CHECK(x.btime.sec <= x.mtime.sec);
	EQUAL(syscall(SYS_statx, fd, "", 0x1000 /* AT_EMPTY_PATH */, basic, &x), 0);
	EQUAL(x.ino, st.st_ino);
	EQUAL(syscall(SYS_statx, AT_FDCWD, "/dev/null", 0, basic, &x), 0);
	EQUAL(x.rdev_major, 1);
	EQUAL(x.rdev_minor, 3);
	EQUAL(symlink("file", link), 0);
	EQUAL(syscall(SYS_statx, AT_FDCWD, link, AT_SYMLINK_NOFOLLOW, basic, &x), 0);
	EQUAL(x.mode & S_IFMT, S_IFLNK);
	EQUAL(syscall(SYS_statx, AT_FDCWD, link, 0, basic, &x), 0);
	EQUAL(x.ino, st.st_ino);
	ERRNO(syscall(SYS_statx, AT_FDCWD, missing, 0, basic, &x), ENOENT);
	ERRNO(syscall(SYS_statx, AT_FDCWD, path, 0x80000000, basic, &x), EINVAL);
	ERRNO(syscall(SYS_statx, AT_FDCWD, path, 0, 0x80000000, &x), EINVAL); /* STATX__RESERVED */
	ERRNO(syscall(SYS_statx, AT_FDCWD, path, 0, basic, 8), EFAULT);
	close(fd);
	unlink(path);
	unlink(link);
	rmdir(directory);
}

static void resource_limits(void)
{
	struct rlimit old, low, got;
	int fd;

	EQUAL(syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &old), 0);
	CHECK(old.rlim_cur >= 64 && old.rlim_cur <= old.rlim_max);
	low = (struct rlimit){20, old.rlim_max};
	EQUAL(syscall(SYS_prlimit64, getpid(), RLIMIT_NOFILE, &low, &got), 0);
	EQUAL(got.rlim_cur, old.rlim_cur);
	EQUAL(getrlimit(RLIMIT_NOFILE, &got), 0);
	EQUAL(got.rlim_cur, 20);
	while ((fd = dup(0)) >= 0)
		CHECK(fd < 20);
	EQUAL(errno, EMFILE);
	ERRNO(socket(AF_INET, SOCK_STREAM, 0), EMFILE);
	ERRNO(dup2(0, 20), EBADF);
	ERRNO(fcntl(0, F_DUPFD, 20), EINVAL);
	EQUAL(setrlimit(RLIMIT_NOFILE, &old), 0);
	EQUAL(dup2(0, 20), 20);
	for (fd = 3; fd <= 20; fd++)
		close(fd);
	low = (struct rlimit){21, 20};
	ERRNO(setrlimit(RLIMIT_NOFILE, &low), EINVAL);
	ERRNO(syscall(SYS_prlimit64, 0, 16, NULL, &got), EINVAL);
	ERRNO(syscall(SYS_prlimit64, 1 << 29, RLIMIT_NOFILE, NULL, &got), ESRCH);
	ERRNO(syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, 8, NULL), EFAULT);
	for (int r = 0; r < 16; r++)
		EQUAL(syscall(SYS_prlimit64, 0, r, NULL, &got), 0);
	EQUAL(getrlimit(RLIMIT_STACK, &got), 0);
	CHECK(got.rlim_cur >= 64 << 10);
}

/* RLIMIT_AS bounds what is mapped. */
static void address_space_limit(void)
{
	struct rlimit old, low;
	char *p;

	EQUAL(getrlimit(RLIMIT_AS, &old), 0);
	low = (struct rlimit){256 << 20, old.rlim_max};
	EQUAL(setrlimit(RLIMIT_AS, &low), 0);
	p = mmap(NULL, 300 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	EQUAL(setrlimit(RLIMIT_AS, &old), 0);
	CHECK(p == MAP_FAILED);
	p = mmap(NULL, 300 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CHECK(p != MAP_FAILED);
	EQUAL(munmap(p, 300 << 20), 0);
}

static void message_batches(void)
{
	enum { N = 64 };
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, from[N];
	socklen_t len = sizeof at;
	int a = socket(AF_INET, SOCK_DGRAM, 0), b = socket(AF_INET, SOCK_DGRAM, 0);
	static struct mmsghdr m[N];
	static struct iovec v[N];
	static char buf[N][100];
	struct timespec limit = {100, 0};

	CHECK(a >= 0 && b >= 0);
	EQUAL(bind(b, (struct sockaddr *)&at, sizeof at), 0);
	EQUAL(getsockname(b, (struct sockaddr *)&at, &len), 0);
	EQUAL(connect(a, (struct sockaddr *)&at, sizeof at), 0);
	for (int i = 0; i < N; i++) {
		memset(buf[i], i, i + 1);
		v[i] = (struct iovec){buf[i], (size_t)i + 1};
		m[i].msg_hdr = (struct msghdr){.msg_iov = &v[i], .msg_iovlen = 1};
	}
	EQUAL(sendmmsg(a, m, N, 0), N);
	memset(buf, 0xff, sizeof buf);
	for (int i = 0; i < N; i++) {
		EQUAL(m[i].msg_len, i + 1);
		v[i].iov_len = 50; /* the longer ones are cut */
		m[i].msg_hdr = (struct msghdr){.msg_iov = &v[i], .msg_iovlen = 1, .msg_name = &from[i], .msg_namelen = sizeof from[i]};
	}
	EQUAL(recvmmsg(b, m, N / 2, 0, NULL), N / 2);
	EQUAL(recvmmsg(b, m + N / 2, N / 2, MSG_TRUNC, NULL), N / 2);
	for (int i = 0; i < N; i++) {
		int want = i < 50 || i >= N / 2 ? i + 1 : 50;
		EQUAL(m[i].msg_len, want);
		EQUAL(!!(m[i].msg_hdr.msg_flags & MSG_TRUNC), i >= 50);
		EQUAL(buf[i][0], i);
		EQUAL(m[i].msg_hdr.msg_namelen, sizeof from[i]);
		EQUAL(from[i].sin_addr.s_addr, at.sin_addr.s_addr);
	}
	/* The timeout is looked at after each datagram only, recvmmsg(2), BUGS. */
	EQUAL(send(a, "x", 1, 0), 1);
	EQUAL(send(a, "y", 1, 0), 1);
	EQUAL(recvmmsg(b, m, N, MSG_WAITFORONE, &limit), 2);
	ERRNO(recvmmsg(b, m, N, MSG_DONTWAIT, NULL), EAGAIN);
	limit.tv_nsec = -1;
	ERRNO(recvmmsg(b, m, N, 0, &limit), EINVAL);
	EQUAL(sendmmsg(a, m, 0, 0), 0);
	/* What was sent before an error counts. */
	v[0].iov_len = v[2].iov_len = 1;
	m[0].msg_hdr = m[2].msg_hdr = (struct msghdr){.msg_iov = &v[0], .msg_iovlen = 1};
	m[1].msg_hdr = (struct msghdr){.msg_iov = (struct iovec *)8, .msg_iovlen = 1};
	EQUAL(sendmmsg(a, m, 3, 0), 1);
	ERRNO(sendmmsg(a, m + 1, 2, 0), EFAULT);
	close(a);
	close(b);
}

/* Commands of membarrier [linux/membarrier.h]. */
enum { MEMBARRIER_QUERY = 0, PRIVATE_EXPEDITED = 1 << 3, REGISTER_PRIVATE_EXPEDITED = 1 << 4 };

static atomic_int ready, go, seen;
static int plain;

static void *read_after_barrier(void *arg)
{
	atomic_store(&ready, 1);
	while (!atomic_load_explicit(&go, memory_order_relaxed))
		;
	__asm__ volatile("" ::: "memory");
	atomic_store(&seen, plain);
	return arg;
}

static void barriers(void)
{
	long known = syscall(SYS_membarrier, MEMBARRIER_QUERY, 0, 0);
	pthread_t thread;

	CHECK(known & PRIVATE_EXPEDITED);
	ERRNO(syscall(SYS_membarrier, MEMBARRIER_QUERY, 1, 0), EINVAL);
	ERRNO(syscall(SYS_membarrier, 1 << 30, 0, 0), EINVAL);
	ERRNO(syscall(SYS_membarrier, PRIVATE_EXPEDITED, 0, 0), EPERM); /* not registered */
	EQUAL(syscall(SYS_membarrier, REGISTER_PRIVATE_EXPEDITED, 0, 0), 0);
	EQUAL(syscall(SYS_membarrier, PRIVATE_EXPEDITED, 0, 0), 0);
	EQUAL(pthread_create(&thread, NULL, read_after_barrier, NULL), 0);
	while (!atomic_load(&ready))
		usleep(1000);
	plain = 42;
	for (int i = 0; i < 1000; i++) /* against a thread that spins */
		EQUAL(syscall(SYS_membarrier, PRIVATE_EXPEDITED, 0, 0), 0);
	atomic_store_explicit(&go, 1, memory_order_relaxed);
	EQUAL(pthread_join(thread, NULL), 0);
	EQUAL(atomic_load(&seen), 42);
}

static void scheduling(void)
{
	struct sched_param p = {0};
	struct timespec ts;
	cpu_set_t cpus;
	int n;

	EQUAL(syscall(SYS_sched_getscheduler, 0), SCHED_OTHER);
	EQUAL(syscall(SYS_sched_getparam, 0, &p), 0);
	EQUAL(p.sched_priority, 0);
	EQUAL(syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &p), 0);
	EQUAL(syscall(SYS_sched_setparam, 0, &p), 0);
	p.sched_priority = 1;
	ERRNO(syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &p), EINVAL);
	p.sched_priority = 0;
	ERRNO(syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &p), EINVAL);
	ERRNO(syscall(SYS_sched_setscheduler, 0, 77, &p), EINVAL);
	ERRNO(syscall(SYS_sched_setscheduler, 1 << 29, SCHED_OTHER, &p), ESRCH);
	EQUAL(syscall(SYS_sched_get_priority_max, SCHED_FIFO), 99);
	EQUAL(syscall(SYS_sched_get_priority_min, SCHED_RR), 1);
	EQUAL(syscall(SYS_sched_rr_get_interval, 0, &ts), 0);
	CHECK(ts.tv_sec == 0);
	EQUAL(sched_getaffinity(0, sizeof cpus, &cpus), 0);
	n = CPU_COUNT(&cpus);
	CHECK(n >= 1);
	EQUAL(sched_setaffinity(0, sizeof cpus, &cpus), 0);
	CPU_ZERO(&cpus);
	ERRNO(sched_setaffinity(0, sizeof cpus, &cpus), EINVAL);
	CHECK(sched_getcpu() >= 0);
	EQUAL(sched_yield(), 0);

	errno = 0;
	n = getpriority(PRIO_PROCESS, 0);
	EQUAL(errno, 0);
	EQUAL(setpriority(PRIO_PROCESS, 0, n + 3), 0);
	EQUAL(getpriority(PRIO_PROCESS, 0), n + 3);
	EQUAL(setpriority(PRIO_PROCESS, 0, 100), 0);
	EQUAL(getpriority(PRIO_PROCESS, 0), 19);
	setpriority(PRIO_PROCESS, 0, n);
	ERRNO(setpriority(77, 0, 0), EINVAL);
	ERRNO(setpriority(PRIO_PROCESS, 1 << 29, 0), ESRCH);
}

/* What a server does that gives up root's rights, if it stays root. */
static void identity(void)
{
	uid_t r, e, s, uid = getuid();

	if (uid != 0) /* as an ordinary user, natively */
		return;
	EQUAL(setuid(0), 0);
	EQUAL(setgid(0), 0);
	EQUAL(seteuid(0), 0);
	EQUAL(setreuid(-1, 0), 0);
	EQUAL(setresuid(0, -1, 0), 0);
	EQUAL(setresgid(-1, -1, -1), 0);
	EQUAL(getresuid(&r, &e, &s), 0);
	EQUAL(r + e + s, 0);
	EQUAL(setgroups(0, NULL), 0);
	EQUAL(getgroups(0, NULL), 0);
	EQUAL(setfsuid(0), 0);
	ERRNO(setuid(-1), EINVAL);
	ERRNO(syscall(SYS_setgroups, 65537, NULL), EINVAL);
}

static void system_information(void)
{
	struct sysinfo si;
	struct timespec up;

	EQUAL(sysinfo(&si), 0);
	EQUAL(clock_gettime(CLOCK_BOOTTIME, &up), 0);
	CHECK((long)si.uptime <= up.tv_sec + 1 && (long)si.uptime + 60 >= up.tv_sec);
	CHECK(si.mem_unit >= 1);
	CHECK(si.totalram > 0 && si.freeram <= si.totalram);
	CHECK(si.procs >= 1);
}

static int lines_of(const char *path, const char *wanted)
{
	FILE *f = fopen(path, "r");
	char line[4096];
	int n = 0, found = wanted == NULL;

	if (!f)
		return -1;
	while (fgets(line, sizeof line, f)) {
		n++;
		found |= wanted && strstr(line, wanted) != NULL;
	}
	fclose(f);
	return found ? n : -2;
}

/* What programs look for in /proc. */
static void proc_files(void)
{
	static const char *const files[][2] = {
		{"/proc/cpuinfo", "processor"}, {"/proc/meminfo", "MemAvailable:"}, {"/proc/stat", "cpu "},
		{"/proc/uptime", NULL}, {"/proc/loadavg", NULL}, {"/proc/version", "Linux version"},
		{"/proc/mounts", "/proc proc"}, {"/proc/filesystems", "proc"}, {"/proc/self/maps", "[stack]"},
		{"/proc/self/status", "Threads:"}, {"/proc/self/stat", ") R"},
		{"/proc/self/statm", NULL}, {"/proc/self/limits", "Max open files"}, {"/proc/self/mountinfo", "/proc"},
		{"/proc/self/cgroup", NULL}, {"/proc/self/oom_score_adj", NULL},
		{"/proc/sys/kernel/osrelease", NULL}, {"/proc/sys/vm/overcommit_memory", NULL},
		{"/proc/sys/net/core/somaxconn", NULL}, {"/proc/sys/fs/file-max", NULL},
		{"/proc/net/dev", "lo:"}, {"/proc/net/tcp", "local_address"}, {"/proc/net/udp", "local_address"},
		{"/proc/net/route", "Destination"}, {"/proc/net/unix", "RefCount"},
	};
	DIR *d = opendir("/proc/self/task");
	struct dirent *e;
	char path[40];
	int found = 0;

	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
		if (lines_of(files[i][0], files[i][1]) < 1)
			FAIL("%s does not have %s", files[i][0], files[i][1] ? files[i][1] : "a line");
	CHECK(d);
	while ((e = readdir(d)))
		found |= atoi(e->d_name) == (int)syscall(SYS_gettid);
	closedir(d);
	CHECK(found);
	EQUAL(readlink("/proc/self/fd/1", path, sizeof path) > 0, 1);
}

static const struct check_case cases[] = {
	{"signalfd", signal_descriptor},
	{"ppoll-pselect6", raw_poll_select},
	{"statx", stat_extended},
	{"prlimit64", resource_limits},
	{"limit-address-space", address_space_limit},
	{"sendmmsg-recvmmsg", message_batches},
	{"membarrier", barriers},
	{"scheduling", scheduling},
	{"identity", identity},
	{"sysinfo", system_information},
	{"proc", proc_files},
	{NULL, NULL},
};

int main(int argc, char **argv) { return check_main(cases, argc, argv); }
