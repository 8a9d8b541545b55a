/*
 * Signals of C: handlers with siginfo, alternate stacks, masks, faults and their si_code, interrupted and restarted
 * calls, leaving a handler by longjmp.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>

#include "check.h"

static volatile sig_atomic_t got_signal, got_code, got_pid, got_count, on_alternate;
static void *volatile got_address;
static sigjmp_buf resume;
static char *alternate;
#define ALTERNATE_SIZE (64 << 10)

static void note(int sig, siginfo_t *info, void *context)
{
	char here;

	(void)context;
	got_signal = sig;
	got_code = info->si_code;
	got_pid = info->si_pid;
	got_address = info->si_addr;
	got_count = got_count + 1;
	on_alternate = &here >= alternate && &here < alternate + ALTERNATE_SIZE;
}

static void note_and_leave(int sig, siginfo_t *info, void *context)
{
	note(sig, info, context);
	siglongjmp(resume, 1);
}

static void handle(int sig, void (*f)(int, siginfo_t *, void *), int flags)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof sa);
	sa.sa_sigaction = f;
	sa.sa_flags = SA_SIGINFO | flags;
	sigemptyset(&sa.sa_mask);
	EQUAL(sigaction(sig, &sa, NULL), 0);
	got_signal = got_code = got_pid = got_count = on_alternate = 0;
	got_address = (void *)-1;
}

static void by_default(int sig) { CHECK(signal(sig, SIG_DFL) != SIG_ERR); }

static void kill_self(void)
{
	handle(SIGUSR1, note, 0);
	EQUAL(kill(getpid(), SIGUSR1), 0);
	EQUAL(got_signal, SIGUSR1); /* delivered before kill returns [kill(2)] */
	EQUAL(got_code, SI_USER);
	EQUAL(got_pid, getpid());
	EQUAL(raise(SIGUSR1), 0);
	EQUAL(got_count, 2);
	EQUAL(got_code, SI_TKILL);
	EQUAL(syscall(SYS_tgkill, getpid(), getpid(), SIGUSR1), 0);
	EQUAL(got_count, 3);

	union sigval value = {.sival_int = 4711};
	EQUAL(sigqueue(getpid(), SIGUSR1, value), 0);
	EQUAL(got_count, 4);
	EQUAL(got_code, SI_QUEUE);
	by_default(SIGUSR1);
}

static void reset_hand(void)
{
	struct sigaction sa;

	handle(SIGUSR1, note, SA_RESETHAND);
	raise(SIGUSR1);
	EQUAL(got_count, 1);
	EQUAL(sigaction(SIGUSR1, NULL, &sa), 0);
	CHECK(sa.sa_handler == SIG_DFL);
}

static void masks(void)
{
	sigset_t block, old, pending;

	handle(SIGUSR1, note, 0);
	handle(SIGUSR2, note, 0);
	sigemptyset(&block);
	sigaddset(&block, SIGUSR1);
	EQUAL(sigprocmask(SIG_BLOCK, &block, &old), 0);
	CHECK(!sigismember(&old, SIGUSR1));
	for (int i = 0; i < 5; i++)
		raise(SIGUSR1);
	raise(SIGUSR2);
	EQUAL(got_count, 1);
	EQUAL(got_signal, SIGUSR2);
	EQUAL(sigpending(&pending), 0);
	CHECK(sigismember(&pending, SIGUSR1) && !sigismember(&pending, SIGUSR2));
	EQUAL(sigprocmask(SIG_SETMASK, &old, NULL), 0);
	EQUAL(got_count, 2); /* equal standard signals merge */
	EQUAL(got_signal, SIGUSR1);

	sigset_t all;
	sigfillset(&all);
	EQUAL(sigprocmask(SIG_SETMASK, &all, NULL), 0);
	EQUAL(sigprocmask(SIG_SETMASK, &old, &all), 0);
	CHECK(!sigismember(&all, SIGKILL) && !sigismember(&all, SIGSTOP)); /* can't be blocked */
	ERRNO(sigaction(SIGKILL, &(struct sigaction){.sa_handler = SIG_IGN}, NULL), EINVAL);
	by_default(SIGUSR1);
	by_default(SIGUSR2);
}

