/* SPDX-License-Identifier: MIT */
/*
 * model.h - a NAT-PMP gateway (RFC 6886) as a state machine, for tests.
 *
 * Bytes in, bytes out. Time (milliseconds, never going back) and the seed of
 * all its randomness are arguments, the table is the caller's: no socket, no
 * clock, no allocation. It shares nothing with the library under test; that is
 * the point of it. IPv4 addresses are numbers in host byte order.
 */
#ifndef GATEWAY_MODEL_H
#define GATEWAY_MODEL_H

#include "table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_PORT          5351 /* requests come here */
#define MODEL_ANNOUNCE_PORT 5350 /* announcements go to 224.0.0.1, this port */
#define MODEL_PACKET_MAX    1100 /* room any answer needs, RFC 6887 section 7 */

enum model_opcode { MODEL_ADDRESS = 0, MODEL_UDP = 1, MODEL_TCP = 2 };

enum model_result {
	MODEL_SUCCESS = 0,
	MODEL_UNSUPPORTED_VERSION = 1,
	MODEL_NOT_AUTHORIZED = 2,
	MODEL_NETWORK_FAILURE = 3,
	MODEL_NO_RESOURCES = 4,
	MODEL_UNSUPPORTED_OPCODE = 5
};

/* How a packet whose version is not 0 is refused: all three were seen. */
enum model_refusal {
	MODEL_REFUSAL_ERRATUM, /* opcode 128: RFC 6886 section 3.5 with erratum 3618 */
	MODEL_REFUSAL_PRINTED, /* opcode 0: that section as printed */
	MODEL_REFUSAL_COPIED,  /* opcode of the request + 128 */
	MODEL_REFUSAL_SILENT
};

/* PCP (RFC 6887) as far as a NAT-PMP client can meet it: ANNOUNCE only. */
enum model_pcp { MODEL_PCP_NONE, MODEL_PCP_TOO, MODEL_PCP_ONLY };

/* One external port per client, forwarded to the same number, internal port 0 asked for. */
enum model_vpn {
	MODEL_VPN_NONE,
	MODEL_VPN_ECHO, /* the answer repeats the internal port of the request */
	MODEL_VPN_NAMED /* the answer names the external port as the internal one */
};

/*
 * How a gateway behaves. Start from model_profile_find(); all members may be
 * changed at any time, between two calls, in the model's own copy, but for
 * clock_permille: that one by model_set_profile().
 */
struct model_profile {
	const char *name;
	const char *about;         /* a line for people */
	uint32_t external_address; /* 0 = it has none at the moment */
	uint32_t min_lifetime;     /* s; a shorter one asked for is raised to this */
	uint32_t max_lifetime;     /* s; a longer one is cut to this; 0 = no limit */
	uint32_t max_mappings;     /* NO_RESOURCES beyond; 0 = as many as the table holds */
	uint32_t clock_permille;   /* the speed of its clock; 1000 = true */
	uint16_t random_low;       /* the ports it picks from, both ends included */
	uint16_t random_high;
	uint16_t lowest_port; /* external ports below this one are nobody's */
	enum model_refusal refusal;
	enum model_pcp pcp;
	enum model_vpn vpn;

	/* Forced on every answer that it applies to, -1 = not. A forced port or
	 * lifetime of 0 is a lie in the answer only: the table is left alone. */
	int32_t forced_result[3]; /* by opcode; also of deletions */
	int32_t forced_port;
	int64_t forced_lifetime;

	bool reserves_companion;     /* RFC 6886 section 3.3: the other protocol's equal port
				      * is kept for the client who has one of the two */
	bool maps_without_address;   /* grants mappings though it has no external address */
	bool denies_address;         /* answers the address query with 3 though it has one */
	bool denies_private_address; /* the same while that one is private or 100.64/10 */
	bool denies_suggestions;     /* never what was suggested: always a random port */
	bool zero_means_internal;    /* suggested port 0: the internal port's number */
	bool scans_upward;           /* suggested port taken: the next free one, not a random one */
	bool second_mapping;         /* same internal port, other suggestion: one more mapping */
	bool delete_all_both;        /* delete-all of one protocol deletes the other's too */
	bool short_opcode_error;     /* unknown opcode: 8 bytes with a clock, not the request */
	bool echoes_errors;          /* errors repeat port and lifetime asked for, not zeros */
	bool echoes_address;         /* errors of the address query carry the address */
	bool echoes_deletion;        /* a deletion's answer carries the external port */
	bool forever_vanishes;       /* lifetime 0xffffffff: granted, and gone at once */
	uint16_t split_up_to;        /* suggestions up to this one: never the same external
				      * port for TCP and UDP of an internal port; 0 = off */
};

