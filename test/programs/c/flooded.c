/*
 * Memory is full while the host sends all it can to port 7: connections are accepted if they can be, and nothing is read, until standard
 * input ends. Then the memory is given back, and a datagram that says "quit" is waited for.
 */
#define _GNU_SOURCE
#include "fill.h"

#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { PORT = 7, BACKLOG = 512, MOST_ACCEPTED = 500, MOST_QUEUED = 8 << 20 };

static char buf[64 << 10];

static int bound(int type)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	int s = socket(AF_INET, type | SOCK_NONBLOCK, 0);
	if (s < 0 || bind(s, (void *)&a, sizeof a) != 0)
		exit(7);
	return s;
}

int main(void)
{
	int accepted[MOST_ACCEPTED], n = 0;
	int datagrams = bound(SOCK_DGRAM), listener = bound(SOCK_STREAM);
	if (setsockopt(datagrams, SOL_SOCKET, SO_RCVBUF, &(int){MOST_QUEUED}, sizeof(int)) != 0 || listen(listener, BACKLOG) != 0)
		return 7;
	memset(buf, 1, sizeof buf);
	char *memory;
	size_t size = fill(&memory);
	puts("full");
	fflush(stdout);
	struct pollfd in = {0, POLLIN, 0};
	while (poll(&in, 1, 2) == 0 || read(0, buf, sizeof buf) > 0)
		while (n < MOST_ACCEPTED && (accepted[n] = accept(listener, NULL, NULL)) >= 0)
			n++;
	munmap(memory, size);
	while (n > 0)
		close(accepted[--n]);
	close(listener);
	in.fd = datagrams;
	for (;;) {
		ssize_t got = recv(datagrams, buf, sizeof buf, 0);
		if (got == 4 && memcmp(buf, "quit", 4) == 0)
			return 0;
		if (got < 0)
			poll(&in, 1, -1);
	}
}
