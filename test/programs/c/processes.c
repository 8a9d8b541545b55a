/*
 * New processes and programs: fork, vfork and posix_spawn, memory that is copied or shared, execve of itself and of scripts.
 */
#define _GNU_SOURCE
#include "check.h"
#include "child.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#define FUTEX_WAIT 0
#define FUTEX_REQUEUE 3

extern char **environ;

static char self[PATH_MAX];

static void fork_exit_wait(void)
{
	for (int code = 0; code < 256; code += 51) {
		CHILD(pid)
			_exit(code);
		EQUAL(end(pid), code);
	}
	ERRNO(waitpid(-1, NULL, 0), ECHILD);
	pid_t me = getpid();
	CHILD(pid)
		_exit(getppid() != me || getpid() == me || gettid() != getpid() || getpgrp() != getpgid(me) || getsid(0) != getsid(me));
	EQUAL(end(pid), 0);
}

static int data = 1;
static int zero[5000];

/* Both sides see what was there at the fork, and then only their own writes. */
static void memory_is_copied(void)
{
	enum { N = 200 };
	int on_stack = 1, to_child[2], to_parent[2];
	char *heap = malloc(N * 4096), c;

	for (int i = 0; i < N; i++)
		heap[i * 4096] = i;
	CHECK(pipe(to_child) == 0 && pipe(to_parent) == 0);
	CHILD(pid) {
		int bad = data != 1 || on_stack != 1 || zero[3000] != 0;
		for (int i = 0; i < N; i++)
			bad |= heap[i * 4096] != (char)i;
		data = on_stack = zero[3000] = 7;
		for (int i = 0; i < N; i += 2)
			heap[i * 4096] = 77;
		bad |= write(to_parent[1], "x", 1) != 1 || read(to_child[0], &c, 1) != 1;
		for (int i = 0; i < N; i++)
			bad |= heap[i * 4096] != (i % 2 ? (char)i : 77);
		_exit(bad);
	}
	CHECK(read(to_parent[0], &c, 1) == 1);
	EQUAL(data + on_stack + zero[3000], 2);
	for (int i = 0; i < N; i++) {
		EQUAL(heap[i * 4096], (char)i);
		heap[i * 4096] = 55;
	}
	CHECK(write(to_child[1], "x", 1) == 1);
	EQUAL(end(pid), 0);
	for (int i = 0; i < N; i++)
		EQUAL(heap[i * 4096], 55);
	free(heap);
	for (int i = 0; i < 2; i++) {
		close(to_child[i]);
		close(to_parent[i]);
	}
}

static void shared_memory(void)
{
	_Atomic int *words = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int fd = memfd_create("shared", 0);
	CHECK(words != MAP_FAILED && fd >= 0 && ftruncate(fd, 4096) == 0);
	_Atomic int *file = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(file != MAP_FAILED);
	enum { CHILDREN = 4, ROUNDS = 2000 };
	pid_t pids[CHILDREN];
	for (int i = 0; i < CHILDREN; i++) {
		CHILD(pid) {
			for (int n = 0; n < ROUNDS; n++) {
				atomic_fetch_add(&words[0], 1);
				atomic_fetch_add(&words[1024], 1);
				atomic_fetch_add(file, 1);
			}
			_exit(0);
		}
		pids[i] = pid;
	}
	for (int i = 0; i < CHILDREN; i++)
		EQUAL(end(pids[i]), 0);
	EQUAL(words[0], CHILDREN * ROUNDS);
	EQUAL(words[1024], CHILDREN * ROUNDS);
	EQUAL(*file, CHILDREN * ROUNDS);
	munmap((void *)words, 3 * 4096);
	munmap((void *)file, 4096);
	close(fd);
}

