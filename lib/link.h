/* SPDX-License-Identifier: MIT */
/* link - which gateway by which route, its sockets, and watching for changes. */
#ifndef LINK_H
#define LINK_H

#include "context.h"

void link_init(struct link *link);
void link_close(natpmp_ctx *ctx);

/* Look the gateway up, without touching anything. */
int link_find(natpmp_ctx *ctx, struct route *route, uint32_t *gateway);
/* Before something is asked: make sure that the link is what the routes say now. */
int link_refresh(natpmp_ctx *ctx);
/* From now on hear of changes of routes: a caller is blocked for long. */
void link_listen(natpmp_ctx *ctx);
/* The same, and of announcements: something is held. */
void link_watch(natpmp_ctx *ctx);
/* Nothing is held any more: stop watching. The next call looks up the link itself. */
void link_unwatch(natpmp_ctx *ctx);
/* Send the gateway a deletion for whatever it may have, without waiting. */
void link_say_farewell(natpmp_ctx *ctx);
/* Take in news of the routes, and look again if it is time to. */
void link_process(natpmp_ctx *ctx);
instant link_next_deadline(const natpmp_ctx *ctx);

#endif
