/* SPDX-License-Identifier: MIT */
/*
 * dialect - what the core needs from a port mapping protocol: it writes requests, reads responses
 * and gives the protocol's times. Only the file of a dialect knows its packet format. There are
 * two: NAT-PMP (natpmp.h) and PCP (pcp.h).
 */
#ifndef CORE_DIALECT_H
#define CORE_DIALECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/instant.h"
#include "core/ip.h"
#include "natpmpc.h"

enum {
	REQUEST_MAX = 64,    /* bytes of the longest request */
	RESPONSE_MAX = 1104, /* more than any valid packet (1100, RFC 6887 section 7), so that a
			      * longer one is recognised */
	SECRET_LEN = 16,     /* bytes */
};

/* In the order in which a gateway is asked that we do not know (RFC 6887 appendix A). */
enum dialect_id { DIALECT_PCP, DIALECT_NATPMP, DIALECTS };

typedef uint8_t dialect_set; /* bits 1 << enum dialect_id */

enum {
	ONLY_PCP = 1 << DIALECT_PCP,
	ONLY_NATPMP = 1 << DIALECT_NATPMP,
	ALL_DIALECTS = ONLY_PCP | ONLY_NATPMP
};

/* Both ends of the conversation, and the secret from which this end derives its nonces. */
struct ends {
	struct ip_address own, gateway;
	uint8_t secret[SECRET_LEN];
};

enum message_kind {
	ASK_ADDRESS,  /* what is your external address? PCP has no such question, and asks for the
		       * clock alone, by ANNOUNCE */
	ASK_CREATE,   /* map this port, or keep it mapped */
	ASK_DELETE,   /* close this port; NAT-PMP, internal port 0: all of that protocol */
	ASK_ANNOUNCE, /* in PCP only: do you speak it? Its ANNOUNCE question, RFC 6887 section 14.1
		       */
};

/* What a request says. A retransmission in the same dialect is the same bytes again. */
struct message {
	uint8_t kind;     /* enum message_kind */
	uint8_t protocol; /* of ASK_CREATE and ASK_DELETE: NATPMP_UDP or NATPMP_TCP */
	bool vpn;         /* ASK_CREATE: in the way of natpmp_options.vpn_ports */
	bool is_exact;    /* ASK_CREATE: the suggested port or none, where that can be said */
	uint16_t internal_port;
	uint16_t suggested_port;             /* external; 0: no suggestion */
	uint32_t lifetime;                   /* s, of ASK_CREATE */
	struct ip_address suggested_address; /* external, of ASK_CREATE; none: no suggestion */
};

enum response_kind {
	RESPONSE_JUNK,       /* not a response, or not one to us: drop it */
	RESPONSE_ADDRESS,    /* to ASK_ADDRESS or ASK_ANNOUNCE, or an announcement */
	RESPONSE_MAPPING,    /* to ASK_CREATE or ASK_DELETE, and names the mapping */
	RESPONSE_UNNAMED,    /* a refusal of a mapping that does not name its port */
	RESPONSE_BAD_VERSION /* the gateway rejected the version of our request; it names its own,
				and maybe the internal port */
};

/* What a packet from the gateway says. Members that the packet does not carry are 0. */
struct response {
	enum response_kind kind;
	int status;      /* NATPMP_OK, or what the result code means */
	uint16_t result; /* the result code as it came */
	bool has_clock;
	uint32_t clock; /* s, the gateway's */
	uint8_t protocol;
	uint16_t internal_port;
	uint16_t external_port;    /* of a success */
	uint32_t lifetime;         /* s, of a success */
	struct ip_address address; /* external, of a success; PCP: of RESPONSE_MAPPING alone */
	duration retry_after;      /* ms, of a failure: not to be repeated before; 0: not told */
	enum dialect_id dialect;   /* that the packet is in */
	uint8_t version;           /* of RESPONSE_BAD_VERSION: what the gateway speaks */
};

/* The gateway's clock, as last seen. */
struct gateway_clock {
	bool is_known;
	uint32_t seconds;    /* since the start of its epoch, as it was ... */
	instant at_latest;   /* ... at this instant of our clock, or earlier, ... */
	instant at_earliest; /* ... but no earlier than this; of use where it may not run fast */
};

struct dialect {
	uint8_t version; /* the first byte of its packets */
	/* Write the request; returns its length. */
	size_t (*encode)(const struct message *message, const struct ends *ends,
			 uint8_t bytes[REQUEST_MAX]);
	/* Read a packet, and never past len. A packet of another dialect is RESPONSE_JUNK. asked:
	 * the message in flight, or NULL; a few refusals can be understood only with it. */
	struct response (*decode)(const uint8_t *bytes, size_t len, const struct message *asked,
				  const struct ends *ends);
	/* The time from a send to the next. sends: how many there were so far in the series;
	 * before: this time for the send before, or 0; random: any number. */
	duration (*send_gap)(unsigned sends, duration before, uint64_t random);
	unsigned sends;         /* of a whole series */
	duration series_length; /* after which the last send can no longer be answered */
	unsigned tries; /* sends that show, if none is answered, that it is of no use to ask */
	/* Note the clock of a packet that came between the two instants. True: the gateway
	 * restarted since the packet before; the first packet never tells that. */
	bool (*note_clock)(struct gateway_clock *clock, uint32_t seconds, instant at_earliest,
			   instant at_latest);
	/* The time from the start of a lifetime to the next try to renew it, after that many
	 * earlier tries. random: any number. NEVER: there is no further try. */
	duration (*renewal_delay)(duration lifetime, unsigned tries, uint64_t random);
	duration renewal_gap;    /* the least time between two tries to renew a mapping */
	bool renews_by_one_send; /* a try to renew is a single send, not a series */
	bool may_grant_longer;   /* a lifetime beyond the one we asked for counts */
};

#endif
