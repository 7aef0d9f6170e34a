/* SPDX-License-Identifier: MIT */
#include "core/registry.h"

#include <stdlib.h>

enum { BUCKETS_MIN = 16 };

void registry_free(struct registry *registry)
{
	free(registry->buckets);
	*registry = (struct registry){0};
}

/* The port is the hash, because programs hold consecutive ports, often with both protocols. */
static size_t bucket_index(const struct registry *registry, unsigned protocol, uint16_t port)
{
	size_t hash = 2 * (size_t)port + (protocol == NATPMP_TCP);

	return hash & (registry->bucket_count - 1);
}

static struct grant **bucket_of(const struct registry *registry, const struct grant *grant)
{
	const struct message *key = &grant->question.message;

	return &registry->buckets[bucket_index(registry, key->protocol, key->internal_port)];
}

static void put_grant(struct registry *registry, struct grant *grant)
{
	struct grant **bucket = bucket_of(registry, grant);

	grant->next_in_bucket = *bucket;
	*bucket = grant;
}

bool registry_reserve(struct registry *registry)
{
	struct registry before = *registry;
	size_t wider = before.bucket_count ? 2 * before.bucket_count : BUCKETS_MIN;

	if (before.count < before.bucket_count)
		return true;
	registry->buckets = calloc(wider, sizeof(struct grant *));
	if (!registry->buckets) {
		*registry = before;
		return false;
	}
	registry->bucket_count = wider;
	for (size_t i = 0; i < before.bucket_count; i++)
		for (struct grant *grant = before.buckets[i], *next; grant; grant = next) {
			next = grant->next_in_bucket;
			put_grant(registry, grant);
		}
	free(before.buckets);
	return true;
}

struct grant *registry_find(const struct registry *registry, unsigned protocol,
			    uint16_t internal_port)
{
	if (!registry->count)
		return NULL;
	struct grant *grant = registry->buckets[bucket_index(registry, protocol, internal_port)];
	while (grant && (grant->question.message.protocol != protocol ||
			 grant->question.message.internal_port != internal_port))
		grant = grant->next_in_bucket;
	return grant;
}

struct grant *registry_next(const struct registry *registry, const struct grant *grant)
{
	size_t i = 0;

	if (grant && grant->next_in_bucket)
		return grant->next_in_bucket;
	if (grant)
		i = (size_t)(bucket_of(registry, grant) - registry->buckets) + 1;
	for (; i < registry->bucket_count; i++)
		if (registry->buckets[i])
			return registry->buckets[i];
	return NULL;
}

void registry_add(struct registry *registry, struct grant *grant)
{
	put_grant(registry, grant);
	registry->count++;
}

void registry_remove(struct registry *registry, struct grant *grant)
{
	struct grant **at = bucket_of(registry, grant);

	while (*at != grant)
		at = &(*at)->next_in_bucket;
	*at = grant->next_in_bucket;
	registry->count--;
}
