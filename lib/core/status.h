/* SPDX-License-Identifier: MIT */
/* status - the one table of statuses: what kind each is, when to try again, what to say. */
#ifndef CORE_STATUS_H
#define CORE_STATUS_H

#include <stdbool.h>

#include "core/instant.h"
#include "natpmpc.h"

enum status_class {
	STATUS_FINE,    /* success, or not known yet */
	STATUS_CALLER,  /* the caller's mistake */
	STATUS_MACHINE, /* this machine: nothing can be asked */
	STATUS_SILENT,  /* asked, and no usable answer */
	STATUS_CLOSED,  /* the gateway runs no such service */
	STATUS_NO,      /* the gateway heard the question and said no */
};

enum {
	SHORT_LIFETIME = 300, /* s; a mapping granted for less is tried again sooner */
};

enum status_class status_class(int status);

/* NATPMP_PENDING is none: nothing has failed so far. */
static inline bool is_failure(int status)
{
	return status < NATPMP_OK;
}

/* How long to wait before the next try. failures: how many came before the last one; short_lived:
 * the mapping was last granted for less than SHORT_LIFETIME. */
duration status_retry_delay(int status, unsigned failures, bool short_lived);

#endif
