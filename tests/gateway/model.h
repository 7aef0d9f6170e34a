/* SPDX-License-Identifier: MIT */
/*
 * model.h - a gateway that speaks NAT-PMP (RFC 6886), PCP (RFC 6887) or both, as
 * a state machine, for tests.
 *
 * Bytes in, bytes out. Time (milliseconds, never going back) and the seed of
 * all its randomness are arguments, the table is the caller's: no socket, no
 * clock, no allocation. It shares nothing with the library under test; that is
 * the point of it. A uint32_t address is one of IPv4 in host byte order; a struct
 * model_host is one of either family.
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

/* How a gateway without PCP refuses a version that is not 0: all were seen. */
enum model_refusal {
	MODEL_REFUSAL_ERRATUM, /* opcode 128: RFC 6886 section 3.5 with erratum 3618 */
	MODEL_REFUSAL_PRINTED, /* opcode 0: that section as printed */
	MODEL_REFUSAL_COPIED,  /* opcode of the request + 128 */
	MODEL_REFUSAL_SILENT,
	MODEL_REFUSAL_SHORT /* opcode 128, and nothing behind the result: 4 bytes */
};

/* Whether it speaks PCP, and NAT-PMP beside it. */
enum model_pcp { MODEL_PCP_NONE, MODEL_PCP_TOO, MODEL_PCP_ONLY };

enum model_pcp_result {
	MODEL_PCP_SUCCESS = 0,
	MODEL_PCP_UNSUPP_VERSION = 1,
	MODEL_PCP_NOT_AUTHORIZED = 2,
	MODEL_PCP_MALFORMED_REQUEST = 3,
	MODEL_PCP_UNSUPP_OPCODE = 4,
	MODEL_PCP_UNSUPP_OPTION = 5,
	MODEL_PCP_MALFORMED_OPTION = 6,
	MODEL_PCP_NETWORK_FAILURE = 7,
	MODEL_PCP_NO_RESOURCES = 8,
	MODEL_PCP_UNSUPP_PROTOCOL = 9,
	MODEL_PCP_USER_EX_QUOTA = 10,
	MODEL_PCP_CANNOT_PROVIDE_EXTERNAL = 11,
	MODEL_PCP_ADDRESS_MISMATCH = 12
};

/* What a client asks of PCP, as far as a result can be forced on it. */
enum model_wish { MODEL_WISH_ANNOUNCE, MODEL_WISH_CREATE, MODEL_WISH_RENEW, MODEL_WISH_DELETE };
#define MODEL_WISHES 4

/* What needs the nonce that the mapping was made with. */
enum model_nonces {
	MODEL_NONCES_ALL,       /* renewals and deletions: RFC 6887 section 11.3 */
	MODEL_NONCES_PINHOLES,  /* deletions, and renewals for IPv6 */
	MODEL_NONCES_DELETIONS, /* deletions */
	MODEL_NONCES_NONE
};

/* What becomes of the option PREFER_FAILURE. */
enum model_prefer {
	MODEL_PREFER_HONOURED, /* the port suggested or CANNOT_PROVIDE_EXTERNAL */
	MODEL_PREFER_IGNORED,  /* another port */
	MODEL_PREFER_REFUSED   /* always CANNOT_PROVIDE_EXTERNAL */
};

/* Which error answers of PCP keep the last 12 bytes of the client's address. */
enum model_tail {
	MODEL_TAIL_UNPARSED, /* those to what could not be read: RFC 6887 section 7.2 */
	MODEL_TAIL_ERRORS,   /* all */
	MODEL_TAIL_NONE
};

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
	enum model_nonces nonces;
	enum model_prefer prefer_failure;
	enum model_tail tail;
	uint32_t pcp_version;          /* the only one it speaks besides NAT-PMP's 0 */
	uint32_t pcp_min_lifetime;     /* s; as min_lifetime and max_lifetime, of PCP */
	uint32_t pcp_max_lifetime;     /* s; 0 = no limit */
	uint32_t long_error_lifetime;  /* s; what PCP's errors last */
	uint32_t short_error_lifetime; /* s; those of results 7, 8, 10 and 11 */
	uint32_t deletion_leaves;      /* s; a mapping deleted by PCP lives on as long, and the
					* answer says so; 0 = it goes at once */

	/* Forced on every answer that it applies to, -1 = not. A forced port or
	 * lifetime of 0 is a lie in the answer only: the table is left alone. */
	int32_t forced_result[3]; /* by opcode; also of deletions */
	int32_t forced_port;
	int64_t forced_lifetime;
	int32_t forced_pcp_result[MODEL_WISHES]; /* by enum model_wish */
	int64_t forced_error_lifetime;           /* of all errors of PCP */

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
	bool announce_only;          /* PCP: MAP is an unsupported opcode */
	bool silent_to_natpmp;       /* PCP only: no answer to version 0 */
	bool shares_mappings;        /* a mapping made by one protocol is renewed by the other,
				      * which takes it over; else they do not see each other's */
	bool announces_to_anyone;    /* PCP: ANNOUNCE may name any client address */
	bool unknown_deletion_fails; /* PCP: deleting nothing is NO_RESOURCES */
	bool tells_address;          /* PCP: answers to deletions carry the external address */
	bool echoes_options;         /* PCP: all of them, in a success too */
	bool accepts_filter;         /* PCP: FILTER is a success without a filter */
	bool accepts_options;        /* PCP: any option is a success without effect */
	bool garbles_malformed;      /* PCP: a bad length is answered with version and opcode 0 */
	bool zero_is_malformed;      /* PCP: protocol 0, internal port 0: MALFORMED_REQUEST */
	bool echoes_pinhole_port;    /* PCP: the renewal of a pinhole tells the port suggested */
	uint16_t split_up_to;        /* suggestions up to this one: never the same external
				      * port for TCP and UDP of an internal port; 0 = off */
};

