/* SPDX-License-Identifier: MIT */
/*
 * ctx - a context: the core, one link to the gateway, and who drives it. Carries bytes and time
 * between core and system, nothing else.
 *
 * Whoever waits drives: of the threads inside blocking calls one sleeps on the waiter and
 * processes, the others sleep until it has.
 */
#ifndef CTX_H
#define CTX_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

#include "core/leases.h"
#include "natpmpc.h"
#include "os/route.h"
#include "os/waiter.h"

enum { CLOSE_MS = 2000 }; /* how long closing may keep a caller */

struct waiting { /* a thread in ctx_wait() */
	bool (*done)(natpmp_ctx *ctx, void *arg);
	void *arg;
	uint64_t deadline;
	struct waiting *next, **here;
};

struct natpmp_lease {
	struct lease core;
	natpmp_ctx *ctx;
	natpmp_event_fn *on_event;
	void *arg;
	natpmp_mapping wanted;
	bool scoped; /* natpmp_with_mapping() lets go of it, nobody else */
};

struct natpmp_ctx {
	/* the options */
	uint32_t named_gateway; /* host order; 0 = the default route's next hop */
	uint16_t port;
	char interface[IF_NAMESIZE]; /* "" = any */
	uint32_t source;
	uint32_t deadline; /* ms */
	natpmp_log_fn *log;
	void *log_arg;

	pid_t pid;
	pthread_mutex_t mutex; /* recursive: callbacks call back */
	pthread_cond_t processed;
	bool driven;      /* some thread sleeps on the waiter */
	bool in_callback; /* seen with the mutex held: by this thread */
	struct waiting *waiting;

	struct leases leases;
	int close_status;    /* of those released: why one could not be closed ... */
	uint64_t left_until; /* ... and ms, when the last of those has ended */
	struct waiter waiter;
	struct route link;  /* of the request socket; as it was while there is no gateway */
	int link_status;    /* natpmp_status */
	int link_errno;     /* of NATPMP_E_SYSTEM */
	uint64_t relink_at; /* ms, after a failure of this machine */
	bool watched;       /* ctx_watch() was called, for those that are still there */
	int request_fd, group_fd, route_fd; /* -1 = not open */
	uint64_t sent_us, round_trip;       /* us; until the latest answer about the address */
};

/* Every call begins with this: NATPMP_OK and locked, or NATPMP_E_FORKED. Until ctx_leave() the
 * thread cannot be cancelled; cancel is how that was before. Leaves errno as it is. */
int ctx_enter(natpmp_ctx *ctx, int *cancel);
void ctx_leave(natpmp_ctx *ctx, int cancel);

/* Make sure that the link is what the routes say now, before something is asked. */
int ctx_link(natpmp_ctx *ctx);
/* Look the gateway up, without touching anything. */
int ctx_find(natpmp_ctx *ctx, struct route *route, uint32_t *gateway);
/* From now on hear of changes: holds live long. */
void ctx_watch(natpmp_ctx *ctx);
/* Send what is due, set the timer, so that who sleeps looks again; no callbacks. */
void ctx_pump(natpmp_ctx *ctx);
/* Take in what came, pump, call the callbacks. */
void ctx_process(natpmp_ctx *ctx);
/* Until done() says so, or the deadline in ms: then false. */
bool ctx_wait(natpmp_ctx *ctx, bool (*done)(natpmp_ctx *ctx, void *arg), void *arg,
	      uint64_t deadline);
/* When ctx_process() is due next, ms; NEVER; 0 = now. */
uint64_t ctx_deadline(natpmp_ctx *ctx);
/* To a gateway we turn away from: one deletion for each mapping, and no waiting. */
void ctx_farewell(natpmp_ctx *ctx);
/* Can that be wanted of this context? */
bool ctx_is_valid(const natpmp_ctx *ctx, const natpmp_mapping *wanted);
/* A lease as wanted, with a port picked if need be. */
int ctx_make_lease(natpmp_ctx *ctx, const natpmp_mapping *wanted, natpmp_lease **lease);
/* A lease as wanted, from the heap; core.owner is itself. NULL: out of memory. */
natpmp_lease *ctx_new_lease(natpmp_ctx *ctx, const natpmp_mapping *wanted);
/* Hold a mapping; scoped: of natpmp_with_mapping(), whose caller is blocked until it is open. */
int ctx_hold(natpmp_ctx *ctx, const natpmp_mapping *wanted, bool scoped, natpmp_lease **result);
/* The mapping as granted so far, whatever else is not known yet; or why there is none. */
int ctx_outcome(natpmp_lease *lease, natpmp_mapping *mapping);
/* Wait until it is closed, CLOSE_MS at most, and free it, or leave that to later. */
void ctx_close_lease(natpmp_lease *lease);
/* Free it at once; what it still has to delete for another one is deleted later. */
void ctx_drop_lease(natpmp_lease *lease);
void ctx_state(natpmp_lease *lease, const struct lease_view *view, natpmp_state *state);

#endif
