/*
 * Users and groups: what a process that begins as root's may give up, and what it may do no longer. Needs root.
 */
#define _GNU_SOURCE
#include "check.h"
#include "child.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>

enum { USER = 1000, OTHER = 1001, GROUP = 100, MORE = 7 };

/* in_child runs checks in a child, whose ids nobody else has. */
static void in_child(void (*checks)(void))
{
	CHILD(pid)
	{
		if (setjmp(check_end) == 0) {
			checks();
			_exit(0);
		}
		fflush(stdout);
		_exit(1);
	}
	EQUAL(end(pid), 0);
}

static void drop(void)
{
	gid_t more[] = {9, MORE};
	EQUAL(setgroups(2, more), 0);
	EQUAL(setgid(GROUP), 0);
	EQUAL(setuid(USER), 0);
}

static void wanted_ids(uid_t r, uid_t e, uid_t s)
{
	uid_t real, effective, saved;
	EQUAL(getresuid(&real, &effective, &saved), 0);
	EQUAL(real, r);
	EQUAL(effective, e);
	EQUAL(saved, s);
	EQUAL(getuid(), r);
	EQUAL(geteuid(), e);
}

/* [linux/capability.h], which musl doesn't have */
enum { CAP_CHOWN = 0, CAP_KILL = 5, CAP_NET_BIND_SERVICE = 10 };

static struct {
	unsigned effective, permitted, inheritable;
} caps[2];

static int capabilities(int call)
{
	struct {
		unsigned version;
		int pid;
	} head = {0x20080522, 0};
	return syscall(call, &head, caps);
}

/* status_has looks for a line of /proc/self/status. */
static int status_has(const char *line)
{
	static char text[8192];
	int fd = open("/proc/self/status", O_RDONLY);
	CHECK(fd >= 0);
	ssize_t n = read(fd, text, sizeof text - 1);
	CHECK(n > 0);
	text[n] = 0;
	close(fd);
	return strstr(text, line) != NULL;
}

static void dropped(void)
{
	CHECK(status_has("\nUid:\t0\t0\t0\t0\n"));
	drop();
	wanted_ids(USER, USER, USER);
	gid_t r, e, s, list[4];
	EQUAL(getresgid(&r, &e, &s), 0);
	CHECK(r == GROUP && e == GROUP && s == GROUP && getgid() == GROUP && getegid() == GROUP);
	EQUAL(getgroups(0, NULL), 2);
	EQUAL(getgroups(4, list), 2);
	CHECK(list[0] == MORE && list[1] == 9);
	ERRNO(getgroups(1, list), EINVAL);
	CHECK(status_has("\nUid:\t1000\t1000\t1000\t1000\nGid:\t100\t100\t100\t100\n"));
	CHECK(status_has("\nGroups:\t7 9 \n"));
	CHECK(status_has("\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"));
	EQUAL(capabilities(SYS_capget), 0);
	CHECK(!caps[0].effective && !caps[0].permitted && !caps[1].effective && !caps[1].permitted);
	ERRNO(setuid(0), EPERM);
	ERRNO(seteuid(0), EPERM);
	ERRNO(setreuid(0, -1), EPERM);
	ERRNO(setresuid(-1, -1, 0), EPERM);
	ERRNO(setgid(0), EPERM);
	ERRNO(setregid(-1, MORE), EPERM); /* a supplementary group isn't enough */
	ERRNO(setgroups(0, NULL), EPERM);
	EQUAL(setuid(USER), 0);
	EQUAL(setresgid(GROUP, -1, GROUP), 0);
	ERRNO(setuid(-1), EINVAL);
	CHILD(pid) { _exit(getuid() == USER && getgid() == GROUP && getgroups(0, NULL) == 2 ? 0 : 1); }
	EQUAL(end(pid), 0);
}

static void case_drop(void) { in_child(dropped); }

static void toggled(void)
{
	EQUAL(seteuid(USER), 0);
	wanted_ids(0, USER, 0);
	EQUAL(capabilities(SYS_capget), 0);
	CHECK(!caps[0].effective && caps[0].permitted);
	ERRNO(setuid(OTHER), EPERM);
	EQUAL(seteuid(0), 0);
	EQUAL(capabilities(SYS_capget), 0);
	CHECK(caps[0].effective == caps[0].permitted);
	EQUAL(setreuid(USER, OTHER), 0);
	wanted_ids(USER, OTHER, OTHER);
	EQUAL(setreuid(OTHER, USER), 0);
	wanted_ids(OTHER, USER, USER);
	ERRNO(setreuid(0, USER), EPERM);
	EQUAL(setresuid(USER, OTHER, -1), 0);
	wanted_ids(USER, OTHER, USER);
	EQUAL(setuid(USER), 0); /* without the capability, the effective id only */
	wanted_ids(USER, USER, USER);
}

