/* SPDX-License-Identifier: MIT */
/*
 * lease - one mapping that a caller keeps: one grant for each protocol, all on one external port.
 * It is pending until the first verdict, and then up, or down for a reason.
 */
#ifndef CORE_LEASE_H
#define CORE_LEASE_H

#include "core/external.h"
#include "core/grant.h"

enum {
	LEASE_MOVES_MAX = 7, /* tries in a row to find one external port for two grants */
};

/* What a program asks for. */
struct wanted {
	natpmp_protocol protocol;
	uint16_t internal_port;  /* 0: unknown, with natpmp_options.vpn_ports */
	uint16_t suggested_port; /* external; 0: no suggestion */
	uint32_t lifetime;       /* s */
	bool is_exact;           /* suggested_port or nothing */
	bool is_awaited;         /* a caller is blocked until there is a verdict */
	duration patience; /* how long it is pending in silence; NEVER: silence is no verdict */
};

/* What an event tells. */
struct lease_view {
	int status; /* NATPMP_OK: up; else the other members are as when it was last up */
	uint16_t internal_port, external_port;
	uint32_t lifetime; /* s */
	struct ip_address external_address, internal_address;
	unsigned failures; /* in a row so far; if it is up: before it came up */
};

/* The tries to find one external port for two grants. */
struct moves {
	uint8_t count;  /* in a row */
	uint8_t rounds; /* rounds of such tries that failed */
	bool are_told;  /* PORTS_DIFFER or OTHER_PORT may be told */
};

struct lease {
	struct grant *grants[2]; /* UDP before TCP */
	uint8_t count;
	bool is_exact;
	bool is_awaited;
	bool is_counted_as_caller; /* in external.callers: its blocked caller waits for the address
				    */
	struct moves moves;
	uint16_t internal_port;
	uint16_t suggested_port; /* external, as the program wants it */
	uint32_t lifetime;       /* s, to ask for */
	int status;              /* NATPMP_PENDING, NATPMP_OK: up; else why it is down */
	unsigned failures;       /* in a row */
	duration patience;  /* how long a question about it may stay unanswered without a verdict */
	instant verdict_at; /* when silence is a verdict; NEVER: there was one, or it never is */
	instant move_at;    /* when to try again to find one external port, or NEVER */
	struct lease_view told; /* what the last event told */
	struct list changed;    /* client.changed */
};

void lease_init(struct lease *lease, const struct wanted *wanted, instant now);

/* All its grants are granted, on one external port. The gateway may have forgotten them since. */
bool lease_is_granted(const struct lease *lease);
/* All its grants are in force, on one external port. */
bool lease_is_in_force(const struct lease *lease, const struct gateway *gateway);
/* The granted lifetime in s; of two grants, the shorter one. */
uint32_t lease_lifetime(const struct lease *lease);
/* The external address of its mapping, if one is known. */
struct ip_address lease_external_address(const struct lease *lease,
					 const struct external *external);
/* The view that an event would tell now. */
struct lease_view lease_view(const struct lease *lease, const struct gateway *gateway,
			     const struct external *external);
/* Does the view differ from what was told? */
bool lease_has_news(const struct lease *lease, const struct lease_view *view);
/* Why the lease is not up, for a caller whose deadline is over. */
int lease_excuse(const struct lease *lease, const struct gateway *gateway, instant now);
/* May the question about this grant go out, or does it wait for the other protocol's port? */
bool lease_lets_ask(const struct lease *lease, const struct grant *grant,
		    const struct gateway *gateway);
/* The external port to suggest for this grant. */
uint16_t lease_suggestion(const struct lease *lease, const struct grant *grant,
			  const struct gateway *gateway);
instant lease_next_deadline(const struct lease *lease);

/* --- events --- */

/* One of its grants was granted. was_up: the lease was up before that. */
void lease_on_granted(struct lease *lease, struct grant *grant, struct gateway *gateway,
		      bool was_up, instant now);
/* A try failed. */
void lease_on_failed(struct lease *lease);
/* Something about it changed: decide whether it is up or down. True: there may be news to tell. */
bool lease_judge(struct lease *lease, const struct gateway *gateway,
		 const struct external *external, instant now);
/* Its deadline came: the first verdict or another move is due. True: as above. */
bool lease_on_time(struct lease *lease, struct gateway *gateway, const struct external *external,
		   instant now);
/* The program wants a try at once. */
void lease_on_retry(struct lease *lease, instant now);
/* When to ask again for a grant that was deleted in order to move. */
instant lease_asks_again_at(const struct lease *lease, const struct grant *grant, instant now);
/* An event has told this view. */
void lease_on_told(struct lease *lease, const struct lease_view *view);

#endif
