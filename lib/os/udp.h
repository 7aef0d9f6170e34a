/* SPDX-License-Identifier: MIT */
/* udp - datagrams to one peer and from a multicast group, and errors about datagrams that were
 * lost. */
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
	UDP_REFUSED,     /* the peer says that its port is closed; bytes: of what we sent */
	UDP_UNREACHABLE, /* the network says that the peer cannot be reached; bytes: as above */
	UDP_BLOCKED      /* a firewall of this host stopped the datagram; bytes: as above */
};

struct datagram {
	enum udp_kind kind;
	struct endpoint from; /* of UDP_DATAGRAM and UDP_STRANGER */
	unsigned interface;   /* the system's number of the interface; of datagrams to a group */
	size_t len;
	uint8_t bytes[UDP_BYTES_MAX];
};

/* A socket that talks to one peer. */
struct udp {
	os_handle handle;
	struct endpoint peer;
	struct ip_address own;
	bool has_errors; /* errors about lost datagrams may wait to be read */
};

/* Open a socket on a port of this host that no other socket can share; source (of the peer's
 * family; none: the system's choice) and interface (NULL: any) restrict the address, which is then
 * in udp->own. Returns OS_OK, OS_NO_ROUTE, OS_NO_INTERFACE, OS_NOT_OURS, OS_NO_MEMORY or OS_FAILED;
 * on error the handle is NO_HANDLE. */
enum os_status udp_open(struct udp *udp, const struct endpoint *peer,
			const struct ip_address *source, const char *interface);
void udp_close(struct udp *udp);

/* Send a datagram. False: a firewall of this host does not let it out; any other failure counts as
 * a datagram that was lost on its way. */
bool udp_send(struct udp *udp, const uint8_t *bytes, size_t len);

/* Read at most UDP_BATCH datagrams and errors, and return their number. If it is less than
 * UDP_BATCH, nothing more was there. */
size_t udp_receive(struct udp *udp, struct datagram batch[UDP_BATCH]);

/* Open a socket that receives datagrams to a multicast group and port, which other sockets can
 * share: of an IPv6 group those that come by the interface which its scope names. Returns OS_OK, or
 * OS_FAILED with the handle NO_HANDLE. */
enum os_status udp_open_group(os_handle *handle, const struct endpoint *group);
/* Read what came to the group, like udp_receive(). */
size_t udp_receive_group(os_handle handle, struct datagram batch[UDP_BATCH]);

#endif
