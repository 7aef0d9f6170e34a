/* SPDX-License-Identifier: MIT */
/* What the system gives for IPv6: datagrams, errors, groups, routes, own addresses, ports; and
 * random bytes. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client.h"
#include "os/port.h"
#include "os/random.h"
#include "os/route.h"
#include "os/udp.h"
#include "router.h"
#include "sandbox.h"

static const struct ip_address no_address, loopback = {{[15] = 1}},
					   far_away = {{0x20, 1, [15] = 1}};

/* A socket at that address of this host, and the endpoint that it is. */
static int listen_at(const struct ip_address *address, struct endpoint *at)
{
	struct sockaddr_in6 here = {.sin6_family = AF_INET6};
	socklen_t len = sizeof(here);
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	memcpy(&here.sin6_addr, address->bytes, sizeof(here.sin6_addr));
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&here, sizeof(here)), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&here, &len), 0);
	*at = (struct endpoint){.address = *address, .port = ntohs(here.sin6_port)};
	return fd;
}

static void say(int fd, const struct sockaddr_in6 *to, const char *text)
{
	ssize_t len = (ssize_t)strlen(text);

	ck_assert_int_eq(sendto(fd, text, (size_t)len, 0, (const struct sockaddr *)to, sizeof(*to)),
			 len);
}

/* Wait until there is something to read, and read all of it. */
static size_t receive(struct udp *udp, struct datagram batch[UDP_BATCH], int ms)
{
	struct pollfd readable = {.fd = udp->handle, .events = POLLIN};

	ck_assert_int_eq(poll(&readable, 1, ms), 1);
	return udp_receive(udp, batch);
}

/* --- datagrams --- */

