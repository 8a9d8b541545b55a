/*
 * What an attacker does in ring 3: privileged instructions, selectors, addresses and flags of nonsense, forged signal
 * frames, code that changes under its own feet. Each must end in the program's own signal, and in nothing else: who passes a
 * case has gone on living afterwards.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>

#include "check.h"

/* Of asm/prctl.h, which musl doesn't have. */
#define ARCH_SET_GS 0x1001
#define ARCH_SET_FS 0x1002
#define ARCH_GET_FS 0x1003

#define PAGE 4096
#define KERNEL 0xffffffff80201000 /* wick's text; Linux has some of its own thereabouts */
#define DIRECT 0xffff800000100000 /* wick's map of physical memory */
#define HOLE 0x0000800000000000   /* the lowest address that is not canonical */
#define TOP 0x00007ffffffff000    /* the end of user memory */

static sigjmp_buf resume;
static volatile sig_atomic_t caught, caught_code;
static void *volatile caught_address;
static char alternate[256 << 10] __attribute__((aligned(16)));

static void leave(int sig, siginfo_t *info, void *context)
{
	(void)context;
	caught = sig;
	caught_code = info->si_code;
	caught_address = info->si_addr;
	siglongjmp(resume, 1);
}

static void handle(int sig, void (*f)(int, siginfo_t *, void *))
{
	struct sigaction sa = {.sa_sigaction = f, .sa_flags = SA_SIGINFO | SA_ONSTACK};

	EQUAL(sigaction(sig, &sa, NULL), 0);
}

/* guard has all signals of faults caught on a stack of its own. */
static void guard(void)
{
	static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
	stack_t ss = {.ss_sp = alternate, .ss_size = sizeof alternate};

	EQUAL(sigaltstack(&ss, NULL), 0);
	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
		handle(faults[i], leave);
}

/* ATTEMPT does something and leaves in caught by which signal it ended, 0 if by none. */
#define ATTEMPT(...)                                                                   \
	do {                                                                           \
		caught = caught_code = 0;                                              \
		caught_address = NULL;                                                 \
		if (sigsetjmp(resume, 1) == 0) {                                       \
			__VA_ARGS__;                                                   \
		}                                                                      \
	} while (0)

/* page returns memory that can be written and run. */
static unsigned char *page(void)
{
	static unsigned char *p;

	if (!p) {
		p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CHECK(p != MAP_FAILED);
	}
	return p;
}

/* run executes code that ends with RET. */
static void run(const void *code, size_t n)
{
	memcpy(page(), code, n);
	page()[n] = 0xc3;
	((void (*)(void))(uintptr_t)page())();
}

struct instruction {
	const char *name;
	int signal; /* -1: whichever, or none */
	unsigned char n, code[8];
};

