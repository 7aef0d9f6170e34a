/* SPDX-License-Identifier: MIT */
/*
 * With IP_RECVERR the kernel keeps each ICMP error together with our datagram, so that an error
 * about an earlier request is not taken for one about this request. The kernel reports it once, as
 * an error of the next call; only then is the error queue read.
 */
#include "os/udp.h"

#include <arpa/inet.h>
#include <errno.h>
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

static struct sockaddr_in address_of(const struct ip_address *ip, uint16_t port)
{
	struct sockaddr_in a = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(ip_to_v4(ip)),
		.sin_port = htons(port),
	};

	return a;
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
	struct sockaddr_in from = address_of(source, 0), to = address_of(&udp->peer, udp->port);

	if (set_flag(fd, IPPROTO_IP, IP_RECVERR) < 0)
		return errno;
	if (interface && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface,
				    (socklen_t)strlen(interface) + 1) < 0)
		return errno;
	if (!ip_is_none(source) && bind(fd, (struct sockaddr *)&from, sizeof(from)) < 0)
		return errno;
	return connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ? errno : 0;
}

enum os_status udp_open(struct udp *udp, const struct ip_address *peer, uint16_t port,
			const struct ip_address *source, const char *interface)
{
	struct sockaddr_in own = {0};
	socklen_t len = sizeof(own);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int error;

	*udp = (struct udp){.handle = NO_HANDLE, .peer = *peer, .port = port};
	if (fd < 0)
		return status_of(errno, false);
	error = prepare_socket(fd, udp, source, interface);
	if (!error && getsockname(fd, (struct sockaddr *)&own, &len) < 0)
		error = errno;
	if (error) {
		close(fd);
		return status_of(error, !ip_is_none(source));
	}
	udp->handle = fd;
	udp->own = ip_from_v4(ntohl(own.sin_addr.s_addr));
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

static enum udp_kind kind_of_error(const struct udp *udp, const struct sock_extended_err *error,
				   const struct ip_address *offender)
{
	bool is_closed =
		error->ee_type == ICMP_DEST_UNREACH &&
		(error->ee_code == ICMP_PORT_UNREACH || error->ee_code == ICMP_PROT_UNREACH);

	/* The port is closed only if the peer itself says so; a firewall may say the same. */
	if (error->ee_origin != SO_EE_ORIGIN_ICMP)
		return error->ee_errno == EPERM ? UDP_BLOCKED : UDP_UNREACHABLE;
	if (is_closed && ip_is_equal(offender, &udp->peer))
		return UDP_REFUSED;
	bool is_own = ip_is_equal(offender, &udp->own) && !ip_is_equal(&udp->own, &udp->peer);
	return is_own ? UDP_BLOCKED : UDP_UNREACHABLE;
}

static enum udp_kind read_error(const struct udp *udp, struct msghdr *message)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = next_control(message, c)) {
		struct {
			struct sock_extended_err error;
			struct sockaddr_in offender;
		} said;

		if (c->cmsg_level != IPPROTO_IP || c->cmsg_type != IP_RECVERR ||
		    c->cmsg_len < CMSG_LEN(sizeof(said)))
			continue;
		memcpy(&said, CMSG_DATA(c), sizeof(said));
		struct ip_address offender = ip_from_v4(ntohl(said.offender.sin_addr.s_addr));
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

/* Receive into the rest of the batch; -1: errno says why. Without control, the interface is 0. */
static int receive_datagrams(int fd, struct datagram *batch, size_t room, union control *control)
{
	struct mmsghdr messages[UDP_BATCH];
	struct iovec parts[UDP_BATCH];
	struct sockaddr_in from[UDP_BATCH];
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
		batch[i].from = ip_from_v4(ntohl(from[i].sin_addr.s_addr));
		batch[i].from_port = ntohs(from[i].sin_port);
		batch[i].interface = 0;
		struct msghdr *header = &messages[i].msg_hdr;
		for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = next_control(header, c)) {
			struct in_pktinfo info;

			if (c->cmsg_level != IPPROTO_IP || c->cmsg_type != IP_PKTINFO)
				continue;
			memcpy(&info, CMSG_DATA(c), sizeof(info));
			batch[i].interface = (unsigned)info.ipi_ifindex;
		}
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
			if (!ip_is_equal(&batch[i].from, &udp->peer) ||
			    batch[i].from_port != udp->port)
				batch[i].kind = UDP_STRANGER;
		count += (size_t)n;
		break; /* recvmmsg() stopped because nothing more was there, or the batch is full */
	}
	return count;
}

enum os_status udp_open_group(os_handle *handle, const struct ip_address *group, uint16_t port)
{
	struct sockaddr_in here = address_of(group, port);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	*handle = NO_HANDLE;
	if (fd < 0)
		return OS_FAILED;
	/* It is bound to the group, not to the wildcard. It has both options, so that it can be
	 * shared with sockets that use either one, even of other users (RFC 6886 section 3.2.1). */
	if (set_flag(fd, SOL_SOCKET, SO_REUSEADDR) < 0 ||
	    set_flag(fd, SOL_SOCKET, SO_REUSEPORT) < 0 ||
	    set_flag(fd, IPPROTO_IP, IP_PKTINFO) < 0 ||
	    bind(fd, (struct sockaddr *)&here, sizeof(here)) < 0) {
		int saved = errno;
		close(fd);
		errno = saved;
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