START_TEST(H1_ipv6_request_socket_is_not_shared)
{
	struct endpoint peer = {.address = loopback, .port = 5351};
	struct sockaddr_in6 here;
	socklen_t len = sizeof(here);
	struct udp udp;
	int on = 1;

	ck_assert_int_eq(udp_open(&udp, &peer, &no_address, NULL), OS_OK);
	ck_assert(ip_is_equal(&udp.own, &loopback));
	ck_assert(fcntl(udp.handle, F_GETFL) & O_NONBLOCK);
	ck_assert(fcntl(udp.handle, F_GETFD) & FD_CLOEXEC);
	ck_assert_int_eq(getsockname(udp.handle, (struct sockaddr *)&here, &len), 0);
	for (int options = 0; options < 4; options++) {
		int other = socket(AF_INET6, SOCK_DGRAM, 0);
		if (options & 1)
			setsockopt(other, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		if (options & 2)
			setsockopt(other, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
		ck_assert_int_eq(bind(other, (struct sockaddr *)&here, sizeof(here)), -1);
		ck_assert_int_eq(errno, EADDRINUSE);
		close(other);
	}
	udp_close(&udp);
}

START_TEST(P6_ipv6_datagrams_of_the_peer)
{
	struct datagram batch[UDP_BATCH];
	struct sockaddr_in6 from;
	socklen_t len = sizeof(from);
	struct endpoint peer;
	int there = listen_at(&loopback, &peer);
	struct udp udp;
	char text[8];

	ck_assert_int_eq(udp_open(&udp, &peer, &loopback, NULL), OS_OK);
	ck_assert_uint_eq(udp_receive(&udp, batch), 0);
	ck_assert(udp_send(&udp, (const uint8_t *)"there", 5));
	ck_assert_int_eq(recvfrom(there, text, sizeof(text), 0, (struct sockaddr *)&from, &len), 5);
	ck_assert_mem_eq(&from.sin6_addr, udp.own.bytes, 16);
	say(there, &from, "back");
	ck_assert_uint_eq(receive(&udp, batch, SOON), 1);
	ck_assert_int_eq(batch[0].kind, UDP_DATAGRAM);
	ck_assert(ip_is_equal(&batch[0].from.address, &loopback));
	ck_assert_uint_eq(batch[0].from.port, peer.port);
	ck_assert_uint_eq(batch[0].from.scope, 0);
	ck_assert_uint_eq(batch[0].len, 4);
	ck_assert_mem_eq(batch[0].bytes, "back", 4);
	udp_close(&udp);
	close(there);
}

/* An unconnected socket stands for the moment between bind() and connect(). */
START_TEST(H2_ipv6_datagrams_of_somebody_else)
{
	struct sockaddr_in6 here;
	socklen_t len = sizeof(here);
	struct datagram batch[UDP_BATCH];
	struct endpoint own, peer, other;
	struct udp udp = {.own = loopback};
	int good = listen_at(&loopback, &peer), bad = listen_at(&loopback, &other);

	udp.handle = listen_at(&loopback, &own);
	udp.peer = peer;
	ck_assert_int_eq(getsockname(udp.handle, (struct sockaddr *)&here, &len), 0);
	say(bad, &here, "forged");
	say(good, &here, "true");
	ck_assert_uint_eq(udp_receive(&udp, batch), 2);
	ck_assert_int_eq(batch[0].kind, UDP_STRANGER);
	ck_assert_uint_eq(batch[0].from.port, other.port);
	ck_assert_int_eq(batch[1].kind, UDP_DATAGRAM);
	udp.peer.address.bytes[0]++;
	say(good, &here, "true");
	ck_assert_uint_eq(udp_receive(&udp, batch), 1);
	ck_assert_int_eq(batch[0].kind, UDP_STRANGER);
	udp.peer = peer;
	udp.peer.scope = 7; /* the same address, but on that link */
	say(good, &here, "true");
	ck_assert_uint_eq(udp_receive(&udp, batch), 1);
	ck_assert_int_eq(batch[0].kind, UDP_STRANGER);
	udp_close(&udp);
	close(good);
	close(bad);
}

/* --- errors --- */

START_TEST(H3_ipv6_port_unreachable)
{
	struct datagram batch[UDP_BATCH];
	struct endpoint peer;
	struct udp udp;

	close(listen_at(&loopback, &peer)); /* nobody has that port now */
	ck_assert_int_eq(udp_open(&udp, &peer, &no_address, NULL), OS_OK);
	ck_assert(udp_send(&udp, (const uint8_t *)"first", 5));
	ck_assert(udp_send(&udp, (const uint8_t *)"second", 6)); /* hears of it, and goes out */
	ck_assert_uint_eq(udp_receive(&udp, batch), 2);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(batch[i].kind, UDP_REFUSED);
	ck_assert_mem_eq(batch[0].bytes, "first", 5);
	ck_assert_mem_eq(batch[1].bytes, "second", 6);
	ck_assert_uint_eq(udp_receive(&udp, batch), 0);
	udp_close(&udp);
}

/* A link to the router, where this host is 2001:db8:77::2 and fe80::2. */
static void join(struct router *router)
{
	router_start(router);
	run("ip addr add fe80::2/64 dev near nodad && ip addr add fe80::2/64 dev other nodad &&"
	    "ip addr add 2001:db8:77::2/64 dev near nodad");
}

/* To fe80::1 on near, from the global address. */
static void open_to_router(struct udp *udp)
{
	struct endpoint peer = {
		.address = router_address, .scope = if_nametoindex("near"), .port = ROUTER_PORT};
	struct ip_address source = address_from("2001:db8:77::2");

	ck_assert_int_eq(udp_open(udp, &peer, &source, NULL), OS_OK);
	ck_assert(ip_is_equal(&udp->own, &source));
}

START_TEST(P8_link_local_router_and_global_source)
{
	struct datagram batch[UDP_BATCH];
	struct sockaddr_in6 from;
	socklen_t len = sizeof(from);
	struct router router;
	struct udp udp;
	char text[8];

	join(&router);
	int there = router_socket(&router, "fe80::1", "far", ROUTER_PORT);
	open_to_router(&udp);
	ck_assert(udp_send(&udp, (const uint8_t *)"there", 5));
	ck_assert_int_eq(recvfrom(there, text, sizeof(text), 0, (struct sockaddr *)&from, &len), 5);
	ck_assert_mem_eq(&from.sin6_addr, udp.own.bytes, 16);
	say(there, &from, "back");
	ck_assert_uint_eq(receive(&udp, batch, SOON), 1);
	ck_assert_int_eq(batch[0].kind, UDP_DATAGRAM);
	ck_assert(ip_is_equal(&batch[0].from.address, &router_address));
	ck_assert_uint_eq(batch[0].from.scope, if_nametoindex("near"));
	close(there);
	udp_close(&udp);
	router_stop(&router);
}

START_TEST(P8_scope_source_and_interface_are_checked)
{
	struct endpoint peer = {.address = router_address, .port = ROUTER_PORT};
	struct ip_address foreign = address_from("2001:db8:77::3");
	struct router router;
	struct udp udp;

	join(&router);
	ck_assert_int_eq(udp_open(&udp, &peer, &no_address, NULL), OS_NO_ROUTE); /* no scope */
	peer.scope = if_nametoindex("near");
	ck_assert_int_eq(udp_open(&udp, &peer, &foreign, NULL), OS_NOT_OURS);
	ck_assert_int_eq(udp_open(&udp, &peer, &no_address, "other"), OS_NO_ROUTE);
	ck_assert_int_eq(udp_open(&udp, &peer, &no_address, "no-such-thing"), OS_NO_INTERFACE);
	ck_assert_int_eq(udp.handle, NO_HANDLE);
	ck_assert_int_eq(udp_open(&udp, &peer, &no_address, "near"), OS_OK);
	udp_close(&udp);
	peer = (struct endpoint){.address = far_away, .port = ROUTER_PORT};
	ck_assert_int_eq(udp_open(&udp, &peer, &no_address, NULL), OS_NO_ROUTE);
	router_stop(&router);
}

/* Send once, with that rule of the router's firewall. What comes back? */
static enum udp_kind kind_after(const struct router *router, const char *verdict)
{
	struct datagram batch[UDP_BATCH];
	char command[256];
	struct udp udp;

	snprintf(command, sizeof(command),
		 "nft 'add table ip6 t; add chain ip6 t i { type filter hook input priority 0; };"
		 "add rule ip6 t i udp dport 5351 %s'",
		 verdict);
	run_there(router, command);
	open_to_router(&udp);
	ck_assert(udp_send(&udp, (const uint8_t *)"there", 5));
	ck_assert_uint_eq(receive(&udp, batch, SOON), 1);
	ck_assert_mem_eq(batch[0].bytes, "there", 5);
	udp_close(&udp);
	run_there(router, "nft delete table ip6 t");
	return batch[0].kind;
}

START_TEST(H4_ipv6_what_icmp_says)
{
	struct router router;

	join(&router);
	ck_assert_int_eq(kind_after(&router, "accept"), UDP_REFUSED); /* nobody listens */
	ck_assert_int_eq(kind_after(&router, "reject with icmpv6 type port-unreachable"),
			 UDP_REFUSED);
	ck_assert_int_eq(kind_after(&router, "reject with icmpv6 type no-route"), UDP_UNREACHABLE);
	ck_assert_int_eq(kind_after(&router, "reject with icmpv6 type admin-prohibited"),
			 UDP_UNREACHABLE);
	ck_assert_int_eq(kind_after(&router, "reject with icmpv6 type addr-unreachable"),
			 UDP_UNREACHABLE);
	router_stop(&router);
}

/* The router is gone from the link: neighbour discovery gives up after 3 s. */
START_TEST(H4_ipv6_silent_neighbour)
{
	struct datagram batch[UDP_BATCH];
	struct router router;
	struct udp udp;

	join(&router);
	run_there(&router, "ip addr del fe80::1/64 dev far");
	open_to_router(&udp);
	ck_assert(udp_send(&udp, (const uint8_t *)"there", 5));
	ck_assert_uint_eq(receive(&udp, batch, 5000), 1);
	ck_assert_int_eq(batch[0].kind, UDP_UNREACHABLE);
	udp_close(&udp);
	router_stop(&router);
}

START_TEST(H14_ipv6_firewalls_of_this_host)
{
	static const char table[] =
		"nft 'add table ip6 t; add chain ip6 t o { type filter hook output priority 0; };"
		"add rule ip6 t o udp dport 5351 ";
	struct datagram batch[UDP_BATCH];
	char command[256];
	struct router router;
	struct udp udp;

	join(&router);
	open_to_router(&udp);
	snprintf(command, sizeof(command), "%sdrop'", table);
	run(command);
	ck_assert(!udp_send(&udp, (const uint8_t *)"there", 5));
	run("nft delete table ip6 t");
	snprintf(command, sizeof(command), "%sreject with icmpv6 type port-unreachable'", table);
	run(command);
	if (udp_send(&udp, (const uint8_t *)"there", 5)) { /* it does not know so far */
		ck_assert_uint_ge(receive(&udp, batch, SOON), 1);
		ck_assert_int_eq(batch[0].kind, UDP_BLOCKED);
	}
	run("nft delete table ip6 t");
	udp_close(&udp);
	router_stop(&router);
}

/* --- groups --- */

static size_t heard(os_handle group, struct datagram batch[UDP_BATCH])
{
	struct pollfd readable = {.fd = group, .events = POLLIN};

	return poll(&readable, 1, 200) == 1 ? udp_receive_group(group, batch) : 0;
}

START_TEST(P45_group_is_heard_on_its_link_only)
{
	struct endpoint group = {.address = address_from("ff02::1"), .port = 5350};
	struct datagram batch[UDP_BATCH];
	struct router router;
	os_handle handle;

	join(&router);
	int near = router_socket(&router, "fe80::1", "far", ROUTER_PORT);
	int other = router_socket(&router, "fe80::1", "away", ROUTER_PORT);
	group.scope = if_nametoindex("near");
	ck_assert_int_eq(udp_open_group(&handle, &group), OS_OK);
	ck_assert(fcntl(handle, F_GETFL) & O_NONBLOCK);
	ck_assert(fcntl(handle, F_GETFD) & FD_CLOEXEC);
	router_announce(other);
	ck_assert_uint_eq(heard(handle, batch), 0);
	router_announce(near);
	ck_assert_uint_eq(heard(handle, batch), 1);
	ck_assert_uint_eq(batch[0].len, 24);
	ck_assert_uint_eq(batch[0].interface, group.scope);
	ck_assert(ip_is_equal(&batch[0].from.address, &router_address));
	ck_assert_uint_eq(batch[0].from.scope, group.scope);
	ck_assert_uint_eq(batch[0].from.port, ROUTER_PORT);
	close(handle);
	close(near);
	close(other);
	router_stop(&router);
}

/* With others of this host, whichever option they set, and with those of the other family. */
START_TEST(P45_group_port_is_shared)
{
	static const int options[] = {SO_REUSEADDR, SO_REUSEPORT};
	struct endpoint group = {.address = address_from("ff02::1"), .port = 5350};
	struct endpoint v4 = {.address = {{[10] = 0xff, 0xff, 224, 0, 0, 1}}, .port = 5350};
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(5350)};
	struct datagram batch[UDP_BATCH];
	struct router router;
	os_handle handles[3];
	int on = 1;

	join(&router);
	int near = router_socket(&router, "fe80::1", "far", ROUTER_PORT);
	group.scope = if_nametoindex("near");
	for (int i = 0; i < 2; i++) {
		int foreign = socket(AF_INET6, SOCK_DGRAM, 0);
		setsockopt(foreign, SOL_SOCKET, options[i], &on, sizeof(on));
		ck_assert_int_eq(bind(foreign, (struct sockaddr *)&any, sizeof(any)), 0);
		ck_assert_int_eq(udp_open_group(&handles[0], &group), OS_OK);
		ck_assert_int_eq(udp_open_group(&handles[1], &group), OS_OK);
		ck_assert_int_eq(udp_open_group(&handles[2], &v4), OS_OK);
		router_announce(near);
		ck_assert_uint_eq(heard(handles[0], batch), 1);
		ck_assert_uint_eq(heard(handles[1], batch), 1);
		for (int n = 0; n < 3; n++)
			close(handles[n]);
		close(foreign);
	}
	group.scope = 0;
	ck_assert_int_eq(udp_open_group(&handles[0], &group), OS_FAILED);
	ck_assert_int_eq(handles[0], NO_HANDLE);
	close(near);
	router_stop(&router);
}

/* --- routes --- */

static enum os_status ask(struct route *route, const char *interface, const char *source)
{
	struct ip_address from = source ? address_from(source) : no_address;
	struct routes routes;

	ck_assert_int_eq(routes_open(&routes, OS_IPV6), OS_OK);
	enum os_status status = routes_ask(&routes, &far_away, interface, &from, route);
	routes_close(&routes);
	return status;
}

START_TEST(P1_ipv6_routes)
{
	struct ip_address own = address_from("2001:db8:77::2"),
			  second = address_from("2001:db8::5");
	struct router router;
	struct route route;

	join(&router);
	ck_assert_int_eq(ask(&route, NULL, NULL), OS_NO_ROUTE);
	run("ip -6 route add default via fe80::1 dev near");
	ck_assert_int_eq(ask(&route, NULL, NULL), OS_OK);
	ck_assert(ip_is_equal(&route.gateway, &router_address));
	ck_assert(ip_is_equal(&route.source, &own));
	ck_assert_uint_eq(route.index, if_nametoindex("near"));
	ck_assert_uint_eq(route_index("near"), route.index);
	ck_assert_uint_eq(route_index("no-such-thing"), 0);
	ck_assert_int_eq(ask(&route, "other", NULL), OS_NO_ROUTE);
	ck_assert_int_eq(ask(&route, "no-such-thing", NULL), OS_NO_INTERFACE);
	run("ip addr add 2001:db8::5/128 dev near nodad &&"
	    "ip -6 rule add from 2001:db8::5 table 7 &&"
	    "ip -6 route add default via fe80::7 dev other table 7");
	ck_assert_int_eq(ask(&route, NULL, "2001:db8::5"), OS_OK); /* the rules count */
	ck_assert_uint_eq(route.index, if_nametoindex("other"));
	ck_assert(ip_is_equal(&route.source, &second));
	run("ip -6 rule del table 7");
	router_stop(&router);
}

START_TEST(H4_ipv6_routes_that_lead_nowhere)
{
	static const char *const kinds[] = {"unreachable", "blackhole", "prohibit"};
	struct router router;
	struct route route;
	char command[64];

	join(&router);
	for (int i = 0; i < 3; i++) {
		snprintf(command, sizeof(command), "ip -6 route add %s default", kinds[i]);
		run(command);
		ck_assert_int_eq(ask(&route, NULL, NULL), OS_NO_ROUTE);
		run("ip -6 route del default");
	}
	router_stop(&router);
}

START_TEST(H5_ipv6_changes_are_news)
{
	static const char *const changes[] = {
		"ip -6 route add default via fe80::1 dev near",
		"ip -6 route del default",
		"ip addr add 2001:db8:77::9/64 dev near nodad",
		"ip addr change 2001:db8:77::9/64 dev near preferred_lft 0",
		"ip -6 rule add from 2001:db8::5 table 7",
		"ip -6 rule del from 2001:db8::5 table 7",
		"ip link set other down",
	};
	struct router router;
	struct routes routes;

	join(&router);
	ck_assert_int_eq(routes_open(&routes, OS_IPV6), OS_OK);
	struct pollfd news = {.fd = routes.handle, .events = POLLIN};
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		while (routes_take_news(&routes))
			;
		run(changes[i]);
		ck_assert_msg(poll(&news, 1, SOON) == 1, "%s", changes[i]);
		ck_assert(routes_take_news(&routes));
	}
	while (routes_take_news(&routes))
		;
	run("ip addr add 10.0.0.9/24 dev near"); /* not of this family */
	ck_assert(!routes_take_news(&routes));
	routes_close(&routes);
	router_stop(&router);
}

