/* SPDX-License-Identifier: MIT */
/* udp - datagrams to one peer and from a multicast group; what ICMP says about them. */
#ifndef OS_UDP_H
#define OS_UDP_H

#include <stddef.h>
#include <stdint.h>

/* All addresses and ports in host order. Functions that return a descriptor return -1 with
 * errno set on failure; descriptors are non-blocking and close-on-exec. */

/* A socket that speaks with that peer only, from an own port nobody else can share. source
 * (0 = the kernel's choice) and interface (NULL = any) narrow where it sends from; own is told
 * the address it really sends from. */
int udp_open(uint32_t peer, uint16_t port, uint32_t source, const char *interface, uint32_t *own);

/* Send; what goes wrong with it is as if the datagram was lost on the way. */
void udp_send(int fd, const uint8_t *bytes, size_t len);

enum udp_event {
	UDP_NOTHING,
	UDP_DATAGRAM,    /* from the peer; longer ones are cut at size */
	UDP_REFUSED,     /* the peer says that its port is closed; bytes: of the datagram sent */
	UDP_UNREACHABLE, /* the network says something alike; bytes: as above */
};

/* What has come in, one thing a call. */
enum udp_event udp_receive(int fd, uint32_t peer, uint16_t port, uint8_t *bytes, size_t size,
			   size_t *len);

/* A socket bound to a multicast group's address and port, shared with whoever else listens. */
int udp_open_group(uint32_t group, uint16_t port);
/* UDP_DATAGRAM or UDP_NOTHING; from whom and by which interface it came. */
enum udp_event udp_receive_group(int fd, uint8_t *bytes, size_t size, size_t *len, uint32_t *from,
				 unsigned *interface);

#endif
