/* SPDX-License-Identifier: MIT */
/* pcp - the dialect of RFC 6887. */
#ifndef CORE_PCP_H
#define CORE_PCP_H

#include "core/dialect.h"

enum {
	PCP_FIRST_WAIT = 3000,   /* ms, IRT of RFC 6887 section 8.1.1; doubles with each send */
	PCP_LAST_WAIT = 1024000, /* ms, MRT */
	PCP_TRIES = 2,           /* sends in a turn of 7.75 s */
	PCP_SENDS = 6,           /* of a series; the RFC has no end, and we begin the next one */
	PCP_SERIES = 210000,     /* ms, of all sends and the last wait, at most */
	PCP_RENEWAL_GAP = 4000,  /* ms, section 11.2.1 */
	PCP_LIFETIME_MAX = 86400 /* s, to which granted lifetimes and those of errors are cut */
};

extern const struct dialect dialect_pcp;

#endif
