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
	LIST_BYTES_MAX = 8192, /* a part of a list, as the kernel makes them */
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

static int open_netlink(void)
{
	return socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
}

enum os_status routes_open(struct routes *routes, enum os_family family)
{
	static const unsigned groups[] = {
		[OS_IPV4] = RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV4_RULE,
		[OS_IPV6] = RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE | 1U << (RTNLGRP_IPV6_RULE - 1),
	};
	struct sockaddr_nl here = {
		.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_LINK | groups[family],
	};
	int fd = open_netlink();

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

static void add_attribute(struct question *q, unsigned short type, const void *value, size_t size)
{
	struct rtattr a = {.rta_type = type, .rta_len = (unsigned short)RTA_LENGTH(size)};
	uint8_t *at = (uint8_t *)q + NLMSG_ALIGN(q->header.nlmsg_len);

	memcpy(at, &a, sizeof(a));
	memcpy(at + RTA_LENGTH(0), value, size);
	q->header.nlmsg_len = NLMSG_ALIGN(q->header.nlmsg_len) + (uint32_t)RTA_SPACE(size);
}

static void add_address(struct question *q, unsigned short type, const struct ip_address *ip)
{
	if (ip_is_v4(ip))
		add_attribute(q, type, ip->bytes + 12, 4);
	else
		add_attribute(q, type, ip->bytes, sizeof(ip->bytes));
}

static struct ip_address read_address(const uint8_t *bytes, size_t size)
{
	struct ip_address ip = {{0}};
	uint32_t v4;

