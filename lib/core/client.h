/* SPDX-License-Identifier: MIT */
/*
 * client - all leases and grants at one gateway, and the only door into the core. It takes
 * packets, time and wishes, and gives packets, deadlines and events. Nothing here knows a socket,
 * a clock or a thread. Every call is given the present instant, which never goes back.
 *
 * client_init(), client_hold() and client_close() can run out of memory, and nothing else can.
 */
#ifndef CORE_CLIENT_H
#define CORE_CLIENT_H

#include "core/lease.h"
#include "core/registry.h"

/* A caller that waits for deletions. */
struct closing {
	struct list list; /* client.closings */
	uint16_t internal_port;
	uint8_t left; /* natpmp_protocol bits that have not come to an end */
	int status;   /* the first failure of those that have */
};

/* The question whether PCP is spoken. */
struct pcp_probe {
	struct question question;
	unsigned callers; /* blocked by it */
	unsigned answers; /* counts questions that ended ... */
	int status;       /* ... and what the last of them came to */
};

/* Mappings that could not be closed, or not for sure. */
struct leftover {
	int status;
	instant until; /* the last of them has ended by then */
};

struct client {
	struct gateway gateway;
	struct external external;
	struct pcp_probe pcp;
	struct registry registry;
	struct heap timers;
	struct list granted; /* grants that were granted and not lost since, oldest first */
	struct list changed; /* leases with news */
	struct list closings;
	struct leftover leftover;
	size_t holds;        /* leases */
	int reach;           /* the gateway's, as seen so far */
	uint32_t gateway_id; /* that the grants are of; 0: none */
	bool is_vpn;         /* natpmp_options.vpn_ports */
	bool is_watched;     /* somebody wants to hear how the gateway is, without a mapping */
};

bool client_init(struct client *client, uint64_t seed, bool is_vpn); /* false: out of memory */
/* Leases that are held still are forgotten; their memory is the caller's. */
void client_free(struct client *client);

/* --- the program --- */

/* Keep a mapping. NATPMP_E_HELD, NATPMP_E_NO_MEMORY or NATPMP_OK. */
int client_hold(struct client *client, struct lease *lease, const struct wanted *wanted,
		instant now);
/* The lease ends, and its mapping is deleted. No event comes any more. */
void client_release(struct client *client, struct lease *lease, instant now);
/* The lease ends, and its mapping is left to its lifetime. */
void client_leave(struct client *client, struct lease *lease, instant now);
/* Nobody is blocked by the lease any more. */
void client_stop_waiting(struct lease *lease);
/* Try again now what waits for its next try. */
void client_retry(struct client *client, struct lease *lease, instant now);
/* Release all leases. Each is told to ended(), which may free it. */
typedef void client_ended_fn(struct lease *lease);
void client_release_all(struct client *client, instant now, client_ended_fn *ended);
/* Has the program, by any lease, that protocol and port? Port 0: any at all. */
bool client_is_held(const struct client *client, unsigned protocol, uint16_t internal_port);

/* Delete a mapping, whoever made it; internal port 0: all of that protocol. A caller is blocked
 * until closing->left is 0, or client_stop_closing(). NATPMP_E_HELD, NATPMP_E_NO_MEMORY or
 * NATPMP_OK. */
int client_close(struct client *client, struct closing *closing, natpmp_protocol protocol,
		 uint16_t internal_port, instant now);
/* Why it is not over so far: for a caller whose deadline is over. */
int client_excuse(const struct client *client, const struct closing *closing);
void client_stop_closing(struct client *client, struct closing *closing, instant now);
/* Nothing is left to delete. */
bool client_is_empty(const struct client *client);
/* The mapping of that protocol and port is closed, as far as that could be done. */
bool client_is_closed(const struct client *client, unsigned protocol, uint16_t internal_port);

/* A caller is blocked until external.answers moves on, or client_stop_asking_address(). */
void client_ask_address(struct client *client, instant now);
void client_stop_asking_address(struct client *client);
/* The same with pcp.answers. */
void client_ask_pcp(struct client *client, instant now);
void client_stop_asking_pcp(struct client *client);

/* From now on keep to know the external address, as if something were held; or not any more. */
void client_watch(struct client *client, bool is_watched, instant now);

/* --- the network --- */

/* A datagram from the gateway's address and port. It came at some time from at_earliest on. */
void client_on_packet(struct client *client, instant at_earliest, instant now, const uint8_t *bytes,
		      size_t len);
/* A datagram from the gateway to an announcement group. */
void client_on_announcement(struct client *client, instant at_earliest, instant now,
			    const uint8_t *bytes, size_t len);
/* A request of ours was sent in vain; bytes: as much of it as is known. NATPMP_E_REFUSED: the
 * gateway's port is closed. NATPMP_E_UNREACHABLE, NATPMP_E_FIREWALL: hints. */
void client_on_bounce(struct client *client, instant now, const uint8_t *bytes, size_t len,
		      int status);
/* The link changed: another gateway (its id is its address), another own address, or no gateway
 * (status says why). Call client_farewell() before, while the old gateway can be sent to. */
void client_on_link(struct client *client, instant now, int status, uint32_t gateway_id,
		    uint32_t own_address);

typedef void client_send_fn(void *arg, const uint8_t *bytes, size_t len);
/* Send a deletion for whatever the gateway may have, without waiting for answers. */
void client_farewell(struct client *client, instant now, client_send_fn *send, void *arg);

/* --- time --- */

/* Do what is due. Bytes to send, 0 when nothing more is due now. */
size_t client_output(struct client *client, instant now, uint8_t bytes[REQUEST_MAX]);
/* When to call client_output() next; NEVER. */
instant client_next_deadline(const struct client *client, instant now);
/* The next lease with news, and what was told of it before; lease->told is what to tell now. */
struct lease *client_event(struct client *client, struct lease_view *before);
bool client_has_events(const struct client *client);
/* Why something that was to be deleted may be left; NATPMP_OK: nothing is. */
int client_leftover(const struct client *client, instant now);

#endif