/* Semaphores and mutexes of processes are futexes in memory that they share. */
static void shared_semaphore(void)
{
	struct {
		sem_t there, back;
		pthread_mutex_t mutex;
		long count;
	} *s = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(s != MAP_FAILED);
	CHECK(sem_init(&s->there, 1, 0) == 0 && sem_init(&s->back, 1, 0) == 0);
	pthread_mutexattr_t attr;
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	CHECK(pthread_mutex_init(&s->mutex, &attr) == 0);
	CHILD(pid) {
		for (int i = 0; i < 200; i++) {
			while (sem_wait(&s->there) != 0) {}
			pthread_mutex_lock(&s->mutex);
			s->count++;
			pthread_mutex_unlock(&s->mutex);
			sem_post(&s->back);
		}
		_exit(0);
	}
	for (int i = 0; i < 200; i++) {
		pthread_mutex_lock(&s->mutex);
		s->count++;
		pthread_mutex_unlock(&s->mutex);
		sem_post(&s->there);
		while (sem_wait(&s->back) != 0) {}
	}
	EQUAL(end(pid), 0);
	EQUAL(s->count, 400);
	munmap(s, 4096);
}

/* A waiter sleeps on the word: those that were moved to where they are. */
static int waiters(void *word)
{
	return syscall(SYS_futex, word, FUTEX_REQUEUE, 0, 1L, word, 0);
}

static void *exit_group_in_thread(void *arg)
{
	_exit(*(int *)arg);
}

/* end_holding ends the process in one of several ways. */
static void end_holding(int way)
{
	pthread_t t;
	char *argv[] = {self, "-child", "exit", "0", NULL};

	switch (way) {
	case 0:
		_exit(0);
	case 1:
		syscall(SYS_exit, 0);
		break;
	case 2:
		raise(SIGKILL);
		break;
	case 3:
		pthread_create(&t, NULL, exit_group_in_thread, &(int){0});
		for (;;)
			pause();
	case 4:
		execve(self, argv, environ);
	}
}

/* A process that ends with a lock leaves it to the next one, which is told, whatever ends it. */
static void lock_of_ended_process(void)
{
	struct {
		pthread_mutex_t mutex;
		atomic_int holds;
	} *s = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(s != MAP_FAILED);
	pthread_mutexattr_t attr;
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	for (int way = 0; way < 5; way++) {
		CHECK(pthread_mutex_init(&s->mutex, &attr) == 0);
		s->holds = 0;
		CHILD(owner) {
			pthread_mutex_lock(&s->mutex);
			s->holds = 1;
			while (s->holds == 1)
				usleep(100);
			usleep(1000); /* the others sleep by now, or don't: both must do */
			end_holding(way);
			_exit(1);
		}
		while (!s->holds)
			usleep(100);
		CHILD(other) {
			s->holds = 2;
			_exit(pthread_mutex_lock(&s->mutex)); /* with the lock */
		}
		EQUAL(end(other), EOWNERDEAD);
		EQUAL(end(owner), way == 2 ? 1000 + SIGKILL : 0);
		EQUAL(pthread_mutex_lock(&s->mutex), EOWNERDEAD);
		EQUAL(pthread_mutex_consistent(&s->mutex), 0);
		EQUAL(pthread_mutex_unlock(&s->mutex), 0);
		EQUAL(pthread_mutex_destroy(&s->mutex), 0);
	}
	munmap(s, 4096);
}

/* A process that has released a lock, and ends before it has woken who waits for that. */
static void ended_before_the_wake(void)
{
	atomic_int *word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(word != MAP_FAILED);
	*word = 5;
	CHILD(pid) {
		struct {
			void *next;
			long offset;
			void *busy;
		} head = {&head, 0, word};
		syscall(SYS_set_robust_list, &head, sizeof head);
		while (waiters(word) == 0) {}
		*word = 0;
		_exit(0);
	}
	struct timespec limit = {30, 0};
	EQUAL(syscall(SYS_futex, word, FUTEX_WAIT, 5, &limit), 0);
	EQUAL(end(pid), 0);
	munmap(word, 4096);
}

static int end_at_once(void *arg)
{
	(void)arg;
	_exit(9);
}

