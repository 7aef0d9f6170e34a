/* SPDX-License-Identifier: MIT */
/*
 * digest - what a client did, in one number (64 bits, FNV-1a): every packet it sends and every
 * event it tells, in order, each with its time. Two cores that behave alike have the same digests.
 * Shared by the simulation and the stories of tests/unit; tests/digests.sh compares.
 */
#ifndef SIM_DIGEST_H
#define SIM_DIGEST_H

#include "core/lease.h"

enum { DIGEST_LINE_MAX = 256 };

struct digest {
	uint64_t packets, events; /* so far */
	uint64_t hash;
};

void digest_begin(struct digest *digest);
/* Times are ms since all began. */
void digest_packet(struct digest *digest, uint64_t at, const uint8_t *bytes, size_t len);
/* client_event() gave this. */
void digest_event(struct digest *digest, uint64_t at, const struct lease *lease,
		  const struct lease_view *before);
/* "NAME PACKETS EVENTS HASH" and the end of the line; returns its length. */
size_t digest_line(const struct digest *digest, const char *name, char line[DIGEST_LINE_MAX]);

#endif