/* Every profile there is; NULL ends it. */
extern const struct model_profile *const model_profiles[];
const struct model_profile *model_profile_find(const char *name); /* NULL = none of that name */

/* What a correct client never does; bits of model.broken. */
enum model_rule {
	MODEL_RULE_LENGTH = 1 << 0,        /* NAT-PMP: a request of another length than 2 or 12;
					    * PCP: under 24, a MAP under 60, not by 4 */
	MODEL_RULE_RESERVED = 1 << 1,      /* reserved bytes are 0 */
	MODEL_RULE_DELETE_PORT = 1 << 2,   /* a deletion suggests external port 0 */
	MODEL_RULE_INTERNAL_ZERO = 1 << 3, /* internal port 0 only to delete all of NAT-PMP */
	MODEL_RULE_OPCODE = 1 << 4,        /* an opcode that is an answer's or unknown */
	MODEL_RULE_VERSION_ONE = 1 << 5,   /* version 1 is not to be used by anyone */
	/* the rest is of PCP */
	MODEL_RULE_DELETE_ADDRESS = 1 << 6,    /* a deletion: the family's all-zeros address */
	MODEL_RULE_DELETE_OPTION = 1 << 7,     /* a deletion has no options */
	MODEL_RULE_ANNOUNCE_LIFETIME = 1 << 8, /* ANNOUNCE has lifetime 0 */
	MODEL_RULE_CLIENT_ADDRESS = 1 << 9,    /* the address in the packet is its source */
	MODEL_RULE_FAMILY = 1 << 10,           /* the address suggested is of the client's family */
	MODEL_RULE_NONCE = 1 << 11,            /* a nonce is random, not all zeros */
	MODEL_RULE_OPTION = 1 << 12,           /* options are well formed and make sense */
	MODEL_RULE_THIRD_PARTY = 1 << 13,      /* nobody maps for another host */
	MODEL_RULE_TOO_SOON = 1 << 14          /* renewals of one mapping are 4 s apart; the first
						* after a change of the clock begins anew */
};
#define MODEL_RULES 15
const char *model_rule_text(enum model_rule rule);

struct model_clock {
	uint64_t since; /* ms; now, when it showed the next */
	uint64_t shown; /* ms */
};

struct model {
	struct model_profile profile;
	struct table table;   /* to be told of changes: set on_change after model_init() */
	uint64_t requests;    /* packets that came in so far */
	uint32_t broken;      /* enum model_rule bits of the latest packet */
	uint32_t ever_broken; /* and of all so far */

	/* the model's own business */
	uint64_t random;
	struct model_clock natpmp_clock;
	struct model_clock pcp_clock;
};

/* The model starts at now with clocks of 0 and no mapping. slots stay the
 * caller's; capacity 1 to 65535. */
void model_init(struct model *model, const struct model_profile *profile, struct model_slot *slots,
		size_t capacity, uint64_t seed, uint64_t now);

/*
 * A datagram from client. Returns the length of the answer, 0 = none. answer
 * has room for MODEL_PACKET_MAX bytes and does not overlap bytes.
 */
size_t model_input(struct model *model, uint64_t now, uint32_t client, const uint8_t *bytes,
		   size_t len, uint8_t *answer);
size_t model_input_from(struct model *model, uint64_t now, const struct model_host *client,
			const uint8_t *bytes, size_t len, uint8_t *answer);

/* What it multicasts of its own accord; both return the length. */
size_t model_announcement(const struct model *model, uint64_t now, uint8_t *bytes);
size_t model_pcp_announcement(const struct model *model, uint64_t now, uint8_t *bytes);

/* An answer to MAP that nobody asked for: what a mapping is by now, RFC 6887
 * section 14.2. Returns the length. */
size_t model_pcp_update(const struct model *model, uint64_t now,
			const struct model_mapping *mapping, uint8_t *bytes);

/* The gateway restarts: without its table (manual mappings stay) and with
 * clocks of 0, unless told to keep one of them. */
void model_restart(struct model *model, uint64_t now, bool keep_table, bool keep_clock);

/* Seconds since start of epoch; NAT-PMP and PCP have a clock each, alike as long
 * as only model_set_clock() sets them. */
uint32_t model_clock(const struct model *model, uint64_t now);
uint32_t model_pcp_clock(const struct model *model, uint64_t now);
void model_set_clock(struct model *model, uint64_t now, uint32_t seconds);
void model_set_natpmp_clock(struct model *model, uint64_t now, uint32_t seconds);
void model_set_pcp_clock(struct model *model, uint64_t now, uint32_t seconds);
void model_set_profile(struct model *model, uint64_t now, const struct model_profile *profile);
void model_set_address(struct model *model, uint32_t address); /* 0 = none */

/* A mapping made by hand. False when the port is taken or the table full. */
bool model_add_manual(struct model *model, uint64_t now, uint32_t client, enum model_opcode opcode,
		      uint16_t internal_port, uint16_t external_port);

/*
 * The mapping of a client's internal port that one of these makers made; NULL =
 * none. The next of several comes with after = the one before, NULL = the first.
 */
const struct model_mapping *model_find(const struct model *model, uint64_t now,
				       const struct model_host *client, enum model_opcode opcode,
				       uint16_t internal_port, enum model_maker makers,
				       const struct model_mapping *after);

/* Give a mapping another external port, of the gateway's own accord. False when
 * that is taken. */
bool model_move(struct model *model, const struct model_mapping *mapping, uint16_t external_port);

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
