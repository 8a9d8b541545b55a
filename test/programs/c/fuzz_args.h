/*
 * The arguments of fuzzed calls: a generator for each letter of fuzz_calls.h.
 */
#ifndef FUZZ_ARGS_H
#define FUZZ_ARGS_H

#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>

#include "fuzz.h"
#include "fuzz_calls.h"

#define KICK SIGURG /* ends calls that wait */

/* Signals that must reach their handlers: those of faults, and what ends calls that wait. */
#define BIT(sig) (1ul << ((sig) - 1))
#define NEEDED (BIT(SIGSEGV) | BIT(SIGBUS) | BIT(SIGILL) | BIT(SIGFPE) | BIT(SIGTRAP) | BIT(KICK))

/*
 * Where wick's kernel has its map of physical memory, its heap and its text. Addresses that the fuzzer makes are only in registers
 * and in shared, and end in TAG to be known in a log. The program's own file is never read: code may look like anything. A call may
 * copy its code and its data all the same, so neither has such an address: here are complements, which the compiler doesn't know.
 */
static const volatile u64 not_bases[] = {~0xffff800000000000, ~0xffffc00000000000, ~0xffffffff80201000};
#define KERNEL_BASE(i) (~not_bases[i])
static const u64 kernel_sizes[] = {1ul << 32, 1ul << 34, 16 << 20};
#define TAG 0xa58

#define USER_END ((1ul << 47) - PAGE) /* nobody can map what is above */

/* Mappings, for all threads; raced. */
static struct region { u64 start, size; } regions[32];

static u64 kernel_address(struct slot *s)
{
	int i = below(s, 3);

	return (KERNEL_BASE(i) + below(s, kernel_sizes[i] >> below(s, 20))) / PAGE * PAGE + TAG;
}

/*
 * Where this machine's kernel can have something: physical memory above the first MiB, the first GiBs of its heap, its image.
 * No more than that, for the pieces of numbers that lie over each other in data look like any address at times, -1 at an odd
 * place above all. Set before there are threads.
 */
static struct { u64 not_start, size; } kernel_has[3];

static void find_kernel(u64 memory)
{
	const u64 low = 1 << 20;

	for (int i = 0; i < 3; i++)
		kernel_has[i].not_start = not_bases[i], kernel_has[i].size = kernel_sizes[i];
	kernel_has[0].not_start -= low;
	kernel_has[0].size = (memory < kernel_sizes[0] ? memory : kernel_sizes[0]) - low;
	kernel_has[1].not_start -= PAGE;
	kernel_has[1].size = 1ul << 31;
}

static int is_kernel_address(u64 v)
{
	for (int i = 0; i < 3; i++)
		if (v - ~kernel_has[i].not_start < kernel_has[i].size)
			return 1;
	return 0;
}

/* Timers that were made; their numbers go up from 0. Atomic. */
static u64 timers;

/* nowhere returns a pointer to nothing, now and later, which is no address of the kernel. */
static u64 nowhere(struct slot *s)
{
	switch (below(s, 5)) {
	case 0: return 0;
	case 1: return below(s, PAGE);
	case 2: return (u64)s->guard + below(s, PAGE);
	case 3: return USER_END + PAGE - below(s, 2 * PAGE); /* the last of what can be mapped (see hits), to what is not canonical */
	}
	return -below(s, 64);
}

/* nothing does so, too; it may be an address of the kernel. */
static u64 nothing(struct slot *s) { return one_in(s, 6) ? kernel_address(s) : nowhere(s); }

static u64 own(struct slot *s) { return (u64)s->data + below(s, 2 * PAGE) / 8 * 8; }

/* memory returns a pointer to data, sometimes near its end, in other threads' hands, in mappings that come and go, to
 * what can't be written, or to nothing. */
static u64 memory(struct slot *s)
{
	switch (below(s, 16)) {
	case 0: case 1: return nothing(s);
	case 2: return (u64)s->guard - below(s, 64);
	case 3: return (u64)slots[below(s, threads)].data + below(s, sizeof s->data);
	case 4: return PICK(s, regions).start + below(s, 2 * PAGE);
	case 5: return one_in(s, 4) ? (u64)constant.data : own(s);
	}
	return own(s);
}

