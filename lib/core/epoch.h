/* SPDX-License-Identifier: MIT */
/* epoch - has the gateway lost its state? RFC 6886 section 3.6. */
#ifndef CORE_EPOCH_H
#define CORE_EPOCH_H

#include <stdbool.h>
#include <stdint.h>

struct epoch {
	bool known;
	uint32_t seconds; /* the gateway's clock, seconds since the start of its epoch ... */
	uint64_t at;      /* ... when this clock of ours showed that many ms */
};

/* Take in the clock field of a packet. True: the gateway restarted since the last one. The
 * first packet only initialises; a zeroed struct forgets. now never goes back. */
bool epoch_restarted(struct epoch *epoch, uint32_t seconds, uint64_t now);

#endif
