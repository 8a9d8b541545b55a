/*
 * Sockets of C programs: blocking calls, getaddrinfo, sendmsg, socket options, many threads on one socket; and with a
 * peer (see package peer) whose address and port are in PEER_TCP and PEER_UDP, as address:port.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "check.h"
#include "child.h"

static struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* bound returns a socket at a free port, and its address. */
static int bound(int type, struct sockaddr_in *at)
{
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof *at;

	CHECK(fd >= 0);
	*at = loopback(0);
	EQUAL(bind(fd, (struct sockaddr *)at, len), 0);
	EQUAL(getsockname(fd, (struct sockaddr *)at, &len), 0);
	EQUAL(len, sizeof *at);
	return fd;
}

static void udp(void)
{
	struct sockaddr_in to_a, to_b, from;
	int a = bound(SOCK_DGRAM, &to_a), b = bound(SOCK_DGRAM, &to_b);
	socklen_t len = sizeof from;
	char buf[2000];

	EQUAL(sendto(a, "hello", 5, 0, (struct sockaddr *)&to_b, sizeof to_b), 5);
	EQUAL(recvfrom(b, buf, sizeof buf, 0, (struct sockaddr *)&from, &len), 5);
	EQUAL(from.sin_port, to_a.sin_port);
	EQUAL(from.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	/* A short buffer for the address: it is cut, and the length is the whole one's. */
	char little[4];
	len = sizeof little;
	EQUAL(sendto(a, "again", 5, 0, (struct sockaddr *)&to_b, sizeof to_b), 5);
	EQUAL(recvfrom(b, buf, sizeof buf, 0, (struct sockaddr *)little, &len), 5);
	EQUAL(len, sizeof from);
	/* An empty datagram is no end. */
	EQUAL(connect(a, (struct sockaddr *)&to_b, sizeof to_b), 0);
	EQUAL(send(a, "", 0, 0), 0);
	EQUAL(recv(b, buf, sizeof buf, 0), 0);
	struct iovec v[2] = {{"ab", 2}, {"cd", 2}};
	struct msghdr m = {.msg_iov = v, .msg_iovlen = 2};
	EQUAL(sendmsg(a, &m, 0), 4);
	struct iovec r[2] = {{buf, 1}, {buf + 10, 10}};
	m = (struct msghdr){.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = r, .msg_iovlen = 2};
	EQUAL(recvmsg(b, &m, 0), 4);
	EQUAL(m.msg_namelen, sizeof from);
	EQUAL(m.msg_flags, 0);
	EQUAL(memcmp(buf + 10, "bcd", 3), 0);
	ERRNO(recv(b, buf, 1, MSG_DONTWAIT), EAGAIN);
	ERRNO(sendto(a, "x", 1, 0, (struct sockaddr *)&to_b, 5), EINVAL);
	close(a);
	close(b);
}

static void messages(void)
{
	struct sockaddr_in to_a, to_b;
	int a = bound(SOCK_DGRAM, &to_a), b = bound(SOCK_DGRAM, &to_b);
	struct mmsghdr m[5];
	struct iovec v[5];
	char buf[5][10];

	memset(m, 0, sizeof m);
	for (int i = 0; i < 5; i++) {
		v[i] = (struct iovec){"message", (size_t)i + 1};
		m[i].msg_hdr = (struct msghdr){.msg_name = &to_b, .msg_namelen = sizeof to_b, .msg_iov = &v[i], .msg_iovlen = 1};
	}
	EQUAL(sendmmsg(a, m, 5, 0), 5);
	for (int i = 0; i < 5; i++) {
		EQUAL(m[i].msg_len, i + 1);
		v[i] = (struct iovec){buf[i], 10};
		m[i].msg_hdr = (struct msghdr){.msg_iov = &v[i], .msg_iovlen = 1};
	}
	EQUAL(recvmmsg(b, m, 5, MSG_WAITFORONE, NULL), 5);
	for (int i = 0; i < 5; i++)
		EQUAL(m[i].msg_len, i + 1);
	close(a);
	close(b);
}

static atomic_int echo_failed;

static void *echo_thread(void *arg)
{
	int listener = *(int *)arg;
	char buf[4096];

	for (int n = 0; n < 20; n++) {
		int fd = accept(listener, NULL, NULL);
		ssize_t got;
		if (fd < 0) {
			atomic_store(&echo_failed, errno);
			return NULL;
		}
		while ((got = read(fd, buf, sizeof buf)) > 0)
			for (ssize_t sent = 0, n; sent < got; sent += n)
				if ((n = write(fd, buf + sent, got - sent)) < 0) {
					atomic_store(&echo_failed, errno);
					return NULL;
				}
		close(fd);
	}
	return NULL;
}

static void tcp(void)
{
	struct sockaddr_in at;
	int listener = bound(SOCK_STREAM, &at);
	pthread_t thread;
	static char out[100000], in[100000];

	EQUAL(listen(listener, 5), 0);
	atomic_store(&echo_failed, 0);
	EQUAL(pthread_create(&thread, NULL, echo_thread, &listener), 0);
	for (int n = 0; n < 20; n++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0), size = 1 + n * 5000;
		CHECK(fd >= 0);
		EQUAL(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
		for (int i = 0; i < size; i++)
			out[i] = (char)(i * n + i / 251);
		EQUAL(send(fd, out, (size_t)size, MSG_NOSIGNAL), size);
		EQUAL(shutdown(fd, SHUT_WR), 0);
		EQUAL(recv(fd, in, (size_t)size, MSG_WAITALL), size);
		EQUAL(memcmp(in, out, (size_t)size), 0);
		EQUAL(read(fd, in, 1), 0);
		close(fd);
	}
	EQUAL(pthread_join(thread, NULL), 0);
	EQUAL(atomic_load(&echo_failed), 0);
	close(listener);
}

/* refused tells whether nobody listens at an address. */
static int refused(struct sockaddr_in *at)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), result, why;

	CHECK(fd >= 0);
	result = connect(fd, (struct sockaddr *)at, sizeof *at);
	why = errno;
	close(fd);
	CHECK(result == 0 || why == ECONNREFUSED);
	return result != 0;
}

