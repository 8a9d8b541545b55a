/*
 * Dies in the way that its first argument names, or ends with the status that its second gives; for a caller that looks
 * at it from outside.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static volatile int zero, one = 1;
static int *volatile nowhere;

static int __attribute__((noinline)) overflow(int n)
{
	volatile char frame[4096];

	frame[0] = (char)n;
	if (n < 0)
		return 0;
	return overflow(n + 1) + frame[0];
}

static void die(const char *how, const char *arg)
{
	if (strcmp(how, "null") == 0) {
		*nowhere = 1;
	} else if (strcmp(how, "jump") == 0) {
		((void (*)(void))nowhere)();
	} else if (strcmp(how, "code") == 0) { /* writing to code */
		*(volatile char *)(uintptr_t)&die = 0;
	} else if (strcmp(how, "data") == 0) { /* running data */
		static char ret[16] = {(char)0xc3};
		((void (*)(void))(uintptr_t)ret)();
	} else if (strcmp(how, "kernel") == 0) {
		*(volatile int *)0xffffffff80201000 = 1;
	} else if (strcmp(how, "noncanonical") == 0) {
		*(volatile int *)0x8000000000000000 = 1;
	} else if (strcmp(how, "stack") == 0) {
		overflow(0);
	} else if (strcmp(how, "no-stack") == 0) { /* a fault without a stack to handle it on */
		__asm__ volatile("xor %%esp, %%esp; push %%rax" ::: "memory");
	} else if (strcmp(how, "bad-stack") == 0) { /* a system call with a stack pointer of nonsense */
		__asm__ volatile("mov $0x8000000000000000, %%rsp; mov $39, %%eax; syscall; push %%rax" ::
				 : "rax", "rcx", "r11", "memory");
	} else if (strcmp(how, "divide") == 0) {
		zero = one / zero;
	} else if (strcmp(how, "illegal") == 0) {
		__asm__ volatile("ud2");
	} else if (strcmp(how, "hlt") == 0) {
		__asm__ volatile("hlt");
	} else if (strcmp(how, "port") == 0) {
		__asm__ volatile("outb %%al, %%dx" ::"a"(0), "d"(0xf4));
	} else if (strcmp(how, "cr3") == 0) {
		uint64_t v;
		__asm__ volatile("mov %%cr3, %0" : "=r"(v));
	} else if (strcmp(how, "breakpoint") == 0) {
		__asm__ volatile("int3");
	} else if (strcmp(how, "step") == 0) { /* the trap flag */
		__asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq; nop" ::: "memory", "cc");
	} else if (strcmp(how, "int80") == 0) { /* 32-bit calls: exit(7) where Linux has them */
		__asm__ volatile("int $0x80" ::"a"(1), "b"(7));
	} else if (strcmp(how, "hog") == 0) { /* takes all memory there is: for a machine of its own */
		for (volatile char *p; (p = malloc(1 << 20)) != NULL;)
			for (int i = 0; i < 1 << 20; i += 4096)
				p[i] = 1;
	} else if (strcmp(how, "abort") == 0) {
		abort();
	} else if (strcmp(how, "raise") == 0) {
		raise(atoi(arg));
	} else if (strcmp(how, "_exit") == 0) {
		_exit(atoi(arg));
	} else if (strcmp(how, "exit") == 0) {
		exit(atoi(arg));
	}
}

struct way {
	const char *how, *arg;
};

static void *die_on_thread(void *arg)
{
	struct way *w = arg;

	die(w->how, w->arg);
	return NULL;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: fault [thread] HOW [ARG]\n");
		return 2;
	}
	printf("about to: %s\n", argv[1]);
	fflush(stdout);
	if (strcmp(argv[1], "thread") == 0 && argc > 2) {
		struct way w = {argv[2], argc > 3 ? argv[3] : "0"};
		pthread_t thread;
		if (pthread_create(&thread, NULL, die_on_thread, &w) == 0)
			pthread_join(thread, NULL);
	} else if (strcmp(argv[1], "main-ends") == 0) { /* the others go on [pthread_exit(3)] */
		struct way w = {"exit", "9"};
		pthread_t thread;
		if (pthread_create(&thread, NULL, die_on_thread, &w) == 0)
			pthread_exit(NULL);
	} else {
		die(argv[1], argc > 2 ? argv[2] : "0");
	}
	printf("still alive\n");
	return 3;
}
