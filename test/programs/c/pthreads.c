/*
 * Threads of C: creation and end, mutexes, condition variables, thread-local storage, barriers, cancellation.
 */
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>

#include "check.h"

static long tid(void) { return syscall(SYS_gettid); }

static void *square(void *arg)
{
	intptr_t n = (intptr_t)arg;
	return (void *)(n * n);
}

static void create_join(void)
{
	enum { N = 64 };
	pthread_t threads[N];

	for (intptr_t i = 0; i < N; i++)
		EQUAL(pthread_create(&threads[i], NULL, square, (void *)i), 0);
	for (intptr_t i = 0; i < N; i++) {
		void *result;
		EQUAL(pthread_join(threads[i], &result), 0);
		EQUAL((intptr_t)result, i * i);
	}
}

/* A thousand threads, one after the other: stacks and thread numbers must be given back. */
static void in_a_row(void)
{
	for (intptr_t i = 0; i < 1000; i++) {
		pthread_t thread;
		void *result;
		EQUAL(pthread_create(&thread, NULL, square, (void *)i), 0);
		EQUAL(pthread_join(thread, &result), 0);
		EQUAL((intptr_t)result, i * i);
	}
}

static atomic_int detached_done;

static void *detached(void *arg)
{
	atomic_fetch_add(&detached_done, 1);
	return arg;
}

static void detach(void)
{
	pthread_attr_t attr;

	atomic_store(&detached_done, 0);
	EQUAL(pthread_attr_init(&attr), 0);
	EQUAL(pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED), 0);
	for (int i = 0; i < 50; i++) {
		pthread_t thread;
		EQUAL(pthread_create(&thread, &attr, detached, NULL), 0);
	}
	while (atomic_load(&detached_done) < 50)
		usleep(1000);
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static long counter;

static void *count(void *arg)
{
	for (int i = 0; i < 20000; i++) {
		pthread_mutex_lock(&mutex);
		counter++;
		pthread_mutex_unlock(&mutex);
	}
	return arg;
}

static void run_threads(int n, void *(*f)(void *), void *args[])
{
	pthread_t threads[n];

	for (int i = 0; i < n; i++)
		EQUAL(pthread_create(&threads[i], NULL, f, args ? args[i] : (void *)(intptr_t)i), 0);
	for (int i = 0; i < n; i++)
		EQUAL(pthread_join(threads[i], NULL), 0);
}

static void mutexes(void)
{
	counter = 0;
	run_threads(8, count, NULL);
	EQUAL(counter, 8 * 20000);

	pthread_mutexattr_t attr;
	pthread_mutex_t kind;
	EQUAL(pthread_mutexattr_init(&attr), 0);
	EQUAL(pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK), 0);
	EQUAL(pthread_mutex_init(&kind, &attr), 0);
	EQUAL(pthread_mutex_lock(&kind), 0);
	EQUAL(pthread_mutex_lock(&kind), EDEADLK);
	EQUAL(pthread_mutex_unlock(&kind), 0);
	EQUAL(pthread_mutex_unlock(&kind), EPERM);
	EQUAL(pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE), 0);
	EQUAL(pthread_mutex_init(&kind, &attr), 0);
	EQUAL(pthread_mutex_lock(&kind), 0);
	EQUAL(pthread_mutex_lock(&kind), 0);
	EQUAL(pthread_mutex_unlock(&kind), 0);
	EQUAL(pthread_mutex_unlock(&kind), 0);
}

static int turn;

static void *take_turns(void *arg)
{
	int me = (int)(intptr_t)arg;

	for (int i = 0; i < 500; i++) {
		pthread_mutex_lock(&mutex);
		while (turn % 4 != me)
			pthread_cond_wait(&cond, &mutex);
		turn++;
		pthread_cond_broadcast(&cond);
		pthread_mutex_unlock(&mutex);
	}
	return NULL;
}