static void privileged(void)
{
	static const struct instruction list[] = {
		{"hlt", SIGSEGV, 1, {0xf4}},
		{"cli", SIGSEGV, 1, {0xfa}},
		{"sti", SIGSEGV, 1, {0xfb}},
		{"in", SIGSEGV, 1, {0xec}},
		{"out", SIGSEGV, 1, {0xee}},
		{"insb", SIGSEGV, 1, {0x6c}},
		{"outsb", SIGSEGV, 1, {0x6e}},
		{"rdmsr", SIGSEGV, 2, {0x0f, 0x32}},
		{"wrmsr", SIGSEGV, 2, {0x0f, 0x30}},
		{"mov from cr0", SIGSEGV, 3, {0x0f, 0x20, 0xc0}},
		{"mov to cr0", SIGSEGV, 3, {0x0f, 0x22, 0xc0}},
		{"mov to cr3", SIGSEGV, 3, {0x0f, 0x22, 0xd8}},
		{"mov to cr4", SIGSEGV, 3, {0x0f, 0x22, 0xe0}},
		{"mov to cr8", SIGSEGV, 4, {0x44, 0x0f, 0x22, 0xc0}},
		{"mov to dr7", SIGSEGV, 3, {0x0f, 0x23, 0xf8}},
		{"lgdt", SIGSEGV, 4, {0x0f, 0x01, 0x14, 0x24}},
		{"lidt", SIGSEGV, 4, {0x0f, 0x01, 0x1c, 0x24}},
		{"lldt", SIGSEGV, 3, {0x0f, 0x00, 0xd0}},
		{"ltr", SIGSEGV, 3, {0x0f, 0x00, 0xd8}},
		{"lmsw", SIGSEGV, 3, {0x0f, 0x01, 0xf0}},
		{"clts", SIGSEGV, 2, {0x0f, 0x06}},
		{"invd", SIGSEGV, 2, {0x0f, 0x08}},
		{"wbinvd", SIGSEGV, 2, {0x0f, 0x09}},
		{"invlpg", SIGSEGV, 4, {0x0f, 0x01, 0x3c, 0x24}},
		{"swapgs", SIGSEGV, 3, {0x0f, 0x01, 0xf8}},
		{"sysret", SIGSEGV, 3, {0x48, 0x0f, 0x07}},
		{"xsetbv", -1, 3, {0x0f, 0x01, 0xd1}},
		{"monitor", -1, 3, {0x0f, 0x01, 0xc8}},
		{"vmcall", -1, 3, {0x0f, 0x01, 0xc1}},
		{"vmmcall", -1, 3, {0x0f, 0x01, 0xd9}},
		{"vmrun", -1, 3, {0x0f, 0x01, 0xd8}},
		{"skinit", -1, 3, {0x0f, 0x01, 0xde}},
		{"rsm", SIGILL, 2, {0x0f, 0xaa}},
		{"ud2", SIGILL, 2, {0x0f, 0x0b}},
		{"push es", SIGILL, 1, {0x06}},
		{"lock nop", SIGILL, 2, {0xf0, 0x90}},
		{"too long", SIGSEGV, 0, {0}}, /* 16 prefixes, see below */
		{"sldt", -1, 3, {0x0f, 0x00, 0xc0}},
		{"smsw", -1, 3, {0x0f, 0x01, 0xe0}},
		{"sgdt", -1, 5, {0x0f, 0x01, 0x44, 0x24, 0x80}},
		{"rdpmc", -1, 2, {0x0f, 0x33}},
		{"rdfsbase", -1, 5, {0xf3, 0x48, 0x0f, 0xae, 0xc0}},
		{"pconfig", -1, 3, {0x0f, 0x01, 0xc5}},
		{"int3", SIGTRAP, 1, {0xcc}},
		{"icebp", -1, 1, {0xf1}}, /* SIGTRAP, but TCG raises something else */
		{"int 0", SIGSEGV, 2, {0xcd, 0}},
		{"int 2", SIGSEGV, 2, {0xcd, 2}},
		{"int 8", SIGSEGV, 2, {0xcd, 8}},
		{"int 14", SIGSEGV, 2, {0xcd, 14}},
		{"int 18", SIGSEGV, 2, {0xcd, 18}},
	};

	guard();
	for (volatile size_t i = 0; i < sizeof list / sizeof *list; i++) {
		const struct instruction *in = &list[i];
		unsigned char long_one[17];

		memset(long_one, 0x66, 16);
		long_one[16] = 0x90;
		if (in->n)
			ATTEMPT(run(in->code, in->n));
		else
			ATTEMPT(run(long_one, 17));
		if (in->signal >= 0 && caught != in->signal)
			FAIL("%s: signal %d, want %d", in->name, caught, in->signal);
	}
	for (volatile int n = 32; n < 256; n++) {
		unsigned char code[2] = {0xcd, (unsigned char)n};

		if (n == 0x80) /* Linux's 32-bit calls */
			continue;
		ATTEMPT(run(code, 2));
		if (caught != SIGSEGV)
			FAIL("int %d: signal %d", n, caught);
	}
}

