/* SPDX-License-Identifier: MIT */
/* route - which gateway is used, from which address, and when that may have changed. */
#ifndef OS_ROUTE_H
#define OS_ROUTE_H

#include <stdbool.h>

#include "os/os.h"

struct route {
	struct ip_address gateway; /* next hop; none: there is none, or it is of the other family */
	struct ip_address source; /* the address of this host that a packet would carry, if known */
	unsigned index;           /* the system's number of the interface; 0: not known */
};

/* A conversation with the system about routes. */
struct routes {
	os_handle handle; /* readable when routes, addresses or interfaces have changed */
	bool has_news;
	uint32_t serial;
};

/* The news will be those of that family. Returns OS_OK, OS_DENIED, OS_NO_MEMORY or OS_FAILED;
 * OS_DENIED sets errno, too. On error
 * routes->handle is NO_HANDLE. */
enum os_status routes_open(struct routes *routes, enum os_family family);
void routes_close(struct routes *routes);

/* Ask how the system would send a packet to that address, by that interface only (NULL: any) and
 * from that address of this host (none: any), with all its routes and rules. Answers at once, with
 * OS_OK, OS_NO_ROUTE, OS_NO_INTERFACE, OS_NOT_OURS, OS_NO_MEMORY or OS_FAILED. An IPv6 address that
 * is not this host's may go unnoticed. */
enum os_status routes_ask(struct routes *routes, const struct ip_address *destination,
			  const char *interface, const struct ip_address *source,
			  struct route *route);

/* Read what has changed since the last call, a bounded number of news; if there are more, the
 * handle stays readable. True: something has changed. */
bool routes_take_news(struct routes *routes);

/* Find an IPv6 address of that interface that is accepted, a deprecated one if there is no other.
 * Answers at once, with OS_OK, OS_NOT_OURS if there is none, OS_DENIED, OS_NO_MEMORY or OS_FAILED.
 */
enum os_status route_find_source(unsigned index, bool (*is_accepted)(const struct ip_address *),
				 struct ip_address *source);

/* The number of that interface; 0: there is none of that name. */
unsigned route_index(const char *interface);
/* The name of the interface; "" if it is gone or not known. */
void route_interface(const struct route *route, char name[OS_INTERFACE_LEN]);

/* Is that interface a link to a single peer? False if the interface is not known. */
bool route_is_point_to_point(const struct route *route);

#endif
