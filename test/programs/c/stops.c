/*
 * Job control: processes that signals stop and continue, and what their parents learn of it.
 */
#define _GNU_SOURCE
#include "check.h"
#include "child.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>

/* What the processes of a case share. */
static struct shared {
	atomic_int count[4];
	atomic_int go, got;
} *shared;

static void share(void)
{
	if (!shared)
		shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(shared != MAP_FAILED);
	memset(shared, 0, sizeof *shared);
}

static void until(atomic_int *value, int least)
{
	while (atomic_load(value) < least)
		usleep(1000);
}

static void wanted(pid_t pid, int options, int want_status)
{
	int status = 0;
	EQUAL(waitpid(pid, &status, options), pid);
	EQUAL(status, want_status);
}

enum { CONTINUED = 0xffff };

static int stopped(int sig) { return sig << 8 | 0x7f; }

static char state(pid_t pid)
{
	char name[64], text[256], *p;
	snprintf(name, sizeof name, "/proc/%d/stat", pid);
	int fd = open(name, O_RDONLY);
	CHECK(fd >= 0);
	ssize_t n = read(fd, text, sizeof text - 1);
	close(fd);
	CHECK(n > 0);
	text[n] = 0;
	p = strrchr(text, ')');
	CHECK(p != NULL);
	return p[2];
}

static void count_forever(int which)
{
	for (;;) {
		atomic_fetch_add(&shared->count[which], 1);
		usleep(which % 2 ? 100 : 0);
	}
}

static void stop_and_continue(void)
{
	share();
	CHILD(pid) { count_forever(0); }
	until(&shared->count[0], 10);
	for (int i = 0; i < 3; i++) {
		EQUAL(kill(pid, SIGSTOP), 0);
		wanted(pid, WUNTRACED, stopped(SIGSTOP));
		EQUAL(state(pid), 'T');
		int n = atomic_load(&shared->count[0]);
		usleep(20000);
		EQUAL(atomic_load(&shared->count[0]), n);
		EQUAL(waitpid(pid, NULL, WUNTRACED | WNOHANG), 0); /* it was told once */
		EQUAL(kill(pid, SIGCONT), 0);
		wanted(pid, WCONTINUED, CONTINUED);
		EQUAL(waitpid(pid, NULL, WUNTRACED | WCONTINUED | WNOHANG), 0);
		until(&shared->count[0], n + 10);
	}
	EQUAL(kill(pid, SIGSTOP), 0);
	wanted(pid, WUNTRACED, stopped(SIGSTOP));
	EQUAL(kill(pid, SIGTERM), 0); /* waits for SIGCONT */
	usleep(20000);
	EQUAL(waitpid(pid, NULL, WNOHANG), 0);
	EQUAL(kill(pid, SIGCONT), 0);
	EQUAL(end(pid), 1000 + SIGTERM);
}

static void killed(void)
{
	share();
	CHILD(pid) { count_forever(0); }
	until(&shared->count[0], 1);
	EQUAL(kill(pid, SIGSTOP), 0);
	wanted(pid, WUNTRACED, stopped(SIGSTOP));
	EQUAL(kill(pid, SIGKILL), 0);
	EQUAL(end(pid), 1000 + SIGKILL);
}

static void *count_in_thread(void *arg)
{
	count_forever((int)(long)arg);
	return NULL;
}

static void threads(void)
{
	share();
	CHILD(pid)
	{
		pthread_t t;
		for (long i = 1; i < 4; i++)
			pthread_create(&t, NULL, count_in_thread, (void *)i);
		for (int fds[2];;)
			if (pipe(fds) == 0 && read(fds[0], fds, 1) < 0)
				_exit(9);
	}
	for (int i = 1; i < 4; i++)
		until(&shared->count[i], 10);
	EQUAL(kill(pid, SIGSTOP), 0);
	wanted(pid, WUNTRACED, stopped(SIGSTOP));
	int n[4];
	for (int i = 1; i < 4; i++)
		n[i] = atomic_load(&shared->count[i]);
	usleep(20000);
	for (int i = 1; i < 4; i++)
		EQUAL(atomic_load(&shared->count[i]), n[i]);
	EQUAL(kill(pid, SIGCONT), 0);
	for (int i = 1; i < 4; i++)
		until(&shared->count[i], n[i] + 10);
	EQUAL(kill(pid, SIGSTOP), 0);
	EQUAL(kill(pid, SIGKILL), 0);
	EQUAL(end(pid), 1000 + SIGKILL);
}