static void selectors(void)
{
	static struct {
		uint32_t offset;
		uint16_t selector;
	} __attribute__((packed)) far;

	guard();
	for (volatile int s = 0; s < 0x80; s += 8) {
		far.offset = 0x1000;
		far.selector = (uint16_t)s; /* a code segment of ring 0 is among them */
		ATTEMPT(__asm__ volatile("ljmp *%0" ::"m"(far) : "memory"));
		CHECK(caught != 0);
		ATTEMPT(__asm__ volatile("pushq %0; pushq $0x1000; lretq" ::"r"((uint64_t)s) : "memory"));
		CHECK(caught != 0);
		ATTEMPT(__asm__ volatile("mov %0, %%ss" ::"r"(s)));
		CHECK(caught == SIGSEGV || caught == SIGBUS);
		ATTEMPT(__asm__ volatile("pushq $0; pushq $0x1000; pushq $0x202; pushq %0; pushq $0x1000; iretq"
					 ::"r"((uint64_t)s) : "memory"));
		CHECK(caught != 0);
	}
	for (volatile int s = 0; s < 0x10000; s += 0x1fff)
		ATTEMPT(__asm__ volatile("mov %0, %%ds; mov %0, %%es" ::"r"(s)));
	__asm__ volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%gs" ::"r"(0));
	/* The base of FS goes with its selector; the kernel's own doesn't. */
	uint64_t base = 0;
	EQUAL(syscall(SYS_arch_prctl, ARCH_GET_FS, &base), 0);
	__asm__ volatile("mov %1, %%fs\n\t"
			 "mov $158, %%eax\n\t"
			 "mov $0x1002, %%edi\n\t" /* ARCH_SET_FS */
			 "mov %0, %%rsi\n\t"
			 "syscall" ::"r"(base), "r"(0) : "rax", "rdi", "rsi", "rcx", "r11", "memory");
	uint64_t now = 0;
	EQUAL(syscall(SYS_arch_prctl, ARCH_GET_FS, &now), 0);
	EQUAL(now, base);
}

static void addresses(void)
{
	static const uint64_t bad[] = {KERNEL, DIRECT, HOLE, HOLE - 1 + HOLE, 0x8000000000000000, 0xdead000000000000,
				       0xffffffffffffffff, 0xfffffffffffff000, 0xffff7fffffffffff, TOP + 0x800};

	guard();
	for (volatile size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		uint64_t a = bad[i];

		ATTEMPT((void)*(volatile char *)a);
		EQUAL(caught, SIGSEGV);
		ATTEMPT(*(volatile char *)a = 1);
		EQUAL(caught, SIGSEGV);
		ATTEMPT(((void (*)(void))a)());
		EQUAL(caught, SIGSEGV);
		ATTEMPT(__asm__ volatile("prefetcht0 (%0); clflush (%0)" ::"r"(a) : "memory"));
		ATTEMPT(__asm__ volatile("mov %0, %%rsp; push %%rax" ::"r"(a) : "memory"));
		CHECK(caught == SIGSEGV || caught == SIGBUS);
		ATTEMPT(__asm__ volatile("mov %0, %%rsp; ret" ::"r"(a) : "memory"));
		CHECK(caught == SIGSEGV || caught == SIGBUS);
		ATTEMPT(__asm__ volatile("mov %0, %%rsp; int3" ::"r"(a) : "memory"));
		EQUAL(caught, SIGTRAP);
		ATTEMPT(__asm__ volatile("mov %0, %%rsp; mov $39, %%eax; syscall; ud2" ::"r"(a) : "memory"));
		EQUAL(caught, SIGILL);
		/* Long enough for interrupts to come. */
		ATTEMPT(__asm__ volatile("mov %0, %%rsp; mov $20000000, %%ecx; 1: dec %%ecx; jnz 1b; ud2" ::"r"(a)
					 : "memory"));
		EQUAL(caught, SIGILL);
	}
}

static void bases(void)
{
	static const uint64_t bad[] = {KERNEL, DIRECT, HOLE, 0x8000000000000000, 0xffffffffffffffff};

	for (volatile size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		ERRNO(syscall(SYS_arch_prctl, ARCH_SET_FS, bad[i]), EPERM);
		ERRNO(syscall(SYS_arch_prctl, ARCH_SET_GS, bad[i]), EPERM);
		ERRNO(syscall(SYS_arch_prctl, ARCH_GET_FS, bad[i]), EFAULT);
	}
	/* The highest that is allowed: what lies behind it is not. */
	EQUAL(syscall(SYS_arch_prctl, ARCH_SET_GS, TOP - PAGE), 0);
	guard();
	ATTEMPT(__asm__ volatile("mov %%gs:0x2000, %%rax" ::: "rax"));
	EQUAL(caught, SIGSEGV);
	EQUAL(syscall(SYS_arch_prctl, ARCH_SET_GS, 0L), 0);
}

