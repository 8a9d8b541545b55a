/* Tells where it finds itself, and random bytes, for a caller that compares several runs. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

static void bytes(const char *name, const unsigned char *b)
{
	printf("%s ", name);
	for (int i = 0; i < 16; i++)
		printf("%02x", b[i]);
	printf("\n");
}

int main(void)
{
	int local;
	unsigned char random[16];
	void *m = mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	printf("stack %#lx\n", (unsigned long)(uintptr_t)&local);
	printf("mmap %#lx\n", (unsigned long)(uintptr_t)m);
	printf("break %#lx\n", (unsigned long)(uintptr_t)sbrk(0));
	printf("text %#lx\n", (unsigned long)(uintptr_t)&main);
	bytes("at_random", (void *)getauxval(AT_RANDOM));
	if (getrandom(random, sizeof random, 0) != sizeof random)
		return 1;
	bytes("getrandom", random);
	return 0;
}
