/* SPDX-License-Identifier: MIT */
/* route - by which gateway, from which address, and tell me when that changes. One file per
 * system behind it: route_linux.c. */
#ifndef OS_ROUTE_H
#define OS_ROUTE_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

struct route {
	uint32_t gateway; /* next hop, host order; 0: the destination is reached without one */
	uint32_t source;  /* the own address a packet would carry */
	unsigned index;   /* of the interface */
};

/* How would the kernel send to that address, by that interface only (NULL = any), from that
 * own address (0 = any)? 0, or an errno: ENETUNREACH and alike mean that there is no way. */
int route_lookup(uint32_t destination, const char *interface, uint32_t source, struct route *route);

/* The name of its interface; "" if that is gone. */
void route_interface(const struct route *route, char name[IF_NAMESIZE]);

/* Is that interface a link to one single peer? */
bool route_is_point_to_point(const struct route *route);

/* A descriptor that becomes readable when routes, addresses or interfaces change; -1: errno. */
int route_watch(void);
/* Did they? Takes in all there is to read. */
bool route_changed(int fd);

#endif