/* Pointers to the kernel's memory are as bad as any. */
static void kernel_pointers(void)
{
	static const uint64_t bad[] = {KERNEL, DIRECT, HOLE, HOLE - 8, TOP, 0xffffffffffffffff, 8};
	static char buffer[64];
	int p[2];

	EQUAL(pipe(p), 0);
	for (volatile size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		void *a = (void *)bad[i];
		struct iovec v[2] = {{buffer, 8}, {a, 8}};

		EQUAL(write(p[1], buffer, 8), 8);
		ERRNO(read(p[0], a, 8), EFAULT);
		EQUAL(read(p[0], buffer, 8), 8);
		ERRNO(write(p[1], a, 8), EFAULT);
		if (writev(p[1], v, 2) == 8) /* else the whole vector was looked at first */
			EQUAL(read(p[0], buffer, 8), 8);
		ERRNO(readv(p[0], a, 2), EFAULT);
		ERRNO(open(a, O_RDONLY), EFAULT);
		ERRNO(syscall(SYS_rt_sigprocmask, SIG_BLOCK, a, a, 8L), EFAULT);
		ERRNO(syscall(SYS_nanosleep, a, a), EFAULT);
		ERRNO(syscall(SYS_uname, a), EFAULT);
		ERRNO(syscall(SYS_getrandom, a, 8L, 0L), EFAULT);
		ERRNO(syscall(SYS_clock_gettime, 0L, a), EFAULT);
		ERRNO(syscall(SYS_pipe2, a, 0L), EFAULT);
		ERRNO(syscall(SYS_futex, a, 0L, 0L, 0L), bad[i] % 4 ? EINVAL : EFAULT);
		EQUAL(syscall(SYS_set_robust_list, a, 24L), 0);
		CHECK(syscall(SYS_set_tid_address, a) > 0);
	}
	EQUAL(syscall(SYS_set_robust_list, NULL, 24L), 0);
	syscall(SYS_set_tid_address, NULL);
	close(p[0]);
	close(p[1]);
	/* Lengths that go round. */
	int zero = open("/dev/zero", O_RDONLY);
	CHECK(zero >= 0);
	struct iovec v = {buffer, SIZE_MAX};
	ERRNO(syscall(SYS_readv, zero, &v, 1L), EINVAL);
	ERRNO(syscall(SYS_readv, zero, &v, -1L), EINVAL);
	ERRNO(syscall(SYS_readv, zero, &v, 1L << 20), EINVAL);
	CHECK(syscall(SYS_read, zero, buffer, -1L) < 0);
	close(zero);
	ERRNO((long)mmap((void *)TOP, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), ENOMEM);
	ERRNO((long)mmap((void *)DIRECT, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), ENOMEM);
	ERRNO(munmap((void *)KERNEL, PAGE), EINVAL);
	ERRNO(munmap((void *)0x10000, (size_t)0 - 0x10000), EINVAL);
	CHECK(mprotect((void *)KERNEL, PAGE, PROT_READ | PROT_WRITE) < 0);
	CHECK(mprotect((void *)0x10000, (size_t)0 - 0x10000, PROT_READ) < 0);
}

static uint64_t flags_now(void)
{
	uint64_t f;

	__asm__ volatile("pushfq; popq %0" : "=r"(f));
	return f;
}

static volatile sig_atomic_t steps;
static volatile uint64_t flags_in_handler;

static void count_step(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)info;
	(void)context;
	flags_in_handler = flags_now();
	steps = steps + 1;
}

