/* SPDX-License-Identifier: MIT */
/*
 * One netlink socket does it all: RTM_GETROUTE asks the kernel for its decision, and the kernel
 * reports changes. It answers a question before send() returns; whatever is read before that answer
 * is remembered as news.
 */
#include "os/route.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/clock.h"

enum {
	NEWS_MAX = 64, /* datagrams read at a time */
	BYTES_MAX = 4096,
};

_Static_assert(OS_INTERFACE_LEN >= IF_NAMESIZE, "an interface's name has to fit");

struct question {
	struct nlmsghdr header;
	struct rtmsg route;
	uint8_t attributes[64];
};

static enum os_status status_of(int error)
{
	switch (error) {
	case EAFNOSUPPORT: /* a service without AF_NETLINK, a seccomp filter */
	case EACCES:
	case EPERM:
	case ENOSYS:
	case EPROTONOSUPPORT:
		errno = error;
		return OS_DENIED;
	case ENOMEM:
		return OS_NO_MEMORY;
	default:
		errno = error;
		return OS_FAILED;
	}
}

enum os_status routes_open(struct routes *routes)
{
	struct sockaddr_nl here = {
		.nl_family = AF_NETLINK,
		.nl_groups =
			RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV4_RULE,
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);

	*routes = (struct routes){.handle = NO_HANDLE};
	if (fd < 0)
		return status_of(errno);
	if (bind(fd, (struct sockaddr *)&here, sizeof(here)) < 0) {
		int error = errno;
		close(fd);
		return status_of(error);
	}
	routes->handle = fd;
	/* News carry the serial of the request that caused them, so begin with one that nobody else
	 * is likely to use. */
	routes->serial = (uint32_t)clock_us();
	return OS_OK;
}

void routes_close(struct routes *routes)
{
	if (routes->handle != NO_HANDLE)
		close(routes->handle);
	*routes = (struct routes){.handle = NO_HANDLE};
}

/* --- the question --- */

static void add_attribute(struct question *q, unsigned short type, uint32_t value)
{
	struct rtattr a = {.rta_type = type, .rta_len = RTA_LENGTH(sizeof(value))};
	uint8_t *at = (uint8_t *)q + NLMSG_ALIGN(q->header.nlmsg_len);

	memcpy(at, &a, sizeof(a));
	memcpy(at + RTA_LENGTH(0), &value, sizeof(value));
	q->header.nlmsg_len = NLMSG_ALIGN(q->header.nlmsg_len) + RTA_SPACE(sizeof(value));
}

static void read_attribute(struct route *route, unsigned short type, uint32_t value)
{
	if (type == RTA_GATEWAY)
		route->gateway = ip_from_v4(ntohl(value));
	else if (type == RTA_PREFSRC)
		route->source = ip_from_v4(ntohl(value));
	else if (type == RTA_OIF)
		route->index = value;
}

static void read_route(const uint8_t *bytes, size_t len, struct route *route)
{
	struct rtattr a;

	for (size_t at = NLMSG_LENGTH(sizeof(struct rtmsg)); at + sizeof(a) <= len;
	     at += RTA_ALIGN(a.rta_len)) {
		uint32_t value;

		memcpy(&a, bytes + at, sizeof(a));
		if (a.rta_len < sizeof(a) || at + a.rta_len > len)
			break;
		if (a.rta_len != RTA_LENGTH(sizeof(value)))
			continue;
		memcpy(&value, bytes + at + RTA_LENGTH(0), sizeof(value));
		read_attribute(route, a.rta_type, value);
	}
}

/* 0, or the kernel's error number. */
static int read_answer(const uint8_t *bytes, size_t len, struct route *route)
{
	struct nlmsghdr header;
	struct nlmsgerr failure;

	memcpy(&header, bytes, sizeof(header));
	if (header.nlmsg_type == NLMSG_ERROR && len >= NLMSG_LENGTH(sizeof(failure))) {
		memcpy(&failure, bytes + NLMSG_HDRLEN, sizeof(failure));
		return failure.error ? -failure.error : EPROTO;
	}
	if (header.nlmsg_type != RTM_NEWROUTE || header.nlmsg_len > len)
		return EPROTO;
	read_route(bytes, header.nlmsg_len, route);
	return 0;
}