static void conditions(void)
{
	turn = 0;
	run_threads(4, take_turns, NULL);
	EQUAL(turn, 2000);
}

static void timed_wait(void)
{
	struct timespec start, end, deadline;

	clock_gettime(CLOCK_MONOTONIC, &start); /* first: time may pass between the two */
	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_nsec += 30000000;
	if (deadline.tv_nsec >= 1000000000) {
		deadline.tv_nsec -= 1000000000;
		deadline.tv_sec++;
	}
	pthread_mutex_lock(&mutex);
	int err = pthread_cond_timedwait(&cond, &mutex, &deadline);
	pthread_mutex_unlock(&mutex);
	EQUAL(err, ETIMEDOUT);
	clock_gettime(CLOCK_MONOTONIC, &end);
	long took = (end.tv_sec - start.tv_sec) * 1000000000 + end.tv_nsec - start.tv_nsec;
	CHECK(took > 25000000); /* the two clocks may be slewed against each other */
}

static _Thread_local long local_zero;
static _Thread_local long local_value = 42;
static _Thread_local char local_big[5000] __attribute__((aligned(64)));
static pthread_key_t key;
static atomic_int destroyed;

static void destroy(void *value) { atomic_fetch_add(&destroyed, (int)(intptr_t)value); }

static void *use_locals(void *arg)
{
	long me = (long)(intptr_t)arg;

	if (local_zero != 0 || local_value != 42 || (uintptr_t)local_big % 64 != 0)
		return (void *)1;
	for (size_t i = 0; i < sizeof local_big; i++)
		if (local_big[i] != 0)
			return (void *)2;
	pthread_setspecific(key, (void *)(intptr_t)(me + 1));
	for (int i = 0; i < 1000; i++) {
		local_zero = me;
		local_value = -me;
		local_big[i] = (char)me;
		errno = (int)me;
		if (i % 100 == 0)
			usleep(100); /* let others run on this CPU */
		if (local_zero != me || local_value != -me || local_big[i] != (char)me)
			return (void *)3;
	}
	if (errno != (int)me && errno != EINTR)
		return (void *)4;
	return pthread_getspecific(key) == (void *)(intptr_t)(me + 1) ? NULL : (void *)5;
}

static void thread_local_storage(void)
{
	enum { N = 20 };
	pthread_t threads[N];

	atomic_store(&destroyed, 0);
	EQUAL(pthread_key_create(&key, destroy), 0);
	for (intptr_t i = 0; i < N; i++)
		EQUAL(pthread_create(&threads[i], NULL, use_locals, (void *)i), 0);
	for (int i = 0; i < N; i++) {
		void *result;
		EQUAL(pthread_join(threads[i], &result), 0);
		EQUAL((intptr_t)result, 0);
	}
	EQUAL(atomic_load(&destroyed), N * (N + 1) / 2);
	EQUAL(pthread_key_delete(key), 0);
}

static pthread_barrier_t barrier;
static atomic_int arrived, out_of_step;

static void *cross(void *arg)
{
	for (int round = 1; round <= 100; round++) {
		atomic_fetch_add(&arrived, 1);
		pthread_barrier_wait(&barrier);
		if (atomic_load(&arrived) != round * 8)
			atomic_fetch_add(&out_of_step, 1);
		pthread_barrier_wait(&barrier);
	}
	return arg;
}

static void barriers(void)
{
	atomic_store(&arrived, 0);
	EQUAL(pthread_barrier_init(&barrier, NULL, 8), 0);
	run_threads(8, cross, NULL);
	EQUAL(atomic_load(&out_of_step), 0);
	EQUAL(pthread_barrier_destroy(&barrier), 0);
}

static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static long left, right;

