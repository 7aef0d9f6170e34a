/* SPDX-License-Identifier: MIT */
/*
 * context - what a natpmp_ctx is made of: its options and lock, the core (client), the link to the
 * gateway (link.h), and the threads that wait (drive.h). It carries bytes and time between the core
 * and the system, and knows nothing of either.
 */
#ifndef CONTEXT_H
#define CONTEXT_H

#include <pthread.h>
#include <stdbool.h>

#include "core/client.h"
#include "natpmpc.h"
#include "os/route.h"
#include "os/udp.h"
#include "os/waiter.h"

enum {
	CLOSE_MS = 2000, /* how long closing may keep a caller */
	GROUPS = 2,      /* where announcements are heard */
};

/* Which gateway, by which route. */
struct link {
	/* the options */
	uint32_t named_gateway; /* 0: the default route's next hop */
	uint16_t port;
	char interface[OS_INTERFACE_LEN]; /* "": any */
	uint32_t named_source;            /* 0: any */

	/* what is */
	int status;               /* natpmp_status; NATPMP_PENDING: not looked up so far */
	int error;                /* errno of NATPMP_E_SYSTEM */
	struct route route;       /* of the request socket */
	struct udp request;       /* open while there is a gateway */
	struct routes routes;     /* open if its news count */
	os_handle groups[GROUPS]; /* announcements; open while something is held */
	bool is_watched;          /* something is held: follow changes */
	bool routes_are_denied;   /* the system does not let us ask */
	instant retry_at;         /* look up the link again; NEVER */
	instant groups_retry_at;  /* open the groups that could not be opened; NEVER */
};

/* A thread in drive_wait(). */
struct waiting {
	struct list list; /* drive.waiting */
	bool (*is_done)(natpmp_ctx *ctx, void *arg);
	void *arg;
	instant deadline;
	bool is_over;
	pthread_cond_t over;
};

/* Who carries things on. */
struct drive {
	struct list waiting;
	bool is_driven;      /* a thread sleeps until something comes, and processes it then */
	bool is_woken;       /* that thread was told to look now */
	instant driver_told; /* when that thread will look by itself */
	instant loop_told; /* when a program's loop will, by natpmp_timeout(); 0: it was not told */
	bool has_loop;     /* a program drives, too, by natpmp_process() */
	bool knows_timeouts; /* ... and calls natpmp_timeout() */
	bool needs_timer;    /* ... or waits by natpmp_fd() alone */
	bool in_callback;    /* seen with the lock held: by this thread */
	instant empty_at;    /* when the request socket was seen to be empty */
	instant groups_empty_at;
	instant sent_at;   /* output was made last */
	unsigned unlooked; /* calls that did not look at routes and announcements */
};

/* What natpmp_watch() tells of. */
struct gateway_watch {
	natpmp_watch_fn *on_change; /* NULL: nobody watches */
	void *arg;
	natpmp_gateway told;
};

struct natpmp_ctx {
	unsigned generation;   /* of the process that made it */
	pthread_mutex_t mutex; /* recursive: callbacks call back */
	duration deadline;     /* of a blocking call */
	natpmp_log_fn *log;
	void *log_arg;

	struct client client;
	struct link link;
	struct drive drive;
	struct waiter waiter; /* open once a program or a thread waits by it */
	struct gateway_watch watch;
	unsigned scopes;      /* calls of natpmp_with_mapping() in progress */
	struct list unmaps;              /* of natpmp_start_unmap() */
	uint64_t sent_us, round_trip_us; /* until the latest answer about the address */
};

struct natpmp_lease {
	struct lease core;
	natpmp_ctx *ctx;
	natpmp_event_fn *on_event;
	void *arg;
	uint16_t wanted_external_port;
	uint8_t flags;
	bool is_scoped; /* natpmp_with_mapping() lets go of it, nobody else */
};

/* Every call begins with this: NATPMP_OK and locked, or NATPMP_E_FORKED. Until context_leave() the
 * thread cannot be cancelled; cancel is how that was before. */
int context_enter(natpmp_ctx *ctx, int *cancel);
void context_leave(natpmp_ctx *ctx, int cancel);

/* Can that be wanted of this context? */
bool context_accepts(const natpmp_ctx *ctx, const natpmp_mapping *wanted);
/* Hold a mapping, with a port picked if need be; patience and is_awaited as struct wanted has them.
 * On error *lease is NULL. */
int context_hold(natpmp_ctx *ctx, const natpmp_mapping *wanted, duration patience, bool is_awaited,
		 natpmp_lease **lease);
/* Let go of it and wait until it is closed, CLOSE_MS at most. The lease is freed. */
void context_close(natpmp_lease *lease);
/* Let go of it without closing it. The lease is freed. */
void context_leave_lease(natpmp_lease *lease);
/* The mapping as granted so far, whatever else is not known yet; or why there is none. */
int context_outcome(natpmp_lease *lease, natpmp_mapping *mapping);
/* A view as the public header has it. */
void context_state(natpmp_lease *lease, const struct lease_view *view, natpmp_state *state);

/* The log: a line, and a packet's bytes. */
#define LOG(ctx, ...)                                                                              \
	do {                                                                                       \
		if ((ctx)->log)                                                                    \
			context_log(ctx, __VA_ARGS__);                                             \
	} while (0)
void context_log(natpmp_ctx *ctx, const char *format, ...) __attribute__((format(printf, 2, 3)));
void context_log_bytes(natpmp_ctx *ctx, const char *what, const uint8_t *bytes, size_t len);

#endif
