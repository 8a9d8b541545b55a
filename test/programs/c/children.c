/*
 * Processes and their children: the waits, SIGCHLD, clone, orphans, groups and sessions, signals between processes, what is
 * inherited and what others see, limits.
 */
#define _GNU_SOURCE
#include "check.h"
#include "child.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/un.h>
#include <time.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif
#ifndef SYS_clone3
#define SYS_clone3 435
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#define SYS_pidfd_send_signal 424
#endif

static char self[PATH_MAX];
static int data = 1;

static volatile sig_atomic_t chld_count;
static siginfo_t chld_info;

static void on_chld(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	chld_info = *info;
	chld_count++;
}

static void sigchld(void)
{
	struct sigaction a = {.sa_sigaction = on_chld, .sa_flags = SA_SIGINFO | SA_RESTART}, old;
	CHECK(sigaction(SIGCHLD, &a, &old) == 0);
	sigset_t set, before;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, &before);
	for (int n = 0; n < 2; n++) {
		chld_count = 0;
		CHILD(pid) {
			if (n == 1)
				kill(getpid(), SIGKILL);
			_exit(33);
		}
		while (chld_count == 0)
			sigsuspend(&before);
		EQUAL(chld_info.si_pid, pid);
		EQUAL(chld_info.si_code, n ? CLD_KILLED : CLD_EXITED);
		EQUAL(chld_info.si_status, n ? SIGKILL : 33);
		EQUAL(chld_info.si_uid, getuid());
		EQUAL(end(pid), n ? 1000 + SIGKILL : 33);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	/* Children of a process that ignores SIGCHLD, or says SA_NOCLDWAIT, need nobody who waits. */
	for (int n = 0; n < 2; n++) {
		struct sigaction ignore = {.sa_handler = n ? SIG_DFL : SIG_IGN, .sa_flags = n ? SA_NOCLDWAIT : 0};
		sigaction(SIGCHLD, &ignore, NULL);
		for (int i = 0; i < 5; i++) {
			CHILD(pid)
				_exit(i);
		}
		ERRNO(wait(NULL), ECHILD);
	}
	sigaction(SIGCHLD, &old, NULL);
}

static void wait_options(void)
{
	int go[2];
	char c;
	CHECK(pipe(go) == 0);
	CHILD(pid) {
		close(go[1]);
		while (read(go[0], &c, 1) > 0) {}
		_exit(11);
	}
	close(go[0]);
	int status = 77;
	EQUAL(waitpid(pid, &status, WNOHANG), 0);
	EQUAL(status, 77);
	siginfo_t info = {.si_pid = 5};
	EQUAL(waitid(P_ALL, 0, &info, WEXITED | WNOHANG), 0);
	EQUAL(info.si_pid, 0);
	ERRNO(waitid(P_PID, pid, &info, 0), EINVAL);
	ERRNO(waitpid(pid, NULL, 0x1000), EINVAL);
	ERRNO(waitpid(getpid(), NULL, 0), ECHILD);
	ERRNO(waitpid(-getppid() - 12345, NULL, 0), ECHILD);
	int fd = syscall(SYS_pidfd_open, pid, 0);
	CHECK(fd >= 0);
	struct pollfd p = {.fd = fd, .events = POLLIN};
	EQUAL(poll(&p, 1, 0), 0);
	EQUAL(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0), 0);
	close(go[1]);
	EQUAL(poll(&p, 1, 60000), 1);
	EQUAL(p.revents, POLLIN);
	memset(&info, 0, sizeof info);
	EQUAL(waitid(P_PIDFD, fd, &info, WEXITED | WNOWAIT), 0);
	EQUAL(info.si_pid, pid);
	EQUAL(info.si_signo, SIGCHLD);
	EQUAL(info.si_status, 11);
	EQUAL(info.si_code, CLD_EXITED);
	EQUAL(kill(pid, 0), 0); /* a zombie is still there */
	struct rusage usage;
	EQUAL(wait4(-getpgrp(), &status, 0, &usage), pid);
	EQUAL(WEXITSTATUS(status), 11);
	ERRNO(kill(pid, 0), ESRCH);
	ERRNO(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0), ESRCH);
	ERRNO(waitid(P_PIDFD, fd, &info, WEXITED), ECHILD);
	close(fd);
	ERRNO(syscall(SYS_pidfd_open, pid, 0), ESRCH);
	ERRNO(syscall(SYS_pidfd_open, -1, 0), EINVAL);
}

