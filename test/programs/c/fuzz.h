/*
 * What the parts of the system-call fuzzer share: its slots, one for each thread, random numbers, raw system calls.
 *
 * The fuzzer destroys what it lives in: thread areas, signal masks, mappings, descriptors. So it uses no C library once it
 * runs, all that it needs is in its own image, and a few rules keep random calls away from that:
 *
 *     data    arguments that are read and written by racing threads and by the kernel; never holds a kernel address, not even one
 *             of the fuzzer's making, of which the next write to a part of it would make an unknown one. So what the kernel
 *             keeps for a program and gives back (robust lists, values of events, limits) is none
 *     shared  structures with pointers, wild ones and kernel addresses among them; raced, never written to files or sockets
 *     safe    structures that could end the fuzzer or let a packet out: written by their own thread only
 *     constant   a page that can only be read, with a guard: a write to a file must not read on, in what the image has behind it
 *     guard   pages without any access, for pointers to nothing and buffers that run into nothing; nothing is ever mapped
 *             where they or other pointers to nothing lead
 *
 *     | data 8 | guard | shared 1 | safe 2 | guard | stacks ...
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

#define PAGE 4096
#define DATA_PAGES 8
#define ALIGNED __attribute__((aligned(PAGE)))

typedef uint64_t u64 __attribute__((may_alias));

enum { FREE, RUNS, ENDED };

/* What a call has left in the registers. */
struct registers {
	u64 ax, di, si, dx, r10, r8, r9, bx, bp, r12, r13, r14, r15, cx, r11;
};

struct call {
	u64 number;
	u64 args[6];
	u64 result; /* RAX */
	u64 ended;
};

#define PAST 16 /* calls that a failure tells of each thread */

/* A thread, and the memory of its arguments. */
struct slot {
	unsigned char data[DATA_PAGES * PAGE] ALIGNED;
	unsigned char guard[PAGE];
	unsigned char shared[PAGE];
	unsigned char safe[2 * PAGE];
	unsigned char guard2[PAGE];
	unsigned char alternate[8 * PAGE]; /* stack of signal handlers, which is how they find the slot */
	unsigned char stack[8 * PAGE];
	int state; /* FREE, RUNS or ENDED; atomic */
	int tid;
	u64 random;
	struct call call;             /* the last one */
	struct call past[PAST];       /* with those before it: number n is at n % PAST */
	u64 calls, successes, faults; /* calls is atomic */
	void *resume[5];              /* of __builtin_setjmp */
	u64 opened[4], sockets[4];    /* descriptors that calls have returned */
	int used;                     /* bytes of safe, for one call */
	int clone;                    /* the call is done by enter_clone */
	/* Of the main thread, which watches. */
	u64 seen, silent;
} ALIGNED;


extern struct constant { unsigned char data[PAGE], guard[PAGE]; } constant;

#define THREADS 8
extern struct slot slots[THREADS];
extern int threads; /* slots in use */

static inline u64 next_random(struct slot *s)
{
	/* splitmix64 */
	u64 z = s->random += 0x9e3779b97f4a7c15;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* below returns a number from 0 to n-1. */
static inline u64 below(struct slot *s, u64 n) { return next_random(s) % n; }
static inline int one_in(struct slot *s, u64 n) { return below(s, n) == 0; }
#define PICK(s, array) ((array)[below(s, sizeof(array) / sizeof *(array))])

static inline long raw(long number, long a, long b, long c, long d)
{
	long result;
	register long r10 __asm__("r10") = d;

	__asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
	return result;
}

#endif
