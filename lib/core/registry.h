/* SPDX-License-Identifier: MIT */
/* registry - all grants, found by (protocol, internal port) in O(1). */
#ifndef CORE_REGISTRY_H
#define CORE_REGISTRY_H

#include "core/grant.h"

struct registry {
	struct grant **buckets; /* a power of two of them, at least as many as grants */
	size_t bucket_count, count;
};

void registry_free(struct registry *registry);
/* Make room for one more. False: out of memory. */
bool registry_reserve(struct registry *registry);
struct grant *registry_find(const struct registry *registry, unsigned protocol,
			    uint16_t internal_port);
/* Step through all grants: NULL gives the first one, and the last one gives NULL. They come roughly
 * in the order of their ports. */
struct grant *registry_next(const struct registry *registry, const struct grant *grant);
void registry_add(struct registry *registry, struct grant *grant);
void registry_remove(struct registry *registry, struct grant *grant);

#endif
