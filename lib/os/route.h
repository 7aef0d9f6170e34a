/* SPDX-License-Identifier: MIT */
/* route - which gateway, from which address, and a word when that may have changed. */
#ifndef OS_ROUTE_H
#define OS_ROUTE_H

#include <stdbool.h>

#include "os/os.h"

struct route {
	uint32_t gateway; /* next hop; 0: the destination is reached without one, or by one that
			   * has no IPv4 address */
	uint32_t source;  /* the own address that a packet would carry; 0: not known */
	unsigned index;   /* the system's number of the interface; 0: not known */
};

/* A conversation with the system about routes. */
struct routes {
	os_handle handle; /* readable when routes, addresses or interfaces have changed */
	bool has_news;
	uint32_t serial;
};

/* OS_OK, OS_DENIED, OS_NO_MEMORY or OS_FAILED; else routes->handle is NO_HANDLE. */
enum os_status routes_open(struct routes *routes);
void routes_close(struct routes *routes);

/* How would the system send to that address, by that interface only (NULL: any), from that own
 * address (0: any)? As for any packet: metrics, rules, VPNs' routes and several default routes
 * count. Answers at once. OS_OK, OS_NO_ROUTE, OS_NO_INTERFACE, OS_NOT_OURS, OS_NO_MEMORY or
 * OS_FAILED. */
enum os_status routes_ask(struct routes *routes, uint32_t destination, const char *interface,
			  uint32_t source, struct route *route);

/* Did anything change since this was last asked? Never blocks, and reads a bounded number of
 * news; if there are more, the handle stays readable. */
bool routes_changed(struct routes *routes);

/* The name of the interface; "" if it is gone or not known. */
void route_interface(const struct route *route, char name[OS_INTERFACE_LEN]);

/* Is that interface a link to one single peer? */
bool route_is_point_to_point(const struct route *route);

#endif