static u64 size(struct slot *s)
{
	static const u64 odd[] = {0, 1, 1ul << 31, 1ul << 32, -1ul, -PAGE, 1ul << 63, 0x7ffffffffffff000, INT32_MAX};

	switch (below(s, 8)) {
	case 0: return PICK(s, odd);
	case 1: return below(s, 64 << 10);
	case 2: return PAGE;
	}
	return below(s, 256);
}

static u64 offset(struct slot *s)
{
	static const u64 odd[] = {-1ul, INT64_MAX, INT64_MAX - 100, 1ul << 31, (1ul << 32) - 1, 1ul << 43, 1ul << 63, 1 << 20};

	return one_in(s, 8) ? PICK(s, odd) : one_in(s, 2) ? 0 : below(s, 64 << 10);
}

/* descriptor returns one that may be open; never that of the output. */
static u64 descriptor(struct slot *s)
{
	static const u64 odd[] = {0, -1, -100 /* AT_FDCWD */, INT32_MAX, INT32_MIN, 1023, 1ul << 32, 100000};
	int number = s->call.number;

	if (((number >= SYS_connect && number <= SYS_getsockopt) || number == SYS_accept4 || number == SYS_sendmmsg ||
	     number == SYS_recvmmsg) && !one_in(s, 4))
		return PICK(s, s->sockets);
	if (one_in(s, 4))
		return PICK(s, s->opened);
	return one_in(s, 16) ? PICK(s, odd) : 3 + below(s, one_in(s, 2) ? 8 : 60);
}

static u64 flags(struct slot *s)
{
	u64 v = 0;

	for (u64 n = below(s, 4); n > 0; n--)
		v |= 1ul << below(s, one_in(s, 16) ? 64 : 24);
	return v;
}

static u64 anything(struct slot *s)
{
	switch (below(s, 5)) {
	case 0: return memory(s);
	case 1: return nothing(s);
	case 2: return flags(s);
	case 3: return next_random(s) >> (1 + below(s, 62));
	}
	return below(s, 128);
}

/* room returns memory in safe for one call. */
static void *room(struct slot *s, int bytes)
{
	void *p = s->safe + s->used;

	s->used += (bytes + 15) / 16 * 16;
	if (s->used > (int)sizeof s->safe)
		__builtin_trap();
	__builtin_memset(p, 0, bytes);
	return p;
}

static u64 path(struct slot *s)
{
	static const char *const names[] = {
		"/", ".", "..", "", "a", "b", "d", "d/e", "/tmp", "/tmp/a", "/tmp/b", "/tmp/d", "/tmp/d/../d/e/", "/dev/null",
		"/dev/zero", "/dev/full", "/dev", "/dev/vsock", "/proc", "/proc/self/maps", "/proc/self/status", "/proc/self/stat",
		"/proc/meminfo",
		"/proc/self/fd/3", "/proc/self/fd/9", "/proc/self/fd", "/proc/cpuinfo", "/proc/self/cmdline",
		"/etc/resolv.conf", "/etc", "a/b", "/proc/net/dev", "/proc/sys/fs/file-max", "//tmp///a", "/tmp/./../tmp/.",
	};
	char *p = (char *)own(s);

	if (one_in(s, 10))
		return memory(s);
	if (one_in(s, 20)) { /* too long, and perhaps without end */
		__builtin_memset(s->data, 'x', one_in(s, 2) ? sizeof s->data : PAGE + 1);
		return (u64)s->guard - below(s, 2 * PAGE);
	}
	__builtin_strcpy(p, PICK(s, names));
	return (u64)p;
}

#define VSOCK 40 /* AF_VSOCK, the level of its options, too */

