/* SPDX-License-Identifier: MIT */
/*
 * dialect - what the core needs from a port mapping protocol: it writes requests, reads responses
 * and gives the protocol's times. Only the file of a dialect knows the packet format; today there
 * is one dialect, NAT-PMP (natpmp.h).
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
	REQUEST_MAX = 24,    /* bytes of the longest request */
	RESPONSE_MAX = 1104, /* more than any valid packet (1100, RFC 6887 section 7), so that a
			      * longer one is recognised */
};

enum message_kind {
	ASK_ADDRESS, /* what is your external address? */
	ASK_CREATE,  /* map this port, or keep it mapped */
	ASK_DELETE,  /* close this port; internal port 0: all of that protocol */
	ASK_PCP      /* do you speak PCP? Its ANNOUNCE question, RFC 6887 section 14.1 */
};

/* What a request says. A retransmission is the same message again. */
struct message {
	uint8_t kind;     /* enum message_kind */
	uint8_t protocol; /* of ASK_CREATE and ASK_DELETE: NATPMP_UDP or NATPMP_TCP */
	bool vpn;         /* ASK_CREATE: in the way of natpmp_options.vpn_ports */
	uint16_t internal_port;
	uint16_t suggested_port; /* external; 0: no suggestion */
	uint32_t lifetime;       /* s, of ASK_CREATE */
};

enum response_kind {
	RESPONSE_JUNK,         /* not a response: drop it */
	RESPONSE_ADDRESS,      /* to ASK_ADDRESS, or an announcement */
	RESPONSE_MAPPING,      /* to ASK_CREATE or ASK_DELETE, and names the mapping */
	RESPONSE_UNNAMED,      /* a refusal of a mapping that does not name its port */
	RESPONSE_BAD_VERSION,  /* result 1: the gateway rejected our version */
	RESPONSE_PCP_ONLY,     /* the same, from a PCP server */
	RESPONSE_PCP_ANNOUNCED /* PCP's ANNOUNCE, asked for or not */
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
	struct ip_address address; /* external, of a success */
};

/* The gateway's clock, as last seen. */
struct gateway_clock {
	bool is_known;
	uint32_t seconds;  /* since the start of its epoch, as it was ... */
	instant at_latest; /* ... at this instant of our clock, or earlier */
};

struct dialect {
	/* Write the request; returns its length. */
	size_t (*encode)(const struct message *message, const struct ip_address *own,
			 uint8_t bytes[REQUEST_MAX]);
	/* Read a packet, and never past len. asked: the message in flight, or NULL; a few refusals
	 * can be understood only with it. */
	struct response (*decode)(const uint8_t *bytes, size_t len, const struct message *asked);
	/* The time from the first send to the nth, counted from 0; n == sends: to the end of the
	 * series. */
	duration (*send_delay)(unsigned n);
	unsigned sends;    /* of a whole series */
	unsigned patience; /* sends after which a question makes way for another */
	/* Note the clock of a packet that came between the two instants. True: the gateway
	 * restarted since the packet before; the first packet never tells that. */
	bool (*note_clock)(struct gateway_clock *clock, uint32_t seconds, instant at_earliest,
			   instant at_latest);
	/* The time from the start of a lifetime to the next try to renew it, after that many
	 * earlier tries. NEVER: there is no further try. */
	duration (*renewal_delay)(duration lifetime, unsigned tries);
	duration renewal_gap; /* the least time between two tries to renew a mapping */
};

#endif
