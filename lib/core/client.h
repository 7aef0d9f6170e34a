/* SPDX-License-Identifier: MIT */
/*
 * client - all leases and grants at one gateway, and the calls by which the rest of the library
 * enters the core. Calls take packets and requests and give packets, deadlines and events; they use
 * no socket, clock or thread. The instant that they are given never goes back.
 *
 * client_init(), client_hold() and client_unmap() can run out of memory, and nothing else can.
 */
#ifndef CORE_CLIENT_H
#define CORE_CLIENT_H

#include "core/lease.h"
#include "core/registry.h"

/* A caller that waits for deletions. */
struct closing {
	struct list list; /* client.closings */
	uint16_t internal_port;
	uint8_t left; /* natpmp_protocol bits whose deletion has not ended */
	int status;   /* the first failure of those that have ended */
};

/* How a client is made. */
struct client_options {
	dialect_set dialects;       /* that may be used */
	uint8_t secret[SECRET_LEN]; /* for nonces */
	uint64_t seed;              /* for delays and port suggestions */
	bool is_vpn;                /* natpmp_options.vpn_ports */
};

/* The question whether the gateway speaks PCP. */
struct pcp_probe {
	struct question question;
	unsigned callers; /* blocked by it */
	unsigned answers; /* counts questions that ended ... */
	int status;       /* ... and how the last one ended */
};

/* Mappings that may still be open after we tried to close them. */
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
	size_t holds;            /* the number of leases */
	int reach;               /* gateway.reach, as we last acted on it */
	struct ip_address maker; /* the gateway that made the grants, if there is one */
	bool is_vpn;             /* natpmp_options.vpn_ports */
	bool is_watched;         /* natpmp_watch() follows the gateway, even without a mapping */
};

/* False: out of memory. */
bool client_init(struct client *client, const struct client_options *options);
/* Leases that are still held are forgotten; their memory belongs to the caller. */
void client_free(struct client *client);

/* --- the program --- */

/* Keep a mapping. Nothing is sent here: its question enters a lane, and client_output() sends it.
 * Returns NATPMP_E_HELD, NATPMP_E_NO_MEMORY or NATPMP_OK. */
int client_hold(struct client *client, struct lease *lease, const struct wanted *wanted,
		instant now);
/* End the lease and delete its mapping. No event follows. */
void client_release(struct client *client, struct lease *lease, instant now);
/* End the lease, and leave its mapping to its lifetime. */
void client_leave(struct client *client, struct lease *lease, instant now);
/* No caller is blocked by the lease any more. */
void client_stop_waiting(struct lease *lease);
/* Try again now, without waiting for the next try. */
void client_retry(struct client *client, struct lease *lease, instant now);
/* Release all leases. ended() is called for each, and may free it. */
typedef void client_ended_fn(struct lease *lease);
void client_release_all(struct client *client, instant now, client_ended_fn *ended);
/* Does a lease hold that protocol and port? Port 0 without vpn_ports: is there any lease at all? */
bool client_is_held(const struct client *client, unsigned protocol, uint16_t internal_port);

/* Delete a mapping, whoever made it; internal port 0: all of that protocol. The caller waits until
 * closing->left is 0, or calls client_stop_unmapping(). Returns NATPMP_E_HELD, NATPMP_E_NO_MEMORY
 * or NATPMP_OK. */
int client_unmap(struct client *client, struct closing *closing, natpmp_protocol protocol,
		 uint16_t internal_port, instant now);
/* Why the deletion has not ended, for a caller whose deadline is over. */
int client_excuse(const struct client *client, const struct closing *closing);
void client_stop_unmapping(struct client *client, struct closing *closing, instant now);
/* There is no record at all: nothing is held, and nothing is left to delete. */
bool client_is_empty(const struct client *client);
/* The deletion of that protocol and port has ended, with or without success. */
bool client_is_closed(const struct client *client, unsigned protocol, uint16_t internal_port);

/* Ask for the external address, in these dialects. The caller waits until external.answers changes,
 * or calls client_stop_asking_address(). */
void client_ask_address(struct client *client, dialect_set dialects, instant now);
void client_stop_asking_address(struct client *client);
/* The external address, as the gateway or the oldest grant tells it; none: not known. */
struct ip_address client_external_address(const struct client *client);
/* The same for PCP, with pcp.answers. */
void client_ask_pcp(struct client *client, instant now);
void client_stop_asking_pcp(struct client *client);

/* Follow the external address from now on, as if something were held; or stop following it. */
void client_watch(struct client *client, bool is_watched, instant now);

/* --- the network --- */

/* A datagram came from the gateway's address and port, between at_earliest and now. */
void client_on_packet(struct client *client, instant at_earliest, instant now, const uint8_t *bytes,
		      size_t len);
/* A datagram came from the gateway to an announcement group, between at_earliest and now.
 * is_from_port: from the port to which requests go, too. */
void client_on_announcement(struct client *client, instant at_earliest, instant now,
			    const uint8_t *bytes, size_t len, bool is_from_port);
/* An error came back for a request; bytes: as much of that request as is known. NATPMP_E_REFUSED
 * says that the gateway's port is closed; NATPMP_E_UNREACHABLE and NATPMP_E_FIREWALL are hints. */
void client_on_bounce(struct client *client, instant now, const uint8_t *bytes, size_t len,
		      int status);
/* The link changed: another gateway (address), another own address, or no gateway
 * (status says why). Call client_farewell() first, while the old gateway can still be reached. */
void client_on_link(struct client *client, instant now, int status,
		    const struct ip_address *address, const struct ip_address *own_address);

typedef void client_send_fn(void *arg, const uint8_t *bytes, size_t len);
/* Send a deletion for every mapping that the gateway may have, without waiting for answers. */
void client_farewell(struct client *client, instant now, client_send_fn *send, void *arg);

/* --- time --- */

/* Do what is due. Returns the number of bytes to send; 0: nothing more is due now. */
size_t client_output(struct client *client, instant now, uint8_t bytes[REQUEST_MAX]);
/* When to call client_output() next, or NEVER. */
instant client_next_deadline(const struct client *client, instant now);
/* The next lease with news, or NULL. before: what was told so far; lease->told: what to tell. */
struct lease *client_event(struct client *client, struct lease_view *before);
bool client_has_events(const struct client *client);
/* Why a mapping that had to be deleted may still be open; NATPMP_OK: none is. */
int client_leftover(const struct client *client, instant now);

#endif
