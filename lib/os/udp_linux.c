/* SPDX-License-Identifier: MIT */
/*
 * With IP_RECVERR or IPV6_RECVERR the kernel keeps each ICMP error together with our datagram, so
 * that an error about an earlier request is not taken for one about this request. The kernel
 * reports it once, as an error of the next call; only then is the error queue read.
 */
#include "os/udp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/errqueue.h> /* needs struct timespec, and does not include it */

enum {
	FAILURES_MAX =
		2, /* one error may be left over from a send(); a second one is the socket's */
};

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

union control { /* aligned as a control message has to be */
	char bytes[256];
	struct cmsghdr header;
};

/* NULL after the last one. musl's macro subtracts pointers from sizes. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"
static struct cmsghdr *next_control(struct msghdr *message, struct cmsghdr *control)
{
	return CMSG_NXTHDR(message, control);
}
#pragma GCC diagnostic pop

/* Returns the length. */
static socklen_t write_address(union address *a, const struct endpoint *from)
{
	memset(a, 0, sizeof(*a));
	if (ip_is_v4(&from->address)) {
		a->v4.sin_family = AF_INET;
		a->v4.sin_addr.s_addr = htonl(ip_to_v4(&from->address));
		a->v4.sin_port = htons(from->port);
		return sizeof(a->v4);
	}
	a->v6.sin6_family = AF_INET6;
	memcpy(&a->v6.sin6_addr, from->address.bytes, sizeof(a->v6.sin6_addr));
	a->v6.sin6_scope_id = from->scope;
	a->v6.sin6_port = htons(from->port);
	return sizeof(a->v6);
}

static struct endpoint read_address(const union address *a)
{
	struct endpoint from = {.scope = 0};

	if (a->any.sa_family == AF_INET) {
		from.address = ip_from_v4(ntohl(a->v4.sin_addr.s_addr));
		from.port = ntohs(a->v4.sin_port);
	} else if (a->any.sa_family == AF_INET6) {
		memcpy(from.address.bytes, &a->v6.sin6_addr, sizeof(from.address.bytes));
		from.scope = a->v6.sin6_scope_id;
		from.port = ntohs(a->v6.sin6_port);
	}
	return from;
}

static bool is_same_host(const struct endpoint *a, const struct endpoint *b)
{
	return ip_is_equal(&a->address, &b->address) && a->scope == b->scope;
}