/* The end of a process is told to one that has the same memory, by the word that is cleared. */
static void cleared_in_shared_memory(void)
{
	static char stack[16 << 10] __attribute__((aligned(16)));
	static atomic_int word;
	struct timespec limit = {30, 0};
	word = 1;
	pid_t pid = clone(end_at_once, stack + sizeof stack, CLONE_VM | CLONE_CHILD_CLEARTID | SIGCHLD, NULL, NULL, NULL, &word);
	CHECK(pid > 0);
	while (word != 0)
		CHECK(syscall(SYS_futex, &word, FUTEX_WAIT, 1, &limit) == 0 || errno == EAGAIN);
	EQUAL(end(pid), 9);
}

static void *spin(void *stop)
{
	volatile char local[4096];
	for (unsigned i = 0; !*(volatile int *)stop; i++) {
		local[i % sizeof local] = i;
		((volatile int *)zero)[4000 + i % 500] = i;
		if (local[i % sizeof local] != (char)i)
			abort();
	}
	return NULL;
}

/* The child has the calling thread only; the other threads of the parent go on writing all the while. */
static void fork_with_threads(void)
{
	int stop = 0;
	pthread_t t[3];
	for (int i = 0; i < 3; i++)
		CHECK(pthread_create(&t[i], NULL, spin, &stop) == 0);
	for (int n = 0; n < 20; n++) {
		CHILD(pid) {
			int threads = 0;
			int first = ((volatile int *)zero)[4001];
			for (volatile int i = 0; i < 2000; i++) {}
			DIR *d = opendir("/proc/self/task");
			for (struct dirent *e; d && (e = readdir(d));)
				threads += e->d_name[0] != '.';
			_exit(threads != 1 || ((volatile int *)zero)[4001] != first);
		}
		EQUAL(end(pid), 0);
	}
	stop = 1;
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
}

static void vfork_exec(void)
{
	char *argv[] = {self, "-child", "exit", "42", NULL};
	pid_t pid = vfork();
	if (pid == 0) {
		execve(self, argv, environ);
		_exit(127);
	}
	EQUAL(end(pid), 42);
	volatile int seen = 0;
	pid = vfork();
	if (pid == 0) {
		seen = 5; /* in the parent's memory */
		_exit(3);
	}
	EQUAL(seen, 5);
	EQUAL(end(pid), 3);
}

static void spawn(void)
{
	char *argv[] = {self, "-child", "copy", NULL}, text[64];
	int in[2], out[2];
	CHECK(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in[0], 0);
	posix_spawn_file_actions_adddup2(&actions, out[1], 1);
	posix_spawnattr_init(&attr);
	sigset_t all;
	sigfillset(&all);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
	pid_t pid;
	EQUAL(posix_spawn(&pid, self, &actions, &attr, argv, environ), 0);
	close(in[0]);
	close(out[1]);
	CHECK(getpgid(pid) == pid);
	CHECK(write(in[1], "through a child", 15) == 15);
	close(in[1]);
	size_t n = 0;
	for (ssize_t got; (got = read(out[0], text + n, sizeof text - n)) > 0;)
		n += got;
	EQUAL(n, 15);
	CHECK(memcmp(text, "through a child", 15) == 0);
	close(out[0]);
	EQUAL(end(pid), 0);
	EQUAL(posix_spawn(&pid, "/no/such/program", NULL, NULL, argv, environ), ENOENT);
	ERRNO(waitpid(-1, NULL, 0), ECHILD);
}

static void *exec_in_thread(void *argv)
{
	execve(self, argv, environ);
	_exit(1);
}

/* execve in another thread than the first: the process keeps its id. */
static void exec_from_thread(void)
{
	CHILD(pid) {
		char number[16], *argv[] = {self, "-child", "is", number, NULL};
		sprintf(number, "%d", getpid());
		int stop = 0;
		pthread_t t;
		pthread_create(&t, NULL, spin, &stop);
		pthread_create(&t, NULL, exec_in_thread, argv);
		for (;;)
			pause();
	}
	EQUAL(end(pid), 0);
}