static volatile int depth, deepest;

static void nest(int sig)
{
	depth++;
	if (depth > deepest)
		deepest = depth;
	if (depth < 3)
		raise(sig);
	depth--;
}

/* Within its handler a signal is blocked, with SA_NODEFER it isn't. */
static void nesting(void)
{
	struct sigaction sa = {.sa_handler = nest};

	sigemptyset(&sa.sa_mask);
	deepest = depth = 0;
	/* Each raise within the handler makes one more, which runs when this one ends: stop them by depth. */
	sa.sa_flags = SA_NODEFER;
	EQUAL(sigaction(SIGUSR1, &sa, NULL), 0);
	raise(SIGUSR1);
	EQUAL(deepest, 3);
	EQUAL(depth, 0);
	by_default(SIGUSR1);
}

static volatile int order[4], order_length;

static void append(int sig)
{
	order[order_length++ & 3] = sig;
}

/* sa_mask holds off another signal until the handler has ended. */
static void append_and_raise(int sig)
{
	raise(SIGUSR2);
	append(sig);
}

static void handler_mask(void)
{
	struct sigaction sa = {.sa_handler = append_and_raise};

	sigemptyset(&sa.sa_mask);
	sigaddset(&sa.sa_mask, SIGUSR2);
	EQUAL(sigaction(SIGUSR1, &sa, NULL), 0);
	CHECK(signal(SIGUSR2, append) != SIG_ERR);
	order_length = 0;
	raise(SIGUSR1);
	EQUAL(order_length, 2);
	EQUAL(order[0], SIGUSR1);
	EQUAL(order[1], SIGUSR2);
	by_default(SIGUSR1);
	by_default(SIGUSR2);
}

static void realtime(void)
{
	sigset_t set, old;

	handle(SIGRTMIN + 1, note, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	EQUAL(sigprocmask(SIG_BLOCK, &set, &old), 0);
	for (int i = 0; i < 5; i++)
		EQUAL(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = i}), 0);
	siginfo_t info;
	for (int i = 0; i < 3; i++) { /* real-time signals queue, in order */
		EQUAL(sigwaitinfo(&set, &info), SIGRTMIN + 1);
		EQUAL(info.si_value.sival_int, i);
		EQUAL(info.si_code, SI_QUEUE);
	}
	EQUAL(sigprocmask(SIG_SETMASK, &old, NULL), 0);
	EQUAL(got_count, 2);
	struct timespec soon = {0, 10000000};
	sigprocmask(SIG_BLOCK, &set, NULL);
	ERRNO(sigtimedwait(&set, &info, &soon), EAGAIN);
	sigprocmask(SIG_SETMASK, &old, NULL);
	by_default(SIGRTMIN + 1);
}

static void alternate_stack(void)
{
	stack_t ss = {.ss_sp = alternate, .ss_size = ALTERNATE_SIZE}, old;

	EQUAL(sigaltstack(&ss, NULL), 0);
	handle(SIGUSR1, note, SA_ONSTACK);
	raise(SIGUSR1);
	EQUAL(on_alternate, 1);
	handle(SIGUSR1, note, 0);
	raise(SIGUSR1);
	EQUAL(on_alternate, 0);
	EQUAL(sigaltstack(NULL, &old), 0);
	CHECK(old.ss_sp == alternate && old.ss_size == ALTERNATE_SIZE && old.ss_flags == 0);
	ss.ss_size = 100;
	ERRNO(sigaltstack(&ss, NULL), ENOMEM);
	ss.ss_flags = 64;
	ss.ss_size = ALTERNATE_SIZE;
	ERRNO(sigaltstack(&ss, NULL), EINVAL);
	by_default(SIGUSR1);
}

static int __attribute__((noinline)) overflow(int n)
{
	volatile char frame[4096];

	frame[0] = (char)n;
	if (n < 0) /* never: the depth grows */
		return 0;
	return overflow(n + 1) + frame[0];
}