static void *read_write(void *arg)
{
	intptr_t me = (intptr_t)arg, torn = 0;

	for (int i = 0; i < 5000; i++) {
		if (me == 0) {
			pthread_rwlock_wrlock(&rwlock);
			left++;
			right++;
		} else {
			pthread_rwlock_rdlock(&rwlock);
			torn += left != right;
		}
		pthread_rwlock_unlock(&rwlock);
	}
	atomic_fetch_add(&out_of_step, (int)torn);
	return NULL;
}

static void rwlocks(void)
{
	left = right = 0;
	atomic_store(&out_of_step, 0);
	run_threads(6, read_write, NULL);
	EQUAL(left, 5000);
	EQUAL(atomic_load(&out_of_step), 0);
}

static sem_t items, room;
static atomic_long consumed;

static void *produce(void *arg)
{
	for (int i = 0; i < 1000; i++) {
		sem_wait(&room);
		sem_post(&items);
	}
	return arg;
}

static void *consume(void *arg)
{
	for (int i = 0; i < 1000; i++) {
		sem_wait(&items);
		atomic_fetch_add(&consumed, 1);
		sem_post(&room);
	}
	return arg;
}

static void semaphores(void)
{
	pthread_t threads[8];

	EQUAL(sem_init(&items, 0, 0), 0);
	EQUAL(sem_init(&room, 0, 5), 0);
	for (int i = 0; i < 8; i++)
		EQUAL(pthread_create(&threads[i], NULL, i % 2 ? produce : consume, NULL), 0);
	for (int i = 0; i < 8; i++)
		EQUAL(pthread_join(threads[i], NULL), 0);
	EQUAL(atomic_load(&consumed), 4000);

	struct timespec past = {1, 0};
	ERRNO(sem_timedwait(&items, &past), ETIMEDOUT);
	ERRNO(sem_trywait(&items), EAGAIN);
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static atomic_int initialized;

static void initialize(void)
{
	usleep(1000);
	atomic_fetch_add(&initialized, 1);
}

static void *use_once(void *arg)
{
	pthread_once(&once, initialize);
	return arg;
}

static void once_only(void)
{
	run_threads(16, use_once, NULL);
	EQUAL(atomic_load(&initialized), 1);
}

static atomic_int started, cleaned;

static void clean(void *arg)
{
	(void)arg;
	atomic_fetch_add(&cleaned, 1);
}

static void *sleep_forever(void *arg)
{
	pthread_cleanup_push(clean, NULL);
	atomic_fetch_add(&started, 1);
	for (;;)
		pause();
	pthread_cleanup_pop(0);
	return arg;
}

/* Cancellation goes by a signal to the thread, and must end a blocking call. */
static void cancel(void)
{
	atomic_store(&started, 0);
	atomic_store(&cleaned, 0);
	for (int i = 0; i < 10; i++) {
		pthread_t thread;
		void *result;
		int before = atomic_load(&started);
		EQUAL(pthread_create(&thread, NULL, sleep_forever, NULL), 0);
		while (i % 2 && atomic_load(&started) == before)
			usleep(100);
		EQUAL(pthread_cancel(thread), 0);
		EQUAL(pthread_join(thread, &result), 0);
		CHECK(result == PTHREAD_CANCELED);
	}
	/* A thread that was cancelled before it began to run has nothing to clean; 5 had begun. */
	EQUAL(atomic_load(&cleaned), atomic_load(&started));
	CHECK(atomic_load(&started) >= 5);
}

static void *touch_stack(void *arg)
{
	volatile char deep[900000];

	for (size_t i = 0; i < sizeof deep; i += 4096)
		deep[i] = 1;
	return arg;
}

static void stack_size(void)
{
	pthread_attr_t attr;
	pthread_t thread;

	EQUAL(pthread_attr_init(&attr), 0);
	EQUAL(pthread_attr_setstacksize(&attr, 1 << 20), 0);
	EQUAL(pthread_create(&thread, &attr, touch_stack, NULL), 0);
	EQUAL(pthread_join(thread, NULL), 0);
	EQUAL(pthread_attr_setstacksize(&attr, 16), EINVAL);
}

static atomic_long tids[32];

static void *note_tid(void *arg)
{
	atomic_store(&tids[(intptr_t)arg], tid());
	while (atomic_load(&tids[31]) == 0) /* all live at once, so the numbers differ */
		usleep(100);
	return NULL;
}

static void thread_ids(void)
{
	run_threads(32, note_tid, NULL);
	EQUAL(tid(), getpid());
	for (int i = 0; i < 32; i++) {
		CHECK(tids[i] > 0 && tids[i] != getpid());
		for (int j = 0; j < i; j++)
			CHECK(tids[i] != tids[j]);
	}
}

static pthread_mutex_t robust;
static atomic_int holds;

static void *die_with_lock(void *arg)
{
	pthread_mutex_lock(&robust);
	atomic_store(&holds, 1);
	usleep((useconds_t)(intptr_t)arg);
	return NULL;
}

static void *lock_and_tell(void *arg)
{
	(void)arg;
	return (void *)(intptr_t)pthread_mutex_lock(&robust);
}

static void new_robust(void)
{
	pthread_mutexattr_t attr;

	EQUAL(pthread_mutexattr_init(&attr), 0);
	EQUAL(pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST), 0);
	EQUAL(pthread_mutex_init(&robust, &attr), 0);
	EQUAL(pthread_mutexattr_destroy(&attr), 0);
	atomic_store(&holds, 0);
}

