/*
 * A fuzzer of system calls: threads that race with calls of random and structured arguments, wild pointers, closed
 * descriptors, forged signal frames. Whatever it does, the kernel must go on, end every call that a signal interrupts, keep all
 * registers that it should, and never let out an address of its own; and the fuzzer must end with its own exit status.
 *
 *     fuzz [-seed N] [-time SECONDS] [-threads N] [-everything] [-trace] [-plant]
 *
 * The seed is printed; the same seed with one thread makes the same calls, as far as the kernel gives the same answers. Without
 * -everything it makes only calls that harm nobody on any Linux; it refuses -everything where the system is not wick, since it
 * renames files, opens sockets and sends signals. What it sends goes to the machine itself only (see address). -plant puts an
 * address of the kernel where it must be found.
 */
#pragma GCC optimize("no-stack-protector")
#define _GNU_SOURCE
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "fuzz_args.h"

struct slot slots[THREADS];
struct constant constant ALIGNED;
int threads = 4;
static int everything, trace, plant;
static unsigned made[512], done[512]; /* by number; raced, which does no harm */

/* Output without the C library. */
static struct line { char text[1024]; int length; } main_line;

static void put(struct line *l, const char *text)
{
	while (*text && l->length < (int)sizeof l->text - 1)
		l->text[l->length++] = *text++;
}

static void put_number(struct line *l, u64 v, unsigned base)
{
	char digits[24], *p = digits + sizeof digits - 1;

	*p = 0;
	do
		*--p = "0123456789abcdef"[v % base];
	while (v /= base);
	put(l, base == 16 ? "0x" : "");
	put(l, p);
}

static void end_line(struct line *l)
{
	int done = 0;

	put(l, "\n");
	while (done < l->length) {
		long n = raw(SYS_write, 1, (long)l->text + done, l->length - done, 0);
		if (n > 0)
			done += n;
	}
	l->length = 0;
}

static void put_call(struct line *l, const struct call *c)
{
	put(l, " call ");
	put_number(l, c->number, 10);
	for (int i = 0; i < 6; i++) {
		put(l, i ? ", " : "(");
		put_number(l, c->args[i], 16);
	}
	put(l, ")");
}

/* put_past tells what all threads have done last, the latest call last. The others go on meanwhile. */
static void put_past(struct line *l)
{
	for (int i = 0; i < threads; i++) {
		const struct slot *s = &slots[i];
		for (u64 n = s->calls > PAST ? s->calls - PAST + 1 : 1; n <= s->calls; n++) {
			const struct call *c = &s->past[n % PAST];
			put_number(l, i, 10);
			put_call(l, c);
			if (c->ended) {
				put(l, " = ");
				put_number(l, c->result, 16);
			}
			end_line(l);
		}
	}
}

/* fail ends the process. It may be called on any thread. */
static void fail(const char *why, u64 v, struct slot *s)
{
	struct line l = {.length = 0};

	put_past(&l);
	put(&l, "\nFAIL fuzz: ");
	put(&l, why);
	put(&l, " ");
	put_number(&l, v, 16);
	if (s) {
		put(&l, ", thread ");
		put_number(&l, s - slots, 10);
		put_call(&l, &s->call);
	}
	end_line(&l);
	raw(SYS_exit_group, 1, 0, 0, 0);
}

/*
 * enter makes a call and returns what it has left in the registers; those that a call must keep and that have no argument hold
 * numbers to know them by. enter_clone does the same for calls that make a thread, which ends at once.
 */
void enter(const struct call *c, struct registers *r);
void enter_clone(const struct call *c, struct registers *r);
long start_thread(unsigned long flags, void *stack, int *tid, void (*run)(struct slot *), struct slot *s);
void forged_return(void *frame) __attribute__((noreturn));
void trap(void);