/* address makes a socket address that leads nowhere but to the machine itself. */
static u64 address(struct slot *s, u64 *length)
{
	static const u64 lengths[] = {sizeof(struct sockaddr_in), sizeof(struct sockaddr_in6), sizeof(struct sockaddr_un), 2, 3};
	struct sockaddr_un *un = room(s, 128);
	struct sockaddr_in *in = (void *)un;
	struct sockaddr_in6 *in6 = (void *)un;
	uint32_t *vm = (void *)un; /* struct sockaddr_vm: family, port, CID, flags */
	static const uint32_t cids[] = {1, 1, 1, -1, 2, 3, 0};
	static const unsigned char mapped[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1};
	u64 port = htons(one_in(s, 8) ? next_random(s) : 7000 + below(s, 8));

	*length = one_in(s, 4) ? (one_in(s, 2) ? size(s) : PICK(s, lengths)) : 0;
	if (one_in(s, 16))
		return nothing(s);
	switch (below(s, 10)) {
	case 0: case 1: case 2:
		*in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = port};
		in->sin_addr.s_addr = htonl(one_in(s, 8) ? 0 : 127 << 24 | (one_in(s, 2) ? 1 : below(s, 1 << 24)));
		*length = *length ?: sizeof *in;
		break;
	case 3: case 4:
		*in6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = port};
		in6->sin6_addr.s6_addr[15] = !one_in(s, 8);
		if (one_in(s, 3))
			__builtin_memcpy(&in6->sin6_addr, mapped, sizeof mapped);
		*length = *length ?: sizeof *in6;
		break;
	case 5: case 6:
		un->sun_family = AF_UNIX;
		__builtin_memcpy(un->sun_path, one_in(s, 2) ? "\0one" : "/tmp/one", 9);
		un->sun_path[one_in(s, 2) ? 1 : 5] += below(s, 4);
		*length = *length ?: one_in(s, 2) ? sizeof *un : 2 + below(s, 12);
		break;
	case 7: case 8:
		vm[0] = VSOCK, vm[1] = one_in(s, 8) ? -1ul : 7000 + below(s, 8), vm[2] = PICK(s, cids);
		*length = *length ?: 16;
		break;
	default: /* of netlink, to disconnect, of no family; all else is 0 */
		un->sun_family = one_in(s, 2) ? AF_NETLINK : one_in(s, 2) ? AF_UNSPEC : 99;
		*length = *length ?: 12;
	}
	return (u64)un;
}

/* converse opens a connection of the machine with itself, for calls that need one. */
static void converse(struct slot *s)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_port = htons(7000 + below(s, 8))};
	struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "\0one"};
	uint32_t vm[4] = {VSOCK, 7000 + below(s, 8), 1};
	const struct { int family; long address, length; } ways[] = {
		{AF_UNIX, (long)&un, 6}, {AF_UNIX, (long)&un, 6}, {AF_INET, (long)&in, sizeof in}, {VSOCK, (long)vm, sizeof vm},
	}, *way = &PICK(s, ways);
	int type = (one_in(s, 4) ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK;

	for (int i = 0; i < 2; i++) {
		u64 fd = s->sockets[i] = raw(SYS_socket, way->family, type, 0, 0);
		raw(i ? SYS_connect : SYS_bind, fd, way->address, way->length, 0);
		if (!i)
			raw(SYS_listen, fd, 8, 0, 0);
	}
}

static u64 iovecs(struct slot *s)
{
	u64 *p = (u64 *)s->shared + 64 * below(s, 4);

	if (one_in(s, 12))
		return nothing(s);
	for (int i = 0; i < 32; i += 2) {
		p[i] = one_in(s, 64) ? nothing(s) : one_in(s, 16) ? memory(s) : own(s);
		p[i + 1] = one_in(s, 16) ? size(s) : below(s, 600);
	}
	return (u64)p;
}

/* messages makes an array of mmsghdr, of which the first is a msghdr, too. */
static u64 messages(struct slot *s)
{
	struct { struct msghdr h; u64 length; } *m = room(s, 4 * sizeof *m);

	if (one_in(s, 16))
		return nothing(s);
	for (int i = 0; i < 4; i++) {
		u64 length;
		m[i].h.msg_name = one_in(s, 2) ? NULL : (void *)address(s, &length);
		m[i].h.msg_namelen = m[i].h.msg_name ? length : 0;
		m[i].h.msg_iov = (void *)iovecs(s);
		*(u64 *)&m[i].h.msg_iovlen = one_in(s, 16) ? size(s) : below(s, 4);
		if (one_in(s, 2)) {
			struct cmsghdr *c = (void *)own(s);
			int fds[] = {3 + below(s, 60), 3 + below(s, 60)};
			*(u64 *)&c->cmsg_len = one_in(s, 4) ? size(s) : CMSG_LEN(sizeof fds);
			c->cmsg_level = one_in(s, 4) ? below(s, 64) : SOL_SOCKET;
			c->cmsg_type = one_in(s, 4) ? below(s, 64) : SCM_RIGHTS;
			__builtin_memcpy(c + 1, fds, sizeof fds);
			m[i].h.msg_control = one_in(s, 8) ? (void *)memory(s) : c;
			*(u64 *)&m[i].h.msg_controllen = one_in(s, 4) ? size(s) : CMSG_SPACE(sizeof fds);
		}
	}
	return (u64)m;
}

