/* SPDX-License-Identifier: MIT */
/*
 * context - what a natpmp_ctx is made of: its options and lock, the core (client), the link to the
 * gateway (link.h), and the threads that wait (drive.h). It passes bytes and time between the core
 * and the system.
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
	CLOSE_MS = 2000, /* how long closing may block a caller */
	GROUPS = 2,      /* the number of sockets for announcements */
	SECRET_MIN = 16, /* bytes */
	SECRET_MAX = 64,
};

/* Which gateway, by which route. */
struct link {
	/* the options */
	enum os_family family;
	struct ip_address named_gateway; /* none: the default route's next hop */
	uint16_t port;
	char interface[OS_INTERFACE_LEN]; /* "": any */
	struct ip_address named_source;   /* none: any */

	/* the present state */
	int status;               /* natpmp_status; NATPMP_PENDING: not looked up so far */
	int error;                /* errno, if status is NATPMP_E_SYSTEM */
	struct route route;       /* of the request socket */
	struct udp request;       /* open once there was a gateway */
	struct routes routes;     /* open while changes of routes are followed */
	os_handle groups[GROUPS]; /* for announcements; open while is_watched */
	unsigned groups_index;    /* IPv6: the interface by which they come; 0: none so far */
	bool is_watched;          /* something is held, watched or deleted: follow changes */
	bool is_followed;         /* no change of routes since the look-up went unheard */
	bool routes_are_denied;   /* the system does not let us ask */
	instant retry_at;         /* when to look up the link again, or NEVER */
	instant groups_retry_at;  /* when to try again to open the missing groups, or NEVER */
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

/* Which threads and loops process the context. */
struct drive {
	struct list waiting;
	bool is_driven;      /* a thread is asleep, and will process what comes */
	bool is_woken;       /* that thread was told to look now */
	instant driver_told; /* when that thread wakes up by itself */
	instant loop_told;   /* when a program's loop wakes up, by natpmp_timeout(); 0: not told */
	bool has_loop;       /* a program drives, too, with natpmp_process() */
	bool knows_timeouts; /* ... and calls natpmp_timeout() */
	bool needs_timer;    /* ... or waits by natpmp_fd() alone */
	bool in_callback;    /* a callback runs, on the thread that has the lock */
	instant empty_at;    /* when the request socket was last seen empty */
	instant groups_empty_at;
	instant sent_at;   /* when drive_pump() last sent what was due */
	unsigned unlooked; /* calls in a row that did not look at routes and announcements */
};

/* The state of natpmp_watch(). */
struct gateway_watch {
	natpmp_watch_fn *on_change; /* NULL: nobody watches */
	void *arg;
	natpmp_gateway told;
};

struct natpmp_ctx {
	unsigned generation;   /* of the process that made it */
	pthread_mutex_t mutex; /* recursive: callbacks call back */
	duration deadline;     /* of blocking calls */
	natpmp_log_fn *log;
	void *log_arg;

	struct client client;
	struct link link;
	struct drive drive;
	struct waiter waiter; /* open once a program or a thread waits by it */
	struct gateway_watch watch;
	unsigned scopes;                 /* calls of natpmp_with_mapping() in progress */
	struct list unmaps;              /* calls of natpmp_start_unmap() that have not ended */
	uint64_t sent_us, round_trip_us; /* last send; time to the last address answer */
};

struct natpmp_lease {
	struct lease core;
	natpmp_ctx *ctx;
	natpmp_event_fn *on_event;
	void *arg;
	uint16_t wanted_external_port;
	uint8_t flags;
	bool is_scoped; /* only natpmp_with_mapping() may release it */
};

/* Every call begins with this. It returns NATPMP_OK with the context locked and the thread not
 * cancellable (*cancel: the state before, for context_unlock()), or NATPMP_E_FORKED. */
int context_lock(natpmp_ctx *ctx, int *cancel);
void context_unlock(natpmp_ctx *ctx, int cancel);

/* Is it TCP, UDP or both? */
static inline bool context_accepts_protocol(unsigned protocol)
{
	return protocol >= NATPMP_UDP && protocol <= NATPMP_TCP_UDP;
}

/* Is this mapping one that this context can be asked for? */
bool context_accepts(const natpmp_ctx *ctx, const natpmp_mapping *wanted);
/* Hold a mapping, with a picked port if the internal port is 0; patience and is_awaited are those
 * of struct wanted. On error *lease is NULL. */
int context_hold(natpmp_ctx *ctx, const natpmp_mapping *wanted, duration patience, bool is_awaited,
		 natpmp_lease **lease);
/* Drive until the lease is up or down, or the deadline of the context is over. */
void context_wait_for_verdict(natpmp_lease *lease);
/* Release and free the lease, and wait until its mapping is closed, CLOSE_MS at most. */
void context_release_lease(natpmp_lease *lease);
/* End and free the lease, and leave its mapping to its lifetime. */
void context_abandon_lease(natpmp_lease *lease);
/* Write the mapping as granted, even if the external address is not known yet; or return why there
 * is none. */
int context_outcome(natpmp_lease *lease, natpmp_mapping *mapping);
/* Write a view as the natpmp_state of the public header. */
void context_state(natpmp_lease *lease, const struct lease_view *view, natpmp_state *state);

/* Log a line, or the bytes of a packet. */
#define LOG(ctx, ...)                                                                              \
	do {                                                                                       \
		if ((ctx)->log)                                                                    \
			context_log(ctx, __VA_ARGS__);                                             \
	} while (0)
void context_log(natpmp_ctx *ctx, const char *format, ...) __attribute__((format(printf, 2, 3)));
void context_log_bytes(natpmp_ctx *ctx, const char *what, const uint8_t *bytes, size_t len);

#endif