__asm__(
	".macro ENTER name, child\n"
	"\\name:\n"
	"	push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
	"	push %rsi\n"
	"	mov (%rdi), %rax; mov 16(%rdi), %rsi; mov 24(%rdi), %rdx; mov 32(%rdi), %r10; mov 40(%rdi), %r8\n"
	"	mov 48(%rdi), %r9; mov 8(%rdi), %rdi\n"
	"	mov $0x1bb, %ebx; mov $0x1b9, %ebp; mov $0x112, %r12d; mov $0x113, %r13d; mov $0x114, %r14d; mov $0x115, %r15d\n"
	"	syscall\n"
	"	.if \\child\n"
	"	test %rax, %rax; jnz 1f\n"
	"	mov $60, %eax; xor %edi, %edi; syscall; ud2\n" /* exit */
	"1:\n"
	"	.endif\n"
	"	xchg %rdi, (%rsp)\n"
	"	mov %rax, (%rdi); mov %rsi, 16(%rdi); mov %rdx, 24(%rdi); mov %r10, 32(%rdi); mov %r8, 40(%rdi)\n"
	"	mov %r9, 48(%rdi); mov %rbx, 56(%rdi); mov %rbp, 64(%rdi); mov %r12, 72(%rdi); mov %r13, 80(%rdi)\n"
	"	mov %r14, 88(%rdi); mov %r15, 96(%rdi); mov %rcx, 104(%rdi); mov %r11, 112(%rdi)\n"
	"	pop %rsi; mov %rsi, 8(%rdi)\n"
	"	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
	"	ret\n"
	".endm\n"
	"	ENTER enter 0\n"
	"	ENTER enter_clone 1\n"
	"start_thread:\n" /* flags, stack, tid, run, slot */
	"	mov $56, %eax; mov %rcx, %r9; xor %r10d, %r10d; syscall\n"
	"	test %rax, %rax; jnz 1f\n"
	"	xor %ebp, %ebp; mov %r8, %rdi; call *%r9; ud2\n"
	"1:	ret\n"
	"restorer:\n"
	"	mov $15, %eax; syscall; ud2\n"
	"forged_return:\n"
	"	mov %rdi, %rsp; mov $15, %eax; syscall\n"
	"trap:	ud2\n");

/* handler ends calls that wait, and takes a thread that has had a fault back to its loop. */
void handler(int sig, siginfo_t *info, void *context)
{
	u64 at = (u64)__builtin_frame_address(0) - (u64)slots;

	(void)context;
	if (!(NEEDED & BIT(sig)) || sig == KICK || info->si_code <= 0)
		return;
	if (at >= sizeof slots)
		fail("a signal on no thread's stack for signals:", sig, NULL);
	slots[at / sizeof *slots].faults++;
	__builtin_longjmp(slots[at / sizeof *slots].resume, 1);
}

struct kernel_action { void (*handler)(int, siginfo_t *, void *); u64 flags; void (*restorer)(void); u64 mask; };

static void handle_signals(void)
{
	struct kernel_action a = {handler, SA_SIGINFO | SA_ONSTACK | 0x04000000, restorer, -1};

	for (int sig = 1; sig <= 64; sig++)
		raw(SYS_rt_sigaction, sig, (long)&a, 0, 8);
}

static int is(const struct slot *s, int number) { return (int)s->call.number == number; }

/* spare keeps calls that change mappings away from the fuzzer's own, which is its image and the stack of the main thread, and
 * from the last page that can be mapped, where pointers to nothing lead. */
static u64 main_stack, first_break;
extern char __executable_start[], _end[];

static int hits(u64 start, u64 length)
{
	u64 end = start + length + 2 * PAGE; /* both are rounded up */

	return end < start || length >> 48 || (start < USER_END + PAGE && end > USER_END) ||
		(start < (u64)_end + PAGE && end > (u64)__executable_start) ||
		(start < main_stack + (1 << 20) && end > main_stack - (1 << 20));
}

static void spare(struct slot *s, struct call *c)
{
	u64 *a = c->args;
	int changes = c->number >= SYS_mmap && c->number <= SYS_munmap; /* mprotect is between them */

	changes |= c->number == SYS_mremap || c->number == SYS_madvise || c->number == SYS_mlock || c->number == SYS_munlock;
	if (changes && hits(a[0], a[1]))
		a[0] = (u64)s->guard + 1; /* not a page's start */
	if (c->number == SYS_mremap && (hits(a[0], a[2]) || hits(a[4], a[2])))
		a[2] = 0;
	if (c->number == SYS_mmap && a[0] == (u64)s->guard + 1)
		a[3] &= ~(u64)(MAP_FIXED | MAP_FIXED_NOREPLACE);
	if (c->number == SYS_mmap && one_in(s, 2))
		a[3] |= MAP_PRIVATE | MAP_ANONYMOUS;
	if (c->number == SYS_brk && ((a[0] - raw(SYS_brk, 0, 0, 0, 0) + (1 << 20)) >> 21 || a[0] > first_break + (4 << 20)))
		a[0] = 0; /* in the long run a random walk would take all memory */
}