static void case_effective(void) { in_child(toggled); }

static void kept(void)
{
	EQUAL(prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0), 0);
	EQUAL(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), 0);
	EQUAL(prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0), 1);
	ERRNO(prctl(PR_SET_KEEPCAPS, 2, 0, 0, 0), EINVAL);
	EQUAL(capabilities(SYS_capget), 0);
	unsigned all = caps[0].permitted;
	EQUAL(setuid(USER), 0);
	EQUAL(capabilities(SYS_capget), 0);
	EQUAL(caps[0].permitted, all);
	EQUAL(caps[0].effective, 0);
	memset(caps, 0, sizeof caps);
	caps[0].permitted = caps[0].effective = 1u << CAP_KILL | 1u << CAP_NET_BIND_SERVICE;
	EQUAL(capabilities(SYS_capset), 0);
	EQUAL(kill(1, 0), 0);
	caps[0].effective = 1u << CAP_CHOWN; /* is no longer permitted */
	ERRNO(capabilities(SYS_capset), EPERM);
	caps[0].permitted = 1u << CAP_CHOWN;
	ERRNO(capabilities(SYS_capset), EPERM);
	caps[0].permitted = caps[0].effective = 0;
	EQUAL(capabilities(SYS_capset), 0);
	if (getpid() != 1 && getppid() != 1)
		ERRNO(kill(getppid(), 0), EPERM);
	EQUAL(prctl(PR_CAPBSET_READ, CAP_CHOWN, 0, 0, 0), 1);
	ERRNO(prctl(PR_CAPBSET_DROP, CAP_CHOWN, 0, 0, 0), EPERM);
}

static void case_keepcaps(void) { in_child(kept); }

