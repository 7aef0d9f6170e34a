/* SPDX-License-Identifier: MIT */
/* udp - datagrams to one peer and from a multicast group, and what was said about lost ones. */
#ifndef OS_UDP_H
#define OS_UDP_H

#include <stdbool.h>
#include <stddef.h>

#include "os/os.h"

enum {
	UDP_BYTES_MAX = 1104, /* more than any valid packet of ours; longer ones are cut */
	UDP_BATCH = 8,        /* datagrams read at a time */
};

enum udp_kind {
	UDP_DATAGRAM,    /* from the peer */
	UDP_STRANGER,    /* from another address or port */
	UDP_REFUSED,     /* the peer says that its port is closed; bytes: of the datagram sent */
	UDP_UNREACHABLE, /* the network says something alike; bytes: as above */
	UDP_BLOCKED      /* a firewall of this host says it; bytes: as above */
};

struct datagram {
	enum udp_kind kind;
	uint32_t from;      /* address; of UDP_DATAGRAM and UDP_STRANGER */
	uint16_t from_port; /* likewise */
	unsigned interface; /* the system's number of it; of a group's datagrams */
	size_t len;
	uint8_t bytes[UDP_BYTES_MAX];
};

/* A socket that speaks with one peer. */
struct udp {
	os_handle handle;
	uint32_t peer, own; /* addresses */
	uint16_t port;      /* the peer's */
	bool has_errors;    /* there may be something to read about lost datagrams */
};

/* From an own port that nobody else can share. source (0: the system's choice) and interface (NULL:
 * any) narrow where it sends from; udp->own is the address that it really sends from. OS_OK,
 * OS_NO_ROUTE, OS_NO_INTERFACE, OS_NOT_OURS, OS_NO_MEMORY or OS_FAILED; on failure the handle is
 * NO_HANDLE. */
enum os_status udp_open(struct udp *udp, uint32_t peer, uint16_t port, uint32_t source,
			const char *interface);
void udp_close(struct udp *udp);

/* Send a datagram. False: a firewall of this host does not let it out. Whatever else goes wrong
 * is as if the datagram was lost on its way. */
bool udp_send(struct udp *udp, const uint8_t *bytes, size_t len);

/* Read what has come, UDP_BATCH things at most; never blocks. Returns their number. Fewer than
 * UDP_BATCH: nothing more was there at that moment. */
size_t udp_receive(struct udp *udp, struct datagram batch[UDP_BATCH]);

/* A socket bound to a multicast group's address and port, shared with whoever else listens. OS_OK
 * or OS_FAILED; then the handle is NO_HANDLE. */
enum os_status udp_open_group(os_handle *handle, uint32_t group, uint16_t port);
/* Read what has come to it, as udp_receive(). */
size_t udp_receive_group(os_handle handle, struct datagram batch[UDP_BATCH]);

#endif