/* What a new program has of the old one, and what it hasn't. */
static void exec_keeps(void)
{
	CHILD(pid) {
		sigset_t set;
		signal(SIGUSR1, SIG_IGN);
		signal(SIGUSR2, (void (*)(int))exit);
		sigemptyset(&set);
		sigaddset(&set, SIGHUP);
		sigprocmask(SIG_SETMASK, &set, NULL);
		raise(SIGHUP);
		umask(031);
		if (chdir("/tmp") != 0 && chdir("/proc") != 0)
			_exit(1);
		int open_fd = open("/dev/null", O_RDONLY), closed = open("/dev/null", O_RDONLY | O_CLOEXEC);
		char a[16], b[16], cwd[256], *argv[] = {self, "-child", "kept", a, b, cwd, NULL}, *env[] = {"ONLY=this", NULL};
		sprintf(a, "%d", open_fd);
		sprintf(b, "%d", closed);
		if (!getcwd(cwd, sizeof cwd))
			_exit(1);
		prctl(PR_SET_NAME, "before");
		execve(self, argv, env);
		_exit(1);
	}
	EQUAL(end(pid), 0);
}

static void exec_errors(void)
{
	char *argv[] = {"x", NULL}, dir[] = "/tmp/processesXXXXXX", path[64];
	CHECK(mkdtemp(dir) != NULL || (mkdir("/tmp", 0777) == 0 && mkdtemp(dir) != NULL));
	ERRNO(execve("/no/such", argv, environ), ENOENT);
	ERRNO(execve("", argv, environ), ENOENT);
	ERRNO(execve(dir, argv, environ), EACCES);
	ERRNO(syscall(SYS_execve, self, 1L, environ), EFAULT);
	ERRNO(syscall(SYS_execve, 1L, argv, environ), EFAULT);
	sprintf(path, "%s/file", dir);
	int fd = open(path, O_CREAT | O_WRONLY, 0644);
	CHECK(fd >= 0 && write(fd, "nothing to run", 14) == 14);
	close(fd);
	ERRNO(execve(path, argv, environ), EACCES);
	CHECK(chmod(path, 0755) == 0);
	ERRNO(execve(path, argv, environ), ENOEXEC);
	size_t long_arg = 200 << 10;
	char *big = malloc(long_arg);
	memset(big, 'x', long_arg);
	big[long_arg - 1] = 0;
	char *too_long[] = {"x", big, NULL};
	ERRNO(execve(self, too_long, environ), E2BIG);
	free(big);
	ERRNO(open(self, O_WRONLY), ETXTBSY);
	unlink(path);
	rmdir(dir);
}

static void make_script(char *path, const char *text)
{
	strcpy(path, "/tmp/scriptXXXXXX");
	mkdir("/tmp", 0777);
	int fd = mkstemp(path);
	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	CHECK(fchmod(fd, 0755) == 0);
	close(fd);
}

static int run(const char *path, char **argv)
{
	CHILD(pid) {
		execve(path, argv, environ);
		_exit(errno == ELOOP ? 200 : errno == ENOENT ? 201 : errno == ENOEXEC ? 202 : 255);
	}
	return end(pid);
}

static void scripts(void)
{
	char path[32], second[32], text[PATH_MAX + 64], *argv[] = {"name", "one", "two", NULL};
	/* A script gets: interpreter, its one argument, the script's path, the arguments but the first. */
	sprintf(text, "#! %s  -script  \nrest\n", self);
	make_script(path, text);
	EQUAL(run(path, argv), 5);
	sprintf(text, "#!%s\n", path); /* the interpreter is a script itself */
	make_script(second, text);
	EQUAL(run(second, argv), 6);
	unlink(second);
	sprintf(text, "#!/no/such/interpreter\n");
	make_script(second, text);
	EQUAL(run(second, argv), 201);
	unlink(second);
	make_script(second, "#!   \n");
	EQUAL(run(second, argv), 202);
	unlink(second);
	unlink(path);
	make_script(path, "#!/none\n");
	int fd = open(path, O_WRONLY | O_TRUNC);
	sprintf(text, "#!%s\n", path);
	CHECK(write(fd, text, strlen(text)) > 0);
	close(fd);
	EQUAL(run(path, argv), 200); /* its own interpreter */
	unlink(path);
}

