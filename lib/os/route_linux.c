/* SPDX-License-Identifier: MIT */
/* The kernel itself is asked to decide (RTM_GETROUTE): metrics, policy rules, VPNs' pairs of /1
 * routes and several default routes come out as they do for any packet. */
#include "os/route.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

struct question {
	struct nlmsghdr header;
	struct rtmsg route;
	uint8_t attributes[64];
};

static void add_attribute(struct question *q, unsigned short type, uint32_t value)
{
	struct rtattr a = {.rta_type = type, .rta_len = RTA_LENGTH(sizeof(value))};
	uint8_t *at = (uint8_t *)q + NLMSG_ALIGN(q->header.nlmsg_len);

	memcpy(at, &a, sizeof(a));
	memcpy(at + RTA_LENGTH(0), &value, sizeof(value));
	q->header.nlmsg_len = NLMSG_ALIGN(q->header.nlmsg_len) + RTA_SPACE(sizeof(value));
}

static int exchange(const struct question *q, uint8_t *answer, size_t size, size_t *len)
{
	int error = 0;
	ssize_t n;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0)
		return errno;
	if (send(fd, q, q->header.nlmsg_len, 0) < 0) {
		error = errno;
		goto cleanup;
	}
	do
		n = recv(fd, answer, size, 0); /* the kernel answers before send() returns */
	while (n < 0 && errno == EINTR);
	if (n < 0)
		error = errno;
	else
		*len = (size_t)n;
cleanup:
	close(fd);
	return error;
}

static void read_attribute(struct route *route, unsigned short type, uint32_t value)
{
	if (type == RTA_GATEWAY)
		route->gateway = ntohl(value);
	else if (type == RTA_PREFSRC)
		route->source = ntohl(value);
	else if (type == RTA_OIF)
		route->index = value;
}

static int read_answer(const uint8_t *bytes, size_t len, struct route *route)
{
	struct nlmsghdr header;
	struct nlmsgerr failure;

	if (len < sizeof(header))
		return EPROTO;
	memcpy(&header, bytes, sizeof(header));
	if (header.nlmsg_type == NLMSG_ERROR && len >= NLMSG_LENGTH(sizeof(failure))) {
		memcpy(&failure, bytes + NLMSG_HDRLEN, sizeof(failure));
		return failure.error ? -failure.error : EPROTO;
	}
	if (header.nlmsg_type != RTM_NEWROUTE || header.nlmsg_len > len)
		return EPROTO;
	struct rtattr a;
	for (size_t at = NLMSG_LENGTH(sizeof(struct rtmsg)); at + sizeof(a) <= header.nlmsg_len;
	     at += RTA_ALIGN(a.rta_len)) {
		uint32_t value;

		memcpy(&a, bytes + at, sizeof(a));
		if (a.rta_len < sizeof(a) || at + a.rta_len > header.nlmsg_len)
			break;
		if (a.rta_len != RTA_LENGTH(sizeof(value)))
			continue;
		memcpy(&value, bytes + at + RTA_LENGTH(0), sizeof(value));
		read_attribute(route, a.rta_type, value);
	}
	return 0;
}

int route_lookup(uint32_t destination, const char *interface, uint32_t source, struct route *route)
{
	struct question q = {
		.header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)),
			   .nlmsg_type = RTM_GETROUTE,
			   .nlmsg_flags = NLM_F_REQUEST},
		.route = {.rtm_family = AF_INET, .rtm_dst_len = 32},
	};
	uint8_t answer[1024];
	size_t len = 0;
	int error;

	*route = (struct route){0};
	add_attribute(&q, RTA_DST, htonl(destination));
	if (interface) {
		unsigned index = if_nametoindex(interface);
		if (!index)
			return errno; /* ENODEV, or no descriptor to ask with */
		add_attribute(&q, RTA_OIF, index);
	}
	if (source) {
		q.route.rtm_src_len = 32;
		add_attribute(&q, RTA_SRC, htonl(source));
	}
	error = exchange(&q, answer, sizeof(answer), &len);
	if (!error)
		error = read_answer(answer, len, route);
	if (!error && source)
		route->source = source;
	return error;
}

void route_interface(const struct route *route, char name[IF_NAMESIZE])
{
	if (!if_indextoname(route->index, name))
		name[0] = '\0';
}

bool route_is_point_to_point(const struct route *route)
{
	struct ifreq request = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool is = fd >= 0 && if_indextoname(route->index, request.ifr_name) &&
		  ioctl(fd, SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & IFF_POINTOPOINT);

	if (fd >= 0)
		close(fd);
	return is;
}

int route_watch(void)
{
	struct sockaddr_nl here = {
		.nl_family = AF_NETLINK,
		.nl_groups =
			RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV4_RULE,
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&here, sizeof(here)) < 0) {
		int saved = errno;
		close(fd);
		errno = saved;
		fd = -1;
	}
	return fd;
}

bool route_changed(int fd)
{
	uint8_t news[8192];
	bool changed = false;
	ssize_t n;

	/* What exactly has changed does not matter: who cares looks up anew. ENOBUFS: some news
	 * were lost, which is news as well. */
	while ((n = recv(fd, news, sizeof(news), 0)) >= 0 || errno == ENOBUFS || errno == EINTR)
		changed |= n >= 0 || errno == ENOBUFS;
	return changed;
}