/* A stack overflow is handled on the alternate stack. */
static void stack_overflow(void)
{
	stack_t ss = {.ss_sp = alternate, .ss_size = ALTERNATE_SIZE};

	EQUAL(sigaltstack(&ss, NULL), 0);
	for (int i = 0; i < 3; i++) {
		handle(SIGSEGV, note_and_leave, SA_ONSTACK);
		if (sigsetjmp(resume, 1) == 0)
			overflow(0);
		EQUAL(got_signal, SIGSEGV);
		EQUAL(on_alternate, 1);
	}
	by_default(SIGSEGV);
}

/* FAULT runs a statement that must raise a signal, and checks what is told of it. */
#define FAULT(sig, code, address, statement)                                           \
	do {                                                                           \
		handle(sig, note_and_leave, 0);                                        \
		if (sigsetjmp(resume, 1) == 0) {                                       \
			statement;                                                     \
		}                                                                      \
		by_default(sig);                                                       \
		EQUAL(got_signal, sig);                                                \
		EQUAL(got_code, code);                                                 \
		EQUAL((intptr_t)got_address, (intptr_t)(address));                     \
	} while (0)

static volatile int zero, one = 1; /* of constants the compiler would make something else */
static void *volatile target;

static void segv(void)
{
	char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(page != MAP_FAILED);
	target = (void *)8;
	FAULT(SIGSEGV, SEGV_MAPERR, target, *(volatile int *)target = 1);
	FAULT(SIGSEGV, SEGV_MAPERR, target, (void)*(volatile int *)target);
	target = page + 5;
	FAULT(SIGSEGV, SEGV_ACCERR, target, *(volatile char *)target = 1);
	EQUAL(*(volatile char *)target, 0);
	EQUAL(mprotect(page, 4096, PROT_NONE), 0);
	FAULT(SIGSEGV, SEGV_ACCERR, target, (void)*(volatile char *)target);
	EQUAL(munmap(page, 4096), 0);
	FAULT(SIGSEGV, SEGV_MAPERR, target, (void)*(volatile char *)target);
	/* The kernel's half; and an address that is not canonical, for which #GP tells none. */
	target = (void *)0xffffffff80201000;
	FAULT(SIGSEGV, SEGV_MAPERR, target, (void)*(volatile char *)target);
	target = (void *)0x8000000000000000;
	FAULT(SIGSEGV, SI_KERNEL, NULL, (void)*(volatile char *)target);
}

/* Going where no code is. */
static void segv_jump(void)
{
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(page != MAP_FAILED);
	page[0] = (char)0xc3; /* ret */
	target = page;
	FAULT(SIGSEGV, SEGV_ACCERR, page, ((void (*)(void))target)());
	target = (void *)0x1000;
	FAULT(SIGSEGV, SEGV_MAPERR, target, ((void (*)(void))target)());
	EQUAL(munmap(page, 4096), 0);
}

static void bus(void)
{
	char name[] = "/tmp/signals-XXXXXX";
	int fd = mkstemp(name);

	CHECK(fd >= 0);
	EQUAL(unlink(name), 0);
	EQUAL(ftruncate(fd, 100), 0);
	char *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(map != MAP_FAILED);
	map[4095] = 1; /* the rest of the last page is there */
	target = map + 4096;
	FAULT(SIGBUS, BUS_ADRERR, target, *(volatile char *)target = 1);
	EQUAL(munmap(map, 8192), 0);
	close(fd);
}

/* With unmasked exceptions: division by zero, then an invalid operation. (QEMU's TCG raises none.) */
static void fpe_sse(void)
{
	unsigned int mxcsr, all_masked = 0x1f80;
	for (volatile int invalid = 0; invalid < 2; invalid++) {
		handle(SIGFPE, note_and_leave, 0);
		if (sigsetjmp(resume, 1) == 0) {
			mxcsr = 0x1f80 & ~(invalid ? 0x80u : 0x200u);
			volatile double a = invalid ? 0 : 1, b = 0, c;
			__asm__ volatile("ldmxcsr %0" ::"m"(mxcsr));
			c = a / b;
			(void)c;
		}
		__asm__ volatile("ldmxcsr %0" ::"m"(all_masked));
		EQUAL(got_signal, SIGFPE);
		EQUAL(got_code, invalid ? FPE_FLTINV : FPE_FLTDIV);
	}
	by_default(SIGFPE);
}