/* --- own addresses --- */

static bool is_global(const struct ip_address *ip)
{
	return ip->bytes[0] >> 5 == 1;
}

static bool is_anything(const struct ip_address *ip)
{
	(void)ip;
	return true;
}

static bool is_nothing(const struct ip_address *ip)
{
	(void)ip;
	return false;
}

static void finds(const char *text)
{
	struct ip_address expected = address_from(text), found = no_address;

	ck_assert_int_eq(route_find_source(if_nametoindex("near"), is_global, &found), OS_OK);
	ck_assert(ip_is_equal(&found, &expected));
}

START_TEST(P8_best_address_of_an_interface)
{
	struct router router;
	struct ip_address found;

	join(&router);
	unsigned near = if_nametoindex("near");
	finds("2001:db8:77::2");
	ck_assert_int_eq(route_find_source(if_nametoindex("other"), is_global, &found),
			 OS_NOT_OURS);
	ck_assert_int_eq(route_find_source(near, is_nothing, &found), OS_NOT_OURS);
	ck_assert_int_eq(route_find_source(near + 100, is_anything, &found), OS_NOT_OURS);
	run("ip addr change 2001:db8:77::2/64 dev near preferred_lft 0");
	finds("2001:db8:77::2"); /* deprecated, but there is no other */
	run("ip addr add fd00:77::2/64 dev near nodad");
	finds("2001:db8:77::2");
	run("ip addr add 2001:db8:78::2/64 dev near nodad");
	finds("2001:db8:78::2");
	run("ip addr add 2001:db8:76::2/64 dev near nodad preferred_lft 0");
	finds("2001:db8:78::2"); /* in whichever order they are listed */
	run("ip addr del 2001:db8:76::2/64 dev near");
	run("ip addr add 2001:db8:79::2 peer 2001:db8:79::1/128 dev near nodad &&"
	    "ip addr del 2001:db8:78::2/64 dev near && ip addr del 2001:db8:77::2/64 dev near");
	finds("2001:db8:79::2"); /* and not the peer's */
	run("ip addr del 2001:db8:79::2 peer 2001:db8:79::1/128 dev near &&"
	    "ip addr add 2001:db8:80::2/64 dev near"); /* not checked for duplicates so far */
	ck_assert_int_eq(route_find_source(near, is_global, &found), OS_NOT_OURS);
	router_stop(&router);
}