static void flags(void)
{
	guard();
	/* NT, AC and DF over system calls, faults and interrupts. (That NT stays is no use to anybody.) */
	for (volatile uint64_t set = 0; set < 8; set++) {
		uint64_t f = 0x202 | (set & 1 ? 0x4000 : 0) | (set & 2 ? 0x40000 : 0) | (set & 4 ? 0x400 : 0), after;

		__asm__ volatile("pushq %1; popfq\n\t"
				 "mov $39, %%eax; syscall\n\t"
				 "mov $5000000, %%ecx; 1: dec %%ecx; jnz 1b\n\t"
				 "pushfq; popq %0\n\t"
				 "pushq $0x202; popfq"
				 : "=r"(after) : "r"(f) : "rax", "rcx", "r11", "memory", "cc");
		EQUAL(after & 0x40400, f & 0x40400);
		ATTEMPT(__asm__ volatile("pushq %0; popfq; ud2" ::"r"(f) : "memory", "cc"));
		__asm__ volatile("pushq $0x202; popfq" ::: "memory", "cc");
		EQUAL(caught, SIGILL);
	}
	/* IF and IOPL are not the program's; VM, VIF and VIP neither. */
	__asm__ volatile("pushq $0x1a3000; popfq" ::: "memory", "cc");
	EQUAL(flags_now() & 0x1a3200, 0x200);
	ATTEMPT(__asm__ volatile("cli"));
	EQUAL(caught, SIGSEGV);
	/* Single steps, also over a system call; the handler itself isn't stepped. */
	handle(SIGTRAP, count_step);
	steps = 0;
	__asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq\n\t"
			 "nop; nop\n\t"
			 "mov $39, %%eax\n\t"
			 "syscall\n\t"
			 "pushfq; andq $~0x100, (%%rsp); popfq\n\t"
			 "nop" ::: "rax", "rcx", "r11", "memory", "cc");
	CHECK(steps >= 6 && steps <= 8); /* after which instructions around SYSCALL is the CPU's matter */
	EQUAL(flags_in_handler & 0x100, 0);
	/* DF is clear in a handler. */
	__asm__ volatile("std; int3; cld" ::: "memory", "cc");
	EQUAL(flags_in_handler & 0x400, 0);
}

/* An exception of x87 that is pending is raised by the next waiting instruction of the program, and by nobody else. */
static void x87_pending(void)
{
	uint16_t unmasked = 0x360;

	guard();
	for (volatile int i = 0; i < 50; i++) {
		ATTEMPT({
			__asm__ volatile("fninit; fldcw %0; fld1; fldz; fdivrp" ::"m"(unmasked));
			syscall(SYS_getpid);
			sched_yield();
			for (volatile int n = 0; n < 10000; n++)
				;
			__asm__ volatile("fwait");
		});
		EQUAL(caught, SIGFPE);
		EQUAL(caught_code, FPE_FLTDIV);
		__asm__ volatile("fninit");
		/* Never fetched. */
		__asm__ volatile("fldcw %0; fld1; fldz; fdivrp" ::"m"(unmasked));
		sched_yield();
		__asm__ volatile("fninit");
	}
}

static void changing_code(void)
{
	unsigned char *p = page();
	int (*f)(void) = (int (*)(void))(uintptr_t)p;

	p[0] = 0xb8; /* mov eax, imm32; ret */
	p[5] = 0xc3;
	for (uint32_t i = 0; i < 10000; i++) {
		memcpy(p + 1, &i, 4);
		EQUAL(f(), (int)i);
	}
	/* Code that changes itself, right behind the instruction that does it. */
	static const unsigned char self[] = {0xc6, 0x05, 0x01, 0, 0, 0, 7, 0xb8, 1, 0, 0, 0, 0xc3}; /* movb $7, 1(rip); mov eax, 1 */
	for (int i = 0; i < 100; i++) {
		memcpy(p, self, sizeof self);
		EQUAL(f(), 7);
	}
	/* Written, made executable, run, again and again. */
	unsigned char *q = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(q != MAP_FAILED);
	f = (int (*)(void))(uintptr_t)q;
	guard();
	for (volatile uint32_t i = 0; i < 200; i++) {
		EQUAL(mprotect(q, PAGE, PROT_READ | PROT_WRITE), 0);
		q[0] = 0xb8;
		*(volatile uint32_t *)(q + 1) = i;
		q[5] = 0xc3;
		ATTEMPT(f());
		EQUAL(caught, SIGSEGV);
		EQUAL(caught_code, SEGV_ACCERR);
		EQUAL(caught_address, q);
		EQUAL(mprotect(q, PAGE, PROT_READ | PROT_EXEC), 0);
		EQUAL(f(), (int)i);
		ATTEMPT(q[1] = 1);
		EQUAL(caught, SIGSEGV);
		EQUAL(caught_code, SEGV_ACCERR);
		EQUAL(caught_address, q + 1);
		EQUAL(mprotect(q, PAGE, PROT_NONE), 0);
		ATTEMPT(f());
		EQUAL(caught, SIGSEGV);
	}
	/* An instruction that goes over into nothing. */
	unsigned char *two = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(two != MAP_FAILED);
	EQUAL(munmap(two + PAGE, PAGE), 0);
	two[PAGE - 1] = 0xb8;
	ATTEMPT(((void (*)(void))(uintptr_t)(two + PAGE - 1))());
	EQUAL(caught, SIGSEGV);
	EQUAL(caught_address, two + PAGE);
	/* A system call at the end of a mapping returns to nothing. */
	two[PAGE - 2] = 0x0f;
	two[PAGE - 1] = 0x05;
	ATTEMPT(__asm__ volatile("mov $39, %%eax; call *%0" ::"r"(two + PAGE - 2) : "rax", "rcx", "r11", "memory"));
	EQUAL(caught, SIGSEGV);
	EQUAL(caught_address, two + PAGE);
	munmap(two, PAGE);
	munmap(q, PAGE);
}

