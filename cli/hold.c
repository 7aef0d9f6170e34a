/* SPDX-License-Identifier: MIT */
#include "hold.h"

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "child.h"
#include "failure.h"
#include "notify.h"

uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ------------------------------------------------------- lines on change -- */

/* True the first time in an outage. */
static bool news(struct hold *hold, int status)
{
	unsigned code = -(unsigned)status % 128;
	uint64_t bit = UINT64_C(1) << code % 64;
	bool first = !(hold->said[code / 64] & bit);

	hold->said[code / 64] |= bit;
	return first;
}

static void say_down(struct hold *hold, const natpmp_state *before)
{
	struct output *output = hold->all->output;
	int status = hold->now.status;
	char name[OUTPUT_NAME_LEN];

	if (before->status == NATPMP_OK || before->status == NATPMP_PENDING) {
		if (before->status == NATPMP_OK)
			hold->down_since = now_ms();
		hold->failures = 0;
		memset(hold->said, 0, sizeof(hold->said));
	}
	hold->failures++;
	output_event(output, "down", &hold->now.mapping, status);
	if (news(hold, status))
		output_error(output, "%s is %s: %s; it is tried again and again. If that lasts: %s",
			     output_name(&hold->now.mapping, name),
			     hold->now.mapping.external_address[0] ? "down" : "not open yet",
			     natpmp_strerror(status), failure_find(status)->advice);
}