static void clone_flags(void)
{
	struct {
		uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
	} args = {0};
	int fd = -1;
	pid_t parent_tid = 0;
	args.flags = CLONE_PIDFD | CLONE_PARENT_SETTID;
	args.pidfd = (uintptr_t)&fd;
	args.parent_tid = (uintptr_t)&parent_tid;
	args.exit_signal = SIGCHLD;
	long pid = syscall(SYS_clone3, &args, sizeof args);
	if (pid == 0)
		_exit(21);
	CHECK(pid > 0 && fd >= 0);
	EQUAL(parent_tid, pid);
	EQUAL(fcntl(fd, F_GETFD), FD_CLOEXEC);
	siginfo_t info;
	EQUAL(waitid(P_PIDFD, fd, &info, WEXITED), 0);
	EQUAL(info.si_status, 21);
	close(fd);
	/* A child whose exit signal isn't SIGCHLD is waited for by __WCLONE or __WALL only. */
	args.flags = 0;
	args.exit_signal = 0;
	pid = syscall(SYS_clone3, &args, sizeof args);
	if (pid == 0)
		_exit(22);
	ERRNO(waitpid(pid, NULL, 0), ECHILD);
	int status;
	EQUAL(waitpid(pid, &status, __WALL), pid);
	EQUAL(WEXITSTATUS(status), 22);
	ERRNO(syscall(SYS_clone3, &args, 8), EINVAL);
	args.exit_signal = 100;
	ERRNO(syscall(SYS_clone3, &args, sizeof args), EINVAL);
	ERRNO(syscall(SYS_clone, CLONE_SIGHAND | SIGCHLD, 0, 0, 0, 0), EINVAL);
}

static void orphans(void)
{
	int up[2];
	pid_t reported[2];
	CHECK(pipe(up) == 0);
	pid_t reaper = getpid();
	CHILD(pid) {
		pid_t middle = getpid();
		if (fork() == 0) {
			close(up[0]);
			while (getppid() == middle)
				usleep(1000);
			reported[0] = getpid();
			reported[1] = getppid();
			_exit(write(up[1], reported, sizeof reported) != sizeof reported);
		}
		_exit(0);
	}
	EQUAL(end(pid), 0);
	close(up[1]);
	EQUAL(read(up[0], reported, sizeof reported), sizeof reported);
	CHECK(reported[1] != pid);
	if (reaper == 1) { /* then it is ours */
		EQUAL(reported[1], 1);
		EQUAL(end(reported[0]), 0);
	}
	close(up[0]);
}

static void parent_death_signal(void)
{
	int up[2];
	char c;
	CHECK(pipe(up) == 0);
	CHILD(pid) {
		int ready[2];
		if (pipe(ready) != 0)
			_exit(1);
		pid_t grandchild = fork();
		if (grandchild == 0) {
			int sig = 0;
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			prctl(PR_GET_PDEATHSIG, &sig);
			close(ready[0]);
			if (sig != SIGKILL || write(ready[1], "x", 1) != 1)
				_exit(1);
			for (;;)
				pause();
		}
		_exit(read(ready[0], &c, 1) != 1);
	}
	EQUAL(end(pid), 0);
	close(up[1]);
	EQUAL(read(up[0], &c, 1), 0); /* the last writer has ended */
	close(up[0]);
	if (getpid() == 1)
		while (wait(NULL) > 0) {}
}