static int is_known(int number)
{
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
		if (number == calls[i].number)
			return 1;
	return 0;
}

/* choose makes the next call. */
static void choose(struct slot *s)
{
	struct call *c = &s->call;
	const struct known *k;
	int n = 0;

	s->used = s->clone = 0;
	if (everything && one_in(s, 32)) {
		c->number = one_in(s, 16) ? next_random(s) | 512 : below(s, 512);
		for (int i = 0; i < 6; i++)
			c->args[i] = anything(s);
		for (size_t i = 0; i < sizeof never / sizeof *never; i++)
			if ((int)c->number == never[i])
				c->number = 1000;
		for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
			for (int j = 0; (int)c->number == ids[i] && j < 3; j++)
				c->args[j] &= 0xffff;
		if (is_known(c->number))
			c->number = 1000; /* only with arguments of its own */
		return;
	}
	do
		k = &PICK(s, calls);
	while (!everything && !k->harmless);
	if ((k->number == SYS_exit || k->number == SYS_pause || k->number == SYS_rt_sigsuspend) && !one_in(s, 16))
		k = calls; /* these take long */
	c->number = k->number; /* generators may look at it */
	for (const char *letter = k->args; *letter; letter++)
		n += argument(s, *letter, &c->args[n]);
	for (; n < 6; n++)
		c->args[n] = anything(s);
	if (c->number == SYS_clone) {
		s->clone = 1;
		c->args[0] |= one_in(s, 2) ? CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM : 0;
		c->args[1] |= 64; /* never the parent's stack */
		if ((c->args[0] & 0xff) == SIGKILL) /* a child's exit signal is for the fuzzer */
			c->args[0] &= ~0xffULL;
	}
	if (c->number == SYS_getrandom)
		c->args[0] = own(s); /* as random numbers may look like anything */
	spare(s, c);
}

/* forge returns from a signal that there was not, with registers of nonsense. */
static void forge(struct slot *s)
{
	ucontext_t *u = room(s, sizeof *u + 1024);
	u64 *g = (u64 *)&u->uc_mcontext.gregs, somewhere[] = {(u64)trap, nothing(s), nothing(s), (u64)s->data};

	for (int i = 0; i < 23; i++)
		g[i] = anything(s);
	g[REG_RIP] = PICK(s, somewhere);
	if (g[REG_RSP] - (u64)s->alternate < sizeof s->alternate)
		g[REG_RSP] = 0; /* a handler would go on from there, where there may be no room */
	g[REG_CSGSFS] = one_in(s, 2) ? 0x2b000000000033 : next_random(s);
	*(u64 *)&u->uc_mcontext.fpregs = one_in(s, 3) ? 0 : memory(s) & -(one_in(s, 2) ? 64ul : 1);
	u->uc_flags = below(s, 8);
	u->uc_stack = (stack_t){.ss_sp = s->alternate, .ss_size = sizeof s->alternate};
	*(u64 *)&u->uc_sigmask = next_random(s) & ~NEEDED;
	forged_return(one_in(s, 8) ? (void *)nothing(s) : u);
}

/* no_kernel_address looks for addresses of the kernel in n bytes. What is followed by 0xff is none: a small negative number that
 * is not aligned, as in what a pipe has brought together, looks like one (... 80 ff ff | ff). */
static void no_kernel_address(struct slot *s, const unsigned char *p, u64 n)
{
	for (const volatile u64 *v = (const u64 *)p; v + 1 < (const u64 *)(p + n); v++) {
		u64 found = *v;
		if (!is_kernel_address(found) || (v[1] & 0xff) == 0xff)
			continue;
		struct line l = {.length = 0};
		for (int i = -4; i < 5; i++) {
			put(&l, i ? " " : " *");
			if ((u64)(v + i) / PAGE == (u64)v / PAGE)
				put_number(&l, v[i], 16);
		}
		put(&l, " at ");
		put_number(&l, (u64)v, 16);
		end_line(&l);
		fail("a kernel address in memory, see above:", found, s);
	}
}

