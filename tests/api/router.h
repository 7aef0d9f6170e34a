/* SPDX-License-Identifier: MIT */
/*
 * router - an IPv6 router in another network, and two links to it. On both it is fe80::1, as two
 * routers may be:
 *
 *     here    near ---- far      there
 *             other --- away
 *
 * There are routes back to 2001:db8:77::/64 and fd00:77::/64 by the first link. Here nothing has an
 * address.
 */
#ifndef ROUTER_H
#define ROUTER_H

#include <stdint.h>

#include "os/os.h"

enum { ROUTER_PORT = 5351 };

struct router {
	int there, here; /* the networks */
};

extern const struct ip_address router_address;

/* Run this in the shell, here or there, and have it succeed. */
void run(const char *command);
void run_there(const struct router *router, const char *command);

void router_start(struct router *router);
void router_stop(struct router *router);

/* A UDP socket there, at that link-local address of that link. */
int router_socket(const struct router *router, const char *address, const char *link,
		  uint16_t port);
/* Send to [ff02::1]:5350 by the link of that socket. */
void router_announce(int socket);

/* The address that this text is. */
struct ip_address address_from(const char *text);

#endif