static void groups(void)
{
	pid_t a, b;
	fflush(stdout);
	if ((a = fork()) == 0)
		for (;;)
			pause();
	if ((b = fork()) == 0)
		for (;;)
			pause();
	EQUAL(setpgid(a, 0), 0);
	EQUAL(getpgid(a), a);
	EQUAL(setpgid(b, a), 0);
	EQUAL(getpgid(b), a);
	EQUAL(getsid(a), getsid(0));
	ERRNO(setpgid(a, 1 << 29), EPERM); /* more than there may be */
	ERRNO(setpgid(1 << 29, 0), ESRCH);
	ERRNO(setpgid(a, -1), EINVAL);
	EQUAL(kill(-a, 0), 0);
	EQUAL(kill(-a, SIGTERM), 0);
	int status;
	for (int n = 0; n < 2; n++) {
		pid_t got = waitpid(-a, &status, 0);
		CHECK(got == a || got == b);
		EQUAL(WTERMSIG(status), SIGTERM);
	}
	ERRNO(kill(-a, SIGTERM), ESRCH);
	ERRNO(waitpid(-a, NULL, 0), ECHILD);
	CHILD(pid) {
		pid_t me = getpid();
		int bad = setsid() != me || getpgrp() != me || getsid(0) != me;
		bad |= setsid() != -1 || errno != EPERM;
		bad |= setpgid(0, 0) != -1 || errno != EPERM;
		_exit(bad);
	}
	EQUAL(end(pid), 0);
}

