/* How fast this CPU's TSC is, in kHz, for Linux in a machine that has no clock to measure it with. */
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

int main(void)
{
	uint64_t begin = now(), tsc = __rdtsc(), end;

	do
		end = now();
	while (end - begin < 200000000);
	tsc = __rdtsc() - tsc;
	printf("%llu\n", (unsigned long long)((double)tsc / (double)(end - begin) * 1e6));
	return 0;
}
