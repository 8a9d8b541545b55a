/*
 * PID 1 of the Linux guests of make bench: loads the modules that /modules names, gives eth0 the address that QEMU's user
 * network expects, sends one datagram as soon as the link is up, and becomes /program. Nothing else, so that a Linux guest
 * costs no more than its kernel.
 *
 * The kernel passes what its command line holds behind "--" on to us, and we to the program.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/route.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static void fail(const char *what)
{
	printf("init: %s: %s\n", what, strerror(errno));
	exit(1); /* the kernel panics, and QEMU ends (-no-reboot, panic=-1) */
}

static void load_modules(void)
{
	char path[256];
	FILE *list = fopen("/modules", "r");
	if (!list)
		return; /* a kernel with all it needs built in */
	while (fgets(path, sizeof path, list)) {
		path[strcspn(path, "\n")] = 0;
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || syscall(SYS_finit_module, fd, "", 0) != 0)
			fail(path);
		close(fd);
	}
	fclose(list);
}

static void set(struct sockaddr *to, const char *address)
{
	struct sockaddr_in *in = (struct sockaddr_in *)to;
	in->sin_family = AF_INET;
	in->sin_addr.s_addr = inet_addr(address);
}

static void up(int s, struct ifreq *card)
{
	if (ioctl(s, SIOCGIFFLAGS, card))
		fail("SIOCGIFFLAGS");
	card->ifr_flags |= IFF_UP;
	if (ioctl(s, SIOCSIFFLAGS, card))
		fail("SIOCSIFFLAGS");
}

static void configure(int s, struct ifreq *card)
{
	struct ifreq loopback = {.ifr_name = "lo"};
	struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY};

	up(s, &loopback);
	set(&card->ifr_addr, "10.0.2.15");
	if (ioctl(s, SIOCSIFADDR, card))
		fail("SIOCSIFADDR");
	set(&card->ifr_netmask, "255.255.255.0");
	if (ioctl(s, SIOCSIFNETMASK, card))
		fail("SIOCSIFNETMASK");
	up(s, card);
	set(&route.rt_dst, "0.0.0.0");
	set(&route.rt_genmask, "0.0.0.0");
	set(&route.rt_gateway, "10.0.2.2");
	if (ioctl(s, SIOCADDRT, &route))
		fail("SIOCADDRT");
}

/*
 * QEMU's user network asks only once a second who has the guest's address, so a silent guest would be found up to a second
 * late. A child sends a datagram to the gateway's discard port when the link is up.
 */
static void announce(int s, struct ifreq *card)
{
	struct sockaddr_in gateway = {.sin_family = AF_INET, .sin_port = htons(9)};

	gateway.sin_addr.s_addr = inet_addr("10.0.2.2");
	if (fork() != 0)
		return;
	while (ioctl(s, SIOCGIFFLAGS, card) == 0 && !(card->ifr_flags & IFF_RUNNING))
		usleep(1000);
	sendto(s, "up", 2, 0, (struct sockaddr *)&gateway, sizeof gateway);
	_exit(0);
}

int main(int argc, char **argv)
{
	struct ifreq card = {.ifr_name = "eth0"};
	char *env[] = {"HOME=/", "PATH=/", NULL};
	int s;

	(void)argc;
	load_modules();
	s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s < 0)
		fail("socket");
	configure(s, &card);
	announce(s, &card);
	argv[0] = "/program";
	execve(argv[0], argv, env);
	fail(argv[0]);
}
