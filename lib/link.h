/* SPDX-License-Identifier: MIT */
/* link - finds the gateway and the route to it, opens the sockets, and watches for changes. */
#ifndef LINK_H
#define LINK_H

#include "context.h"

void link_init(struct link *link);
void link_close(natpmp_ctx *ctx);

/* Look up the gateway and the route, without changing the link. It may open the conversation about
 * routes. */
int link_find(natpmp_ctx *ctx, struct route *route, struct ip_address *gateway);
/* Before something is asked: bring the link up to date with the routes. */
int link_refresh(natpmp_ctx *ctx);
/* Follow changes of routes from now on, because a caller has been blocked for long. May look up the
 * link. */
void link_listen(natpmp_ctx *ctx);
/* Follow changes of routes and announcements from now on, because something is held. May look up
 * the link. */
void link_watch(natpmp_ctx *ctx);
/* Stop following them, because nothing is held any more. The next call looks up the link itself. */
void link_unwatch(natpmp_ctx *ctx);
/* Send the gateway a deletion for every mapping that it may have, without waiting. */
void link_say_farewell(natpmp_ctx *ctx);
/* Take in changes of routes, and look up the link again if that is due. */
void link_process(natpmp_ctx *ctx);
instant link_next_deadline(const natpmp_ctx *ctx);

#endif