/* The page that runs goes away, by the call that it makes. */
static void code_unmaps_itself(void)
{
	static const unsigned char code[] = {0x0f, 0x05, 0xc3}; /* syscall; ret */

	guard();
	for (volatile int i = 0; i < 100; i++) {
		unsigned char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		CHECK(p != MAP_FAILED);
		memcpy(p, code, sizeof code);
		ATTEMPT(__asm__ volatile("call *%0" ::"r"(p), "a"(SYS_munmap), "D"(p), "S"((size_t)PAGE)
					 : "rcx", "r11", "memory"));
		EQUAL(caught, SIGSEGV);
		EQUAL(caught_address, p + 2);
	}
}

static int __attribute__((noinline)) overflow(int n)
{
	volatile char frame[4096];

	frame[0] = (char)n;
	if (n < 0)
		return 0;
	return overflow(n + 1) + frame[0];
}

static void stack_overflow(void)
{
	guard();
	for (volatile int i = 0; i < 3; i++) {
		ATTEMPT(overflow(0));
		CHECK(caught == SIGSEGV);
	}
}

static void nothing(int sig) { (void)sig; }

/* A handler whose frame finds no room is as fatal as Linux has it, unless SIGSEGV itself can be handled. */
static void bad_handler_stack(void)
{
	guard();
	struct sigaction sa = {.sa_handler = nothing}; /* on the ordinary stack */
	EQUAL(sigaction(SIGUSR1, &sa, NULL), 0);
	static const uint64_t bad[] = {0, 8, KERNEL, HOLE, TOP + PAGE, 0xffffffffffffffff};
	for (volatile size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		ATTEMPT(__asm__ volatile("mov %0, %%rsp; mov $39, %%eax; syscall; mov %%eax, %%edi; mov $62, %%eax; mov $10, %%esi;"
					 "syscall; ud2" /* kill(getpid(), SIGUSR1) */
					 ::"r"(bad[i]) : "memory"));
		EQUAL(caught, SIGSEGV);
	}
	CHECK(signal(SIGUSR1, SIG_DFL) != SIG_ERR);
}

/* forge is called in a handler, to change what sigreturn restores. */
static void (*forge)(ucontext_t *);

static void call_forge(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)info;
	forge(context);
}

