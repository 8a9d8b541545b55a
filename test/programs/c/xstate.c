/*
 * The state of vector registers beyond SSE: kept across calls with much work in the kernel, page faults, preemption and
 * signals; told and taken back by signal frames. On a CPU without AVX the same is done with the SSE registers.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>

#include "check.h"

#define THREADS 6
#define MAGIC1 0x46505853 /* FP_XSTATE_MAGIC1 and 2 of asm/sigcontext.h */
#define MAGIC2 0x46505845
#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

struct vectors {
	uint8_t reg[16][32];
} __attribute__((aligned(32)));

static int avx; /* YMM registers may be used */
static size_t width = 16;
static unsigned upper_at = 576; /* where an image has the upper halves */

static void look_at_cpu(void)
{
	unsigned a, b, c, d, low, high;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_AVX) || !(c & bit_OSXSAVE))
		return;
	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	if ((low & 7) != 7)
		return;
	__cpuid_count(0xd, 2, a, b, c, d);
	avx = 1;
	width = 32;
	upper_at = b;
}

#define ALL(op) op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11) op(12) op(13) op(14) op(15)
#define LOAD(i) "movdqu 32*" #i "(%[in]), %%xmm" #i "\n\t"
#define STORE(i) "movdqu %%xmm" #i ", 32*" #i "(%[out])\n\t"
#define VLOAD(i) "vmovdqu 32*" #i "(%[in]), %%ymm" #i "\n\t"
#define VSTORE(i) "vmovdqu %%ymm" #i ", 32*" #i "(%[out])\n\t"
#define CLOBBERS                                                                                                     \
	"rcx", "r11", "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", \
		"xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"

/* across loads all registers, runs code, and stores them. */
#define ACROSS(code, ...)                                                                                        \
	do {                                                                                                      \
		if (avx)                                                                                          \
			__asm__ volatile(ALL(VLOAD) code ALL(VSTORE) "vzeroupper" __VA_ARGS__);                   \
		else                                                                                              \
			__asm__ volatile(ALL(LOAD) code ALL(STORE) __VA_ARGS__);                                  \
	} while (0)

static void fill(struct vectors *v, unsigned seed)
{
	for (int i = 0; i < 16; i++)
		for (int j = 0; j < 32; j++)
			v->reg[i][j] = (uint8_t)(seed * 31 + i * 16 + j + 1);
}

static int differ(const struct vectors *a, const struct vectors *b)
{
	int n = 0;

	for (int i = 0; i < 16; i++)
		n += memcmp(a->reg[i], b->reg[i], width) != 0;
	return n;
}

/* call makes a system call with all registers full and tells how many of them changed. */
static int call(unsigned seed, long number, long a, long b, long c, long *result)
{
	struct vectors in, out;
	long rax = number;

	fill(&in, seed);
	memset(&out, 0, sizeof out);
	ACROSS("syscall\n\t",
	       : "+a"(rax) : [in] "r"(&in), [out] "r"(&out), "D"(a), "S"(b), "d"(c) : CLOBBERS);
	*result = rax;
	return differ(&in, &out);
}