static void fpe(void)
{
	volatile int result;

	handle(SIGFPE, note_and_leave, 0);
	if (sigsetjmp(resume, 1) == 0)
		result = one / zero;
	EQUAL(got_signal, SIGFPE);
	EQUAL(got_code, FPE_INTDIV);
	CHECK(got_address != NULL && got_address != (void *)-1); /* the instruction's */
	(void)result;

	/* x87: the exception comes with the next x87 instruction. */
	handle(SIGFPE, note_and_leave, 0);
	if (sigsetjmp(resume, 1) == 0) {
		unsigned short control = 0x037f & ~0x04;
		__asm__ volatile("fninit; fldcw %0; fldz; fld1; fdivp; fwait; fstp %%st(0)" ::"m"(control));
	}
	__asm__ volatile("fninit");
	EQUAL(got_signal, SIGFPE);
	EQUAL(got_code, FPE_FLTDIV);
	by_default(SIGFPE);
}

static void ill_trap(void)
{
	handle(SIGILL, note_and_leave, 0);
	if (sigsetjmp(resume, 1) == 0)
		__asm__ volatile("ud2");
	EQUAL(got_signal, SIGILL);
	EQUAL(got_code, ILL_ILLOPN);
	by_default(SIGILL);

	handle(SIGSEGV, note_and_leave, 0);
	if (sigsetjmp(resume, 1) == 0)
		__asm__ volatile("hlt"); /* a privileged instruction is a #GP */
	EQUAL(got_signal, SIGSEGV);
	EQUAL(got_code, SI_KERNEL);
	by_default(SIGSEGV);

	handle(SIGTRAP, note, 0);
	__asm__ volatile("int3");
	EQUAL(got_signal, SIGTRAP);
	EQUAL(got_code, SI_KERNEL); /* since Linux 2.6; TRAP_BRKPT goes to debuggers */
	EQUAL(got_count, 1);
	by_default(SIGTRAP);
}

static void set_registers(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	note(sig, info, context);
	uc->uc_mcontext.gregs[REG_RAX] = 42;
	uc->uc_mcontext.gregs[REG_R12] = 43;
	uc->uc_mcontext.gregs[REG_RIP] += 2; /* over ud2 */
}

/* A handler changes registers in the context, and sees those of the fault. */
static void context_registers(void)
{
	long rax = 1, r12 = 2;

	handle(SIGILL, set_registers, 0);
	__asm__ volatile("mov $7, %%rax\n\tmov $8, %%r12\n\tud2\n\tmov %%rax, %0\n\tmov %%r12, %1"
			 : "=m"(rax), "=m"(r12)::"rax", "r12", "memory");
	EQUAL(rax, 42);
	EQUAL(r12, 43);
	by_default(SIGILL);
}

static void direction_flag(int sig)
{
	unsigned long flags;

	__asm__ volatile("pushfq; pop %0" : "=r"(flags));
	got_code = (flags & 0x400) != 0; /* DF */
	got_signal = sig;
}

/* The ABI wants DF clear in a handler, and set again after it. */
static void flags_kept(void)
{
	unsigned long flags;

	CHECK(signal(SIGTRAP, direction_flag) != SIG_ERR);
	got_code = -1;
	__asm__ volatile("std; int3; pushfq; pop %0; cld" : "=r"(flags));
	EQUAL(got_code, 0);
	CHECK(flags & 0x400);
	by_default(SIGTRAP);
}

/* What lies within 128 bytes below the stack pointer is the function's own [psABI 3.2.2]. */
static void red_zone(void)
{
	long below = 0;

	handle(SIGTRAP, note, 0);
	__asm__ volatile("movq $0x1234, -128(%%rsp)\n\tmovq $0x5678, -8(%%rsp)\n\tint3\n\t"
			 "movq -128(%%rsp), %0\n\tsubq $0x1234, %0\n\taddq -8(%%rsp), %0\n\tsubq $0x5678, %0"
			 : "=&r"(below)::"memory");
	EQUAL(below, 0);
	EQUAL(got_count, 1);
	by_default(SIGTRAP);
}

