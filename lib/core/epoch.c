/* SPDX-License-Identifier: MIT */
#include "core/epoch.h"

bool epoch_restarted(struct epoch *epoch, uint32_t seconds, uint64_t now)
{
	bool restarted = false;

	if (epoch->known) {
		/* The gateway's clock may run slow by an eighth, and 2 s are allowed for: an alarm
		 * if seconds < expected - 2, where expected = old + 7/8 of the elapsed time, built
		 * on the old value. One-sided: a clock that runs ahead is none. In 1/8000 s,
		 * signed. */
		int64_t back = (int64_t)epoch->seconds - (int64_t)seconds;
		uint64_t elapsed = now - epoch->at;
		int64_t ms = elapsed > (uint64_t)INT64_MAX / 16 ? INT64_MAX / 16 : (int64_t)elapsed;

		restarted = 8000 * back + 7 * ms > 16000;
	}
	*epoch = (struct epoch){.known = true, .seconds = seconds, .at = now};
	return restarted;
}