/* A thread that ends with a lock leaves it to the next one, which is told. */
static void robust_mutexes(void)
{
	pthread_t owner, other;
	void *result;

	for (int wait = 0; wait < 2; wait++) { /* 0: the lock is taken after the owner's end, 1: others wait for it already */
		new_robust();
		EQUAL(pthread_create(&owner, NULL, die_with_lock, (void *)(intptr_t)(wait * 20000)), 0);
		if (!wait)
			EQUAL(pthread_join(owner, NULL), 0);
		while (!atomic_load(&holds))
			usleep(100);
		EQUAL(pthread_create(&other, NULL, lock_and_tell, NULL), 0);
		EQUAL(pthread_join(other, &result), 0);
		EQUAL((intptr_t)result, EOWNERDEAD); /* and it has left its lock behind in turn */
		if (wait)
			EQUAL(pthread_join(owner, NULL), 0);
		EQUAL(pthread_mutex_trylock(&robust), EOWNERDEAD);
		EQUAL(pthread_mutex_consistent(&robust), 0);
		EQUAL(pthread_mutex_unlock(&robust), 0);
		EQUAL(pthread_mutex_lock(&robust), 0);
		EQUAL(pthread_mutex_unlock(&robust), 0);
		EQUAL(pthread_mutex_destroy(&robust), 0);
	}
	/* One that isn't made consistent can't be had any more. */
	new_robust();
	EQUAL(pthread_create(&owner, NULL, die_with_lock, NULL), 0);
	EQUAL(pthread_join(owner, NULL), 0);
	EQUAL(pthread_mutex_lock(&robust), EOWNERDEAD);
	EQUAL(pthread_mutex_unlock(&robust), 0);
	EQUAL(pthread_mutex_lock(&robust), ENOTRECOVERABLE);
	EQUAL(pthread_mutex_destroy(&robust), 0);
}

static const struct check_case cases[] = {
	{"create-join", create_join},
	{"in-a-row", in_a_row},
	{"detach", detach},
	{"mutex", mutexes},
	{"cond", conditions},
	{"cond-timed", timed_wait},
	{"tls", thread_local_storage},
	{"barrier", barriers},
	{"rwlock", rwlocks},
	{"semaphore", semaphores},
	{"once", once_only},
	{"robust", robust_mutexes},
	{"cancel", cancel},
	{"stack-size", stack_size},
	{"tid", thread_ids},
	{NULL, NULL},
};

int main(int argc, char **argv) { return check_main(cases, argc, argv); }