static void note(int sig)
{
	(void)sig;
	atomic_fetch_add(&shared->got, 1);
}

/* A call in which a stopped process slept goes on; handlers run after SIGCONT, and the call's time has run on. */
static void sleeping(void)
{
	int fds[2];
	share();
	EQUAL(pipe(fds), 0);
	CHILD(pid)
	{
		char c = 0;
		struct timespec long_ago, now;
		signal(SIGUSR1, note); /* with SA_RESTART */
		clock_gettime(CLOCK_MONOTONIC, &long_ago);
		atomic_store(&shared->go, 1);
		if (read(fds[0], &c, 1) != 1 || c != 'x')
			_exit(1);
		atomic_store(&shared->go, 2);
		do /* it sleeps when it is stopped, however late that is */
			if (usleep(100000) != 0)
				_exit(2);
		while (atomic_load(&shared->go) == 2);
		clock_gettime(CLOCK_MONOTONIC, &now);
		_exit((now.tv_sec - long_ago.tv_sec) * 1000 + (now.tv_nsec - long_ago.tv_nsec) / 1000000 >= 100 ? 0 : 3);
	}
	until(&shared->go, 1);
	usleep(10000); /* most likely it reads by then */
	EQUAL(kill(pid, SIGSTOP), 0);
	wanted(pid, WUNTRACED, stopped(SIGSTOP));
	EQUAL(kill(pid, SIGUSR1), 0);
	EQUAL(write(fds[1], "x", 1), 1);
	usleep(10000);
	EQUAL(atomic_load(&shared->got), 0);
	EQUAL(atomic_load(&shared->go), 1);
	EQUAL(kill(pid, SIGCONT), 0);
	until(&shared->go, 2);
	EQUAL(atomic_load(&shared->got), 1);
	EQUAL(kill(pid, SIGSTOP), 0);
	wanted(pid, WUNTRACED, stopped(SIGSTOP));
	atomic_store(&shared->go, 3);
	EQUAL(kill(pid, SIGCONT), 0);
	EQUAL(end(pid), 0);
	close(fds[0]);
	close(fds[1]);
}

static volatile sig_atomic_t chld_count, chld_code, chld_status, chld_pid;

static void on_chld(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	chld_code = info->si_code;
	chld_status = info->si_status;
	chld_pid = info->si_pid;
	chld_count++;
}

static void wanted_chld(int count, int code, int status, pid_t pid)
{
	while (chld_count < count)
		usleep(1000);
	EQUAL(chld_count, count);
	EQUAL(chld_code, code);
	EQUAL(chld_status, status);
	EQUAL(chld_pid, pid);
}