/* words returns a structure of some words in safe, or a pointer to nothing, or NULL. */
static u64 words(struct slot *s, u64 a, u64 b, u64 c, u64 d)
{
	u64 *p = room(s, 4 * sizeof *p);

	p[0] = a, p[1] = b, p[2] = c, p[3] = d;
	return one_in(s, 10) ? nothing(s) : one_in(s, 8) ? 0 : (u64)p;
}

static u64 mask(struct slot *s) { return words(s, (one_in(s, 4) ? 0 : next_random(s)) & ~NEEDED, 0, 0, 0); }

void handler(int sig, siginfo_t *info, void *context);
void restorer(void);

static u64 signal_number(struct slot *s)
{
	u64 sig = one_in(s, 16) ? anything(s) : 1 + below(s, 64);

	return (int)sig == SIGKILL || (int)sig == SIGSTOP ? 0 : sig;
}

static u64 thread(struct slot *s)
{
	return one_in(s, 4) ? (u64)raw(SYS_getpid, 0, 0, 0, 0) : one_in(s, 8) ? below(s, 200) : (u64)slots[below(s, threads)].tid;
}

/* event makes a sigevent, whose signal does no harm, and whose value is no address of the kernel. */
static u64 event(struct slot *s)
{
	static const u64 ways[] = {SIGEV_SIGNAL, SIGEV_SIGNAL, SIGEV_NONE, SIGEV_THREAD, 4 /* SIGEV_THREAD_ID */, 3};

	return words(s, own(s), (uint32_t)signal_number(s) | PICK(s, ways) << 32, thread(s), 0);
}

/* action makes an action for a signal that does no harm: the handler, or none. */
static u64 action(struct slot *s, u64 *sig)
{
	u64 flags = SA_SIGINFO | SA_ONSTACK | 0x04000000 /* SA_RESTORER */ | (one_in(s, 2) ? SA_RESTART : 0);

	if ((unsigned)*sig - 1 < 64 && NEEDED & BIT((unsigned)*sig))
		return 0;
	return words(s, one_in(s, 4) ? (u64)SIG_IGN : (u64)handler, flags | (one_in(s, 8) ? 0x400 : 0), (u64)restorer, -1);
}

static u64 alternate(struct slot *s)
{
	if (one_in(s, 2))
		return words(s, (u64)s->alternate, 0, sizeof s->alternate, 0);
	return words(s, memory(s), one_in(s, 2) ? 0x12345678 : 0, below(s, 2048), 0); /* flags of nonsense, or too small */
}

/* level returns a level of socket options and an option; never one that joins a group, which the network is told of. */
static u64 level(struct slot *s, u64 *option)
{
	static const u64 levels[] = {SOL_SOCKET, SOL_SOCKET, IPPROTO_IP, IPPROTO_IPV6, IPPROTO_TCP, IPPROTO_UDP, 270 /* netlink */,
		VSOCK, 255};
	u64 l = PICK(s, levels), o = below(s, 80);
	int group = (l == IPPROTO_IP && o >= 35 && o <= 48) || (l == IPPROTO_IPV6 && ((o >= 20 && o <= 28) || (o >= 42 && o <= 48)));

	*option = group ? 1 : o;
	return l;
}

static u64 domain(struct slot *s, u64 *type)
{
	static const u64 domains[] = {AF_UNIX, AF_UNIX, AF_INET, AF_INET, AF_INET6, AF_INET6, AF_NETLINK, VSOCK, VSOCK, 99};
	u64 d = PICK(s, domains);

	*type = 1 + below(s, one_in(s, 8) ? 8 : 2);
	if ((d == AF_INET || d == AF_INET6) && *type == SOCK_RAW)
		*type = SOCK_STREAM; /* a raw socket's data has addresses, too */
	*type |= one_in(s, 2) ? SOCK_NONBLOCK : one_in(s, 8) ? flags(s) << 8 : 0;
	return d;
}

/* limit returns a resource and a limit that the fuzzer can live with. */
static u64 limit(struct slot *s, u64 *new)
{
	static const u64 harmless[] = {4 /* core */, 8 /* memlock */, 11 /* sigpending */, 12, 13, 14};

	if (one_in(s, 2)) {
		*new = words(s, below(s, 1000), next_random(s) >> below(s, 64), 0, 0);
		return PICK(s, harmless);
	}
	*new = one_in(s, 2) ? 0 : nothing(s);
	return below(s, 20);
}

