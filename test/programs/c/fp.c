/*
 * Floating-point state: x87, SSE and, if there is, AVX registers, their control words, kept apart between threads and kept
 * across system calls, signals and preemption.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <fenv.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "check.h"

#define THREADS 8

/* The partial sums of Leibniz' series for pi, in long double: all in x87 registers. */
static long double __attribute__((noinline)) leibniz(int terms)
{
	long double sum = 0, sign = 1;

	for (int i = 0; i < terms; i++, sign = -sign)
		sum += sign * 4 / (2 * i + 1);
	return sum;
}

static double __attribute__((noinline)) logistic(double x, int rounds)
{
	for (int i = 0; i < rounds; i++)
		x = 3.75 * x * (1 - x);
	return x;
}

static void known_results(void)
{
	CHECK(fabsl(leibniz(1000000) - (3.14159265358979323846L - 1e-6L)) < 1e-15L);
	EQUAL(sizeof(long double), 16);
	CHECK(nextafterl(1, 2) - 1 == 0x1p-63L); /* 64 bits of precision */
	EQUAL((long)(sqrtl(2) * 1000000000000000000L), 1414213562373095048L);
	CHECK(sin(1) * sin(1) + cos(1) * cos(1) - 1 < 1e-15);
}

struct work {
	int seed;
	int mixed; /* yield and enter the kernel in between */
	long wrong;
	long double pi;
	double chaos;
};

static void *compute(void *arg)
{
	struct work *w = arg;
	/* Reference values by the same code: each thread's inputs differ, so foreign registers give wrong results. */
	for (int round = 0; round < 60; round++) {
		long double pi = leibniz(3000 + w->seed * 100);
		double chaos = logistic(0.1 + w->seed * 0.01, 3000);
		if (pi != w->pi || chaos != w->chaos)
			w->wrong++;
		if (w->mixed && round % 3 == 0)
			sched_yield();
		if (w->mixed && round % 7 == 0)
			syscall(SYS_getpid);
	}
	return NULL;
}

static void compute_on_threads(int mixed)
{
	struct work work[THREADS];
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++) {
		work[i] = (struct work){.seed = i, .mixed = mixed};
		work[i].pi = leibniz(3000 + i * 100);
		work[i].chaos = logistic(0.1 + i * 0.01, 3000);
	}
	for (int i = 0; i < THREADS; i++)
		EQUAL(pthread_create(&threads[i], NULL, compute, &work[i]), 0);
	for (int i = 0; i < THREADS; i++)
		EQUAL(pthread_join(threads[i], NULL), 0);
	for (int i = 0; i < THREADS; i++)
		EQUAL(work[i].wrong, 0);
}

static void threads_compute(void) { compute_on_threads(0); }
static void threads_and_calls(void) { compute_on_threads(1); }

static volatile double spoil;
static volatile long double spoil_more;

static void clobber(int sig)
{
	unsigned short control = 0x0f7f; /* round to zero */
	unsigned int mxcsr = 0x7f80;

	(void)sig;
	spoil = logistic(0.5, 20);
	spoil_more = leibniz(20);
	__asm__ volatile("fldcw %0; ldmxcsr %1; fldpi; fldpi" ::"m"(control), "m"(mxcsr)
			 : "st(7)", "st(6)");
	__asm__ volatile("pcmpeqd %%xmm0, %%xmm0; pcmpeqd %%xmm7, %%xmm7; pcmpeqd %%xmm15, %%xmm15" ::
				 : "xmm0", "xmm7", "xmm15");
	__asm__ volatile("fstp %%st(0); fstp %%st(0)" ::);
}