static void nonblocking_connect(void)
{
	struct sockaddr_in at;
	int listener = bound(SOCK_STREAM, &at), err = -1;
	socklen_t len = sizeof err;

	EQUAL(listen(listener, 5), 0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	CHECK(fd >= 0);
	int result = connect(fd, (struct sockaddr *)&at, sizeof at);
	CHECK(result == 0 || errno == EINPROGRESS);
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	EQUAL(poll(&p, 1, 10000), 1);
	EQUAL(getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len), 0);
	EQUAL(err, 0);
	/* Linux answers 0 the first time after it has succeeded, POSIX wants EISCONN at once. */
	CHECK(connect(fd, (struct sockaddr *)&at, sizeof at) == 0 || errno == EISCONN);
	ERRNO(connect(fd, (struct sockaddr *)&at, sizeof at), EISCONN);
	close(fd);
	close(listener); /* now nobody listens, but a program beside that has been given the port */
	for (int others = 0; !refused(&at); others++) {
		CHECK(others < 10);
		listener = bound(SOCK_STREAM, &at);
		EQUAL(listen(listener, 5), 0);
		close(listener);
	}
}

static void options(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), v = 1;
	socklen_t len = sizeof v;

	CHECK(fd >= 0);
	EQUAL(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &v, sizeof v), 0);
	EQUAL(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &v, sizeof v), 0);
	v = 0;
	EQUAL(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &v, &len), 0);
	EQUAL(v, 1);
	EQUAL(len, sizeof v);
	v = 32768;
	EQUAL(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &v, sizeof v), 0);
	EQUAL(getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &v, &len), 0);
	EQUAL(v, 65536); /* Linux doubles it [socket(7)] */
	struct linger linger = {1, 5};
	EQUAL(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
	memset(&linger, 0, sizeof linger);
	len = sizeof linger;
	EQUAL(getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len), 0);
	EQUAL(linger.l_linger, 5);
	ERRNO(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &v, 1), EINVAL);
	ERRNO(setsockopt(fd, SOL_SOCKET, 12345, &v, sizeof v), ENOPROTOOPT);
	ERRNO(getsockopt(0x7fff, SOL_SOCKET, SO_ERROR, &v, &len), EBADF);
	close(fd);
	int pipes[2];
	EQUAL(pipe(pipes), 0);
	ERRNO(setsockopt(pipes[0], SOL_SOCKET, SO_REUSEADDR, &v, sizeof v), ENOTSOCK);
	close(pipes[0]);
	close(pipes[1]);
}