static void promised(void)
{
	EQUAL(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 1);
	EQUAL(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), 0);
	EQUAL(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
	ERRNO(prctl(PR_SET_DUMPABLE, 2, 0, 0, 0), EINVAL);
	EQUAL(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), 0);
	EQUAL(setuid(USER), 0);
	CHECK(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 1); /* fs.suid_dumpable */
	EQUAL(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), 0);
	EQUAL(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 1);
	EQUAL(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
	ERRNO(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), EINVAL);
	ERRNO(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 1), EINVAL);
	EQUAL(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	EQUAL(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
	pid_t child = fork();
	if (child == 0)
		_exit(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 && prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1 ? 0 : 1);
	int status = -1;
	EQUAL(waitpid(child, &status, 0), child);
	EQUAL(status, 0);
}

static void case_promises(void) { in_child(promised); }

static char dir[64], path[128];

static const char *in(const char *name)
{
	snprintf(path, sizeof path, "%s/%s", dir, name);
	return path;
}

static void make(const char *name, int flags, mode_t mode, uid_t uid, gid_t gid)
{
	int fd = open(in(name), flags | O_CREAT | O_RDWR, 0600);
	CHECK(fd >= 0);
	EQUAL(fchown(fd, uid, gid), 0);
	EQUAL(fchmod(fd, mode), 0);
	close(fd);
}

static int opens(const char *name, int flags)
{
	int fd = open(in(name), flags, 0600);
	if (fd >= 0)
		close(fd);
	return fd < 0 ? -1 : 0;
}

static void as_user(void)
{
	struct stat st;
	struct timespec past[2] = {{1000, 0}, {1000, 0}};
	char *args[] = {"x", NULL};

	drop();
	ERRNO(opens("root", O_RDONLY), EACCES);
	ERRNO(opens("root", O_WRONLY), EACCES);
	EQUAL(opens("group", O_RDONLY), 0);
	ERRNO(opens("group", O_RDWR), EACCES);
	ERRNO(opens("all", O_WRONLY | O_TRUNC), EACCES);
	ERRNO(opens("all", O_RDONLY | O_TRUNC), EACCES);
	EQUAL(opens("all", O_RDONLY | O_CREAT), 0);
	ERRNO(opens("all", O_RDONLY | O_CREAT | O_EXCL), EEXIST);
	ERRNO(opens("mine", O_RDONLY), EACCES); /* its owner, whatever others may */
	EQUAL(opens("root", O_PATH), 0);
	ERRNO(opens("new", O_RDWR | O_CREAT), EACCES);
	ERRNO(mkdir(in("new"), 0700), EACCES);
	ERRNO(mkdir(in("all"), 0700), EEXIST);
	ERRNO(mkfifo(in("new"), 0700), EACCES);
	ERRNO(symlink("x", in("new")), EACCES);
	ERRNO(unlink(in("all")), EACCES);
	ERRNO(rmdir(in("private")), EACCES);
	ERRNO(rename(in("all"), "/tmp/wick-ids-new"), EACCES);
	ERRNO(opens("private/file", O_RDONLY), EACCES);
	ERRNO(stat(in("private/file"), &st), EACCES);
	ERRNO(stat(in("private/none"), &st), EACCES);
	ERRNO(chdir(in("private")), EACCES);
	ERRNO(opens("private", O_RDONLY), EACCES);
	EQUAL(opens("search/file", O_RDONLY), 0);
	ERRNO(opens("search", O_RDONLY), EACCES);
	ERRNO(chmod(in("all"), 0666), EPERM);
	ERRNO(chown(in("all"), USER, -1), EPERM);
	ERRNO(chown(in("mine"), OTHER, -1), EPERM);
	ERRNO(chown(in("mine"), -1, 55), EPERM);
	EQUAL(chown(in("mine"), -1, MORE), 0);
	EQUAL(chown(in("mine"), USER, -1), 0);
	EQUAL(chmod(in("mine"), 0600), 0);
	EQUAL(opens("mine", O_RDWR), 0);
	ERRNO(truncate(in("all"), 0), EACCES);
	EQUAL(truncate(in("mine"), 0), 0);
	ERRNO(utimensat(AT_FDCWD, in("all"), past, 0), EPERM);
	ERRNO(utimensat(AT_FDCWD, in("all"), NULL, 0), EACCES);
	EQUAL(utimensat(AT_FDCWD, in("mine"), past, 0), 0);
	EQUAL(utimensat(AT_FDCWD, in("write"), NULL, 0), 0);
	ERRNO(access(in("root"), R_OK), EACCES);
	EQUAL(access(in("root"), F_OK), 0);
	EQUAL(access(in("group"), R_OK), 0);
	ERRNO(access(in("group"), R_OK | X_OK), EACCES);
	ERRNO(execv(in("root"), args), EACCES);
	ERRNO(execv(in("program"), args), EACCES);

	EQUAL(opens("sticky/new", O_RDWR | O_CREAT), 0);
	EQUAL(stat(in("sticky/new"), &st), 0);
	CHECK(st.st_uid == USER && st.st_gid == GROUP);
	EQUAL(unlink(in("sticky/new")), 0);
	ERRNO(unlink(in("sticky/file")), EPERM);
	ERRNO(rmdir(in("sticky/dir")), EPERM);
	ERRNO(rename(in("sticky/file"), "/tmp/wick-ids-new"), EPERM);
	EQUAL(mkdir(in("given/new"), 0700), 0);
	EQUAL(stat(in("given/new"), &st), 0);
	CHECK(st.st_uid == USER && st.st_gid == 55 && (st.st_mode & S_ISGID));
	EQUAL(rmdir(in("given/new")), 0);

	int fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY);
	CHECK(fd >= 0);
	EQUAL(close(fd), 0);
	ERRNO(open("/proc/1/environ", O_RDONLY), EACCES);
	ERRNO(open("/proc/1/fd", O_RDONLY), EACCES);
	CHECK(open("/dev/null", O_RDWR) >= 0);
}

