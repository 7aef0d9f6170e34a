/* SPDX-License-Identifier: MIT */
#include "router.h"

#include <arpa/inet.h>
#include <check.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ANNOUNCEMENT_PORT = 5350 };

const struct ip_address router_address = {{0xfe, 0x80, [15] = 1}};

void run(const char *command)
{
	ck_assert_msg(system(command) == 0, "%s", command);
}

static void enter(int network)
{
	ck_assert_int_eq(setns(network, CLONE_NEWNET), 0);
}

void run_there(const struct router *router, const char *command)
{
	enter(router->there);
	run(command);
	enter(router->here);
}

/* Without the link-local addresses that the kernel makes. */
static void add_link(const struct router *router, const char *here, const char *there)
{
	char command[512];

	snprintf(command, sizeof(command),
		 "ip link add %s type veth peer name %s netns /proc/%d/fd/%d &&"
		 "ip link set %s addrgenmode none && ip link set %s up",
		 here, there, (int)getpid(), router->there, here, here);
	run(command);
	snprintf(command, sizeof(command),
		 "ip link set %s addrgenmode none && ip link set %s up &&"
		 "ip addr add fe80::1/64 dev %s nodad",
		 there, there, there);
	run_there(router, command);
}

void router_start(struct router *router)
{
	/* of a test that failed */
	ck_assert_int_ge(system("ip link del near 2>/dev/null; ip link del other 2>/dev/null"), 0);
	router->here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	router->there = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	enter(router->here);
	run_there(router, "ip link set lo up");
	add_link(router, "near", "far");
	add_link(router, "other", "away");
	run_there(router,
		  "ip route add 2001:db8:77::/64 dev far && ip route add fd00:77::/64 dev far");
}

void router_stop(struct router *router)
{
	run("ip link del near && ip link del other");
	close(router->there);
	close(router->here);
}

int router_socket(const struct router *router, const char *address, const char *link, uint16_t port)
{
	struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

	enter(router->there);
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(inet_pton(AF_INET6, address, &at.sin6_addr), 1);
	at.sin6_scope_id = if_nametoindex(link);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	enter(router->here);
	return fd;
}

void router_announce(int socket)
{
	struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = htons(ANNOUNCEMENT_PORT)};
	const uint8_t announcement[24] = {2, 0x80};
	socklen_t len = sizeof(to);

	ck_assert_int_eq(getsockname(socket, (struct sockaddr *)&to, &len), 0);
	to.sin6_port = htons(ANNOUNCEMENT_PORT);
	ck_assert_int_eq(inet_pton(AF_INET6, "ff02::1", &to.sin6_addr), 1);
	ck_assert_int_eq(sendto(socket, announcement, sizeof(announcement), 0,
				(struct sockaddr *)&to, sizeof(to)),
			 sizeof(announcement));
}

struct ip_address address_from(const char *text)
{
	struct ip_address ip;

	ck_assert_int_eq(inet_pton(AF_INET6, text, ip.bytes), 1);
	return ip;
}