static void exec_by_descriptor(void)
{
	char *argv[] = {"name", "-child", "exit", "9", NULL};
	for (int n = 0; n < 3; n++) {
		int fd = open(self, (n == 1 ? O_PATH : O_RDONLY) | O_CLOEXEC);
		CHECK(fd >= 0);
		if (n == 2) { /* a copy in memory that has no name */
			int from = fd;
			char buffer[65536];
			fd = memfd_create("copy", MFD_CLOEXEC);
			for (ssize_t got; (got = read(from, buffer, sizeof buffer)) > 0;)
				CHECK(write(fd, buffer, got) == got);
			close(from);
			char name[64];
			sprintf(name, "/proc/self/fd/%d", fd);
			int again = open(name, O_RDONLY | O_CLOEXEC);
			CHECK(again >= 0);
			close(fd);
			fd = again;
		}
		CHILD(pid) {
			syscall(SYS_execveat, fd, "", argv, environ, AT_EMPTY_PATH);
			_exit(100);
		}
		EQUAL(end(pid), 9);
		close(fd);
	}
}

static const struct check_case cases[] = {
	{"fork-exit-wait", fork_exit_wait},
	{"memory-is-copied", memory_is_copied},
	{"shared-memory", shared_memory},
	{"shared-semaphore", shared_semaphore},
	{"lock-of-ended-process", lock_of_ended_process},
	{"ended-before-the-wake", ended_before_the_wake},
	{"cleared-in-shared-memory", cleared_in_shared_memory},
	{"fork-with-threads", fork_with_threads},
	{"vfork-exec", vfork_exec},
	{"posix-spawn", spawn},
	{"exec-from-thread", exec_from_thread},
	{"exec-keeps", exec_keeps},
	{"exec-errors", exec_errors},
	{"scripts", scripts},
	{"exec-by-descriptor", exec_by_descriptor},
	{NULL, NULL},
};

/* child is what the program does when it was executed by one of its cases. */
static int child(int argc, char **argv)
{
	const char *what = argv[2];
	if (strcmp(what, "exit") == 0)
		return atoi(argv[3]);
	if (strcmp(what, "is") == 0)
		return getpid() != atoi(argv[3]) || gettid() != getpid();
	if (strcmp(what, "copy") == 0) {
		char buffer[256];
		for (ssize_t n; (n = read(0, buffer, sizeof buffer)) > 0;)
			if (write(1, buffer, n) != n)
				return 1;
		return 0;
	}
	if (strcmp(what, "kept") == 0 && argc == 6) {
		struct sigaction usr1, usr2;
		sigset_t mask, pending;
		stack_t stack;
		char cwd[256], name[17] = "";
		sigaction(SIGUSR1, NULL, &usr1);
		sigaction(SIGUSR2, NULL, &usr2);
		sigprocmask(SIG_SETMASK, NULL, &mask);
		sigpending(&pending);
		sigaltstack(NULL, &stack);
		prctl(PR_GET_NAME, name);
		if (usr1.sa_handler != SIG_IGN || usr2.sa_handler != SIG_DFL)
			return 1;
		if (!sigismember(&mask, SIGHUP) || !sigismember(&pending, SIGHUP) || stack.ss_flags != SS_DISABLE)
			return 2;
		if (umask(0) != 031 || !getcwd(cwd, sizeof cwd) || strcmp(cwd, argv[5]) != 0)
			return 3;
		if (fcntl(atoi(argv[3]), F_GETFD) != 0 || fcntl(atoi(argv[4]), F_GETFD) != -1)
			return 4;
		if (!getenv("ONLY") || environ[1] || strcmp(name, "before") == 0)
			return 5;
		return 0;
	}
	return 99;
}

int main(int argc, char **argv)
{
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	if (n <= 0)
		return 2;
	if (argc > 2 && strcmp(argv[1], "-child") == 0)
		return child(argc, argv);
	if (argc > 1 && strcmp(argv[1], "-script") == 0) {
		/* -script PATH one two, or, of a script of a script, -script PATH SECOND one two */
		return argc > 4 && strcmp(argv[argc - 2], "one") == 0 && strcmp(argv[argc - 1], "two") == 0 ? argc : 98;
	}
	return check_main(cases, argc, argv);
}