static void case_files(void)
{
	umask(022);
	strcpy(dir, "/tmp/ids-XXXXXX");
	CHECK(mkdtemp(dir) != NULL);
	EQUAL(chmod(dir, 0755), 0);
	make("root", 0, 0600, 0, 0);
	make("program", 0, 0744, 0, 0);
	make("group", 0, 0640, 0, MORE);
	make("all", 0, 0644, 0, 0);
	make("write", 0, 0622, 0, 0);
	make("mine", 0, 0077, USER, 0);
	EQUAL(mkdir(in("private"), 0700), 0);
	make("private/file", 0, 0666, 0, 0);
	EQUAL(mkdir(in("search"), 0711), 0);
	make("search/file", 0, 0666, 0, 0);
	EQUAL(mkdir(in("sticky"), 0700), 0);
	EQUAL(chmod(in("sticky"), 01777), 0);
	make("sticky/file", 0, 0666, 0, 0);
	EQUAL(mkdir(in("sticky/dir"), 0777), 0);
	EQUAL(mkdir(in("given"), 0700), 0);
	EQUAL(chown(in("given"), 0, 55), 0);
	EQUAL(chmod(in("given"), 02777), 0);
	in_child(as_user);
	const char *names[] = {"root", "program", "group", "all", "write", "mine", "private/file", "search/file", "sticky/file", NULL};
	for (int i = 0; names[i]; i++)
		EQUAL(unlink(in(names[i])), 0);
	const char *dirs[] = {"private", "search", "sticky/dir", "sticky", "given", ".", NULL};
	for (int i = 0; dirs[i + 1]; i++)
		EQUAL(rmdir(in(dirs[i])), 0);
	EQUAL(rmdir(dir), 0);
}

static void by_fsuid(void)
{
	EQUAL(setfsgid(GROUP), 0);
	EQUAL(setfsuid(USER), 0);
	EQUAL(setfsuid(-1), USER);
	EQUAL(setfsgid(-1), GROUP);
	wanted_ids(0, 0, 0);
	ERRNO(opens("file", O_RDONLY), EACCES);
	EQUAL(access(in("file"), R_OK), 0); /* by the real id */
	EQUAL(setfsuid(0), USER);
	EQUAL(opens("file", O_RDONLY), 0);
	EQUAL(seteuid(USER), 0);
	ERRNO(opens("file", O_RDONLY), EACCES);
	EQUAL(access(in("file"), R_OK), 0);
	ERRNO(faccessat(AT_FDCWD, in("file"), R_OK, AT_EACCESS), EACCES);
	EQUAL(setfsuid(OTHER), USER); /* not permitted */
	EQUAL(setfsuid(-1), USER);
}

static void case_fsuid(void)
{
	strcpy(dir, "/tmp/ids-XXXXXX");
	CHECK(mkdtemp(dir) != NULL);
	EQUAL(chmod(dir, 0755), 0);
	make("file", 0, 0600, 0, 0);
	in_child(by_fsuid);
	EQUAL(unlink(in("file")), 0);
	EQUAL(rmdir(dir), 0);
}

static volatile siginfo_t from;

static void note(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	from = *info;
}

static void signalling(void)
{
	pid_t parent = getppid();
	struct sigaction a = {.sa_sigaction = note, .sa_flags = SA_SIGINFO};
	EQUAL(sigaction(SIGUSR1, &a, NULL), 0);
	drop();
	ERRNO(kill(parent, 0), EPERM);
	ERRNO(kill(parent, SIGTERM), EPERM);
	EQUAL(kill(parent, SIGCONT), 0); /* in the same session */
	ERRNO(syscall(SYS_tgkill, parent, parent, SIGTERM), EPERM);
	EQUAL(kill(getpid(), SIGUSR1), 0);
	EQUAL(from.si_uid, USER);
	EQUAL(from.si_pid, getpid());
	struct rlimit l;
	EQUAL(getrlimit(RLIMIT_NOFILE, &l), 0);
	l.rlim_cur = l.rlim_max = 100;
	EQUAL(setrlimit(RLIMIT_NOFILE, &l), 0);
	l.rlim_max = 200;
	ERRNO(setrlimit(RLIMIT_NOFILE, &l), EPERM);
	ERRNO(prlimit(parent, RLIMIT_NOFILE, NULL, &l), EPERM);
	ERRNO(setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) - 1), EACCES);
}

static void case_others(void) { in_child(signalling); }