/* check looks at the registers, and at the memory where most results go. */
static void check(struct slot *s, const struct registers *r)
{
	static const u64 marks[] = {0x1bb, 0x1b9, 0x112, 0x113, 0x114, 0x115};
	const u64 *a = s->call.args, kept[] = {a[0], a[1], a[2], a[3], a[4], a[5]}, now[] = {r->di, r->si, r->dx, r->r10, r->r8, r->r9};

	for (int i = 0; i < 6; i++) {
		if (now[i] != kept[i])
			fail("a register of an argument has changed to", now[i], s);
		if ((&r->bx)[i] != marks[i])
			fail("a register that calls keep has changed to", (&r->bx)[i], s);
	}
	if (is_kernel_address(r->ax) || is_kernel_address(r->cx) || is_kernel_address(r->r11))
		fail("a kernel address in a register; RAX is", r->ax, s);
	if (is(s, SYS_getrandom))
		__builtin_memset(s->data, 0, sizeof s->data);
	if (s->calls % 4 == 0)
		no_kernel_address(s, s->data, 2 * PAGE);
}

/* keep remembers a mapping, and takes another one away: memory must not run out. A new one must hold nothing of the kernel's. */
static void keep(struct slot *s, u64 start, u64 size, int readable)
{
	struct region *place = &PICK(s, regions), old = *place;
	struct call unmap = {.number = SYS_munmap, .args = {old.start, old.size}};

	if (readable)
		no_kernel_address(s, (unsigned char *)start, size < 16 * PAGE ? size / PAGE * PAGE : 16 * PAGE);
	*place = (struct region){start, size};
	spare(s, &unmap);
	raw(SYS_munmap, unmap.args[0], unmap.args[1], 0, 0);
}

/* remember keeps a descriptor or a timer that a call has returned. */
static void remember(struct slot *s, u64 fd)
{
	switch (s->call.number) {
	case SYS_socket: case SYS_accept: case SYS_accept4:
		PICK(s, s->sockets) = fd;
		break;
	case SYS_open: case SYS_openat: case SYS_dup: case SYS_eventfd2: case SYS_memfd_create: case SYS_timerfd_create:
	case SYS_epoll_create1: case SYS_signalfd4:
		PICK(s, s->opened) = fd;
		break;
	case SYS_timer_create:
		__atomic_add_fetch(&timers, 1, __ATOMIC_SEQ_CST);
	}
}

static void act(struct slot *s)
{
	struct registers r;
	struct call *c = &s->call;

	choose(s);
	if (trace) {
		struct line l = {.length = 0};
		put_number(&l, s - slots, 10);
		put_call(&l, c);
		end_line(&l);
	}
	made[c->number % 512]++;
	s->past[(s->calls + 1) % PAST] = *c;
	__atomic_add_fetch(&s->calls, 1, __ATOMIC_SEQ_CST);
	if (is(s, SYS_rt_sigreturn))
		forge(s);
	if (is(s, SYS_exit))
		__atomic_store_n(&s->state, ENDED, __ATOMIC_SEQ_CST);
	if (s->clone) {
		u64 all = -1, none = 0; /* the new thread has no stack for signals */
		raw(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, 0, 8);
		enter_clone(c, &r);
		raw(SYS_rt_sigprocmask, SIG_SETMASK, (long)&none, 0, 8);
	} else {
		enter(c, &r);
	}
	if (is(s, SYS_exit))
		fail("exit has returned", r.ax, s);
	s->past[s->calls % PAST].result = r.ax;
	s->past[s->calls % PAST].ended = 1;
	check(s, &r);
	if (r.ax < -4095ul) {
		s->successes++;
		done[c->number % 512]++;
		remember(s, r.ax);
		if (is(s, SYS_mmap))
			keep(s, r.ax, c->args[1], c->args[2] & PROT_READ && c->args[3] & MAP_ANONYMOUS);
		if (is(s, SYS_mremap))
			keep(s, r.ax, c->args[2], 0);
	}
	if (everything && one_in(s, 128))
		converse(s);
	if (one_in(s, 64)) { /* pointers for whoever follows pointers, and numbers that a -1 behind them makes no address of the kernel */
		u64 *d = (u64 *)slots[below(s, threads)].data;
		for (int i = 0; i < 64; i++)
			d[below(s, sizeof s->data / 8)] = one_in(s, 2) ? own(s) : next_random(s) >> (1 + below(s, 63)) & ~(1ul << 31);
	}
}