static void resolver(void)
{
	struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST}, *list;

	EQUAL(getaddrinfo("10.0.2.2", "80", &hints, &list), 0);
	EQUAL(((struct sockaddr_in *)list->ai_addr)->sin_addr.s_addr, htonl(0x0a000202));
	EQUAL(ntohs(((struct sockaddr_in *)list->ai_addr)->sin_port), 80);
	freeaddrinfo(list);
	hints.ai_family = AF_INET6;
	EQUAL(getaddrinfo("fec0::2", "80", &hints, &list), 0);
	freeaddrinfo(list);
	EQUAL(getaddrinfo("nonsense", "80", &hints, &list), EAI_NONAME);
}

static pthread_barrier_t start;
static atomic_int exchanged;

static void *ping_pong(void *arg)
{
	struct sockaddr_in at, *to = arg;
	char buf[100], want[100];

	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)to, sizeof *to) < 0)
		return "connect";
	socklen_t len = sizeof at;
	getsockname(fd, (struct sockaddr *)&at, &len);
	pthread_barrier_wait(&start);
	for (int i = 0; i < 30; i++) {
		int n = snprintf(want, sizeof want, "%d from %d", i, ntohs(at.sin_port));
		if (send(fd, want, (size_t)n, 0) != n)
			return "send";
		if (recv(fd, buf, sizeof buf, 0) != n || memcmp(buf, want, (size_t)n) != 0)
			return "recv";
		atomic_fetch_add(&exchanged, 1);
	}
	close(fd);
	return NULL;
}

static volatile int echo_fd;

static void *udp_echo(void *arg)
{
	char buf[100];
	struct sockaddr_in from;

	for (;;) {
		socklen_t len = sizeof from;
		ssize_t n = recvfrom(echo_fd, buf, sizeof buf, 0, (struct sockaddr *)&from, &len);
		if (n <= 0)
			return arg;
		sendto(echo_fd, buf, (size_t)n, 0, (struct sockaddr *)&from, len);
	}
}

static void exchange(struct sockaddr_in *to)
{
	enum { N = 16 };
	pthread_t threads[N];

	atomic_store(&exchanged, 0);
	EQUAL(pthread_barrier_init(&start, NULL, N), 0);
	for (int i = 0; i < N; i++)
		EQUAL(pthread_create(&threads[i], NULL, ping_pong, to), 0);
	for (int i = 0; i < N; i++) {
		void *why;
		EQUAL(pthread_join(threads[i], &why), 0);
		if (why)
			FAIL("thread %d: %s", i, (char *)why);
	}
	EQUAL(atomic_load(&exchanged), N * 30);
}

/* Several threads block in the same socket. */
static void threads_share(void)
{
	struct sockaddr_in at;
	pthread_t echo[3];

	echo_fd = bound(SOCK_DGRAM, &at);
	for (int i = 0; i < 3; i++)
		EQUAL(pthread_create(&echo[i], NULL, udp_echo, NULL), 0);
	exchange(&at);
	for (int i = 0; i < 3; i++) /* an empty datagram ends a thread */
		EQUAL(sendto(echo_fd, "", 0, 0, (struct sockaddr *)&at, sizeof at), 0);
	for (int i = 0; i < 3; i++)
		EQUAL(pthread_join(echo[i], NULL), 0);
	close(echo_fd);
}