static u64 mapping(struct slot *s)
{
	u64 at = one_in(s, 8) ? nothing(s) : one_in(s, 8) ? 0 : PICK(s, regions).start;

	return one_in(s, 8) ? at + below(s, 100) : at + below(s, 8) * PAGE;
}

static u64 length(struct slot *s)
{
	static const u64 odd[] = {0, 1, PAGE + 1, 1ul << 24, 1ul << 47, -1ul, -PAGE, 1ul << 63};

	return one_in(s, 12) ? PICK(s, odd) : PAGE * (1 + below(s, 16));
}

static u64 fcntl_command(struct slot *s)
{
	static const u64 some[] = {0, 1, 2, 3, 4, 1030, 1031, 1032, 1033, 1034, 8, 9, 10, 11, 15, 16};

	return one_in(s, 8) ? anything(s) : PICK(s, some);
}

static u64 ioctl_command(struct slot *s)
{
	static const u64 some[] = {0x541b /* FIONREAD */, 0x5421 /* FIONBIO */, 0x5401, 0x5413, 0x5450, 0x5451, 0x8912, 0x8913,
		0x8915, 0x7b9 /* CID of vsock */};

	return one_in(s, 3) ? 0x8900 + below(s, 80) : one_in(s, 4) ? anything(s) : PICK(s, some);
}

static u64 timespec(struct slot *s)
{
	u64 seconds = one_in(s, 8) ? next_random(s) : 0, ns = below(s, one_in(s, 8) ? 2000000000 : 1000000);

	return one_in(s, 4) ? memory(s) : words(s, seconds, ns, 0, 0);
}

/* argument makes the arguments of a letter, and returns how many there are. */
static int argument(struct slot *s, char letter, u64 *a)
{
	switch (letter) {
	case 'f': a[0] = descriptor(s); break;
	case 'd': a[0] = one_in(s, 2) ? (u64)-100 : descriptor(s); break;
	case 'D': a[0] = 3 + below(s, 60); break;
	case 'i': case 'o': a[0] = memory(s); break;
	case 'n': a[0] = size(s); break;
	case 'g': a[0] = anything(s); break;
	case 'a': a[0] = address(s, &a[1]); return 2;
	case 'v': a[0] = iovecs(s); break;
	case 'h': case 'H': a[0] = messages(s); break;
	case 'p': a[0] = path(s); break;
	case 'x': a[0] = offset(s); break;
	case 'w': a[0] = flags(s); break;
	case 'k': a[0] = one_in(s, 32) ? anything(s) : below(s, 16); break;
	case '8': a[0] = one_in(s, 16) ? size(s) : 8; break;
	case '0': a[0] = 0; break;
	case 's': a[0] = signal_number(s); break;
	case 'S': a[0] = mask(s); break;
	case 'F': a[0] = words(s, mask(s), 8, 0, 0); break;
	case 'E': a[0] = event(s); break;
	case 'N': a[0] = timers - 1 - below(s, 16); break;
	case 'A': a[0] = action(s, a - 1); break;
	case 'K': a[0] = alternate(s); break;
	case 'I': a[0] = words(s, 0, below(s, 2) * 500000, 0, 1 + below(s, 100000)); break;
	case 't': a[0] = timespec(s); break;
	case 'm': case 'M': a[0] = mapping(s); break;
	case 'L': a[0] = length(s); break;
	case 'P': a[0] = one_in(s, 16) ? flags(s) : below(s, 8); break;
	case 'B': a[0] = one_in(s, 4) ? anything(s) : raw(SYS_brk, 0, 0, 0, 0) + (below(s, 16) - 7) * PAGE; break;
	case 'T': a[0] = thread(s); break;
	case 'q': a[0] = fcntl_command(s); break;
	case 'Q': a[0] = ioctl_command(s); break;
	case 'r': a[0] = limit(s, &a[1]); return 2;
	case 'l': a[0] = level(s, &a[1]); return 2;
	case 'c': a[0] = domain(s, &a[1]); return 2;
	case 'R': a[0] = one_in(s, 4) ? nowhere(s) : own(s); a[1] = one_in(s, 8) ? size(s) : 24; return 2;
	case 'y': a[0] = one_in(s, 8) ? anything(s) : 0x1001 + below(s, 4); break;
	case 'e': a[0] = memory(s); break;
	default: __builtin_trap();
	}
	return 1;
}

#endif