static atomic_int over; /* the call that is to be interrupted */

/* One signal is not enough: the thread may not be in its call yet when it comes. */
static void *kill_until_over(void *arg)
{
	while (!atomic_load(&over)) {
		usleep(5000);
		pthread_kill(*(pthread_t *)arg, SIGUSR1);
	}
	return NULL;
}

/* INTERRUPTED runs a call that a signal from another thread, with a handler of these flags, must end with EINTR. */
#define INTERRUPTED(flags, call)                                                       \
	do {                                                                           \
		pthread_t me = pthread_self(), other;                                  \
		handle(SIGUSR1, note, flags);                                          \
		atomic_store(&over, 0);                                                \
		EQUAL(pthread_create(&other, NULL, kill_until_over, &me), 0);          \
		errno = 0;                                                             \
		long result = (call);                                                  \
		int why = errno;                                                       \
		atomic_store(&over, 1);                                                \
		EQUAL(pthread_join(other, NULL), 0);                                   \
		by_default(SIGUSR1);                                                   \
		ERRNO((errno = why, result), EINTR);                                   \
	} while (0)

static void eintr(void)
{
	int fds[2];
	char c;
	sem_t sem;
	struct pollfd p;
	struct timespec hour = {3600, 0}, rest = {0, 0};

	EQUAL(pipe(fds), 0);
	EQUAL(sem_init(&sem, 0, 0), 0);
	p = (struct pollfd){.fd = fds[0], .events = POLLIN};
	INTERRUPTED(0, read(fds[0], &c, 1));
	INTERRUPTED(0, poll(&p, 1, -1));
	INTERRUPTED(0, nanosleep(&hour, &rest));
	CHECK(rest.tv_sec > 3000 && rest.tv_sec < 3600);
	INTERRUPTED(0, pause());
	INTERRUPTED(0, sem_wait(&sem));
	char name[] = "/tmp/signals-XXXXXX";
	CHECK(mkdtemp(name) != NULL);
	char fifo[64];
	snprintf(fifo, sizeof fifo, "%s/fifo", name);
	EQUAL(mkfifo(fifo, 0600), 0);
	INTERRUPTED(0, open(fifo, O_RDONLY));
	INTERRUPTED(0, open(fifo, O_WRONLY));
	ERRNO(open(fifo, O_WRONLY | O_NONBLOCK), ENXIO); /* nothing is left of the reader */
	EQUAL(unlink(fifo), 0);
	EQUAL(rmdir(name), 0);
	close(fds[0]);
	close(fds[1]);
}

static int restart_pipe[2];

static void *kill_then_write(void *arg)
{
	while (got_count == 0) {
		usleep(5000);
		pthread_kill(*(pthread_t *)arg, SIGUSR1);
	}
	(void)!write(restart_pipe[1], "x", 1);
	return NULL;
}

/* With SA_RESTART, read goes on; poll never does [signal(7)]. */
static void restart(void)
{
	pthread_t me = pthread_self(), other;
	char c = 0;
	struct pollfd p;

	EQUAL(pipe(restart_pipe), 0);
	handle(SIGUSR1, note, SA_RESTART);
	EQUAL(pthread_create(&other, NULL, kill_then_write, &me), 0);
	EQUAL(read(restart_pipe[0], &c, 1), 1);
	EQUAL(c, 'x');
	CHECK(got_count > 0);
	EQUAL(pthread_join(other, NULL), 0);

	p = (struct pollfd){.fd = restart_pipe[0], .events = POLLIN};
	INTERRUPTED(SA_RESTART, poll(&p, 1, -1));
	close(restart_pipe[0]);
	close(restart_pipe[1]);
}

static void *send_usr1(void *arg)
{
	pthread_kill(*(pthread_t *)arg, SIGUSR1);
	return NULL;
}

