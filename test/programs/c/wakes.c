/* Wakes a thread and computes until that has run, 200 times, and prints how often it ran on another CPU. */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ROUNDS 200

static atomic_uint asked, done;
static atomic_int cpu; /* that the other thread ran on */

static void *work(void *arg)
{
	for (unsigned n = 0; n < ROUNDS; n++) {
		while (atomic_load(&asked) == n)
			syscall(SYS_futex, &asked, FUTEX_WAIT_PRIVATE, n, NULL, NULL, 0);
		atomic_store(&cpu, sched_getcpu());
		atomic_store(&done, n + 1);
	}
	return arg;
}

int main(void)
{
	pthread_t other;
	int elsewhere = 0;

	if (pthread_create(&other, NULL, work, NULL))
		return 1;
	for (unsigned n = 1; n <= ROUNDS; n++) {
		usleep(1000); /* it waits for the futex now, in most rounds */
		atomic_store(&asked, n);
		syscall(SYS_futex, &asked, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
		while (atomic_load(&done) != n)
			;
		elsewhere += atomic_load(&cpu) != sched_getcpu();
	}
	pthread_join(other, NULL);
	printf("on another CPU in %d of %d rounds\n", elsewhere, ROUNDS);
	return 0;
}