static int open_socket(const struct endpoint *peer)
{
	return socket(ip_is_v4(&peer->address) ? AF_INET : AF_INET6,
		      SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static int set_flag(int fd, int level, int option)
{
	int on = 1;

	return setsockopt(fd, level, option, &on, sizeof(on));
}

static enum os_status status_of(int error, bool has_source)
{
	switch (error) {
	case ENODEV:
		return OS_NO_INTERFACE;
	case EADDRNOTAVAIL:
		return has_source ? OS_NOT_OURS : OS_NO_ROUTE;
	case EINVAL:
	case ENETUNREACH:
	case EHOSTUNREACH:
	case ENETDOWN:
	case EACCES:
		return OS_NO_ROUTE;
	case ENOMEM:
		return OS_NO_MEMORY;
	default:
		errno = error;
		return OS_FAILED;
	}
}

/* 0, or an error number. */
static int prepare_socket(int fd, const struct udp *udp, const struct ip_address *source,
			  const char *interface)
{
	bool is_v4 = ip_is_v4(&udp->peer.address);
	struct endpoint here = {.address = *source};
	union address address;
	socklen_t len;

	if (is_v4 ? set_flag(fd, IPPROTO_IP, IP_RECVERR) < 0
		  : set_flag(fd, IPPROTO_IPV6, IPV6_RECVERR) < 0)
		return errno;
	if (interface && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface,
				    (socklen_t)strlen(interface) + 1) < 0)
		return errno;
	if (!ip_is_none(source)) {
		len = write_address(&address, &here);
		if (bind(fd, &address.any, len) < 0)
			return errno;
	}
	len = write_address(&address, &udp->peer);
	return connect(fd, &address.any, len) < 0 ? errno : 0;
}

enum os_status udp_open(struct udp *udp, const struct endpoint *peer,
			const struct ip_address *source, const char *interface)
{
	union address own = {.v6 = {0}};
	socklen_t len = sizeof(own);
	int fd = open_socket(peer);
	int error;

	*udp = (struct udp){.handle = NO_HANDLE, .peer = *peer};
	if (fd < 0)
		return status_of(errno, false);
	error = prepare_socket(fd, udp, source, interface);
	if (!error && getsockname(fd, &own.any, &len) < 0)
		error = errno;
	if (error) {
		close(fd);
		return status_of(error, !ip_is_none(source));
	}
	udp->handle = fd;
	udp->own = read_address(&own).address;
	return OS_OK;
}

void udp_close(struct udp *udp)
{
	if (udp->handle != NO_HANDLE)
		close(udp->handle);
	udp->handle = NO_HANDLE;
}

bool udp_send(struct udp *udp, const uint8_t *bytes, size_t len)
{
	if (send(udp->handle, bytes, len, MSG_NOSIGNAL) >= 0)
		return true;
	/* The error may be about an earlier datagram, and then this one was not sent: send it
	 * again. */
	udp->has_errors = true;
	return send(udp->handle, bytes, len, MSG_NOSIGNAL) >= 0 || errno != EPERM;
}

/* --- receiving --- */

/* Does the error say that nobody listens on the port? */
static bool is_about_port(const struct sock_extended_err *error)
{
	if (error->ee_origin == SO_EE_ORIGIN_ICMP6)
		return error->ee_type == ICMP6_DST_UNREACH &&
		       error->ee_code == ICMP6_DST_UNREACH_NOPORT;
	return error->ee_type == ICMP_DEST_UNREACH &&
	       (error->ee_code == ICMP_PORT_UNREACH || error->ee_code == ICMP_PROT_UNREACH);
}

/* Does the error say that the peer cannot be found on its link? This host itself says so, too, when
 * nobody answers ARP or neighbour discovery. */
static bool is_about_neighbour(const struct sock_extended_err *error)
{
	if (error->ee_origin == SO_EE_ORIGIN_ICMP6)
		return error->ee_type == ICMP6_DST_UNREACH &&
		       error->ee_code == ICMP6_DST_UNREACH_ADDR;
	return error->ee_type == ICMP_DEST_UNREACH && error->ee_code == ICMP_HOST_UNREACH;
}

static enum udp_kind kind_of_error(const struct udp *udp, const struct sock_extended_err *error,
				   const struct endpoint *offender)
{
	bool is_icmp =
		error->ee_origin == SO_EE_ORIGIN_ICMP || error->ee_origin == SO_EE_ORIGIN_ICMP6;
	const struct ip_address *own = &udp->own;

	if (!is_icmp)
		return error->ee_errno == EPERM ? UDP_BLOCKED : UDP_UNREACHABLE;
	/* The port is closed only if the peer itself says so; a firewall may say the same. */
	if (is_about_port(error) && is_same_host(offender, &udp->peer))
		return UDP_REFUSED;
	bool is_own = ip_is_equal(&offender->address, own) && !ip_is_equal(own, &udp->peer.address);
	return is_own && !is_about_neighbour(error) ? UDP_BLOCKED : UDP_UNREACHABLE;
}

static bool is_error(const struct cmsghdr *c)
{
	return (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
	       (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR);
}

static enum udp_kind read_error(const struct udp *udp, struct msghdr *message)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = next_control(message, c)) {
		struct {
			struct sock_extended_err error;
			union address offender;
		} said;
		size_t len = c->cmsg_len - CMSG_LEN(0);

		if (!is_error(c) || len < sizeof(said.error) + sizeof(said.offender.v4))
			continue;
		memset(&said, 0, sizeof(said));
		memcpy(&said, CMSG_DATA(c), len < sizeof(said) ? len : sizeof(said));
		struct endpoint offender = read_address(&said.offender);
		return kind_of_error(udp, &said.error, &offender);
	}
	return UDP_UNREACHABLE;
}

static size_t receive_errors(struct udp *udp, struct datagram *batch, size_t room)
{
	size_t count = 0;

	while (count < room) {
		struct datagram *datagram = &batch[count];
		struct iovec part = {.iov_base = datagram->bytes, .iov_len = UDP_BYTES_MAX};
		union control control;
		struct msghdr message = {
			.msg_iov = &part,
			.msg_iovlen = 1,
			.msg_control = &control,
			.msg_controllen = sizeof(control),
		};
		ssize_t n = recvmsg(udp->handle, &message, MSG_ERRQUEUE);

		if (n < 0) {
			udp->has_errors = false;
			break;
		}
		datagram->len = (size_t)n;
		datagram->kind = read_error(udp, &message);
		count++;
	}
	return count;
}