/* sigsuspend and ppoll set the mask for the time of the call: no signal is lost between. */
static void suspend(void)
{
	sigset_t block, old, now;
	pthread_t me = pthread_self(), other;
	struct timespec hour = {3600, 0};

	for (int i = 0; i < 50; i++) {
		handle(SIGUSR1, note, 0);
		sigemptyset(&block);
		sigaddset(&block, SIGUSR1);
		EQUAL(pthread_sigmask(SIG_BLOCK, &block, &old), 0);
		EQUAL(pthread_create(&other, NULL, send_usr1, &me), 0);
		if (i % 2)
			EQUAL(pthread_join(other, NULL), 0);
		EQUAL(got_count, 0);
		if (i % 4 < 2)
			ERRNO(sigsuspend(&old), EINTR);
		else
			ERRNO(ppoll(NULL, 0, &hour, &old), EINTR);
		EQUAL(got_count, 1);
		if (i % 2 == 0)
			EQUAL(pthread_join(other, NULL), 0);
		EQUAL(pthread_sigmask(SIG_SETMASK, &old, &now), 0);
		CHECK(sigismember(&now, SIGUSR1));
	}
	by_default(SIGUSR1);
}

static void timers(void)
{
	struct itimerval it = {.it_interval = {0, 5000}, .it_value = {0, 5000}}, old;

	handle(SIGALRM, note, 0);
	EQUAL(setitimer(ITIMER_REAL, &it, NULL), 0);
	while (got_count < 5)
		pause();
	memset(&it, 0, sizeof it);
	EQUAL(setitimer(ITIMER_REAL, &it, &old), 0);
	EQUAL(old.it_interval.tv_usec, 5000);
	EQUAL(alarm(100), 0);
	sigset_t set, old_set;
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	EQUAL(sigprocmask(SIG_BLOCK, &set, &old_set), 0); /* so that it can't come before the wait for it */
	got_count = 0;
	unsigned left = alarm(1);
	CHECK(left > 50 && left <= 100);
	EQUAL(got_count, 0);
	ERRNO(sigsuspend(&old_set), EINTR);
	EQUAL(got_count, 1);
	EQUAL(alarm(0), 0);
	EQUAL(sigprocmask(SIG_SETMASK, &old_set, NULL), 0);
	by_default(SIGALRM);
}

static void leave_by_longjmp(void)
{
	sigset_t now;

	for (volatile int i = 0; i < 1000; i++) {
		handle(SIGUSR1, note_and_leave, 0);
		if (sigsetjmp(resume, 1) == 0) {
			raise(SIGUSR1);
			FAIL("raise returned");
		}
		EQUAL(sigprocmask(SIG_BLOCK, NULL, &now), 0);
		CHECK(!sigismember(&now, SIGUSR1));
	}
	by_default(SIGUSR1);
}

static void leave_alternate(int sig, siginfo_t *info, void *context)
{
	char here;

	if (&here < alternate || &here >= alternate + ALTERNATE_SIZE)
		_exit(3);
	note_and_leave(sig, info, context);
}