static void run(struct slot *s)
{
	stack_t alternate = {.ss_sp = s->alternate, .ss_size = sizeof s->alternate};
	u64 none = 0;

	raw(SYS_sigaltstack, (long)&alternate, 0, 0, 0);
	__builtin_setjmp(s->resume); /* faults come back here, with the signals of the handler blocked */
	raw(SYS_rt_sigprocmask, SIG_SETMASK, (long)&none, 0, 8);
	for (;;)
		act(s);
}

static void tidy(void);

static void start(struct slot *s)
{
	u64 flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_PARENT_SETTID;
	long tid;

	__atomic_store_n(&s->state, RUNS, __ATOMIC_SEQ_CST);
	while (tid = start_thread(flags, s->stack + sizeof s->stack, &s->tid, run, s), tid == -11 || tid == -12)
		tidy(); /* without memory or room for a thread, until there is some */
	if (tid < 0)
		fail("a thread can't be made:", -tid, NULL);
	s->silent = 0;
}

/* watch has a look at a thread: one that makes no calls is interrupted, one that has ended is made anew. One that can't be
 * interrupted hangs in the kernel. */
static void watch(struct slot *s, int tick_ms)
{
	u64 now = __atomic_load_n(&s->calls, __ATOMIC_SEQ_CST);
	int ended = __atomic_load_n(&s->state, __ATOMIC_SEQ_CST) == ENDED;

	if (ended && raw(SYS_tgkill, raw(SYS_getpid, 0, 0, 0, 0), s->tid, 0, 0) == -3 /* ESRCH */) {
		start(s);
		return;
	}
	s->silent = now != s->seen ? 0 : s->silent + tick_ms;
	s->seen = now;
	if (s->silent > 60000)
		fail(ended ? "a thread does not end for a minute; ms:" : "a call can't be interrupted for a minute; ms:", s->silent, s);
	if (s->silent && !ended)
		raw(SYS_tgkill, raw(SYS_getpid, 0, 0, 0, 0), s->tid, KICK, 0);
}