static void forge_flags(ucontext_t *u) { u->uc_mcontext.gregs[REG_EFL] = -1 & ~0x100L; }
static void forge_no_if(ucontext_t *u) { u->uc_mcontext.gregs[REG_EFL] = 0; }
static void forge_ip_kernel(ucontext_t *u) { u->uc_mcontext.gregs[REG_RIP] = (greg_t)KERNEL; }
static void forge_ip_hole(ucontext_t *u) { u->uc_mcontext.gregs[REG_RIP] = (greg_t)HOLE; }
static void forge_ip_null(ucontext_t *u) { u->uc_mcontext.gregs[REG_RIP] = 0; }
static void forge_sp(ucontext_t *u) { u->uc_mcontext.gregs[REG_RSP] = (greg_t)DIRECT; }
static void forge_cs(ucontext_t *u) { u->uc_mcontext.gregs[REG_CSGSFS] = 0x0008; }
static void forge_cs_null(ucontext_t *u) { u->uc_mcontext.gregs[REG_CSGSFS] = 0; }
static void forge_ss(ucontext_t *u) { u->uc_mcontext.gregs[REG_CSGSFS] = 0x0010000000000033; }
static void forge_fp_null(ucontext_t *u) { u->uc_mcontext.fpregs = NULL; }
static void forge_fp_kernel(ucontext_t *u) { u->uc_mcontext.fpregs = (void *)DIRECT; }
static void forge_fp_hole(ucontext_t *u) { u->uc_mcontext.fpregs = (void *)(HOLE - 64); }
static void forge_fp_odd(ucontext_t *u) { u->uc_mcontext.fpregs = (void *)((char *)u->uc_mcontext.fpregs + 1); }
static void forge_fp(ucontext_t *u) { memset(u->uc_mcontext.fpregs, 0xff, 416); }
static void forge_mxcsr(ucontext_t *u) { u->uc_mcontext.fpregs->mxcsr = 0xffffffff; }
static void forge_x87(ucontext_t *u)
{
	u->uc_mcontext.fpregs->cwd = 0;
	u->uc_mcontext.fpregs->swd = 0xffff;
}
static void forge_stack(ucontext_t *u)
{
	u->uc_stack.ss_sp = (void *)KERNEL;
	u->uc_stack.ss_size = SIZE_MAX;
	u->uc_stack.ss_flags = -1;
}

static void forged_frames(void)
{
	static const struct {
		const char *name;
		void (*forge)(ucontext_t *);
		int signal; /* -1: whichever, or none */
	} list[] = {
		{"all flags", forge_flags, -1},
		{"no flags", forge_no_if, 0},
		{"IP in the kernel", forge_ip_kernel, SIGSEGV},
		{"IP not canonical", forge_ip_hole, SIGSEGV},
		{"IP null", forge_ip_null, SIGSEGV},
		{"SP in the kernel", forge_sp, -1},
		{"CS of ring 0", forge_cs, -1},
		{"CS null", forge_cs_null, -1},
		{"SS of ring 0", forge_ss, -1},
		{"no floating-point state", forge_fp_null, -1},
		{"floating-point state of the kernel", forge_fp_kernel, SIGSEGV},
		{"floating-point state across the end", forge_fp_hole, SIGSEGV},
		{"floating-point state not aligned", forge_fp_odd, -1},
		{"floating-point state of nonsense", forge_fp, -1},
		{"MXCSR of nonsense", forge_mxcsr, -1},
		{"x87 exceptions pending", forge_x87, -1},
		{"stack of nonsense", forge_stack, -1},
	};

	for (volatile size_t i = 0; i < sizeof list / sizeof *list; i++) {
		guard();
		handle(SIGUSR1, call_forge);
		forge = list[i].forge;
		ATTEMPT({
			raise(SIGUSR1);
			__asm__ volatile("cld");
			for (volatile int n = 0; n < 100000; n++)
				;
			syscall(SYS_getpid);
		});
		EQUAL(flags_now() & 0x1a3200, 0x200);
		__asm__ volatile("pushq $0x202; popfq; fninit" ::: "memory", "cc");
		uint32_t mxcsr = 0x1f80;
		__asm__ volatile("ldmxcsr %0" ::"m"(mxcsr));
		if (list[i].signal >= 0 && caught != list[i].signal)
			FAIL("%s: signal %d, want %d", list[i].name, caught, list[i].signal);
	}
	CHECK(signal(SIGUSR1, SIG_DFL) != SIG_ERR);
}

/* sigreturn without a signal. */
static void sigreturn_from_nowhere(void)
{
	static const uint64_t bad[] = {0, 8, KERNEL, DIRECT, HOLE, HOLE - 64, TOP - 64, 0xffffffffffffffff};
	static char zeros[4 * PAGE] __attribute__((aligned(64)));

	guard();
	for (volatile size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		ATTEMPT(__asm__ volatile("mov %0, %%rsp; mov $15, %%eax; syscall; ud2" ::"r"(bad[i]) : "memory"));
		EQUAL(caught, SIGSEGV);
	}
	ATTEMPT(__asm__ volatile("mov %0, %%rsp; mov $15, %%eax; syscall; ud2" ::"r"(zeros + 2 * PAGE) : "memory"));
	EQUAL(caught, SIGSEGV);
}