/* Left by siglongjmp, the alternate stack is free again: the next signal starts at its top. */
static void leave_alternate_stack(void)
{
	stack_t st = {.ss_sp = alternate, .ss_size = ALTERNATE_SIZE};
	struct sigaction sa = {.sa_sigaction = leave_alternate, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	volatile double x = 1.5;
	volatile char *volatile bad = (volatile char *)8;

	EQUAL(sigaltstack(&st, NULL), 0);
	sigemptyset(&sa.sa_mask);
	EQUAL(sigaction(SIGSEGV, &sa, NULL), 0);
	EQUAL(sigaction(SIGUSR1, &sa, NULL), 0);
	for (volatile int i = 0; i < 500; i++) {
		got_signal = 0;
		if (sigsetjmp(resume, 1) == 0) {
			if (i & 1)
				raise(SIGUSR1);
			*bad = 1;
			FAIL("the handler returned");
		}
		EQUAL(got_signal, i & 1 ? SIGUSR1 : SIGSEGV);
		if (!(i & 1))
			CHECK(got_address == (void *)8);
		EQUAL(sigaltstack(NULL, &st), 0);
		EQUAL(st.ss_flags, 0);
		x = x * 1.5 / 1.5;
	}
	CHECK(x > 1.49 && x < 1.51);
	st.ss_flags = SS_DISABLE;
	EQUAL(sigaltstack(&st, NULL), 0);
	by_default(SIGSEGV);
	by_default(SIGUSR1);
}

static void ignored(void)
{
	int fds[2];
	struct sigaction sa;

	CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
	EQUAL(pipe(fds), 0);
	close(fds[0]);
	ERRNO(write(fds[1], "x", 1), EPIPE);
	handle(SIGPIPE, note, 0);
	ERRNO(write(fds[1], "x", 1), EPIPE);
	EQUAL(got_count, 1);
	by_default(SIGPIPE);
	close(fds[1]);

	CHECK(signal(SIGTERM, SIG_IGN) != SIG_ERR);
	raise(SIGTERM);
	EQUAL(sigaction(SIGTERM, NULL, &sa), 0);
	CHECK(sa.sa_handler == SIG_IGN);
	by_default(SIGTERM);
	raise(SIGCHLD); /* ignored by default */
	raise(SIGURG);
	raise(SIGWINCH);
	raise(SIGCONT);
}

/* A signal to the process is handled by a thread that doesn't block it. */
static atomic_int handled_by;

static void note_thread(int sig)
{
	(void)sig;
	atomic_store(&handled_by, (int)syscall(SYS_gettid));
}

static atomic_int waiter_tid, waiter_stop;

static void *wait_for_stop(void *arg)
{
	atomic_store(&waiter_tid, (int)syscall(SYS_gettid));
	while (!atomic_load(&waiter_stop))
		usleep(1000);
	return arg;
}

static void other_thread(void)
{
	sigset_t block, old;
	pthread_t other;

	atomic_store(&waiter_stop, 0);
	atomic_store(&waiter_tid, 0);
	CHECK(signal(SIGUSR1, note_thread) != SIG_ERR);
	EQUAL(pthread_create(&other, NULL, wait_for_stop, NULL), 0);
	while (!atomic_load(&waiter_tid))
		usleep(100);
	sigemptyset(&block);
	sigaddset(&block, SIGUSR1);
	EQUAL(pthread_sigmask(SIG_BLOCK, &block, &old), 0);
	for (int i = 0; i < 20; i++) {
		atomic_store(&handled_by, 0);
		EQUAL(kill(getpid(), SIGUSR1), 0);
		while (!atomic_load(&handled_by))
			usleep(100);
		EQUAL(atomic_load(&handled_by), atomic_load(&waiter_tid));
	}
	atomic_store(&waiter_stop, 1);
	EQUAL(pthread_join(other, NULL), 0);
	EQUAL(pthread_sigmask(SIG_SETMASK, &old, NULL), 0);
	by_default(SIGUSR1);
}

static const struct check_case cases[] = {
	{"kill", kill_self},
	{"reset-hand", reset_hand},
	{"masks", masks},
	{"nesting", nesting},
	{"handler-mask", handler_mask},
	{"realtime", realtime},
	{"alternate-stack", alternate_stack},
	{"stack-overflow", stack_overflow},
	{"segv", segv},
	{"segv-jump", segv_jump},
	{"bus", bus},
	{"fpe", fpe},
	{"fpe-sse", fpe_sse},
	{"ill-trap", ill_trap},
	{"context-registers", context_registers},
	{"flags-kept", flags_kept},
	{"red-zone", red_zone},
	{"eintr", eintr},
	{"restart", restart},
	{"suspend", suspend},
	{"timers", timers},
	{"longjmp", leave_by_longjmp},
	{"longjmp-alternate", leave_alternate_stack},
	{"ignored", ignored},
	{"other-thread", other_thread},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	alternate = malloc(ALTERNATE_SIZE);
	if (!alternate)
		return 1;
	return check_main(cases, argc, argv);
}