static void signals_between(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	CHILD(pid) {
		for (int n = 0; n < 50; n++) {
			siginfo_t info;
			if (sigwaitinfo(&set, &info) != SIGRTMIN || info.si_value.sival_int != n || info.si_pid != getppid())
				_exit(1);
			if (sigqueue(getppid(), SIGRTMIN, info.si_value) != 0)
				_exit(2);
		}
		for (;;)
			pause();
	}
	for (int n = 0; n < 50; n++) {
		siginfo_t info;
		EQUAL(sigqueue(pid, SIGRTMIN, (union sigval){.sival_int = n}), 0);
		EQUAL(sigwaitinfo(&set, &info), SIGRTMIN);
		EQUAL(info.si_value.sival_int, n);
		EQUAL(info.si_pid, pid);
	}
	EQUAL(syscall(SYS_tgkill, pid, pid, SIGTERM), 0);
	EQUAL(end(pid), 1000 + SIGTERM);
	ERRNO(syscall(SYS_tgkill, pid, pid, SIGTERM), ESRCH);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void descriptors(void)
{
	char path[] = "/tmp/descriptorsXXXXXX", text[8];
	mkdir("/tmp", 0777);
	int fd = mkstemp(path);
	CHECK(fd >= 0 && write(fd, "0123456789", 10) == 10);
	lseek(fd, 2, SEEK_SET);
	CHILD(pid) { /* one position for both */
		int bad = read(fd, text, 3) != 3 || memcmp(text, "234", 3) != 0;
		int other = open("/dev/null", O_RDONLY);
		close(fd);
		_exit(bad || other < 0);
	}
	EQUAL(end(pid), 0);
	EQUAL(lseek(fd, 0, SEEK_CUR), 5);
	EQUAL(read(fd, text, 1), 1);
	EQUAL(text[0], '5');
	close(fd);
	unlink(path);
}

static struct flock lock_of(short type, off_t start, off_t len)
{
	return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
}

static void record_locks(void)
{
	char path[] = "/tmp/locksXXXXXX", c;
	mkdir("/tmp", 0777);
	int fd = mkstemp(path), sync[2], back[2];
	CHECK(fd >= 0 && ftruncate(fd, 100) == 0 && pipe(sync) == 0 && pipe(back) == 0);
	struct flock l = lock_of(F_WRLCK, 10, 20);
	EQUAL(fcntl(fd, F_SETLK, &l), 0);
	CHILD(pid) {
		int bad = 0;
		l = lock_of(F_RDLCK, 0, 0);
		bad |= (fcntl(fd, F_SETLK, &l) != -1 || (errno != EAGAIN && errno != EACCES)) << 0;
		l = lock_of(F_WRLCK, 0, 15);
		bad |= (fcntl(fd, F_GETLK, &l) != 0 || l.l_type != F_WRLCK || l.l_start != 10 || l.l_len != 20 || l.l_pid != getppid()) << 1;
		l = lock_of(F_WRLCK, 30, 0);
		bad |= (fcntl(fd, F_SETLK, &l) != 0) << 2;
		bad |= (write(back[1], "x", 1) != 1) << 3;
		l = lock_of(F_WRLCK, 12, 1);
		bad |= (fcntl(fd, F_SETLKW, &l) != 0) << 4; /* until the parent gives it up */
		bad |= (read(sync[0], &c, 1) != 1) << 5;    /* which it has done before */
		_exit(bad);
	}
	CHECK(read(back[0], &c, 1) == 1);
	l = lock_of(F_RDLCK, 50, 1);
	ERRNO(fcntl(fd, F_SETLK, &l), EAGAIN);
	CHECK(write(sync[1], "x", 1) == 1);
	close(dup(fd)); /* which gives all locks of the process up */
	EQUAL(end(pid), 0);
	l = lock_of(F_WRLCK, 0, 0);
	EQUAL(fcntl(fd, F_SETLK, &l), 0); /* the child's have gone with it */
	close(fd);
	unlink(path);
}

/* Locks of a kind that touch are one. */
static void record_locks_join(void)
{
	char path[] = "/tmp/locksXXXXXX";
	int fd = mkstemp(path);
	CHECK(fd >= 0);
	struct flock l;
	for (int i = 0; i < 6000; i++) {
		l = lock_of(F_WRLCK, 100 + i, 1);
		EQUAL(fcntl(fd, F_SETLK, &l), 0);
	}
	CHILD(pid) {
		l = lock_of(F_RDLCK, 5000, 1);
		_exit(fcntl(fd, F_GETLK, &l) != 0 || l.l_type != F_WRLCK || l.l_start != 100 || l.l_len != 6000);
	}
	EQUAL(end(pid), 0);
	close(fd);
	unlink(path);
}

static void credentials(void)
{
	int pair[2];
	struct ucred cred;
	socklen_t len = sizeof cred;
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	EQUAL(getsockopt(pair[0], SOL_SOCKET, SO_PEERCRED, &cred, &len), 0);
	EQUAL(cred.pid, getpid());
	close(pair[0]);
	close(pair[1]);
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "credentials-%d", (int)getpid()); /* others run beside */
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK(bind(listener, (struct sockaddr *)&name, sizeof name) == 0 && listen(listener, 1) == 0);
	pid_t parent = getpid();
	CHILD(pid) {
		int s = socket(AF_UNIX, SOCK_STREAM, 0);
		if (connect(s, (struct sockaddr *)&name, sizeof name) != 0)
			_exit(1);
		if (getsockopt(s, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0 || cred.pid != parent)
			_exit(2);
		if (send(s, "x", 1, 0) != 1)
			_exit(3);
		char c;
		_exit(read(s, &c, 1) != 0);
	}
	int s = accept(listener, NULL, NULL), on = 1;
	CHECK(s >= 0);
	EQUAL(getsockopt(s, SOL_SOCKET, SO_PEERCRED, &cred, &len), 0);
	EQUAL(cred.pid, pid);
	CHECK(setsockopt(s, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0);
	char c, control[CMSG_SPACE(sizeof cred)];
	struct iovec iov = {&c, 1};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	EQUAL(recvmsg(s, &m, 0), 1);
	close(s);
	close(listener);
	EQUAL(end(pid), 0);
}

static void proc_of_others(void)
{
	int go[2];
	char c, path[64], text[4096], name[64];
	CHECK(pipe(go) == 0);
	CHILD(pid) {
		prctl(PR_SET_NAME, "the child");
		close(go[1]);
		while (read(go[0], &c, 1) > 0) {}
		_exit(0);
	}
	close(go[0]);
	for (;;) {
		sprintf(path, "/proc/%d/comm", pid);
		int fd = open(path, O_RDONLY);
		CHECK(fd >= 0);
		int n = read(fd, text, sizeof text - 1);
		close(fd);
		CHECK(n > 0);
		text[n] = 0;
		if (strcmp(text, "the child\n") == 0)
			break;
		sched_yield();
	}
	sprintf(path, "/proc/%d/stat", pid);
	int fd = open(path, O_RDONLY);
	CHECK(fd >= 0 && read(fd, text, sizeof text) > 0);
	close(fd);
	int id, ppid, group, session;
	char state;
	EQUAL(sscanf(text, "%d (%[^)]) %c %d %d %d", &id, name, &state, &ppid, &group, &session), 6);
	EQUAL(id, pid);
	EQUAL(ppid, getpid());
	EQUAL(group, getpgrp());
	EQUAL(session, getsid(0));
	sprintf(path, "/proc/%d/exe", pid);
	ssize_t n = readlink(path, text, sizeof text - 1);
	CHECK(n > 0);
	text[n] = 0;
	CHECK(strcmp(text, self) == 0);
	int found = 0;
	DIR *d = opendir("/proc");
	for (struct dirent *e; (e = readdir(d));)
		found += atoi(e->d_name) == pid;
	closedir(d);
	EQUAL(found, 1);
	close(go[1]);
	siginfo_t info;
	EQUAL(waitid(P_PID, pid, &info, WEXITED | WNOWAIT), 0);
	sprintf(path, "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY);
	CHECK(fd >= 0 && read(fd, text, sizeof text) > 0);
	close(fd);
	EQUAL(sscanf(text, "%d (%[^)]) %c", &id, name, &state), 3);
	EQUAL(state, 'Z');
	EQUAL(end(pid), 0);
	ERRNO(open(path, O_RDONLY), ENOENT);
}

static void usage_of_children(void)
{
	struct rusage before, after;
	struct tms times_before, times_after;
	getrusage(RUSAGE_CHILDREN, &before);
	times(&times_before);
	CHILD(pid) {
		struct timespec used;
		do
			clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
		while (used.tv_sec == 0 && used.tv_nsec < 60 * 1000 * 1000);
		_exit(0);
	}
	struct rusage own;
	int status;
	EQUAL(wait4(pid, &status, 0, &own), pid);
	getrusage(RUSAGE_CHILDREN, &after);
	times(&times_after);
	long ms = own.ru_utime.tv_sec * 1000 + own.ru_utime.tv_usec / 1000 + own.ru_stime.tv_sec * 1000 + own.ru_stime.tv_usec / 1000;
	CHECK(ms >= 55);
	CHECK(timercmp(&after.ru_utime, &before.ru_utime, >) || timercmp(&after.ru_stime, &before.ru_stime, >));
	CHECK(times_after.tms_cutime + times_after.tms_cstime - times_before.tms_cutime - times_before.tms_cstime >= 4);
}

static void limits_are_inherited(void)
{
	CHILD(pid) {
		struct rlimit l = {50, 60}, got;
		setrlimit(RLIMIT_NOFILE, &l);
		pid_t inner = fork();
		if (inner == 0)
			_exit(getrlimit(RLIMIT_NOFILE, &got) != 0 || got.rlim_cur != 50 || open("/dev/null", O_RDONLY) >= 50);
		int bad = end(inner);
		l.rlim_cur = 40;
		if (prlimit(getpid(), RLIMIT_NOFILE, &l, &got) != 0 || got.rlim_cur != 50)
			bad = 2;
		_exit(bad);
	}
	EQUAL(end(pid), 0);
}

/* Many children at once, each of which must be found. */
static void many(void)
{
	enum { N = 60 };
	pid_t pids[N];
	for (int i = 0; i < N; i++) {
		CHILD(pid)
			_exit(i);
		pids[i] = pid;
	}
	for (int n = 0; n < N; n++) {
		int status, i = 0;
		pid_t got = wait(&status);
		while (i < N && pids[i] != got)
			i++;
		CHECK(i < N);
		EQUAL(WEXITSTATUS(status), i);
		pids[i] = 0;
	}
}

/* A chain of processes, each the child of the last. */
static void generations(void)
{
	fflush(stdout);
	pid_t first = fork();
	if (first == 0) {
		for (int depth = 0; depth < 20; depth++) {
			data++;
			pid_t pid = fork();
			if (pid != 0)
				_exit(pid < 0 ? 1 : end(pid));
		}
		_exit(data == 21 ? 50 : 51);
	}
	EQUAL(end(first), 50);
}

static const struct check_case cases[] = {
	{"sigchld", sigchld},
	{"wait-options", wait_options},
	{"clone-flags", clone_flags},
	{"orphans", orphans},
	{"parent-death-signal", parent_death_signal},
	{"groups", groups},
	{"signals-between", signals_between},
	{"descriptors", descriptors},
	{"record-locks", record_locks},
	{"record-locks-join", record_locks_join},
	{"credentials", credentials},
	{"proc-of-others", proc_of_others},
	{"usage-of-children", usage_of_children},
	{"limits-are-inherited", limits_are_inherited},
	{"many", many},
	{"generations", generations},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	if (n <= 0)
		return 2;
	return check_main(cases, argc, argv);
}
