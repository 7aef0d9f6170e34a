/* SPDX-License-Identifier: MIT */
#include "os/udp.h"

#include <errno.h>
#include <time.h>

#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Wide enough for two IP_RECVERR or IP_PKTINFO messages, and aligned for them. */
union control {
	struct cmsghdr align;
	char room[256];
};

static struct sockaddr_in address_of(uint32_t address, uint16_t port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(address),
		.sin_port = htons(port),
	};
}

static int set_flag(int fd, int level, int option)
{
	const int on = 1;

	return setsockopt(fd, level, option, &on, sizeof(on));
}

static int close_keeping_errno(int fd)
{
	int saved = errno;

	close(fd);
	errno = saved;
	return -1;
}

int udp_open(uint32_t peer, uint16_t port, uint32_t source, const char *interface, uint32_t *own)
{
	struct sockaddr_in from = address_of(source, 0), to = address_of(peer, port);
	socklen_t len = sizeof(from);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	/* With IP_RECVERR the errors carry our own datagram back, so that one for an earlier
	 * request cannot be taken for one for this. */
	if (set_flag(fd, IPPROTO_IP, IP_RECVERR) < 0)
		return close_keeping_errno(fd);
	if (interface && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface,
				    (socklen_t)strlen(interface) + 1) < 0)
		return close_keeping_errno(fd);
	if (source && bind(fd, (struct sockaddr *)&from, sizeof(from)) < 0)
		return close_keeping_errno(fd);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ||
	    getsockname(fd, (struct sockaddr *)&from, &len) < 0)
		return close_keeping_errno(fd);
	*own = ntohl(from.sin_addr.s_addr);
	return fd;
}

void udp_send(int fd, const uint8_t *bytes, size_t len)
{
	/* An error of an earlier datagram may be reported, and this one not sent: once more. */
	if (send(fd, bytes, len, MSG_NOSIGNAL) < 0)
		(void)!send(fd, bytes, len, MSG_NOSIGNAL);
}

static enum udp_event icmp_error(struct msghdr *message, uint32_t peer)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		struct {
			struct sock_extended_err error;
			struct sockaddr_in offender;
		} said;

		if (c->cmsg_level != IPPROTO_IP || c->cmsg_type != IP_RECVERR ||
		    c->cmsg_len < CMSG_LEN(sizeof(said)))
			continue;
		memcpy(&said, CMSG_DATA(c), sizeof(said));
		/* Closed is closed only if the peer itself says so; a firewall may say the same. */
		if (said.error.ee_origin == SO_EE_ORIGIN_ICMP &&
		    said.error.ee_type == ICMP_DEST_UNREACH &&
		    (said.error.ee_code == ICMP_PORT_UNREACH ||
		     said.error.ee_code == ICMP_PROT_UNREACH) &&
		    ntohl(said.offender.sin_addr.s_addr) == peer)
			return UDP_REFUSED;
	}
	return UDP_UNREACHABLE;
}

enum udp_event udp_receive(int fd, uint32_t peer, uint16_t port, uint8_t *bytes, size_t size,
			   size_t *len)
{
	struct sockaddr_in from;
	union control control;
	struct iovec part = {.iov_base = bytes, .iov_len = size};

	for (int failures = 0; failures < 2;) { /* one may be left over from a send() */
		struct msghdr message = {
			.msg_name = &from,
			.msg_namelen = sizeof(from),
			.msg_iov = &part,
			.msg_iovlen = 1,
		};
		ssize_t n = recvmsg(fd, &message, 0);
		bool empty = n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);

		if (n >= 0) {
			*len = (size_t)n;
			/* One that was queued between socket() and connect() comes in whoever sent
			 * it. */
			if (message.msg_namelen == sizeof(from) && from.sin_family == AF_INET &&
			    ntohl(from.sin_addr.s_addr) == peer && ntohs(from.sin_port) == port)
				return UDP_DATAGRAM;
			continue;
		}
		/* The error queue has what recvmsg(), or a send() before it, only hinted at. */
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		n = recvmsg(fd, &message, MSG_ERRQUEUE);
		if (n >= 0) {
			*len = (size_t)n;
			return icmp_error(&message, peer);
		}
		if (empty)
			return UDP_NOTHING;
		failures++;
	}
	return UDP_NOTHING;
}

int udp_open_group(uint32_t group, uint16_t port)
{
	struct sockaddr_in here = address_of(group, port);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	/* Bound to the group and not to the wildcard, and with both options, so that it can be
	 * shared with whichever of them others use, of other users too (RFC 6886 section 3.2.1). */
	if (set_flag(fd, SOL_SOCKET, SO_REUSEADDR) < 0 ||
	    set_flag(fd, SOL_SOCKET, SO_REUSEPORT) < 0 ||
	    set_flag(fd, IPPROTO_IP, IP_PKTINFO) < 0 ||
	    bind(fd, (struct sockaddr *)&here, sizeof(here)) < 0)
		return close_keeping_errno(fd);
	return fd;
}

enum udp_event udp_receive_group(int fd, uint8_t *bytes, size_t size, size_t *len, uint32_t *from,
				 unsigned *interface)
{
	struct sockaddr_in source = {0};
	union control control;
	struct iovec part = {.iov_base = bytes, .iov_len = size};
	struct msghdr message = {
		.msg_name = &source,
		.msg_namelen = sizeof(source),
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(fd, &message, 0);

	if (n < 0)
		return UDP_NOTHING;
	*len = (size_t)n;
	*from = ntohl(source.sin_addr.s_addr);
	*interface = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
		struct in_pktinfo info;

		if (c->cmsg_level != IPPROTO_IP || c->cmsg_type != IP_PKTINFO)
			continue;
		memcpy(&info, CMSG_DATA(c), sizeof(info));
		*interface = (unsigned)info.ipi_ifindex;
	}
	return UDP_DATAGRAM;
}