/* Threads that end with lists of nonsense. */
static void *end_with(void *arg)
{
	static uint64_t round[3], far[3] = {KERNEL, 0, HOLE};

	round[0] = (uint64_t)round;
	switch ((uintptr_t)arg % 6) {
	case 0:
		syscall(SYS_set_robust_list, round, 24L);
		break;
	case 1:
		syscall(SYS_set_robust_list, far, 24L);
		break;
	case 2:
		syscall(SYS_set_robust_list, (void *)DIRECT, 24L);
		break;
	case 3:
		syscall(SYS_set_robust_list, (void *)(TOP - 8), 24L);
		break;
	case 4:
		syscall(SYS_set_robust_list, (char *)far + 3, 24L);
		break;
	}
	return NULL;
}

static void robust_lists(void)
{
	for (uintptr_t i = 0; i < 60; i++) {
		pthread_t t;

		EQUAL(pthread_create(&t, NULL, end_with, (void *)i), 0);
		EQUAL(pthread_join(t, NULL), 0);
	}
}

/* Several threads fault, step and are interrupted at once, each on a stack of its own. */
#define FAULTERS 4
static __thread sigjmp_buf thread_resume;
static atomic_int faulters;

static void leave_thread(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)info;
	(void)context;
	siglongjmp(thread_resume, 1);
}

static void *fault_often(void *arg)
{
	volatile uint64_t seed = (uintptr_t)arg * 0x9e3779b97f4a7c15 + 1;
	stack_t ss = {.ss_sp = malloc(64 << 10), .ss_size = 64 << 10};

	if (!ss.ss_sp || sigaltstack(&ss, NULL) != 0)
		return arg;
	for (volatile int i = 0; i < 2000; i++) {
		seed = seed * 6364136223846793005 + 1442695040888963407;
		if (sigsetjmp(thread_resume, 1) != 0)
			continue;
		switch (seed >> 60) {
		case 0:
			*(volatile char *)KERNEL = 1;
			break;
		case 1:
			((void (*)(void))HOLE)();
			break;
		case 2:
			__asm__ volatile("ud2");
			break;
		case 3:
			__asm__ volatile("mov %0, %%rsp; push %%rax" ::"r"(seed) : "memory");
			break;
		case 4:
			__asm__ volatile("hlt");
			break;
		case 5:
			__asm__ volatile("int3");
			break;
		case 6:
			raise(SIGUSR1);
			break;
		default:
			(void)*(volatile char *)seed;
		}
	}
	free(ss.ss_sp);
	atomic_fetch_add(&faulters, 1);
	return NULL;
}

static void faults_at_once(void)
{
	static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGUSR1};
	pthread_t t[FAULTERS];

	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		handle(signals[i], leave_thread);
	for (uintptr_t i = 0; i < FAULTERS; i++)
		EQUAL(pthread_create(&t[i], NULL, fault_often, (void *)i), 0);
	for (int i = 0; i < FAULTERS; i++) {
		void *failed;
		EQUAL(pthread_join(t[i], &failed), 0);
		CHECK(failed == NULL);
	}
	EQUAL(faulters, FAULTERS);
}

static const struct check_case cases[] = {
	{"privileged", privileged},
	{"selectors", selectors},
	{"addresses", addresses},
	{"bases", bases},
	{"kernel-pointers", kernel_pointers},
	{"flags", flags},
	{"x87-pending", x87_pending},
	{"changing-code", changing_code},
	{"code-unmaps-itself", code_unmaps_itself},
	{"stack-overflow", stack_overflow},
	{"bad-handler-stack", bad_handler_stack},
	{"forged-frames", forged_frames},
	{"sigreturn-from-nowhere", sigreturn_from_nowhere},
	{"robust-lists", robust_lists},
	{"faults-at-once", faults_at_once},
	{NULL, NULL},
};

int main(int argc, char **argv) { return check_main(cases, argc, argv); }
