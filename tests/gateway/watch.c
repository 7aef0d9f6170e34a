/* SPDX-License-Identifier: MIT */
#include "watch.h"

#include "journal.h"

#include <stdlib.h>
#include <time.h>

void watch_begin(struct watch *watch)
{
	watch->count = 0;
	watch->deadline = UINT64_MAX;
}

static int grow(struct watch *watch)
{
	size_t capacity = watch->capacity ? watch->capacity * 2 : 64;
	struct pollfd *fds = realloc(watch->fds, capacity * sizeof(*fds));
	struct watch_owner *owners;

	if (!fds)
		return -1;
	watch->fds = fds;
	owners = realloc(watch->owners, capacity * sizeof(*owners));
	if (!owners)
		return -1;
	watch->owners = owners;
	watch->capacity = capacity;
	return 0;
}

/* Without memory a descriptor is left out of this round, no more. */
void watch_fd(struct watch *watch, int fd, short events, watch_fn *fn, void *owner)
{
	if (fd < 0 || !events || (watch->count == watch->capacity && grow(watch) < 0))
		return;
	watch->fds[watch->count] = (struct pollfd){.fd = fd, .events = events};
	watch->owners[watch->count++] = (struct watch_owner){fn, owner};
}

void watch_until(struct watch *watch, uint64_t deadline)
{
	if (deadline < watch->deadline)
		watch->deadline = deadline;
}

void watch_run(struct watch *watch, const sigset_t *mask)
{
	struct timespec timeout = {3600, 0};
	uint64_t now = journal_now();
	uint64_t left = watch->deadline > now ? watch->deadline - now : 0;

	if (left < 3600 * 1000) {
		timeout.tv_sec = (time_t)(left / 1000);
		timeout.tv_nsec = (long)(left % 1000) * 1000000;
	}
	if (ppoll(watch->fds, (nfds_t)watch->count, &timeout, mask) <= 0)
		return;
	for (size_t i = 0; i < watch->count; i++)
		if (watch->fds[i].revents)
			watch->owners[i].fn(watch->owners[i].owner);
}

void watch_free(struct watch *watch)
{
	free(watch->fds);
	free(watch->owners);
}
