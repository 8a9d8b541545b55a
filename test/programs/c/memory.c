/*
 * Memory of C programs: mmap, mprotect, munmap, mremap, madvise, brk, demand-zeroed data, guards.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "check.h"

#define PAGE 4096ul
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW (PROT_READ | PROT_WRITE)

static sigjmp_buf resume;
static void *volatile fault_address;
static volatile int fault_code;

static void on_fault(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	fault_address = info->si_addr;
	fault_code = info->si_code;
	siglongjmp(resume, 1);
}

/* faults tells how an access ends: 0 well, or the si_code of its SIGSEGV, which must be at that address. */
static int faults(volatile char *p, int write)
{
	struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
	volatile int code = 0;

	sigaction(SIGSEGV, &sa, NULL);
	if (sigsetjmp(resume, 1) == 0) {
		if (write)
			*p = 1;
		else
			(void)*p;
	} else {
		code = fault_address == p ? fault_code : -1;
	}
	signal(SIGSEGV, SIG_DFL);
	return code;
}

static char *map(size_t pages, int prot)
{
	char *p = mmap(NULL, pages * PAGE, prot, ANON, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

static int is_zero(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i])
			return 0;
	return 1;
}

/* Most of the memory of a machine of 128 MiB; only what is touched may cost. */
static char bss[96 << 20];
static char data_page[3 * PAGE] __attribute__((aligned(4096))) = {1, 2, 3};

static void demand_zero(void)
{
	for (size_t i = 0; i < sizeof bss; i += 8 << 20) {
		EQUAL(bss[i + 5000], 0);
		bss[i] = (char)(i >> 20 | 1);
	}
	for (size_t i = 0; i < sizeof bss; i += 8 << 20) {
		EQUAL(bss[i], (char)(i >> 20 | 1));
		CHECK(is_zero(bss + i + 1, PAGE));
	}
	EQUAL(data_page[0] + data_page[1] + data_page[2], 6);
	CHECK(is_zero(data_page + 3, sizeof data_page - 3));
	CHECK(is_zero(bss + sizeof bss - PAGE, PAGE)); /* nothing of the file's tail */
}

static void anonymous(void)
{
	char *p = map(100, RW);

	CHECK((uintptr_t)p % PAGE == 0);
	CHECK(is_zero(p, 100 * PAGE));
	memset(p, 7, 100 * PAGE);
	EQUAL(munmap(p, 100 * PAGE), 0);
	EQUAL(faults(p, 0), SEGV_MAPERR);
	p = map(100, RW); /* most likely the same place: it must be clean */
	CHECK(is_zero(p, 100 * PAGE));
	EQUAL(munmap(p, 100 * PAGE), 0);
}

static void reserve(void)
{
	/* As Go's runtime and allocators do: far more than there is, never touched. */
	size_t size = 64ul << 30;
	char *p = mmap(NULL, size, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);

	CHECK(p != MAP_FAILED);
	EQUAL(faults(p + size / 2, 0), SEGV_ACCERR);
	EQUAL(mprotect(p + size / 2, PAGE, RW), 0);
	EQUAL(faults(p + size / 2, 1), 0);
	EQUAL(faults(p + size / 2 + PAGE, 1), SEGV_ACCERR);
	EQUAL(munmap(p, size), 0);
	EQUAL(faults(p + size / 2, 0), SEGV_MAPERR);
}

static void partial_unmap(void)
{
	char *p = map(5, RW);

	memset(p, 3, 5 * PAGE);
	EQUAL(munmap(p + 2 * PAGE, PAGE), 0);
	EQUAL(faults(p + 2 * PAGE, 0), SEGV_MAPERR);
	EQUAL(p[2 * PAGE - 1] + p[3 * PAGE], 6);
	EQUAL(munmap(p, 5 * PAGE), 0); /* over the hole */
	EQUAL(munmap(p, 5 * PAGE), 0); /* over nothing */
	EQUAL(faults(p, 0), SEGV_MAPERR);
}

