/* SPDX-License-Identifier: MIT */
/*
 * leases - all that are kept at one gateway, and what concerns them all: its
 * silence, its restarts (RFC 6886 sections 3.6, 3.7), its external address
 * (section 3.2), another gateway.
 *
 * Nothing here allocates but leases_init() and leases_add(); the caller owns every struct lease.
 */
#ifndef CORE_LEASES_H
#define CORE_LEASES_H

#include "core/lease.h"

enum {
	LEASE_RECOVERY_DELAY = 5000,   /* ms, random up to, RFC 6886 section 3.7 */
	LEASE_RECOVERY_WINDOW = 30000, /* ms, one recovery in each: forged clocks cause no flood */
	ADDRESS_GAP = 1000,    /* ms, announcements make us ask for the address no sooner again */
	ADDRESS_STALE = 60000, /* ms, a renewal asks for the external address if older */
};

struct leases {
	struct engine engine;
	struct heap timers;
	struct lease *all;
	size_t holds; /* of all, those to be kept: not once, not being closed */
	struct lease *changed, **changed_tail;
	size_t count;
	uint64_t random;
	bool vpn; /* the dialect of natpmp_options.vpn_ports */

	/* seen of the engine so far */
	int reach;
	uint64_t paused;
	unsigned generation;
	uint64_t recover_at, recovered_at; /* ms; NEVER: none due; 0: none yet */

	/* the gateway's external address, one question for all */
	struct request address_request;
	bool address_wanted;     /* by those who hold: they were up, or are to be */
	unsigned address_askers; /* blocking calls that wait for it */
	uint32_t address;        /* host order, 0 = none that we know of */
	bool address_settled;    /* there was an answer, or no hope of one */
	bool address_doubtful;   /* it may have changed */
	uint64_t address_asked, address_settle_at, address_retry_at; /* ms */
	unsigned address_failures;
	unsigned address_serial; /* counts ended questions */
	int address_status;

	struct request pcp_request; /* is PCP spoken? */
	unsigned pcp_askers;
	unsigned pcp_serial; /* counts ended questions */

	struct lease *finished; /* of those released */
};

bool leases_init(struct leases *leases, uint64_t seed, bool vpn); /* false: out of memory */
void leases_free(struct leases *leases);

/* Begin to hold (goal LEASE_HOLD), or to delete (LEASE_CLOSE), as the lease's wanted members
 * and owner, the rest zero, say. NATPMP_E_HELD, NATPMP_E_NO_MEMORY or NATPMP_OK. */
int leases_add(struct leases *leases, struct lease *lease, enum lease_goal goal, uint64_t now);
/* Is any of that protocol and port held? Port 0: any port. */
bool leases_held(const struct leases *leases, natpmp_protocol protocol, uint16_t internal_port);
/* Delete what the gateway has of it; lease->finished will tell. No event comes any more. */
void leases_close(struct leases *leases, struct lease *lease, uint64_t now);
/* Forget it at once: no deletion. */
void leases_drop(struct leases *leases, struct lease *lease);
/* The next one that was closed and is finished, dropped by this; NULL if there is none. */
struct lease *leases_reap(struct leases *leases);
/* For a blocking call: ask for the external address; address_serial moves on when that ended.
 * leases_forget_address() has to follow: it takes the question back if nobody else asks. */
void leases_ask_address(struct leases *leases, uint64_t now);
void leases_forget_address(struct leases *leases);
/* The same, whether PCP is spoken; pcp_serial and pcp_request.status will tell. */
void leases_ask_pcp(struct leases *leases, uint64_t now);
void leases_forget_pcp(struct leases *leases);

/* What came from the gateway: answer to a request, announcement. ICMP: engine_icmp(). */
void leases_input(struct leases *leases, uint64_t now, const uint8_t *bytes, size_t len);
void leases_announcement(struct leases *leases, uint64_t now, const uint8_t *bytes, size_t len);
/* Another gateway or own address, or no gateway any more (status: why). First call
 * leases_farewell() until it says 0, and send what it writes to the old one. */
void leases_relink(struct leases *leases, uint64_t now, int status, uint32_t own_address);
/* A deletion for a mapping that the gateway may have and was not told to delete. */
size_t leases_farewell(struct leases *leases, uint8_t bytes[WIRE_REQUEST_MAX]);

/* Do what is due; bytes to send, 0 when nothing is left to do now. */
size_t leases_output(struct leases *leases, uint64_t now, uint8_t bytes[WIRE_REQUEST_MAX]);
/* When to call leases_output() next, ms; NEVER when nothing is to come. */
uint64_t leases_deadline(const struct leases *leases);
/* The next lease whose view differs from what was told; now it is told. */
struct lease *leases_event(struct leases *leases, struct lease_view *before);

/* For lease.c: those who are up care for the address; a view has changed; delays and suggestions.
 */
void leases_want_address(struct leases *leases, uint64_t now);
void leases_note_change(struct leases *leases, struct lease *lease);
uint64_t leases_random(struct leases *leases);

#endif