/* Read the next datagram, and return its length. 0: there is none, or it was lost, which counts as
 * news. */
static size_t read_datagram(struct routes *routes, uint8_t bytes[BYTES_MAX], int *error)
{
	ssize_t n;

	do
		n = recv(routes->handle, bytes, BYTES_MAX, 0);
	while (n < 0 && errno == EINTR);
	*error = n < 0 ? errno : 0;
	routes->has_news |= *error == ENOBUFS;
	return n < (ssize_t)sizeof(struct nlmsghdr) ? 0 : (size_t)n;
}

static int exchange(struct routes *routes, struct question *q, struct route *route)
{
	_Alignas(struct nlmsghdr) uint8_t bytes[BYTES_MAX];
	struct nlmsghdr header;
	int error;

	q->header.nlmsg_seq = ++routes->serial;
	if (send(routes->handle, q, q->header.nlmsg_len, 0) < 0)
		return errno;
	for (int i = 0; i < 4 * NEWS_MAX; i++) {
		size_t len = read_datagram(routes, bytes, &error);

		if (!len && error != ENOBUFS)
			return error ? error : EPROTO;
		if (!len)
			continue;
		memcpy(&header, bytes, sizeof(header));
		if (header.nlmsg_seq == routes->serial && header.nlmsg_type != RTM_DELROUTE)
			return read_answer(bytes, len, route);
		routes->has_news = true;
	}
	return EPROTO;
}

static enum os_status status_of_route(int error, bool has_source)
{
	switch (error) {
	case 0:
		return OS_OK;
	case ENODEV:
		return OS_NO_INTERFACE;
	case EINVAL: /* a route of type blackhole, or not from that source */
	case EADDRNOTAVAIL:
		return has_source ? OS_NOT_OURS : OS_NO_ROUTE;
	case ENETUNREACH:
	case EHOSTUNREACH:
	case ENETDOWN:
	case EACCES: /* a route of type prohibit */
		return OS_NO_ROUTE;
	case ENOMEM:
		return OS_NO_MEMORY;
	default:
		errno = error;
		return OS_FAILED;
	}
}

enum os_status routes_ask(struct routes *routes, const struct ip_address *destination,
			  const char *interface, const struct ip_address *source,
			  struct route *route)
{
	struct question q = {
		.header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)),
			   .nlmsg_type = RTM_GETROUTE,
			   .nlmsg_flags = NLM_F_REQUEST},
		.route = {.rtm_family = AF_INET, .rtm_dst_len = 32},
	};

	bool has_source = !ip_is_none(source);

	*route = (struct route){0};
	add_attribute(&q, RTA_DST, htonl(ip_to_v4(destination)));
	if (interface) {
		unsigned index = if_nametoindex(interface);
		if (!index)
			return status_of_route(errno, false);
		add_attribute(&q, RTA_OIF, index);
	}
	if (has_source) {
		q.route.rtm_src_len = 32;
		add_attribute(&q, RTA_SRC, htonl(ip_to_v4(source)));
	}
	enum os_status status = status_of_route(exchange(routes, &q, route), has_source);
	if (has_source)
		route->source = *source;
	return status;
}

/* --- news --- */

bool routes_take_news(struct routes *routes)
{
	_Alignas(struct nlmsghdr) uint8_t bytes[BYTES_MAX];
	bool changed;
	int error;

	for (int i = 0; i < NEWS_MAX; i++) {
		if (read_datagram(routes, bytes, &error))
			routes->has_news = true;
		else if (error != ENOBUFS)
			break;
	}
	changed = routes->has_news;
	routes->has_news = false;
	return changed;
}

/* --- interfaces --- */

void route_interface(const struct route *route, char name[OS_INTERFACE_LEN])
{
	memset(name, 0, OS_INTERFACE_LEN);
	if (!route->index || !if_indextoname(route->index, name))
		name[0] = '\0';
}

bool route_is_point_to_point(const struct route *route)
{
	struct ifreq request = {0};
	bool is_point_to_point = false;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return false;
	if (if_indextoname(route->index, request.ifr_name) &&
	    ioctl(fd, SIOCGIFFLAGS, &request) == 0)
		is_point_to_point = request.ifr_flags & IFF_POINTOPOINT;
	close(fd);
	return is_point_to_point;
}