static void fixed(void)
{
	char *p = map(4, RW), *q;

	memset(p, 1, 4 * PAGE);
	q = mmap(p + PAGE, 2 * PAGE, PROT_READ, ANON | MAP_FIXED, -1, 0);
	CHECK(q == p + PAGE);
	CHECK(is_zero(q, 2 * PAGE));
	EQUAL(faults(q, 1), SEGV_ACCERR);
	EQUAL(p[0] + p[3 * PAGE], 2);
	ERRNO((intptr_t)mmap(p, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
	ERRNO((intptr_t)mmap(p + 1, PAGE, RW, ANON | MAP_FIXED, -1, 0), EINVAL);
	EQUAL(munmap(p, 4 * PAGE), 0);
	q = mmap(p, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0);
	CHECK(q == p);
	EQUAL(munmap(q, PAGE), 0);
	/* A hint that is free is followed, one that is taken isn't. */
	q = mmap(p, PAGE, RW, ANON, -1, 0);
	CHECK(q == p);
	q = mmap(p, PAGE, RW, ANON, -1, 0);
	CHECK(q != MAP_FAILED && q != p);
	munmap(p, PAGE);
	munmap(q, PAGE);
}

static void protect(void)
{
	char *p = map(3, RW);

	memset(p, 5, 3 * PAGE);
	EQUAL(mprotect(p + PAGE, PAGE, PROT_READ), 0);
	EQUAL(faults(p, 1), 0);
	EQUAL(faults(p + PAGE, 0), 0);
	EQUAL(faults(p + PAGE, 1), SEGV_ACCERR);
	EQUAL(faults(p + 2 * PAGE, 1), 0);
	EQUAL(mprotect(p, 3 * PAGE, PROT_NONE), 0);
	EQUAL(faults(p + PAGE, 0), SEGV_ACCERR);
	EQUAL(mprotect(p, 3 * PAGE, RW), 0);
	EQUAL(p[PAGE + 7], 5); /* what stood there is kept */
	EQUAL(faults(p + PAGE, 1), 0);
	ERRNO(syscall(SYS_mprotect, p + 1, PAGE, RW), EINVAL); /* musl's mprotect rounds */
	EQUAL(munmap(p + PAGE, PAGE), 0);
	ERRNO(mprotect(p, 3 * PAGE, PROT_READ), ENOMEM);
	EQUAL(munmap(p, 3 * PAGE), 0);
}

static void code(void)
{
	static const unsigned char add[] = {0x8d, 0x04, 0x37, 0xc3}; /* lea (%rdi,%rsi),%eax; ret */
	char *p = map(1, RW);

	memcpy(p, add, sizeof add);
	EQUAL(mprotect(p, PAGE, PROT_READ | PROT_EXEC), 0);
	EQUAL(((int (*)(int, int))(uintptr_t)p)(40, 2), 42);
	EQUAL(faults(p, 1), SEGV_ACCERR);
	EQUAL(mprotect(p, PAGE, RW), 0);
	p[1] = 0x44; /* and with a displacement: lea 1(%rdi,%rsi),%eax */
	p[2] = 0x37;
	p[3] = 1;
	p[4] = (char)0xc3;
	EQUAL(mprotect(p, PAGE, PROT_READ | PROT_EXEC), 0);
	EQUAL(((int (*)(int, int))(uintptr_t)p)(40, 2), 43);
	EQUAL(munmap(p, PAGE), 0);
}

static void remap(void)
{
	char *p = map(2, RW), *q, *r;

	memset(p, 1, PAGE);
	memset(p + PAGE, 2, PAGE);
	q = mremap(p, 2 * PAGE, 300 * PAGE, MREMAP_MAYMOVE);
	CHECK(q != MAP_FAILED);
	EQUAL(q[0] + q[PAGE], 3);
	CHECK(is_zero(q + 2 * PAGE, 298 * PAGE));
	r = mremap(q, 300 * PAGE, PAGE, 0);
	CHECK(r == q);
	EQUAL(faults(q + PAGE, 0), SEGV_MAPERR);

	p = map(4, RW); /* a place to move to */
	r = mremap(q, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p + PAGE);
	CHECK(r == p + PAGE);
	EQUAL(r[5], 1);
	EQUAL(faults(q, 0), SEGV_MAPERR);
	CHECK(is_zero(p + 2 * PAGE, 2 * PAGE));
	/* In place, with the neighbour in the way. */
	ERRNO((intptr_t)mremap(p, PAGE, 2 * PAGE, 0), ENOMEM);
	EQUAL(munmap(p, 4 * PAGE), 0);
	ERRNO((intptr_t)mremap(p, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EFAULT);
}

/* Mappings of files and their protection move along; a page that is shared stays so. */
static void remap_files(void)
{
	char name[] = "/tmp/remap-XXXXXX", *p, *q;
	int fd = mkstemp(name);

	CHECK(fd >= 0);
	EQUAL(ftruncate(fd, 8 * PAGE), 0);
	for (int i = 0; i < 8; i++)
		EQUAL(pwrite(fd, &"abcdefgh"[i], 1, i * PAGE), 1);
	p = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, PAGE);
	CHECK(p != MAP_FAILED);
	p[1] = 'B';
	q = mremap(p, 2 * PAGE, 6 * PAGE, MREMAP_MAYMOVE);
	CHECK(q != MAP_FAILED);
	EQUAL(memcmp(q, "bB", 2), 0);
	for (int i = 0; i < 6; i++)
		EQUAL(q[i * PAGE], "bcdefg"[i]);
	q[5 * PAGE] = 'G';
	char c;
	EQUAL(pread(fd, &c, 1, 6 * PAGE), 1);
	EQUAL(c, 'G');
	/* old_size 0 makes a second mapping of the same pages. */
	p = mremap(q, 0, PAGE, MREMAP_MAYMOVE);
	CHECK(p != MAP_FAILED && p != q);
	*p = 'x';
	EQUAL(*q, 'x');
	EQUAL(munmap(p, PAGE), 0);
	EQUAL(mprotect(q, PAGE, PROT_READ), 0);
	p = mremap(q, PAGE, 2 * PAGE, MREMAP_MAYMOVE);
	CHECK(p != MAP_FAILED && p != q);
	EQUAL(p[PAGE], 'c');
	EQUAL(faults(p, 1), SEGV_ACCERR);
	EQUAL(munmap(p, 2 * PAGE), 0);
	EQUAL(munmap(q + PAGE, 5 * PAGE), 0);
	close(fd);
	unlink(name);
	ERRNO((intptr_t)mremap((char *)1, PAGE, PAGE, 0), EINVAL);
	ERRNO((intptr_t)mremap(NULL, PAGE, 0, MREMAP_MAYMOVE), EINVAL);
	ERRNO((intptr_t)mremap(NULL, PAGE, PAGE, 0x80), EINVAL);
}

static void advise(void)
{
	char *p = map(10, RW);

	memset(p, 9, 10 * PAGE);
	EQUAL(madvise(p + PAGE, 3 * PAGE, MADV_DONTNEED), 0);
	CHECK(is_zero(p + PAGE, 3 * PAGE));
	EQUAL(p[PAGE - 1] + p[4 * PAGE], 18);
	EQUAL(faults(p + PAGE, 1), 0);
	EQUAL(madvise(p, 10 * PAGE, MADV_FREE), 0);
	p[0] = 4;
	EQUAL(p[0], 4);
	EQUAL(madvise(p, 10 * PAGE, MADV_WILLNEED), 0);
	ERRNO(madvise(p, PAGE, 9999), EINVAL);
	ERRNO(madvise(p + 1, PAGE, MADV_DONTNEED), EINVAL);
	EQUAL(munmap(p, 10 * PAGE), 0);
	ERRNO(madvise(p, PAGE, MADV_DONTNEED), ENOMEM);
}

/* The kernel's brk returns the break, moved or not; musl has no sbrk to speak of. */
static char *set_break(char *to) { return (char *)syscall(SYS_brk, to); }

static void program_break(void)
{
	char *before = set_break(NULL), *start;

	start = (char *)(((uintptr_t)before + PAGE - 1) & ~(PAGE - 1));
	CHECK(set_break(start) == start);
	CHECK(set_break(start + 3 * PAGE) == start + 3 * PAGE);
	CHECK(is_zero(start, 3 * PAGE));
	memset(start, 8, 3 * PAGE);
	CHECK(set_break(start + PAGE) == start + PAGE);
	EQUAL(faults(start + PAGE, 0), SEGV_MAPERR);
	CHECK(set_break(start + 3 * PAGE) == start + 3 * PAGE);
	CHECK(is_zero(start + PAGE, 2 * PAGE)); /* given back and taken again */
	EQUAL(start[0], 8);
	CHECK(set_break(start + ((intptr_t)1 << 46)) == start + 3 * PAGE);
	CHECK(set_break((char *)PAGE) == start + 3 * PAGE); /* below the heap */
	CHECK(set_break(before) == before);
}

static void heap(void)
{
	enum { N = 500 };
	static unsigned char *block[N];
	static size_t size[N];
	unsigned seed = 1;

	for (int round = 0; round < 20 * N; round++) {
		seed = seed * 1103515245 + 12345;
		int i = (int)(seed >> 16) % N;
		if (block[i]) {
			EQUAL(block[i][0], i & 255);
			EQUAL(block[i][size[i] - 1], i & 255);
			free(block[i]);
			block[i] = NULL;
			continue;
		}
		size[i] = (seed >> 8) % 1000 == 0 ? 1 << 20 : (seed >> 4) % 5000 + 1;
		block[i] = malloc(size[i]);
		CHECK(block[i]);
		memset(block[i], i, size[i]);
	}
	for (int i = 0; i < N; i++) {
		free(block[i]);
		block[i] = NULL;
	}
}

static int temporary(void)
{
	char name[] = "/tmp/memory-XXXXXX";
	int fd = mkstemp(name);

	CHECK(fd >= 0);
	EQUAL(unlink(name), 0);
	return fd;
}

static void file_private(void)
{
	int fd = temporary();
	char page[PAGE], buf[2];

	memset(page, 'a', PAGE);
	EQUAL(write(fd, page, PAGE), PAGE);
	EQUAL(write(fd, "tail", 4), 4);
	char *p = mmap(NULL, 2 * PAGE, RW, MAP_PRIVATE, fd, 0);
	CHECK(p != MAP_FAILED);
	EQUAL(p[0], 'a');
	EQUAL(memcmp(p + PAGE, "tail\0\0", 6), 0); /* zeros up to the end of the page */
	p[0] = 'b';
	EQUAL(pread(fd, buf, 2, 0), 2);
	EQUAL(buf[0], 'a'); /* the file doesn't change */
	EQUAL(madvise(p, PAGE, MADV_DONTNEED), 0);
	EQUAL(p[0], 'a'); /* and is there again */
	EQUAL(munmap(p, 2 * PAGE), 0);
	p = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, PAGE);
	CHECK(p != MAP_FAILED);
	EQUAL(p[0], 't');
	close(fd); /* the mapping lives on */
	EQUAL(p[3], 'l');
	EQUAL(faults(p, 1), SEGV_ACCERR);
	EQUAL(munmap(p, PAGE), 0);
}

static void file_shared(void)
{
	int fd = temporary();
	char buf[8] = {0};

	EQUAL(ftruncate(fd, 3 * PAGE), 0);
	char *a = mmap(NULL, 3 * PAGE, RW, MAP_SHARED, fd, 0);
	char *b = mmap(NULL, PAGE, RW, MAP_SHARED, fd, PAGE);
	CHECK(a != MAP_FAILED && b != MAP_FAILED && a != b);
	strcpy(a + PAGE, "mapped");
	EQUAL(strcmp(b, "mapped"), 0);
	EQUAL(pread(fd, buf, 7, PAGE), 7);
	EQUAL(strcmp(buf, "mapped"), 0);
	EQUAL(pwrite(fd, "W", 1, PAGE), 1);
	EQUAL(a[PAGE], 'W');
	EQUAL(b[0], 'W');
	EQUAL(msync(a, 3 * PAGE, MS_SYNC), 0);
	EQUAL(munmap(a, 3 * PAGE), 0);
	EQUAL(b[1], 'a');
	EQUAL(munmap(b, PAGE), 0);
	close(fd);
}

static __thread sigjmp_buf cut_off;
static char *shrinking; /* a mapping of FILE_PAGES pages */
static volatile int shrinks;

#define FILE_PAGES 8

static void on_cut_off(int sig)
{
	(void)sig;
	siglongjmp(cut_off, 1);
}

static void *store_to_file(void *buses)
{
	while (shrinks)
		for (volatile int i = 1; i < FILE_PAGES; i++) {
			if (sigsetjmp(cut_off, 1) == 0)
				((volatile char *)shrinking)[i * PAGE] = 1;
			else
				++*(volatile int *)buses;
		}
	return NULL;
}

/* A thread stores to a mapped file that becomes shorter and longer: what the file has given up is never stored to. */
static void file_shrinks(void)
{
	int fd = temporary();
	volatile int buses = 0;
	pthread_t thread;

	EQUAL(ftruncate(fd, FILE_PAGES * PAGE), 0);
	shrinking = mmap(NULL, FILE_PAGES * PAGE, RW, MAP_SHARED, fd, 0);
	CHECK(shrinking != MAP_FAILED);
	signal(SIGBUS, on_cut_off);
	shrinks = 1;
	EQUAL(pthread_create(&thread, NULL, store_to_file, (void *)&buses), 0);
	for (int round = 0; round < 300 || (buses == 0 && round < 100000); round++) {
		char c;

		EQUAL(ftruncate(fd, PAGE), 0);
		EQUAL(pread(fd, &c, 1, PAGE), 0);
		char *fresh = mmap(NULL, FILE_PAGES * PAGE, RW, ANON | MAP_POPULATE, -1, 0);
		CHECK(fresh != MAP_FAILED);
		sched_yield();
		CHECK(is_zero(fresh, FILE_PAGES * PAGE));
		EQUAL(munmap(fresh, FILE_PAGES * PAGE), 0);
		EQUAL(ftruncate(fd, FILE_PAGES * PAGE), 0);
		sched_yield();
	}
	shrinks = 0;
	EQUAL(pthread_join(thread, NULL), 0);
	CHECK(buses > 0);
	EQUAL(munmap(shrinking, FILE_PAGES * PAGE), 0);
	signal(SIGBUS, SIG_DFL);
	close(fd);
}

static void errors(void)
{
	int fd = temporary(), readonly;

	ERRNO((intptr_t)mmap(NULL, 0, RW, ANON, -1, 0), EINVAL);
	ERRNO((intptr_t)mmap(NULL, PAGE, RW, MAP_ANONYMOUS, -1, 0), EINVAL); /* neither shared nor private */
	ERRNO((intptr_t)mmap(NULL, PAGE, RW, MAP_PRIVATE, -1, 0), EBADF);
	ERRNO((intptr_t)mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 100), EINVAL);
	ERRNO((intptr_t)mmap(NULL, 1ul << 47, RW, ANON, -1, 0), ENOMEM);
	ERRNO((intptr_t)mmap((void *)(1ul << 47), PAGE, RW, ANON | MAP_FIXED, -1, 0), ENOMEM);
	ERRNO((intptr_t)mmap((void *)0xffffffff80000000, PAGE, RW, ANON | MAP_FIXED, -1, 0), ENOMEM);
	ERRNO(munmap((void *)1, PAGE), EINVAL);
	ERRNO(munmap((void *)PAGE, 0), EINVAL);
	ERRNO(munmap((void *)0xffffffff80000000, PAGE), EINVAL);
	readonly = open("/proc/self/exe", O_RDONLY);
	CHECK(readonly >= 0);
	ERRNO((intptr_t)mmap(NULL, PAGE, RW, MAP_SHARED, readonly, 0), EACCES);
	close(readonly);
	close(fd);
}

