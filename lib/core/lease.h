/* SPDX-License-Identifier: MIT */
/*
 * lease - mappings that are kept: created, renewed, re-created, closed
 * (RFC 6886 sections 3.3, 3.4, 3.6, 3.7).
 *
 * A lease has one half per protocol; what the gateway grants, it grants to a
 * half. A lease is up when all its halves are granted on one external port.
 * Everything that happens to a lease ends in lease_step(), which looks at what
 * is and asks for what is missing.
 *
 * Nothing here allocates but leases_add(); the caller owns every struct lease.
 */
#ifndef CORE_LEASE_H
#define CORE_LEASE_H

#include "core/engine.h"
#include "natpmpc.h"

enum {
	LEASE_LIFETIME = 7200, /* s, RFC 6886 section 3.3 */
	LEASE_HURRY = 600000,  /* ms, mappings that end sooner are renewed before others are made */
	LEASE_RETRY_GAP = 4000,      /* ms, what was asked for already is not asked again sooner */
	LEASE_RECOVERY_DELAY = 5000, /* ms, random up to, RFC 6886 section 3.7 */
	LEASE_RECOVERY_WINDOW = 30000, /* ms, one recovery in each: forged clocks cause no flood */
	LEASE_COAX_MAX = 6,            /* tries to get one equal external port for both halves */
	ADDRESS_GAP = 1000,    /* ms, announcements make us ask for the address no sooner again */
	ADDRESS_STALE = 60000, /* ms, a renewal asks for the external address if older */
};

struct lease;

struct half {
	struct lease *lease;
	struct request request;
	uint16_t external_port; /* last assigned; 0 = never */
	uint32_t lifetime;      /* s, as granted */
	uint64_t granted_at;    /* ms, when what was granted was asked for, so that ... */
	uint64_t expires;       /* ... our view ends before the gateway's. 0 = not in force */
	uint64_t planned;       /* ms from granted_at to expires */
	uint64_t act_at;        /* ms, ask (again) then */
	unsigned generation;    /* the engine's, when granted */
	int failure;            /* of the last try; NATPMP_OK = none */
	int down;               /* why it is not in force; NATPMP_OK: nothing stands against it */
	bool maybe;             /* the gateway may have a mapping of ours to delete */
};

enum lease_goal {
	LEASE_HOLD,  /* have all halves granted */
	LEASE_AGAIN, /* delete all, then hold, with another suggestion */
	LEASE_CLOSE, /* delete all, then be finished */
};

/* What an event tells. */
struct lease_view {
	int status; /* NATPMP_OK = up; the rest is as it was then, or when it was last up */
	uint16_t internal_port, external_port;
	uint32_t lifetime;                           /* s */
	uint32_t external_address, internal_address; /* host order, 0 = none */
};

struct lease {
	/* wanted */
	natpmp_protocol protocol;
	uint16_t internal_port; /* 0: everything, in LEASE_CLOSE; unknown, in the VPN dialect */
	uint16_t suggested;
	uint32_t asked;   /* lifetime, s */
	bool once;        /* of a blocking call: no second try, no verdict from others' failures */
	uint64_t open_by; /* ms: until then silence is no verdict, then there is one; 0 = there was,
			   * or silence is one at once */

	/* is */
	enum lease_goal goal;
	struct half half[2];
	unsigned halves, coaxed, coax_failures;
	int down;          /* of its halves */
	int close_status;  /* what deleting came to */
	bool finished;     /* closed: nothing more will happen */
	uint64_t close_by; /* ms, LEASE_CLOSE: no deletion is sent after */
	uint64_t again_at; /* ms, LEASE_AGAIN: not asked for again before */

	/* known and told */
	struct lease_view view, told;
	bool changed;
	bool released; /* nobody looks at it any more: reap it when it is finished */

	struct heap_node timer;
	struct lease *next, **here;
	struct lease *next_changed;
	void *owner;
};

struct leases {
	struct engine engine;
	struct heap timers;
	struct lease *all;
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
	uint32_t address;      /* host order, 0 = none that we know of */
	bool address_settled;  /* there was an answer, or no hope of one */
	bool address_doubtful; /* it may have changed */
	uint64_t address_asked, address_settle_at, address_retry_at; /* ms */
	unsigned address_failures;
	unsigned address_serial; /* counts ended questions */
	int address_status;

	struct request pcp_request; /* is PCP spoken? */
	bool pcp_ended;

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
/* Ask for the external address; address_serial moves on when that ended. */
void leases_ask_address(struct leases *leases, uint64_t now, bool fresh);
/* Ask whether PCP is spoken; pcp_ended and pcp_request.status will tell. */
void leases_ask_pcp(struct leases *leases, uint64_t now);

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

/* All halves are in force on one external port, whatever else is not known yet. */
bool lease_granted(const struct lease *lease);
/* The granted lifetime in s, the shorter of two. */
uint32_t lease_lifetime(const struct lease *lease);
/* Why it has not come to anything so far: for a deadline that is over. */
int lease_excuse(const struct lease *lease);

#endif