	if (size == sizeof(ip.bytes)) {
		memcpy(ip.bytes, bytes, sizeof(ip.bytes));
	} else if (size == sizeof(v4)) {
		memcpy(&v4, bytes, sizeof(v4));
		ip = ip_from_v4(ntohl(v4));
	}
	return ip;
}

/* Call that for each attribute from there on. */
static void read_attributes(const uint8_t *bytes, size_t len, size_t at,
			    void (*read)(void *arg, unsigned short type, const uint8_t *value,
					 size_t size),
			    void *arg)
{
	struct rtattr a;

	for (; at + sizeof(a) <= len; at += RTA_ALIGN(a.rta_len)) {
		memcpy(&a, bytes + at, sizeof(a));
		if (a.rta_len < sizeof(a) || at + a.rta_len > len)
			break;
		read(arg, a.rta_type, bytes + at + RTA_LENGTH(0), a.rta_len - RTA_LENGTH(0));
	}
}

static void read_of_route(void *arg, unsigned short type, const uint8_t *value, size_t size)
{
	struct route *route = arg;

	if (type == RTA_GATEWAY)
		route->gateway = read_address(value, size);
	else if (type == RTA_PREFSRC)
		route->source = read_address(value, size);
	else if (type == RTA_OIF && size == sizeof(route->index))
		memcpy(&route->index, value, size);
}

/* 0, or the kernel's error number. */
static int read_answer(const uint8_t *bytes, size_t len, struct route *route)
{
	struct nlmsghdr header;
	struct nlmsgerr failure;
	struct rtmsg said;

	memcpy(&header, bytes, sizeof(header));
	if (header.nlmsg_type == NLMSG_ERROR && len >= NLMSG_LENGTH(sizeof(failure))) {
		memcpy(&failure, bytes + NLMSG_HDRLEN, sizeof(failure));
		return failure.error ? -failure.error : EPROTO;
	}
	if (header.nlmsg_type != RTM_NEWROUTE || header.nlmsg_len > len ||
	    header.nlmsg_len < NLMSG_LENGTH(sizeof(said)))
		return EPROTO;
	memcpy(&said, bytes + NLMSG_HDRLEN, sizeof(said));
	/* Older kernels answer such an IPv6 route like any other. */
	if (said.rtm_type == RTN_BLACKHOLE || said.rtm_type == RTN_UNREACHABLE ||
	    said.rtm_type == RTN_PROHIBIT || said.rtm_type == RTN_THROW)
		return EHOSTUNREACH;
	read_attributes(bytes, header.nlmsg_len, NLMSG_LENGTH(sizeof(said)), read_of_route, route);
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
	case EACCES:     /* a route of type prohibit */
	case EOPNOTSUPP: /* a kernel without IPv6 */
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
	bool is_v4 = ip_is_v4(destination), has_source = !ip_is_none(source);
	const uint8_t bits = is_v4 ? 32 : 128;
	struct question q = {
		.header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)),
			   .nlmsg_type = RTM_GETROUTE,
			   .nlmsg_flags = NLM_F_REQUEST},
		.route = {.rtm_family = is_v4 ? AF_INET : AF_INET6, .rtm_dst_len = bits},
	};

	*route = (struct route){0};
	add_address(&q, RTA_DST, destination);
	if (interface) {
		unsigned index = if_nametoindex(interface);
		if (!index)
			return status_of_route(errno, false);
		add_attribute(&q, RTA_OIF, &index, sizeof(index));
	}
	if (has_source) {
		q.route.rtm_src_len = bits;
		add_address(&q, RTA_SRC, source);
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

/* --- addresses --- */

/* An address of an interface, as the kernel lists it. */
struct listed {
	struct ip_address address;
	bool is_local; /* it is this host's, and not that of a single peer */
};

/* What is looked for, and the best of what was found. */
struct search {
	unsigned index;
	bool (*is_accepted)(const struct ip_address *ip);
	struct ip_address *found;
	unsigned rank; /* 0: nothing was found */
};

static void read_of_address(void *arg, unsigned short type, const uint8_t *value, size_t size)
{
	struct listed *listed = arg;

	if (type == IFA_LOCAL || (type == IFA_ADDRESS && !listed->is_local))
		listed->address = read_address(value, size);
	listed->is_local |= type == IFA_LOCAL;
}

/* 0: it cannot be used, or not yet. The rest as RFC 6724 section 5 has it, rule 3. */
static unsigned rank_of(const struct ifaddrmsg *said)
{
	bool is_tentative =
		said->ifa_flags & IFA_F_TENTATIVE && !(said->ifa_flags & IFA_F_OPTIMISTIC);

	if (is_tentative || said->ifa_flags & IFA_F_DADFAILED)
		return 0;
	return said->ifa_flags & IFA_F_DEPRECATED ? 1 : 2;
}

static void take_listed(const uint8_t *bytes, size_t len, struct search *search)
{
	struct listed listed = {.is_local = false};
	struct ifaddrmsg said;

	if (len < NLMSG_LENGTH(sizeof(said)))
		return;
	memcpy(&said, bytes + NLMSG_HDRLEN, sizeof(said));
	if (said.ifa_family != AF_INET6 || said.ifa_index != search->index ||
	    rank_of(&said) <= search->rank)
		return;
	read_attributes(bytes, len, NLMSG_LENGTH(sizeof(said)), read_of_address, &listed);
	if (!search->is_accepted(&listed.address))
		return;
	*search->found = listed.address;
	search->rank = rank_of(&said);
}

/* Read a part of the list. Returns 0, an error number, or -1 after the last one. */
static int take_part(const uint8_t *bytes, size_t len, struct search *search)
{
	struct nlmsghdr header;
	struct nlmsgerr failure;

	for (size_t at = 0; at + sizeof(header) <= len; at += NLMSG_ALIGN(header.nlmsg_len)) {
		memcpy(&header, bytes + at, sizeof(header));
		if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > len - at)
			return EPROTO;
		if (header.nlmsg_type == NLMSG_DONE)
			return -1;
		if (header.nlmsg_type == NLMSG_ERROR &&
		    header.nlmsg_len >= NLMSG_LENGTH(sizeof(failure))) {
			memcpy(&failure, bytes + at + NLMSG_HDRLEN, sizeof(failure));
			return failure.error ? -failure.error : EPROTO;
		}
		if (header.nlmsg_type == RTM_NEWADDR)
			take_listed(bytes + at, header.nlmsg_len, search);
	}
	return 0;
}

static int list_addresses(int fd, struct search *search)
{
	_Alignas(struct nlmsghdr) uint8_t bytes[LIST_BYTES_MAX];
	struct {
		struct nlmsghdr header;
		struct ifaddrmsg address;
	} q = {
		.header = {.nlmsg_len = sizeof(q),
			   .nlmsg_type = RTM_GETADDR,
			   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.address = {.ifa_family = AF_INET6},
	};
	int error = 0;

	if (send(fd, &q, sizeof(q), 0) < 0)
		return errno;
	while (!error) {
		ssize_t n = recv(fd, bytes, sizeof(bytes), 0);

		if (n >= 0)
			error = take_part(bytes, (size_t)n, search);
		else if (errno != EINTR)
			error = errno;
	}
	return error < 0 ? 0 : error;
}

enum os_status route_find_source(unsigned index, bool (*is_accepted)(const struct ip_address *),
				 struct ip_address *source)
{
	struct search search = {.index = index, .is_accepted = is_accepted, .found = source};
	int fd = open_netlink(); /* of its own, so that the list and news do not mix */
	int error;

	if (fd < 0)
		return status_of(errno);
	error = list_addresses(fd, &search);
	close(fd);
	if (error)
		return status_of(error);
	return search.rank ? OS_OK : OS_NOT_OURS;
}

/* --- interfaces --- */

unsigned route_index(const char *interface)
{
	return if_nametoindex(interface);
}

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