static struct sockaddr_in peer(const char *variable)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	char host[50], *value = getenv(variable);
	int port;

	if (!value || sscanf(value, "%49[^:]:%d", host, &port) != 2 || inet_pton(AF_INET, host, &at.sin_addr) != 1)
		FAIL("%s is %s, want address:port", variable, value ? value : "not set");
	at.sin_port = htons(port);
	return at;
}

static void peer_udp(void)
{
	struct sockaddr_in at = peer("PEER_UDP");

	exchange(&at);
}

static void peer_tcp(void)
{
	struct sockaddr_in at = peer("PEER_TCP");
	enum { SIZE = 1 << 20 };
	static char in[SIZE], out[SIZE];

	for (int i = 0; i < SIZE; i++)
		out[i] = (char)(i * 31 + i / 257);
	for (int round = 0; round < 3; round++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);
		CHECK(fd >= 0);
		EQUAL(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
		EQUAL(write(fd, "echo\n", 5), 5);
		for (int i = 0; i < SIZE; i += 16384) { /* small enough for the buffers on the way */
			EQUAL(write(fd, out + i, 16384), 16384);
			EQUAL(recv(fd, in + i, 16384, MSG_WAITALL), 16384);
		}
		EQUAL(memcmp(in, out, SIZE), 0);
		EQUAL(shutdown(fd, SHUT_WR), 0);
		EQUAL(read(fd, in, 1), 0);
		close(fd);
	}
}