/* More than fit into one part of the kernel's list. */
START_TEST(P8_address_among_many)
{
	struct router router;

	join(&router);
	run("ip addr del 2001:db8:77::2/64 dev near &&"
	    "for i in $(seq 400); do echo addr add fd00:77::1:$i/64 dev near nodad; done |"
	    "ip -batch - && ip addr add 2001:db8:77::2/64 dev near nodad &&"
	    "for i in $(seq 400); do echo addr add fd00:77::2:$i/64 dev near nodad; done |"
	    "ip -batch -");
	finds("2001:db8:77::2");
	router_stop(&router);
}

/* --- ports --- */

static int take(int family, uint16_t port)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	ck_assert_int_eq(family == AF_INET6 ? bind(fd, (struct sockaddr *)&v6, sizeof(v6))
					    : bind(fd, (struct sockaddr *)&v4, sizeof(v4)),
			 0);
	return fd;
}

/* Free on [::] means free for a program that listens there for both families. */
START_TEST(P19_ipv6_port_is_free)
{
	static const int families[] = {AF_INET, AF_INET6};
	uint16_t port;

	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(port_pick(OS_IPV6, true, true, &port), OS_OK);
		ck_assert_int_eq(port_try(OS_IPV6, true, true, port), OS_OK);
		int taken = take(families[i], port);
		ck_assert_int_eq(port_try(OS_IPV6, true, true, port), OS_FAILED);
		ck_assert_int_eq(errno, 0);
		ck_assert_int_eq(port_try(OS_IPV6, false, true, port), OS_OK);
		close(taken);
	}
}