/* Every profile there is; NULL ends it. */
extern const struct model_profile *const model_profiles[];
const struct model_profile *model_profile_find(const char *name); /* NULL = none of that name */

/* What a correct client never does; bits of model.broken. */
enum model_rule {
	MODEL_RULE_LENGTH = 1 << 0,        /* a request of another length than 2 or 12 */
	MODEL_RULE_RESERVED = 1 << 1,      /* bytes 2 and 3 of a map request are 0 */
	MODEL_RULE_DELETE_PORT = 1 << 2,   /* a deletion suggests external port 0 */
	MODEL_RULE_INTERNAL_ZERO = 1 << 3, /* internal port 0 only to delete all */
	MODEL_RULE_OPCODE = 1 << 4,        /* an opcode that is an answer's or unknown */
	MODEL_RULE_VERSION_ONE = 1 << 5    /* version 1 is not to be used by anyone */
};
#define MODEL_RULES 6
const char *model_rule_text(enum model_rule rule);

struct model {
	struct model_profile profile;
	struct table table;   /* to be told of changes: set on_change after model_init() */
	uint64_t requests;    /* packets that came in so far */
	uint32_t broken;      /* enum model_rule bits of the latest packet */
	uint32_t ever_broken; /* and of all so far */

	/* the model's own business */
	uint64_t random;
	uint64_t clock_since; /* now, when the clock showed clock_shown ms */
	uint64_t clock_shown;
};

/* The model starts at now with a clock of 0 and no mapping. slots stay the
 * caller's; capacity 1 to 65535. */
void model_init(struct model *model, const struct model_profile *profile, struct model_slot *slots,
		size_t capacity, uint64_t seed, uint64_t now);

/*
 * A datagram from client. Returns the length of the answer, 0 = none. answer
 * has room for MODEL_PACKET_MAX bytes and does not overlap bytes.
 */
size_t model_input(struct model *model, uint64_t now, uint32_t client, const uint8_t *bytes,
		   size_t len, uint8_t *answer);

/* What it multicasts of its own accord; both return the length. */
size_t model_announcement(const struct model *model, uint64_t now, uint8_t *bytes);
size_t model_pcp_announcement(const struct model *model, uint64_t now, uint8_t *bytes);

/* The gateway restarts: without its table (manual mappings stay) and with a
 * clock of 0, unless told to keep one of them. */
void model_restart(struct model *model, uint64_t now, bool keep_table, bool keep_clock);

uint32_t model_clock(const struct model *model, uint64_t now); /* seconds since start of epoch */
void model_set_clock(struct model *model, uint64_t now, uint32_t seconds);
void model_set_profile(struct model *model, uint64_t now, const struct model_profile *profile);
void model_set_address(struct model *model, uint32_t address); /* 0 = none */

/* A mapping made by hand. False when the port is taken or the table full. */
bool model_add_manual(struct model *model, uint64_t now, uint32_t client, enum model_opcode opcode,
		      uint16_t internal_port, uint16_t external_port);

/* Drop what is over by now; model_input() does so too. */
void model_expire(struct model *model, uint64_t now);

/* Nothing expires before this; UINT64_MAX = nothing ever will. May be early. */
uint64_t model_next_expiry(const struct model *model);

/*
 * The external ports that lead to a client's internal port at now. Returns how
 * many there are; up to max of them are written (one at most in most profiles).
 */
size_t model_lookup(const struct model *model, uint64_t now, uint32_t client,
		    enum model_opcode opcode, uint16_t internal_port, uint16_t *external_ports,
		    size_t max);

/* Live mappings in no order. Start with *cursor = 0; NULL after the last. */
const struct model_mapping *model_next(const struct model *model, uint64_t now, size_t *cursor);
size_t model_count(const struct model *model, uint64_t now);

#endif