static int __attribute__((noinline)) recurse(int n)
{
	volatile char frame[1024];

	frame[0] = (char)n;
	return n == 0 ? 0 : recurse(n - 1) + (frame[0] == (char)n);
}

/* The main stack grows to its limit of 8 MiB. */
static void stack_grows(void)
{
	struct rlimit limit;

	EQUAL(recurse(6000), 6000);
	EQUAL(getrlimit(RLIMIT_STACK, &limit), 0);
	CHECK(limit.rlim_cur >= 8 << 20);
}

static void *touch_pages(void *arg)
{
	volatile char *p = arg;

	for (int round = 0; round < 20; round++)
		for (size_t i = 0; i < 64; i++)
			p[i * PAGE]++;
	return NULL;
}

/* Threads fault on the same pages at once, and change the address space meanwhile. */
static void concurrent_faults(void)
{
	for (int round = 0; round < 20; round++) {
		pthread_t threads[4];
		char *p = map(4 * 64, RW);
		for (int i = 0; i < 4; i++)
			EQUAL(pthread_create(&threads[i], NULL, touch_pages, p + (size_t)i), 0);
		for (int i = 0; i < 20; i++)
			munmap(map(3, RW), 3 * PAGE);
		for (int i = 0; i < 4; i++)
			EQUAL(pthread_join(threads[i], NULL), 0);
		for (size_t i = 0; i < 64; i++)
			EQUAL(memcmp(p + i * PAGE, "\x14\x14\x14\x14\0", 5), 0);
		EQUAL(munmap(p, 4 * 64 * PAGE), 0);
	}
}