/* A connection whose peer has gone before it is accepted is accepted all the same, and accept tells who that was. */
static void accept_after_end(int domain, int type, const struct sockaddr *at, socklen_t size, const struct sockaddr *from)
{
	static const struct linger reset = {.l_onoff = 1};
	struct sockaddr_storage listening = {0}, told = {0};
	socklen_t listening_size = sizeof listening, told_size = sizeof told;
	int l = socket(domain, type, 0), c = socket(domain, type, 0), s;
	char byte;

	CHECK(l >= 0 && c >= 0);
	EQUAL(bind(l, at, size), 0);
	EQUAL(listen(l, 1), 0);
	EQUAL(getsockname(l, (struct sockaddr *)&listening, &listening_size), 0);
	EQUAL(bind(c, from, size), 0);
	EQUAL(setsockopt(c, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
	EQUAL(connect(c, (struct sockaddr *)&listening, listening_size), 0);
	EQUAL(poll(&(struct pollfd){.fd = l, .events = POLLIN}, 1, 60000), 1); /* a reset before the handshake's end ends that, too */
	close(c);
	s = accept(l, (struct sockaddr *)&told, &told_size);
	CHECK(s >= 0);
	EQUAL(told_size, size);
	EQUAL(told.ss_family, domain);
	if (domain == AF_UNIX)
		EQUAL(memcmp(&told, from, size), 0);
	else
		CHECK(((struct sockaddr_in *)&told)->sin_addr.s_addr == htonl(INADDR_LOOPBACK) && ((struct sockaddr_in *)&told)->sin_port);
	if (domain == AF_UNIX)
		EQUAL(read(s, &byte, 1), 0);
	else
		ERRNO(read(s, &byte, 1), ECONNRESET);
	close(s);
	close(l);
}

static void accept_after_end_everywhere(void)
{
	const struct sockaddr_in in = loopback(0);
	struct sockaddr_un l = {.sun_family = AF_UNIX}, c = {.sun_family = AF_UNIX};
	/* Abstract names are all of the machine's: others run beside. */
	const socklen_t size = offsetof(struct sockaddr_un, sun_path) + 1 + snprintf(l.sun_path + 1, sizeof l.sun_path - 1, "l-%d", (int)getpid());

	snprintf(c.sun_path + 1, sizeof c.sun_path - 1, "c-%d", (int)getpid());
	accept_after_end(AF_INET, SOCK_STREAM, (struct sockaddr *)&in, sizeof in, (struct sockaddr *)&in);
	accept_after_end(AF_UNIX, SOCK_STREAM, (struct sockaddr *)&l, size, (struct sockaddr *)&c);
	accept_after_end(AF_UNIX, SOCK_SEQPACKET, (struct sockaddr *)&l, size, (struct sockaddr *)&c);
}

static long milliseconds(void)
{
	struct timespec now;

	EQUAL(clock_gettime(CLOCK_MONOTONIC, &now), 0);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* arrived waits until n bytes can be read: those of TCP may be on their way still when write has returned. */
static void arrived(int fd, size_t n)
{
	char buf[20];
	ssize_t got;

	while ((got = recv(fd, buf, n, MSG_PEEK | MSG_DONTWAIT)) != (ssize_t)n) {
		CHECK(got > 0 || errno == EAGAIN);
		usleep(1000);
	}
}

/* receive_low: a read of r waits for SO_RCVLOWAT bytes, or as long as SO_RCVTIMEO; less is there when the time is over. */
static void receive_low(int w, int r)
{
	const struct timeval limit = {.tv_usec = 100000};
	const int low = 6;
	char buf[20];
	long start;

	EQUAL(setsockopt(r, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof low), 0);
	EQUAL(setsockopt(r, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
	for (int how = 0; how < 3; how++) {
		struct iovec v = {buf, sizeof buf};
		struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};

		EQUAL(write(w, "abc", 3), 3);
		arrived(r, 3);
		start = milliseconds();
		EQUAL(how == 0 ? read(r, buf, sizeof buf) : how == 1 ? recv(r, buf, sizeof buf, 0) : recvmsg(r, &m, 0), 3);
		CHECK(milliseconds() - start >= 99);
		EQUAL(memcmp(buf, "abc", 3), 0);
	}
	EQUAL(setsockopt(r, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){0}, sizeof limit), 0);
	EQUAL(write(w, "abcdef", 6), 6);
	EQUAL(read(r, buf, sizeof buf), 6);
	EQUAL(write(w, "abc", 3), 3);
	EQUAL(read(r, buf, 2), 2); /* no more than was asked for */
	EQUAL(write(w, "d", 1), 1);
	EQUAL(shutdown(w, SHUT_WR), 0);
	EQUAL(read(r, buf, sizeof buf), 2); /* the end ends it too */
	EQUAL(read(r, buf, sizeof buf), 0);
	close(w);
	close(r);
}

static void receive_low_everywhere(void)
{
	struct sockaddr_in at;
	int pair[2], l = bound(SOCK_STREAM, &at), c = socket(AF_INET, SOCK_STREAM, 0), s;

	EQUAL(listen(l, 1), 0);
	EQUAL(connect(c, (struct sockaddr *)&at, sizeof at), 0);
	s = accept(l, NULL, NULL);
	CHECK(s >= 0);
	receive_low(c, s);
	close(l);
	EQUAL(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	receive_low(pair[0], pair[1]);
}

/* peek_low: a look at what there is waits for SO_RCVLOWAT bytes, too, or with MSG_WAITALL for all. */
static void peek_low(void)
{
	struct sockaddr_in at;
	const struct timeval limit = {.tv_usec = 100000};
	const int low = 6;
	int l = bound(SOCK_STREAM, &at), c = socket(AF_INET, SOCK_STREAM, 0), s;
	char buf[20];
	long start;

	EQUAL(listen(l, 1), 0);
	EQUAL(connect(c, (struct sockaddr *)&at, sizeof at), 0);
	s = accept(l, NULL, NULL);
	CHECK(s >= 0);
	EQUAL(setsockopt(s, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof low), 0);
	EQUAL(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
	EQUAL(write(c, "abc", 3), 3);
	arrived(s, 3);
	start = milliseconds();
	EQUAL(recv(s, buf, sizeof buf, MSG_PEEK), 3);
	CHECK(milliseconds() - start >= 99);
	EQUAL(memcmp(buf, "abc", 3), 0);
	EQUAL(recv(s, buf, sizeof buf, MSG_PEEK | MSG_DONTWAIT), 3);
	EQUAL(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){0}, sizeof limit), 0);
	EQUAL(recv(s, buf, 2, MSG_PEEK), 2); /* no more than was asked for */
	CHILD(pid)
	{
		usleep(20000); /* most likely the parent waits by then; either way must work */
		for (const char *p = "defghi"; *p; p++)
			if (write(c, p, 1) != 1)
				_exit(1);
		_exit(0);
	}
	EQUAL(recv(s, buf, 9, MSG_PEEK | MSG_WAITALL), 9);
	EQUAL(memcmp(buf, "abcdefghi", 9), 0);
	EQUAL(end(pid), 0);
	CHECK(recv(s, buf, sizeof buf, MSG_PEEK) >= 6);
	EQUAL(recv(s, buf, 9, MSG_WAITALL), 9);
	EQUAL(memcmp(buf, "abcdefghi", 9), 0);
	EQUAL(write(c, "x", 1), 1);
	EQUAL(shutdown(c, SHUT_WR), 0);
	EQUAL(recv(s, buf, sizeof buf, MSG_PEEK), 1); /* the end ends it */
	EQUAL(read(s, buf, sizeof buf), 1);
	EQUAL(recv(s, buf, sizeof buf, MSG_PEEK), 0);
	close(c);
	close(s);
	close(l);
}

/* receive_nothing: recv of nothing waits for something, and is no failure when that doesn't come. */
static void receive_nothing(void)
{
	struct sockaddr_in at;
	const struct timeval limit = {.tv_usec = 50000};
	int l = bound(SOCK_STREAM, &at), c = socket(AF_INET, SOCK_STREAM, 0), s;
	char byte;

	EQUAL(listen(l, 1), 0);
	EQUAL(connect(c, (struct sockaddr *)&at, sizeof at), 0);
	s = accept(l, NULL, NULL);
	CHECK(s >= 0);
	ERRNO(recv(s, &byte, 0, MSG_DONTWAIT), EAGAIN);
	EQUAL(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
	EQUAL(recv(s, &byte, 0, 0), 0);
	ERRNO(recv(s, &byte, 1, 0), EAGAIN);
	EQUAL(read(s, &byte, 0), 0);
	close(c);
	close(s);
	close(l);
}

/* Bytes before descriptors that are passed come with them; those behind don't [unix(7)]. */
static void passed_descriptors(void)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec piece = {"de", 2};
	struct msghdr m = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	int pair[2], pipe_ends[2], fd;
	char buf[20];

	EQUAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	EQUAL(pipe2(pipe_ends, O_CLOEXEC), 0);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(c), &pipe_ends[1], sizeof fd);
	EQUAL(send(pair[0], "abc", 3, 0), 3);
	EQUAL(sendmsg(pair[0], &m, 0), 2);
	EQUAL(send(pair[0], "fg", 2, 0), 2);

	memset(&control, 0, sizeof control);
	piece = (struct iovec){buf, sizeof buf};
	EQUAL(recvmsg(pair[1], &m, MSG_CMSG_CLOEXEC), 5);
	EQUAL(memcmp(buf, "abcde", 5), 0);
	EQUAL(m.msg_controllen, sizeof control);
	EQUAL(c->cmsg_type, SCM_RIGHTS);
	memcpy(&fd, CMSG_DATA(c), sizeof fd);
	EQUAL(write(fd, "x", 1), 1);
	EQUAL(read(pipe_ends[0], buf, sizeof buf), 1);
	EQUAL(recvmsg(pair[1], &m, MSG_CMSG_CLOEXEC), 2);
	EQUAL(m.msg_controllen, 0);
	close(fd);
	for (int i = 0; i < 2; i++) {
		close(pair[i]);
		close(pipe_ends[i]);
	}
}

static const struct check_case cases[] = {
	{"udp", udp},
	{"messages", messages},
	{"tcp", tcp},
	{"nonblocking-connect", nonblocking_connect},
	{"options", options},
	{"resolver", resolver},
	{"threads-share", threads_share},
	{"receive-low", receive_low_everywhere},
	{"peek-low", peek_low},
	{"receive-nothing", receive_nothing},
	{"accept-after-end", accept_after_end_everywhere},
	{"passed-descriptors", passed_descriptors},
	{"peer-udp", peer_udp},
	{"peer-tcp", peer_tcp},
	{NULL, NULL},
};

int main(int argc, char **argv) { return check_main(cases, argc, argv); }