/* A handler starts with clean control words, and what it does to the state is undone when it returns. */
static void signals_keep(void)
{
	struct itimerval it = {{0, 1000}, {0, 1000}}, off = {{0, 0}, {0, 0}};
	long double pi = leibniz(3000);
	double chaos = logistic(0.3, 3000);

	CHECK(signal(SIGALRM, clobber) != SIG_ERR);
	EQUAL(setitimer(ITIMER_REAL, &it, NULL), 0);
	int wrong = 0;
	for (int i = 0; i < 2000; i++)
		wrong += leibniz(3000) != pi || logistic(0.3, 3000) != chaos;
	EQUAL(setitimer(ITIMER_REAL, &off, NULL), 0);
	signal(SIGALRM, SIG_DFL);
	EQUAL(wrong, 0);
	for (int i = 0; i < 1000; i++) {
		CHECK(signal(SIGUSR1, clobber) != SIG_ERR);
		raise(SIGUSR1);
	}
	signal(SIGUSR1, SIG_DFL);
	EQUAL(fegetround(), FE_TONEAREST);
	CHECK(leibniz(3000) == pi);
}

static volatile unsigned int seen_mxcsr;
static volatile unsigned short seen_control;

static void look(int sig)
{
	unsigned int mxcsr;
	unsigned short control;

	(void)sig;
	__asm__ volatile("stmxcsr %0; fnstcw %1" : "=m"(mxcsr), "=m"(control));
	seen_mxcsr = mxcsr;
	seen_control = control;
}

/* A handler starts with the initial state; the interrupted one comes back after it, and lives through system calls. */
static void control_words(void)
{
	unsigned int mxcsr = 0x1f80 | 0x6000, now = 0;
	unsigned short control = 0x037f | 0x0c00, now_control = 0;

	CHECK(signal(SIGUSR1, look) != SIG_ERR);
	__asm__ volatile("ldmxcsr %0; fldcw %1" ::"m"(mxcsr), "m"(control));
	raise(SIGUSR1);
	for (int i = 0; i < 100; i++) {
		syscall(SYS_getpid);
		sched_yield();
	}
	__asm__ volatile("stmxcsr %0; fnstcw %1" : "=m"(now), "=m"(now_control));
	fesetenv(FE_DFL_ENV);
	signal(SIGUSR1, SIG_DFL);
	EQUAL(seen_mxcsr, 0x1f80);
	EQUAL(seen_control, 0x037f);
	EQUAL(now & 0x7fc0, mxcsr);
	EQUAL(now_control, control);
}

static atomic_int round_errors;

static void *round_own_way(void *arg)
{
	static const int modes[4] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
	int mode = modes[(intptr_t)arg % 4];

	if (fegetround() != FE_TONEAREST) /* that of the thread that made us, which changed nothing */
		atomic_fetch_add(&round_errors, 1);
	fesetround(mode);
	for (int i = 0; i < 2000; i++) {
		volatile double third = 1.0, minus = -1.0;
		volatile long double third_l = 1.0L;
		third /= 3;
		minus /= 3;
		third_l /= 3;
		int bad = fegetround() != mode;
		bad |= (third > 0x1.5555555555555p-2) != (mode == FE_UPWARD);
		bad |= (minus < -0x1.5555555555555p-2) != (mode == FE_DOWNWARD);
		bad |= (third_l > 0xa.aaaaaaaaaaaaaaap-5L) != (mode == FE_UPWARD || mode == FE_TONEAREST);
		if (bad)
			atomic_fetch_add(&round_errors, 1);
		if (i % 50 == 0)
			sched_yield();
	}
	return NULL;
}

static void rounding_modes(void)
{
	pthread_t threads[THREADS];

	atomic_store(&round_errors, 0);
	for (intptr_t i = 0; i < THREADS; i++)
		EQUAL(pthread_create(&threads[i], NULL, round_own_way, (void *)i), 0);
	for (int i = 0; i < THREADS; i++)
		EQUAL(pthread_join(threads[i], NULL), 0);
	EQUAL(atomic_load(&round_errors), 0);
	EQUAL(fegetround(), FE_TONEAREST);
}

/* A new thread takes over the control words of the one that makes it [clone(2)]. */
static void *tell_rounding(void *arg)
{
	(void)arg;
	return (void *)(intptr_t)fegetround();
}

static void inherited(void)
{
	pthread_t thread;
	void *mode;

	fesetround(FE_UPWARD);
	int err = pthread_create(&thread, NULL, tell_rounding, NULL);
	fesetround(FE_TONEAREST);
	EQUAL(err, 0);
	EQUAL(pthread_join(thread, &mode), 0);
	EQUAL((intptr_t)mode, FE_UPWARD);
}