static void sockets(void)
{
	int fds[2], on = 1;
	struct ucred cred;
	socklen_t size = sizeof cred;

	drop();
	EQUAL(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	EQUAL(getsockopt(fds[0], SOL_SOCKET, SO_PEERCRED, &cred, &size), 0);
	CHECK(cred.pid == getpid() && cred.uid == USER && cred.gid == GROUP);
	EQUAL(setsockopt(fds[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on), 0);
	EQUAL(send(fds[0], "x", 1, 0), 1);
	char c, control[CMSG_SPACE(sizeof cred)];
	struct iovec v = {&c, 1};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	EQUAL(recvmsg(fds[1], &m, 0), 1);
	CHECK(CMSG_FIRSTHDR(&m) && CMSG_FIRSTHDR(&m)->cmsg_type == SCM_CREDENTIALS);
	memcpy(&cred, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof cred);
	CHECK(cred.pid == getpid() && cred.uid == USER && cred.gid == GROUP);

	/* A socket's path needs the right to write. */
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	snprintf(a.sun_path, sizeof a.sun_path, "%s/socket", dir);
	int s = socket(AF_UNIX, SOCK_STREAM, 0);
	ERRNO(connect(s, (struct sockaddr *)&a, sizeof a), EACCES);
	snprintf(a.sun_path, sizeof a.sun_path, "%s/new", dir);
	ERRNO(bind(s, (struct sockaddr *)&a, sizeof a), EACCES);

	/* Low ports are whose ip_unprivileged_port_start says. */
	char text[16] = "1024";
	int fd = open("/proc/sys/net/ipv4/ip_unprivileged_port_start", O_RDONLY);
	CHECK(fd >= 0 && read(fd, text, sizeof text - 1) > 0);
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(81), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	s = socket(AF_INET, SOCK_STREAM, 0);
	if (atoi(text) <= 81)
		CHECK(bind(s, (struct sockaddr *)&in, sizeof in) == 0 || errno == EADDRINUSE); /* others run beside */
	else
		ERRNO(bind(s, (struct sockaddr *)&in, sizeof in), EACCES);
}

static void case_sockets(void)
{
	strcpy(dir, "/tmp/ids-XXXXXX");
	CHECK(mkdtemp(dir) != NULL);
	EQUAL(chmod(dir, 0755), 0);
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	snprintf(a.sun_path, sizeof a.sun_path, "%s/socket", dir);
	int s = socket(AF_UNIX, SOCK_STREAM, 0);
	EQUAL(bind(s, (struct sockaddr *)&a, sizeof a), 0);
	EQUAL(chmod(a.sun_path, 0755), 0);
	EQUAL(listen(s, 1), 0);
	in_child(sockets);
	close(s);
	EQUAL(unlink(a.sun_path), 0);
	EQUAL(rmdir(dir), 0);
}

static void *look(void *arg)
{
	(void)arg;
	return (void *)(long)(getuid() == USER && getgid() == GROUP && setuid(0) != 0);
}

static void *change(void *arg)
{
	(void)arg;
	drop();
	return NULL;
}

/* The C library has all threads change together. */
static void threaded(void)
{
	pthread_t a, b;
	void *ok;
	EQUAL(pthread_create(&a, NULL, change, NULL), 0);
	EQUAL(pthread_join(a, NULL), 0);
	EQUAL(pthread_create(&b, NULL, look, NULL), 0);
	EQUAL(pthread_join(b, &ok), 0);
	EQUAL((long)ok, 1);
	wanted_ids(USER, USER, USER);
}

static void case_threads(void) { in_child(threaded); }

/* At execve, the effective id becomes the saved one, and the capabilities go unless root executes. */
static void executing(void)
{
	char *args[] = {"ids", "-executed", NULL};
	EQUAL(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), 0);
	EQUAL(setresuid(USER, USER, 0), 0);
	EQUAL(capabilities(SYS_capget), 0);
	CHECK(caps[0].permitted != 0);
	execv("/proc/self/exe", args);
	FAIL("execv: %s", strerror(errno));
}

static int executed(void)
{
	uid_t r, e, s;
	if (capabilities(SYS_capget) != 0 || getresuid(&r, &e, &s) != 0)
		return 2;
	return r == USER && e == USER && s == USER && caps[0].permitted == 0 && prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0) == 0 &&
		prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1 ? 0 : 3;
}

static void case_execve(void) { in_child(executing); }

int main(int argc, char **argv)
{
	static const struct check_case cases[] = {
		{"drop", case_drop},       {"effective", case_effective}, {"keepcaps", case_keepcaps}, {"files", case_files},
		{"fsuid", case_fsuid},     {"others", case_others},       {"sockets", case_sockets},   {"threads", case_threads},
		{"execve", case_execve},   {"promises", case_promises},   {NULL, NULL},
	};
	if (argc == 2 && strcmp(argv[1], "-executed") == 0)
		return executed();
	return check_main(cases, argc, argv);
}