/* --- random bytes --- */

START_TEST(P14_random_bytes)
{
	enum { COUNT = 1000, SIZE = 12 };
	uint8_t all[COUNT][SIZE];

	for (int i = 0; i < COUNT; i++)
		ck_assert_int_eq(random_bytes(all[i], SIZE), OS_OK);
	for (int i = 0; i < COUNT; i++)
		for (int j = 0; j < i; j++)
			ck_assert_mem_ne(all[i], all[j], SIZE);
	ck_assert_int_eq(random_bytes(all, sizeof(all)), OS_OK); /* many at a time */
	ck_assert_int_eq(random_bytes(all, 0), OS_OK);
}

START_TEST(P14_no_random_bytes_is_an_error)
{
	uint8_t bytes[16];

	sandbox_deny_call(SYS_getrandom, ENOSYS);
	ck_assert_int_eq(random_bytes(bytes, sizeof(bytes)), OS_FAILED);
	ck_assert_int_eq(errno, ENOSYS);
}

int main(void)
{
	int status = enter_network();

	if (status)
		return status;
	return RUN_TESTS("api-ipv6", H1_ipv6_request_socket_is_not_shared,
			 P6_ipv6_datagrams_of_the_peer, H2_ipv6_datagrams_of_somebody_else,
			 H3_ipv6_port_unreachable, P8_link_local_router_and_global_source,
			 P8_scope_source_and_interface_are_checked, H4_ipv6_what_icmp_says,
			 H4_ipv6_silent_neighbour, H14_ipv6_firewalls_of_this_host,
			 P45_group_is_heard_on_its_link_only, P45_group_port_is_shared,
			 P1_ipv6_routes, H4_ipv6_routes_that_lead_nowhere, H5_ipv6_changes_are_news,
			 P8_best_address_of_an_interface, P8_address_among_many,
			 P19_ipv6_port_is_free, P14_random_bytes, P14_no_random_bytes_is_an_error);
}
