/* SPDX-License-Identifier: MIT */
/* client - what most tests of the public functions need: a context, a loop, events. */
#ifndef CLIENT_H
#define CLIENT_H

#include <check.h>
#include <natpmpc.h>

#include "responder.h"
#include "suite.h"

enum { SOON = 2000, EVENTS_MAX = 64 };

/* A context for the gateway on loopback at that port; deadline in ms, 0 = the default. client()
 * speaks NAT-PMP only, for tests that count packets and look at their bytes. */
natpmp_ctx *client(uint16_t port, uint32_t deadline);
natpmp_ctx *client_of(natpmp_dialect dialect, uint16_t port, uint32_t deadline);

struct events {
	size_t count;
	struct {
		natpmp_lease *lease;
		natpmp_state before, now;
	} at[EVENTS_MAX];
};

/* An event callback; arg is a struct events. */
void note_event(natpmp_lease *lease, const natpmp_state *before, const natpmp_state *now,
		void *arg);

/* poll() and natpmp_process() until there are that many events, or for that long. Is it so? */
bool drive(natpmp_ctx *ctx, const struct events *events, size_t count, unsigned ms);
/* The same until the lease has that status. */
bool drive_to(natpmp_ctx *ctx, natpmp_lease *lease, int status, unsigned ms);

/* A hold, driven until it is up. */
natpmp_lease *hold_up(natpmp_ctx *ctx, natpmp_protocol protocol, uint16_t port,
		      struct events *events);

/* From now on in a network of its own, with nothing but loopback in it. What main() returns
 * if there is none to be had: skipped, or failed if nothing may be skipped; else 0. */
int enter_network(void);

natpmp_mapping wanted(natpmp_protocol protocol, uint16_t internal_port, uint32_t lifetime);

#define ok(call) ck_assert_int_eq(call, NATPMP_OK)

#endif