struct vectors {
	uint8_t in[16][32], out[16][32];
};

/* Loads 16 vector registers, makes a system call, stores them. */
#define LOAD(i) "movdqu 32*" #i "(%0), %%xmm" #i "\n\t"
#define STORE(i) "movdqu %%xmm" #i ", 512+32*" #i "(%0)\n\t"
#define VLOAD(i) "vmovdqu 32*" #i "(%0), %%ymm" #i "\n\t"
#define VSTORE(i) "vmovdqu %%ymm" #i ", 512+32*" #i "(%0)\n\t"
#define ALL(op) op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11) op(12) op(13) op(14) op(15)
#define CLOBBERS "rax", "rcx", "r11", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", \
		"xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"

static void sse_across_call(struct vectors *v, long call)
{
	__asm__ volatile(ALL(LOAD) "mov %1, %%rax\n\tsyscall\n\t" ALL(STORE)::"r"(v), "r"(call) : CLOBBERS);
}

static void avx_across_call(struct vectors *v, long call)
{
	__asm__ volatile(ALL(VLOAD) "mov %1, %%rax\n\tsyscall\n\t" ALL(VSTORE) "vzeroupper"::"r"(v), "r"(call) : CLOBBERS);
}

static int have_avx(void)
{
	unsigned a, b, c, d, low, high;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_AVX) || !(c & bit_OSXSAVE))
		return 0;
	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return (low & 6) == 6;
}

static void *vectors_kept(void *arg)
{
	struct vectors v;
	intptr_t me = (intptr_t)arg, wrong = 0;
	int avx = have_avx();
	size_t width = avx ? 32 : 16;

	for (int round = 0; round < 1000; round++) {
		for (int i = 0; i < 16; i++)
			memset(v.in[i], (int)(me * 16 + i + round), 32);
		memset(v.out, 0, sizeof v.out);
		(avx ? avx_across_call : sse_across_call)(&v, round % 2 ? SYS_getpid : SYS_sched_yield);
		for (int i = 0; i < 16; i++)
			wrong += memcmp(v.in[i], v.out[i], width) != 0;
	}
	return (void *)wrong;
}

static void vector_registers(void)
{
	pthread_t threads[THREADS];

	for (intptr_t i = 0; i < THREADS; i++)
		EQUAL(pthread_create(&threads[i], NULL, vectors_kept, (void *)i), 0);
	for (int i = 0; i < THREADS; i++) {
		void *wrong;
		EQUAL(pthread_join(threads[i], &wrong), 0);
		EQUAL((intptr_t)wrong, 0);
	}
}

/* The whole x87 stack across system calls. */
static void x87_stack(void)
{
	for (int round = 0; round < 200; round++) {
		double in[8], out[8];
		for (int i = 0; i < 8; i++)
			in[i] = i * 1.5 + round;
		__asm__ volatile("fldl 56(%0); fldl 48(%0); fldl 40(%0); fldl 32(%0)\n\t"
				 "fldl 24(%0); fldl 16(%0); fldl 8(%0); fldl (%0)\n\t"
				 "mov %2, %%rax\n\tsyscall\n\t"
				 "fstpl (%1); fstpl 8(%1); fstpl 16(%1); fstpl 24(%1)\n\t"
				 "fstpl 32(%1); fstpl 40(%1); fstpl 48(%1); fstpl 56(%1)" ::"r"(in),
				 "r"(out), "r"(round % 2 ? (long)SYS_sched_yield : (long)SYS_gettid)
				 : "rax", "rcx", "r11", "memory", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)");
		EQUAL(memcmp(in, out, sizeof in), 0);
	}
}

static const struct check_case cases[] = {
	{"known-results", known_results},
	{"threads", threads_compute},
	{"threads-and-calls", threads_and_calls},
	{"signals", signals_keep},
	{"control-words", control_words},
	{"rounding-modes", rounding_modes},
	{"inherited", inherited},
	{"vector-registers", vector_registers},
	{"x87-stack", x87_stack},
	{NULL, NULL},
};

int main(int argc, char **argv) { return check_main(cases, argc, argv); }