/* By which interface it came; 0: that is not told. */
static unsigned read_interface(struct msghdr *message)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = next_control(message, c)) {
		struct in_pktinfo v4;
		struct in6_pktinfo v6;

		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			memcpy(&v4, CMSG_DATA(c), sizeof(v4));
			return (unsigned)v4.ipi_ifindex;
		}
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			memcpy(&v6, CMSG_DATA(c), sizeof(v6));
			return v6.ipi6_ifindex;
		}
	}
	return 0;
}

/* Receive into the rest of the batch; -1: errno says why. Without control, the interface is 0. */
static int receive_datagrams(int fd, struct datagram *batch, size_t room, union control *control)
{
	struct mmsghdr messages[UDP_BATCH];
	struct iovec parts[UDP_BATCH];
	union address from[UDP_BATCH];
	int count;

	memset(messages, 0, sizeof(messages));
	memset(from, 0, sizeof(from));
	for (size_t i = 0; i < room; i++) {
		struct msghdr *header = &messages[i].msg_hdr;
		parts[i].iov_base = batch[i].bytes;
		parts[i].iov_len = UDP_BYTES_MAX;
		header->msg_name = &from[i];
		header->msg_namelen = sizeof(from[i]);
		header->msg_iov = &parts[i];
		header->msg_iovlen = 1;
		header->msg_control = control ? &control[i] : NULL;
		header->msg_controllen = control ? sizeof(control[i]) : 0;
	}
	count = recvmmsg(fd, messages, (unsigned)room, 0, NULL);
	for (int i = 0; i < count; i++) {
		batch[i].kind = UDP_DATAGRAM;
		batch[i].len = messages[i].msg_len;
		batch[i].from = read_address(&from[i]);
		batch[i].interface = read_interface(&messages[i].msg_hdr);
	}
	return count;
}

size_t udp_receive(struct udp *udp, struct datagram batch[UDP_BATCH])
{
	size_t count = 0;
	unsigned failures = 0;

	if (udp->has_errors)
		count = receive_errors(udp, batch, UDP_BATCH);
	while (count < UDP_BATCH && failures < FAILURES_MAX) {
		int n = receive_datagrams(udp->handle, batch + count, UDP_BATCH - count, NULL);

		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (n < 0) {
			failures++;
			udp->has_errors = true;
			count += receive_errors(udp, batch + count, UDP_BATCH - count);
			continue;
		}
		/* A datagram that was queued between socket() and connect() may be from anybody. */
		for (size_t i = count; i < count + (size_t)n; i++)
			if (!is_same_host(&batch[i].from, &udp->peer) ||
			    batch[i].from.port != udp->peer.port)
				batch[i].kind = UDP_STRANGER;
		count += (size_t)n;
		break; /* recvmmsg() stopped because nothing more was there, or the batch is full */
	}
	return count;
}

/* 0, or an error number. It is bound to the group, not to the wildcard. It has both options, so
 * that it can be shared with sockets that use either one, even of other users (RFC 6886
 * section 3.2.1).
 */
static int prepare_group(int fd, const struct endpoint *group)
{
	bool is_v4 = ip_is_v4(&group->address);
	union address here;
	socklen_t len = write_address(&here, group);
	bool is_ready = set_flag(fd, SOL_SOCKET, SO_REUSEADDR) == 0 &&
			set_flag(fd, SOL_SOCKET, SO_REUSEPORT) == 0 &&
			(is_v4 ? set_flag(fd, IPPROTO_IP, IP_PKTINFO)
			       : set_flag(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO)) == 0 &&
			bind(fd, &here.any, len) == 0;

	return is_ready ? 0 : errno;
}

enum os_status udp_open_group(os_handle *handle, const struct endpoint *group)
{
	int fd = open_socket(group);
	int error;

	*handle = NO_HANDLE;
	if (fd < 0)
		return OS_FAILED;
	error = prepare_group(fd, group);
	if (error) {
		close(fd);
		errno = error;
		return OS_FAILED;
	}
	*handle = fd;
	return OS_OK;
}

size_t udp_receive_group(os_handle handle, struct datagram batch[UDP_BATCH])
{
	union control control[UDP_BATCH];
	int count = receive_datagrams(handle, batch, UDP_BATCH, control);

	return count < 0 ? 0 : (size_t)count;
}
