/* Computes with two threads when it is told to, by a line of standard input. Prints "both" when both compute, "half" when one is done
   and "done" when both are. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#define STEPS 250000000L /* of each thread: about half a second under emulation */

static atomic_int begun, ended;

static void *work(void *arg)
{
	unsigned long x = 88172645463325252UL;
	if (atomic_fetch_add(&begun, 1) % 2 == 1)
		printf("both\n");
	for (long n = STEPS; n > 0; n--) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
	}
	if (atomic_fetch_add(&ended, 1) % 2 == 0)
		printf("half\n");
	*(unsigned long *)arg = x;
	return NULL;
}

int main(void)
{
	char line[16];

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("ready\n");
	while (fgets(line, sizeof line, stdin)) {
		unsigned long mine, others;
		pthread_t other;

		if (pthread_create(&other, NULL, work, &others))
			return 1;
		work(&mine);
		pthread_join(other, NULL);
		if (mine != others)
			return 2;
		printf("done\n");
	}
	return 0;
}
