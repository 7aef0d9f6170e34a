/* SPDX-License-Identifier: MIT */
/* instant - time in the core. A name that ends in _at or _until is an instant; for other names, see
 * the type. */
#ifndef CORE_INSTANT_H
#define CORE_INSTANT_H

#include <stdint.h>

typedef uint64_t instant;  /* ms, on the clock of the instants that calls are given */
typedef uint64_t duration; /* ms */

#define NEVER UINT64_MAX /* an instant that does not come */

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