static void kernel_work(void)
{
	static char data[64 << 10];
	int p[2], s[2];
	long n;

	EQUAL(pipe(p), 0);
	EQUAL(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	for (unsigned i = 0; i < 100; i++) {
		EQUAL(call(i, SYS_write, p[1], (long)data, sizeof data, &n), 0);
		EQUAL(n, sizeof data);
		EQUAL(call(i, SYS_read, p[0], (long)data, sizeof data, &n), 0);
		EQUAL(n, sizeof data);
		EQUAL(call(i, SYS_write, s[1], (long)data, 10000, &n), 0);
		EQUAL(n, 10000);
		EQUAL(call(i, SYS_read, s[0], (long)data, 10000, &n), 0);
		EQUAL(n, 10000);
		EQUAL(call(i, SYS_getrandom, (long)data, 5000, 0, &n), 0);
		EQUAL(n, 5000);
	}
	for (int i = 0; i < 2; i++) {
		close(p[i]);
		close(s[i]);
	}
}

static void page_faults(void)
{
	enum { SIZE = 1 << 20 };
	char *m = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct vectors in, out;

	CHECK(m != MAP_FAILED);
	for (unsigned at = 0; at < SIZE; at += 4096) {
		fill(&in, at >> 12);
		ACROSS("movb $1, (%[at])\n\t",
		       :: [in] "r"(&in), [out] "r"(&out), [at] "r"(m + at) : CLOBBERS);
		EQUAL(differ(&in, &out), 0);
	}
	munmap(m, SIZE);
}

/* Threads that never enter the kernel on their own, more than there are CPUs. */
static atomic_int preempted_wrong;

static void *spin_with(void *arg)
{
	struct vectors in, out;

	for (unsigned round = 0; round < 40; round++) {
		fill(&in, (unsigned)(intptr_t)arg * 7 + round);
		ACROSS("mov $400000, %%ecx\n\t1: dec %%ecx\n\tjnz 1b\n\t",
		       :: [in] "r"(&in), [out] "r"(&out) : CLOBBERS);
		atomic_fetch_add(&preempted_wrong, differ(&in, &out));
	}
	return NULL;
}

static void preempted(void)
{
	pthread_t t[THREADS];

	preempted_wrong = 0;
	for (intptr_t i = 0; i < THREADS; i++)
		EQUAL(pthread_create(&t[i], NULL, spin_with, (void *)i), 0);
	for (int i = 0; i < THREADS; i++)
		EQUAL(pthread_join(t[i], NULL), 0);
	EQUAL(preempted_wrong, 0);
}

/* What the handler found and what it shall do. */
static struct vectors in_handler, in_frame;
static struct {
	uint32_t magic1, extended_size, size, magic2;
	uint64_t features, named, flags;
} frame;
static void (*change)(ucontext_t *);

static uint8_t *image(ucontext_t *u) { return (uint8_t *)u->uc_mcontext.fpregs; }

static uint64_t word(const uint8_t *at)
{
	uint64_t v;

	memcpy(&v, at, sizeof v);
	return v;
}

static void handler(int sig, siginfo_t *info, void *context)
{
	ucontext_t *u = context;
	uint8_t *fp = image(u);

	(void)sig;
	(void)info;
	if (avx)
		__asm__ volatile(ALL(VSTORE)::[out] "r"(&in_handler) : "memory");
	else
		__asm__ volatile(ALL(STORE)::[out] "r"(&in_handler) : "memory");
	frame.flags = u->uc_flags;
	frame.magic1 = (uint32_t)word(fp + 464);
	frame.extended_size = (uint32_t)word(fp + 468);
	frame.features = word(fp + 472);
	frame.size = (uint32_t)word(fp + 480);
	for (int i = 0; i < 16; i++)
		memcpy(in_frame.reg[i], fp + 160 + 16 * i, 16);
	if (avx) {
		frame.magic2 = (uint32_t)word(fp + frame.size);
		frame.named = word(fp + 512);
		for (int i = 0; i < 16; i++)
			memcpy(in_frame.reg[i] + 16, fp + upper_at + 16 * i, 16);
	}
	if (change)
		change(u);
	struct vectors junk;
	memset(&junk, 0xdb, sizeof junk);
	if (avx)
		__asm__ volatile(ALL(VLOAD)::[in] "r"(&junk) : "memory");
	else
		__asm__ volatile(ALL(LOAD)::[in] "r"(&junk) : "memory");
}

/* signal_with sends SIGUSR1 with all registers full; after is what they are then. */
static struct vectors before, after;

static void signal_with(unsigned seed, void (*f)(ucontext_t *))
{
	struct sigaction sa = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
	long rax = SYS_tgkill, me = getpid();

	EQUAL(sigaction(SIGUSR1, &sa, NULL), 0);
	change = f;
	memset(&in_frame, 0, sizeof in_frame);
	fill(&before, seed);
	ACROSS("syscall\n\t",
	       : "+a"(rax)
	       : [in] "r"(&before), [out] "r"(&after), "D"(me), "S"(me), "d"((long)SIGUSR1)
	       : CLOBBERS);
	EQUAL(rax, 0);
	signal(SIGUSR1, SIG_DFL);
}

static void signals(void)
{
	static const struct vectors zero;

	for (unsigned i = 0; i < 500; i++) {
		signal_with(i, NULL);
		EQUAL(differ(&before, &after), 0);
		EQUAL(differ(&before, &in_frame), 0);
		EQUAL(differ(&zero, &in_handler), 0);
	}
}

static void frame_format(void)
{
	signal_with(1, NULL);
	EQUAL(frame.flags & 1, avx);
	if (!avx)
		return;
	EQUAL(frame.magic1, MAGIC1);
	EQUAL(frame.magic2, MAGIC2);
	EQUAL(frame.extended_size, frame.size + 4);
	EQUAL(frame.features & 7, 7);
	EQUAL(frame.named & 7, 7);
	unsigned a, b, c, d;
	__cpuid_count(0xd, 0, a, b, c, d);
	CHECK(frame.size <= b && frame.size >= 832);
}

static void rewrite(ucontext_t *u)
{
	for (int i = 0; i < 16; i++) {
		memset(image(u) + 160 + 16 * i, i + 1, 16);
		if (avx)
			memset(image(u) + upper_at + 16 * i, i + 101, 16);
	}
}

/* What a handler makes of the frame is what the thread goes on with. */
static void changed_frame(void)
{
	struct vectors want;

	for (int i = 0; i < 16; i++) {
		memset(want.reg[i], i + 1, 16);
		memset(want.reg[i] + 16, i + 101, 16);
	}
	for (unsigned i = 0; i < 100; i++) {
		signal_with(i, rewrite);
		EQUAL(differ(&want, &after), 0);
	}
}

static void spoil_magic1(ucontext_t *u) { memset(image(u) + 464, 0, 4); }
static void spoil_magic2(ucontext_t *u)
{
	if (avx)
		memset(image(u) + frame.size, 0, 4);
}
static void unname(ucontext_t *u)
{
	if (avx)
		image(u)[512] &= ~4;
}
/* As a program does that switches threads by itself, and knows only of the 512 bytes. */
static void move_short(ucontext_t *u)
{
	static uint8_t copy[512 + 64] __attribute__((aligned(64)));

	memcpy(copy, image(u), 512);
	u->uc_mcontext.fpregs = (void *)copy;
}
static void move_whole(ucontext_t *u)
{
	static uint8_t copy[64 << 10] __attribute__((aligned(64)));

	memcpy(copy, image(u), avx ? frame.extended_size : 512);
	u->uc_mcontext.fpregs = (void *)copy;
}

/* A frame without extended state restores SSE, and makes the rest initial. */
static void short_frames(void)
{
	static void (*const list[])(ucontext_t *) = {spoil_magic1, spoil_magic2, unname, move_short};

	for (unsigned i = 0; i < 100; i++) {
		signal_with(i, list[i % 4]);
		for (int r = 0; r < 16; r++)
			memset(before.reg[r] + 16, 0, 16);
		EQUAL(differ(&before, &after), 0);
	}
}

static void moved_frame(void)
{
	for (unsigned i = 0; i < 100; i++) {
		signal_with(i, move_whole);
		EQUAL(differ(&before, &after), 0);
	}
}

static void nonsense(ucontext_t *u)
{
	static uint64_t seed = 1;

	for (int i = 0; i < 64; i++) {
		seed = seed * 6364136223846793005 + 1442695040888963407;
		image(u)[512 + i] = (uint8_t)(seed >> 56);
	}
	memset(image(u) + 24, 0xff, 4); /* MXCSR */
}

/* A header of nonsense is the program's own problem: Linux may send SIGSEGV. */
static sigjmp_buf resume;

static void leave(int sig) { siglongjmp(resume, sig); }

static void header_of_nonsense(void)
{
	unsigned mxcsr = 0x1f80;

	if (!avx)
		return;
	CHECK(signal(SIGSEGV, leave) != SIG_ERR);
	CHECK(signal(SIGFPE, leave) != SIG_ERR);
	for (volatile unsigned i = 0; i < 200; i++) {
		if (sigsetjmp(resume, 1) == 0)
			signal_with(i, nonsense);
		__asm__ volatile("ldmxcsr %0; fninit" ::"m"(mxcsr));
	}
	signal(SIGSEGV, SIG_DFL);
	signal(SIGFPE, SIG_DFL);
	signal_with(1, NULL);
	EQUAL(differ(&before, &after), 0);
}

static void jump_out(ucontext_t *u)
{
	(void)u;
	siglongjmp(resume, 1);
}

/* Out of a handler by longjmp, with the registers of the handler. */
static void handler_left(void)
{
	for (volatile unsigned i = 0; i < 200; i++) {
		if (sigsetjmp(resume, 1) == 0) {
			signal_with(i, jump_out);
			FAIL("the handler returned");
		}
		signal_with(i, NULL);
		EQUAL(differ(&before, &after), 0);
	}
}

/* Frames are pushed on threads that are preempted in the middle of everything. */
static atomic_int stop;

static void *interrupted_thread(void *arg)
{
	spin_with(arg);
	atomic_fetch_add(&stop, 1);
	return NULL;
}

static void clobber(int sig)
{
	struct vectors junk;

	(void)sig;
	memset(&junk, 0xee, sizeof junk);
	if (avx)
		__asm__ volatile(ALL(VLOAD)::[in] "r"(&junk) : "memory");
	else
		__asm__ volatile(ALL(LOAD)::[in] "r"(&junk) : "memory");
}

static void preempted_with_signals(void)
{
	struct sigaction sa = {.sa_handler = clobber, .sa_flags = SA_RESTART};
	struct itimerval it = {{0, 2000}, {0, 2000}}, off = {{0, 0}, {0, 0}};
	pthread_t t[THREADS];

	preempted_wrong = 0;
	stop = 0;
	EQUAL(sigaction(SIGALRM, &sa, NULL), 0);
	EQUAL(sigaction(SIGUSR2, &sa, NULL), 0);
	EQUAL(setitimer(ITIMER_REAL, &it, NULL), 0);
	for (intptr_t i = 0; i < THREADS; i++)
		EQUAL(pthread_create(&t[i], NULL, interrupted_thread, (void *)i), 0);
	while (stop < THREADS) {
		for (int i = 0; i < THREADS; i++)
			pthread_kill(t[i], SIGUSR2);
		sched_yield();
	}
	EQUAL(setitimer(ITIMER_REAL, &off, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		EQUAL(pthread_join(t[i], NULL), 0);
	signal(SIGALRM, SIG_DFL);
	EQUAL(preempted_wrong, 0);
}

static char *stack_low;
static volatile size_t stack_used;

static void measure(int sig, siginfo_t *info, void *context)
{
	(void)info;
	(void)context;
	stack_used = (size_t)(stack_low + (64 << 10) - (char *)__builtin_frame_address(0));
	(void)sig;
}

/* AT_MINSIGSTKSZ is what a frame takes, and there is always room for it where a handler's stack begins. */
static void least_stack(void)
{
	size_t least = getauxval(AT_MINSIGSTKSZ);
	struct sigaction sa = {.sa_sigaction = measure, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	stack_t ss = {.ss_size = 64 << 10}, off = {.ss_flags = SS_DISABLE};

	CHECK(least >= 1000 && least < (32 << 10));
	stack_low = mmap(NULL, 64 << 10, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(stack_low != MAP_FAILED);
	ss.ss_sp = stack_low;
	EQUAL(sigaltstack(&ss, NULL), 0);
	EQUAL(sigaction(SIGUSR1, &sa, NULL), 0);
	raise(SIGUSR1);
	CHECK(stack_used > 500 && stack_used <= least + 64);
	EQUAL(sigaltstack(&off, NULL), 0);
	munmap(stack_low, 64 << 10);
}

static const struct check_case cases[] = {
	{"kernel-work", kernel_work},
	{"page-faults", page_faults},
	{"preempted", preempted},
	{"signals", signals},
	{"frame-format", frame_format},
	{"changed-frame", changed_frame},
	{"short-frames", short_frames},
	{"moved-frame", moved_frame},
	{"header-of-nonsense", header_of_nonsense},
	{"handler-left", handler_left},
	{"preempted-with-signals", preempted_with_signals},
	{"least-stack", least_stack},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	look_at_cpu();
	return check_main(cases, argc, argv);
}
