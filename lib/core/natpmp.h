/* SPDX-License-Identifier: MIT */
/* natpmp - the dialect of RFC 6886. */
#ifndef CORE_NATPMP_H
#define CORE_NATPMP_H

#include "core/dialect.h"

enum {
	NATPMP_SENDS = 9,         /* RFC 6886 section 3.1 */
	NATPMP_SERIES = 127750,   /* ms, of all sends and the last wait */
	NATPMP_FIRST_WAIT = 250,  /* ms, doubles with each send */
	NATPMP_TRIES = 5,         /* sends in a turn of 7.75 s */
	NATPMP_LIFETIME = 7200,   /* s, section 3.3 */
	NATPMP_RENEWAL_GAP = 4000 /* ms, between two tries to renew (RFC 6887 section 11.2.1) */
};

extern const struct dialect dialect_natpmp;

#endif
