/* SPDX-License-Identifier: MIT */
/* responder - a small gateway in a thread of the test, on a loopback port of the kernel's choice.
 * It remembers all it heard. */
#ifndef RESPONDER_H
#define RESPONDER_H

#include <stdbool.h>
#include <stddef.h>
#include <netinet/in.h>
#include <stdint.h>

/* How it behaves; zero: it grants what is asked for. */
struct manner {
	bool silent, address_silent; /* to all; to the question for the external address */
	unsigned lose;               /* so many requests from now on are lost */
	unsigned delay;              /* ms before each answer */
	uint32_t most;               /* s; lifetimes are cut to it */
	uint16_t external_port;      /* instead of what is suggested */
	bool no_tcp;                 /* refuses it with result 2 */
	bool contrary;               /* never one port for TCP and UDP */
	uint16_t result;             /* of mappings and deletions */
	uint16_t address_result;
	uint32_t address;                         /* host order; 0 = 203.0.113.5 */
	bool no_address;                          /* tells 0.0.0.0 */
	bool pcp;                                 /* speaks it */
	bool from_other_port, from_other_address; /* a wrong answer from there comes first */
	size_t padded_to;                         /* bytes */
};

struct heard {
	uint64_t at;   /* us */
	uint32_t from; /* host order */
	uint16_t from_port;
	size_t len;
	uint8_t bytes[32];
};

struct responder;

struct responder *responder_start(void);
/* At that port, 0 = any. NULL: it is taken. */
struct responder *responder_start_at(uint16_t port);
struct responder *responder_start_on(uint32_t address, uint16_t port);
void responder_stop(struct responder *responder);
uint16_t responder_port(const struct responder *responder);
void responder_be(struct responder *responder, const struct manner *manner);
/* The clock begins anew; all mappings are forgotten. */
void responder_reboot(struct responder *responder);

/* A packet of its own accord, from its port. */
void responder_says(struct responder *responder, const struct sockaddr_in *to, const void *bytes,
		    size_t len);

/* What was heard: all, the nth, map requests and deletions of a protocol and port. */
size_t responder_heard(struct responder *responder);
struct heard responder_nth(struct responder *responder, size_t n);
size_t responder_asked(struct responder *responder, uint8_t protocol, uint16_t internal_port);
size_t responder_deleted(struct responder *responder, uint8_t protocol, uint16_t internal_port);
size_t responder_asked_address(struct responder *responder);
/* Its clock as it shows now, s. */
uint32_t responder_clock(struct responder *responder);

/* A loopback UDP port where nobody listens. */
uint16_t closed_port(void);
uint64_t now_us(void);
uint64_t now_ms(void);

#endif
