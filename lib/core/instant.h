/* SPDX-License-Identifier: MIT */
/* instant - time in the core. A name that ends in _at is an instant, anything else a duration. */
#ifndef CORE_INSTANT_H
#define CORE_INSTANT_H

#include <stdint.h>

typedef uint64_t instant;  /* ms, on the clock whose time every call is given */
typedef uint64_t duration; /* ms */

#define NEVER UINT64_MAX /* the only "none" of an instant */

enum { MS_PER_S = 1000 };

static inline instant earlier(instant a, instant b)
{
	return a < b ? a : b;
}

static inline instant later(instant a, instant b)
{
	return a > b ? a : b;
}

#endif