static volatile int spin_stop;
static char *shot;

static void *spin_read(void *arg)
{
	while (!spin_stop)
		(void)*(volatile char *)shot;
	return arg;
}

/* After munmap and a new mapping in its place no CPU may see the old page: the other thread reads all the time. */
static void shootdown(void)
{
	pthread_t other;

	shot = map(1, RW);
	spin_stop = 0;
	EQUAL(pthread_create(&other, NULL, spin_read, NULL), 0);
	for (int i = 0; i < 300; i++) {
		shot[0] = 1;
		CHECK(mmap(shot, PAGE, RW, ANON | MAP_FIXED, -1, 0) == shot);
		EQUAL(shot[0], 0);
		EQUAL(mprotect(shot, PAGE, PROT_READ), 0);
		EQUAL(faults(shot, 1), SEGV_ACCERR);
		EQUAL(mprotect(shot, PAGE, RW), 0);
	}
	spin_stop = 1;
	EQUAL(pthread_join(other, NULL), 0);
	EQUAL(munmap(shot, PAGE), 0);
}

static const struct check_case cases[] = {
	{"demand-zero", demand_zero},
	{"anonymous", anonymous},
	{"reserve", reserve},
	{"partial-unmap", partial_unmap},
	{"fixed", fixed},
	{"protect", protect},
	{"code", code},
	{"remap", remap},
	{"remap-files", remap_files},
	{"advise", advise},
	{"brk", program_break},
	{"heap", heap},
	{"file-private", file_private},
	{"file-shared", file_shared},
	{"file-shrinks", file_shrinks},
	{"errors", errors},
	{"stack-grows", stack_grows},
	{"concurrent-faults", concurrent_faults},
	{"shootdown", shootdown},
	{NULL, NULL},
};

int main(int argc, char **argv) { return check_main(cases, argc, argv); }