static void sigchld(void)
{
	struct sigaction a = {.sa_sigaction = on_chld, .sa_flags = SA_SIGINFO | SA_RESTART}, old;
	siginfo_t info;
	share();
	EQUAL(sigaction(SIGCHLD, &a, &old), 0);
	CHILD(pid)
	{
		setpgid(0, 0); /* a group that is not orphaned */
		count_forever(0);
	}
	until(&shared->count[0], 1);
	chld_count = 0;
	EQUAL(kill(pid, SIGTSTP), 0);
	wanted_chld(1, CLD_STOPPED, SIGTSTP, pid);
	EQUAL(waitid(P_PID, pid, &info, WSTOPPED | WNOWAIT), 0);
	EQUAL(waitid(P_PID, pid, &info, WSTOPPED | WCONTINUED), 0);
	CHECK(info.si_code == CLD_STOPPED && info.si_status == SIGTSTP && info.si_pid == pid && info.si_signo == SIGCHLD);
	info.si_pid = 77;
	EQUAL(waitid(P_PID, pid, &info, WSTOPPED | WNOHANG), 0);
	EQUAL(info.si_pid, 0);
	EQUAL(kill(pid, SIGCONT), 0);
	wanted_chld(2, CLD_CONTINUED, SIGCONT, pid);
	EQUAL(waitid(P_PID, pid, &info, WCONTINUED | WEXITED), 0);
	CHECK(info.si_code == CLD_CONTINUED && info.si_status == SIGCONT);
	EQUAL(kill(pid, SIGCONT), 0); /* is not stopped */
	a.sa_flags |= SA_NOCLDSTOP;
	EQUAL(sigaction(SIGCHLD, &a, NULL), 0);
	EQUAL(kill(pid, SIGSTOP), 0);
	wanted(pid, WUNTRACED, stopped(SIGSTOP));
	EQUAL(chld_count, 2);
	EQUAL(kill(pid, SIGKILL), 0);
	EQUAL(end(pid), 1000 + SIGKILL);
	wanted_chld(3, CLD_KILLED, SIGKILL, pid);
	EQUAL(sigaction(SIGCHLD, &old, NULL), 0);
}

/* Stop signals and SIGCONT undo each other while they are pending; SIGCONT continues also where it is blocked or ignored. */
static void pending(void)
{
	share();
	CHILD(pid)
	{
		sigset_t set, got;
		signal(SIGCONT, note);
		sigemptyset(&set);
		sigaddset(&set, SIGCONT);
		sigaddset(&set, SIGTSTP);
		sigaddset(&set, SIGTTIN);
		sigprocmask(SIG_BLOCK, &set, NULL);
		kill(getpid(), SIGTSTP);
		kill(getpid(), SIGTTIN);
		sigpending(&got);
		if (!sigismember(&got, SIGTSTP) || !sigismember(&got, SIGTTIN))
			_exit(1);
		kill(getpid(), SIGCONT);
		sigpending(&got);
		if (sigismember(&got, SIGTSTP) || sigismember(&got, SIGTTIN) || !sigismember(&got, SIGCONT))
			_exit(2);
		kill(getpid(), SIGTSTP);
		sigpending(&got);
		if (sigismember(&got, SIGCONT))
			_exit(3);
		kill(getpid(), SIGCONT);
		if (atomic_load(&shared->got) != 0)
			_exit(4);
		kill(getpid(), SIGSTOP); /* SIGCONT, blocked, has it go on */
		sigpending(&got);
		if (!sigismember(&got, SIGCONT))
			_exit(5);
		sigprocmask(SIG_UNBLOCK, &set, NULL);
		if (atomic_load(&shared->got) != 1)
			_exit(6);
		signal(SIGCONT, SIG_IGN);
		signal(SIGTSTP, note);
		kill(getpid(), SIGTSTP); /* has a handler: no stop */
		if (atomic_load(&shared->got) != 2)
			_exit(7);
		kill(getpid(), SIGSTOP);
		_exit(0);
	}
	wanted(pid, WUNTRACED, stopped(SIGSTOP));
	EQUAL(kill(pid, SIGCONT), 0);
	wanted(pid, WUNTRACED, stopped(SIGSTOP));
	EQUAL(kill(pid, SIGCONT), 0);
	EQUAL(end(pid), 0);
}