static u64 clock_ms(void)
{
	struct timespec t;

	if (raw(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&t, 0, 0) != 0)
		fail("no clock", 0, NULL);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* tidy takes away what would grow without end, and what would keep threads from anything else: many descriptors, timers, children
 * that have ended. */
static void tidy(void)
{
	static u64 deleted; /* timers before this one */
	struct timeval off[2] = {{0}};

	raw(NR_close_range, 64, ~0u, 0, 0);
	while (raw(SYS_wait4, -1, 0, WNOHANG | __WALL, 0) > 0) {}
	raw(SYS_alarm, 0, 0, 0, 0);
	for (int i = 0; i < 3; i++)
		raw(SYS_setitimer, i, (long)off, 0, 0);
	raw(SYS_munlockall, 0, 0, 0, 0);
	if (!everything)
		return;
	for (u64 end = __atomic_load_n(&timers, __ATOMIC_SEQ_CST); deleted < end; deleted++)
		raw(SYS_timer_delete, deleted, 0, 0, 0);
	raw(SYS_truncate, (long)"/tmp/a", 0, 0, 0);
	raw(SYS_truncate, (long)"/tmp/b", 0, 0, 0);
}

static void summary(u64 seed)
{
	struct line *l = &main_line;
	u64 sums[3] = {0};
	const char *const names[] = {" calls, ", " without error, ", " faults"};

	for (int i = 0; i < threads; i++) {
		sums[0] += slots[i].calls;
		sums[1] += slots[i].successes;
		sums[2] += slots[i].faults;
	}
	put(l, "\nalways failed:"); /* of those with arguments of their own */
	for (int i = 0; i < 512; i++)
		if (is_known(i) && made[i] && !done[i] && i != SYS_exit && i != SYS_rt_sigreturn) {
			put(l, " ");
			put_number(l, i, 10);
		}
	end_line(l);
	put(l, "ok fuzz: seed ");
	put_number(l, seed, 10);
	put(l, ", ");
	for (int i = 0; i < 3; i++) {
		put_number(l, sums[i], 10);
		put(l, names[i]);
	}
	end_line(l);
}

/* progress tells that the machine lives, and checks a rule of the fuzzer's own. */
static void progress(u64 passed_ms)
{
	struct line *l = &main_line;
	unsigned char resident;
	u64 sum = 0;

	for (int i = 0; i < threads; i++)
		sum += __atomic_load_n(&slots[i].calls, __ATOMIC_SEQ_CST);
	put_number(l, passed_ms / 1000, 10);
	put(l, " s, ");
	put_number(l, sum, 10);
	put(l, " calls");
	end_line(l);
	if (raw(SYS_mincore, USER_END - PAGE, PAGE, (long)&resident, 0) != -12 /* ENOMEM */)
		fail("mapped, but the fuzzer has pointers to nothing there:", USER_END - PAGE, NULL);
}

static void control(u64 seed, u64 seconds)
{
	const int tick_ms = 5;
	struct timespec tick = {.tv_nsec = tick_ms * 1000000};
	u64 all = -1, began = clock_ms(), tidied = began, now = began;

	raw(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, 0, 8);
	for (int i = 0; i < threads; i++) {
		slots[i].random = seed * THREADS + i;
		start(&slots[i]);
	}
	while (now < began + seconds * 1000) {
		raw(SYS_nanosleep, (long)&tick, 0, 0, 0);
		for (int i = 0; i < threads; i++)
			watch(&slots[i], tick_ms);
		if (plant)
			((volatile u64 *)slots[0].data)[5] = KERNEL_BASE(2) + 0x123;
		now = clock_ms();
		if (now < tidied + 1000)
			continue;
		tidied = now;
		tidy();
		progress(now - began);
		for (int i = 0; i < threads; i++)
			no_kernel_address(NULL, slots[i].data, sizeof slots[i].data);
	}
	summary(seed);
	raw(SYS_exit_group, 0, 0, 0, 0);
}

int main(int argc, char **argv)
{
	struct utsname name;
	struct sysinfo info;
	u64 seed = clock_ms(), seconds = 10, memory = 1 << 20;

	for (int i = 1; i < argc; i++) {
		if (!__builtin_strcmp(argv[i], "-seed") && i + 1 < argc)
			seed = strtoull(argv[++i], NULL, 0);
		else if (!__builtin_strcmp(argv[i], "-time") && i + 1 < argc)
			seconds = strtoull(argv[++i], NULL, 0);
		else if (!__builtin_strcmp(argv[i], "-threads") && i + 1 < argc)
			threads = atoi(argv[++i]);
		else if (!__builtin_strcmp(argv[i], "-everything"))
			everything = 1;
		else if (!__builtin_strcmp(argv[i], "-trace"))
			trace = 1;
		else if (!__builtin_strcmp(argv[i], "-plant"))
			plant = 1;
		else
			return 2;
	}
	if (threads < 1 || threads > THREADS)
		return 2;
	put(&main_line, "seed ");
	put_number(&main_line, seed, 10);
	end_line(&main_line);
	if (everything && (uname(&name) != 0 || !__builtin_strstr(name.version, "wick"))) {
		put(&main_line, "-everything is for machines of wick only");
		end_line(&main_line);
		return 2;
	}
	if (sysinfo(&info) != 0)
		return 2;
	while (memory < info.totalram * info.mem_unit) /* which is without what the kernel has from the start */
		memory *= 2;
	find_kernel(memory);
	main_stack = (u64)&name;
	first_break = raw(SYS_brk, 0, 0, 0, 0);
	if (mprotect(constant.data, PAGE, PROT_READ) != 0 || mprotect(constant.guard, PAGE, PROT_NONE) != 0)
		return 2;
	for (int i = 0; i < threads; i++)
		if (mprotect(slots[i].guard, PAGE, PROT_NONE) != 0 || mprotect(slots[i].guard2, PAGE, PROT_NONE) != 0)
			return 2;
	handle_signals();
	control(seed, seconds);
}
