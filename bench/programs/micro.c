/*
 * What a system call, a switch between threads, a page fault and a computation by two threads cost, as a program in the guest
 * sees it. For each it prints
 *
 *	begin NAME
 *	end NAME OPERATIONS NANOSECONDS
 *
 * so that the host, which reads the lines as they come, can see how much CPU time the machine took in between. Then it
 * prints "done" and waits.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define TARGET_NS 300000000L /* how long a measurement takes, about */
#define PAGE 4096
#define PAGES 4096 /* touched between an mmap and its munmap */

static void fail(const char *what)
{
	printf("FAIL %s: %s\n", what, strerror(errno));
	exit(1);
}

static long now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000L + t.tv_nsec;
}

static void getpids(long n)
{
	while (n-- > 0)
		syscall(SYS_getpid);
}

static void reads(long n)
{
	char c;
	int fd = open("/dev/zero", O_RDONLY);
	if (fd < 0)
		fail("/dev/zero");
	while (n-- > 0)
		if (read(fd, &c, 1) != 1)
			fail("read");
	close(fd);
}

/* Two threads hand a byte back and forth through two pipes: each byte wakes one thread and puts the other to sleep. */
static int ping[2], pong[2];

static void *answer(void *arg)
{
	char c;
	(void)arg;
	while (read(ping[0], &c, 1) == 1)
		if (write(pong[1], &c, 1) != 1)
			fail("write");
	return NULL;
}

static void switches(long n)
{
	pthread_t other;
	char c = 0;
	if (pipe(ping) || pipe(pong))
		fail("pipe");
	errno = pthread_create(&other, NULL, answer, NULL);
	if (errno)
		fail("pthread_create");
	for (; n > 0; n -= 2)
		if (write(ping[1], &c, 1) != 1 || read(pong[0], &c, 1) != 1)
			fail("ping");
	close(ping[1]);
	pthread_join(other, NULL);
	close(ping[0]);
	close(pong[0]);
	close(pong[1]);
}

/* The first store to each page of fresh anonymous memory. Its mmap and munmap are counted with it. */
static void faults(long n)
{
	while (n > 0) {
		char *p = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED)
			fail("mmap");
		/* No huge pages: they are another measurement. A kernel without them may refuse. */
		madvise(p, PAGES * PAGE, MADV_NOHUGEPAGE);
		for (long i = 0; i < PAGES && n > 0; i++, n--)
			((volatile char *)p)[i * PAGE] = 1;
		munmap(p, PAGES * PAGE);
	}
}

/* A thousand steps of a computation, by one of two threads. With two processors it takes half as long as with one. */
static void *compute(void *arg)
{
	long n = *(long *)arg * 1000;
	unsigned long x = 88172645463325252UL;
	for (; n > 0; n--) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
	}
	__asm__ volatile("" : : "r"(x)); /* it is wanted */
	return NULL;
}

static void computes(long n)
{
	pthread_t other;
	long half = n / 2;
	errno = pthread_create(&other, NULL, compute, &half);
	if (errno)
		fail("pthread_create");
	compute(&half);
	pthread_join(other, NULL);
}

/*
 * measure runs in portions until TARGET_NS have passed. The search for the size of a portion warms up what is cold; where the
 * host is busy it may come out too large or too small, and the measurement is no worse for it.
 */
static void measure(const char *name, void (*run)(long))
{
	long portion, start, done = 0, took;
	for (portion = 256; portion < 1L << 30; portion *= 2) {
		start = now();
		run(portion);
		if (now() - start >= TARGET_NS / 20)
			break;
	}
	printf("begin %s\n", name);
	start = now();
	do {
		run(portion);
		done += portion;
		took = now() - start;
	} while (took < TARGET_NS);
	printf("end %s %ld %ld\n", name, done, took);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	measure("getpid", getpids);
	measure("read", reads);
	measure("switch", switches);
	measure("fault", faults);
	measure("compute", computes);
	printf("done\n");
	pause();
}