/* Nobody would continue the members of an orphaned group: SIGTSTP doesn't stop them, SIGSTOP does. */
static void orphans(void)
{
	share();
	CHILD(pid)
	{
		setsid();
		kill(getpid(), SIGTSTP);
		kill(getpid(), SIGTTIN);
		kill(getpid(), SIGTTOU);
		atomic_store(&shared->go, 1);
		kill(getpid(), SIGSTOP);
		_exit(5);
	}
	wanted(pid, WUNTRACED, stopped(SIGSTOP));
	EQUAL(atomic_load(&shared->go), 1);
	EQUAL(kill(pid, SIGCONT), 0);
	EQUAL(end(pid), 5);
}

/* What is stopped in a group that becomes an orphan, because the parent has ended, gets SIGHUP and goes on. */
static void new_orphans(void)
{
	int fds[2];
	char c = 0;
	share();
	EQUAL(pipe(fds), 0);
	CHILD(pid)
	{
		setsid();
		pid_t b = fork();
		if (b == 0) {
			setpgid(0, 0);
			signal(SIGHUP, note);
			signal(SIGCONT, note);
			kill(getpid(), SIGSTOP);
			until(&shared->got, 2);
			(void)!write(fds[1], "x", 1);
			_exit(0);
		}
		setpgid(b, b);
		waitpid(b, NULL, WUNTRACED);
		_exit(0);
	}
	EQUAL(end(pid), 0);
	EQUAL(read(fds[0], &c, 1), 1);
	EQUAL(atomic_load(&shared->got), 2);
	close(fds[0]);
	close(fds[1]);
}

/* A group is stopped as a whole; any child of it is waited for. */
static void group(void)
{
	share();
	CHILD(a)
	{
		setpgid(0, 0);
		count_forever(1);
	}
	setpgid(a, a);
	CHILD(b)
	{
		setpgid(0, a);
		count_forever(3);
	}
	setpgid(b, a);
	until(&shared->count[1], 1);
	until(&shared->count[3], 1);
	EQUAL(kill(-a, SIGSTOP), 0);
	int status;
	pid_t first = waitpid(-a, &status, WUNTRACED), second = waitpid(-a, &status, WUNTRACED);
	CHECK((first == a && second == b) || (first == b && second == a));
	EQUAL(kill(-a, SIGCONT), 0);
	EQUAL(kill(-a, SIGTERM), 0);
	EQUAL(end(a), 1000 + SIGTERM);
	EQUAL(end(b), 1000 + SIGTERM);
}

/* Stops and continuations that race with each other and with threads that come and go leave nobody behind. */
static void *nothing(void *arg) { return arg; }

static void races(void)
{
	share();
	CHILD(pid)
	{
		for (;;) {
			pthread_t t[2];
			for (int i = 0; i < 2; i++)
				if (pthread_create(&t[i], NULL, nothing, NULL))
					_exit(1);
			for (int i = 0; i < 2; i++)
				pthread_join(t[i], NULL);
			atomic_fetch_add(&shared->count[0], 1);
		}
	}
	for (int i = 0; i < 200; i++) {
		until(&shared->count[0], i / 10);
		EQUAL(kill(pid, SIGSTOP), 0);
		if (i % 3 == 0)
			wanted(pid, WUNTRACED, stopped(SIGSTOP));
		EQUAL(kill(pid, SIGCONT), 0);
	}
	int n = atomic_load(&shared->count[0]);
	until(&shared->count[0], n + 2);
	EQUAL(kill(pid, SIGSTOP), 0);
	EQUAL(kill(pid, SIGKILL), 0);
	int status;
	do
		EQUAL(waitpid(pid, &status, WUNTRACED | WCONTINUED), pid);
	while (!WIFSIGNALED(status));
	EQUAL(WTERMSIG(status), SIGKILL);
}

int main(int argc, char **argv)
{
	static const struct check_case cases[] = {
		{"stop-and-continue", stop_and_continue}, {"killed", killed},   {"threads", threads}, {"sleeping", sleeping},
		{"sigchld", sigchld},                     {"pending", pending}, {"orphans", orphans}, {"new-orphans", new_orphans},
		{"group", group},                         {"races", races},     {NULL, NULL},
	};
	return check_main(cases, argc, argv);
}
