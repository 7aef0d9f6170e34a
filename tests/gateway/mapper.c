/* SPDX-License-Identifier: MIT */
#include "mapper.h"

#include <string.h>

/* splitmix64 */
static uint64_t random_next(struct model *model)
{
	uint64_t z = model->random += 0x9e3779b97f4a7c15U;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
	z = (z ^ z >> 27) * 0x94d049bb133111ebU;
	return z ^ z >> 31;
}

unsigned mapper_companion(unsigned opcode)
{
	return opcode == MODEL_UDP ? MODEL_TCP : MODEL_UDP;
}

/* Whose mappings a request can meet. */
static unsigned makers_seen(const struct model *model, const struct request *request)
{
	return model->profile.shares_mappings ? MODEL_BY_ANY : request->maker;
}

static struct model_mapping *made_by(const struct table *table, struct model_mapping *mapping,
				     unsigned makers)
{
	while (mapping && !(mapping->maker & makers))
		mapping = table_internal_next(table, mapping);
	return mapping;
}

struct model_mapping *mapper_first(const struct table *table, const struct request *request,
				   unsigned makers)
{
	return made_by(
		table,
		table_internal(table, &request->client, request->opcode, request->internal_port),
		makers);
}

struct model_mapping *mapper_next(const struct table *table, const struct model_mapping *mapping,
				  unsigned makers)
{
	return made_by(table, table_internal_next(table, mapping), makers);
}

/* ---------------------------------------------------------- external port -- */

static uint16_t companion_port(struct model *model, const struct request *request)
{
	const struct model_mapping *companion =
		table_internal(&model->table, &request->client, mapper_companion(request->opcode),
			       request->internal_port);

	return companion ? companion->external_port : 0;
}

bool mapper_is_free(struct model *model, const struct request *request, uint16_t port)
{
	const struct model_mapping *companion;

	if (port == 0 || port < model->profile.lowest_port ||
	    table_external(&model->table, request->opcode, port))
		return false;
	if (!model->profile.reserves_companion)
		return true;
	companion = table_external(&model->table, mapper_companion(request->opcode), port);
	return !companion || model_host_equal(&companion->client, &request->client);
}

/* A free port of the random range that is not the one to avoid; 0 = none left. */
static uint16_t random_port(struct model *model, const struct request *request, uint16_t avoid)
{
	uint32_t low = model->profile.random_low;
	uint32_t range = model->profile.random_high - low + 1U;
	uint32_t start = (uint32_t)(random_next(model) % range);

	for (uint32_t i = 0; i < range; i++) {
		uint16_t port = (uint16_t)(low + (start + i) % range);

		if (port != avoid && mapper_is_free(model, request, port))
			return port;
	}
	return 0;
}

static uint16_t next_port(struct model *model, const struct request *request, uint16_t from)
{
	for (uint32_t i = 0; i < 65535; i++) {
		uint16_t port = (uint16_t)((from - 1U + i) % 65535 + 1);

		if (mapper_is_free(model, request, port))
			return port;
	}
	return 0;
}

/* What a new mapping gets as its external port; 0 = nothing is left. */
static uint16_t choose_port(struct model *model, const struct request *request)
{
	const struct model_profile *profile = &model->profile;
	uint16_t companion = companion_port(model, request);
	uint16_t wanted = request->suggested_port;

	if (profile->forced_port > 0)
		return next_port(model, request, (uint16_t)profile->forced_port);
	if (profile->denies_suggestions)
		return random_port(model, request, wanted);
	if (companion && profile->split_up_to && wanted <= profile->split_up_to) {
		if (wanted != companion && mapper_is_free(model, request, wanted))
			return wanted;
		return random_port(model, request, companion);
	}
	if (wanted == 0)
		wanted = profile->zero_means_internal ? request->internal_port : companion;
	if (mapper_is_free(model, request, wanted))
		return wanted;
	return profile->scans_upward ? next_port(model, request, wanted)
				     : random_port(model, request, 0);
}

/* ---------------------------------------------------------------- mapping -- */

/* For the profiles with one mapping per client and protocol: few, so no index. */
static struct model_mapping *find_client(const struct model *model, const struct model_host *client,
					 unsigned opcode)
{
	for (uint32_t i = 0; i < model->table.count; i++) {
		struct model_mapping *mapping = &model->table.slots[i].mapping;

		if (mapping->opcode == opcode && model_host_equal(&mapping->client, client))
			return mapping;
	}
	return NULL;
}

/* The number that the client's other protocol has, or any. */
static uint16_t choose_vpn_port(struct model *model, const struct request *request)
{
	const struct model_mapping *companion =
		find_client(model, &request->client, mapper_companion(request->opcode));

	if (model->profile.forced_port > 0)
		return next_port(model, request, (uint16_t)model->profile.forced_port);
	if (companion && mapper_is_free(model, request, companion->external_port))
		return companion->external_port;
	return random_port(model, request, 0);
}

/* With second_mapping, a mapping is known by both ports: the one that the
 * upward scan from the wanted port meets first, before any free port. */
static struct model_mapping *find_by_scan(struct model *model, const struct request *request)
{
	unsigned makers = makers_seen(model, request);
	uint16_t wanted =
		request->suggested_port ? request->suggested_port : request->internal_port;

	for (uint32_t i = 0; i < 65535; i++) {
		uint16_t port = (uint16_t)((wanted - 1U + i) % 65535 + 1);
		struct model_mapping *mapping =
			table_external(&model->table, request->opcode, port);

		if (mapping && mapping->maker & makers &&
		    mapping->internal_port == request->internal_port &&
		    model_host_equal(&mapping->client, &request->client))
			return mapping;
		if (!mapping && mapper_is_free(model, request, port))
			return NULL;
	}
	return NULL;
}

struct model_mapping *mapper_find(struct model *model, const struct request *request)
{
	if (model->profile.vpn)
		return find_client(model, &request->client, request->opcode);
	if (model->profile.second_mapping && model->profile.forced_port <= 0 &&
	    model_host_is_ipv4(&request->client))
		return find_by_scan(model, request);
	return mapper_first(&model->table, request, makers_seen(model, request));
}

bool mapper_is_full(const struct model *model)
{
	uint32_t limit = model->profile.max_mappings;

	return model->table.count >= model->table.capacity ||
	       (limit && model->table.count >= limit);
}

static struct model_mapping *create(struct model *model, const struct request *request,
				    uint64_t expires)
{
	struct model_mapping mapping = {.expires = expires,
					.client = request->client,
					.opcode = request->opcode,
					.maker = (uint8_t)request->maker,
					.internal_port = request->internal_port};

	memcpy(mapping.nonce, request->nonce, sizeof(mapping.nonce));
	if (mapper_is_full(model))
		return NULL;
	if (!model_host_is_ipv4(&request->client))
		mapping.external_port = request->internal_port;
	else if (model->profile.vpn)
		mapping.external_port = mapping.internal_port = choose_vpn_port(model, request);
	else
		mapping.external_port = choose_port(model, request);
	return mapping.external_port ? table_add(&model->table, &mapping) : NULL;
}

/* Extend a mapping; move it to a forced external port, if that is free. */
static struct model_mapping *renew(struct model *model, const struct request *request,
				   struct model_mapping *mapping, uint64_t expires)
{
	int32_t forced = model->profile.forced_port;

	if (mapping->manual)
		return mapping;
	if (forced > 0 && model_host_is_ipv4(&request->client) &&
	    mapper_is_free(model, request, (uint16_t)forced)) {
		table_drop(&model->table, mapping);
		return create(model, request, expires);
	}
	table_renew(&model->table, mapping, expires);
	mapping->maker = (uint8_t)request->maker;
	memcpy(mapping->nonce, request->nonce, sizeof(mapping->nonce));
	return mapping;
}

struct model_mapping *mapper_grant(struct model *model, const struct request *request,
				   struct model_mapping *mapping, uint64_t expires)
{
	return mapping ? renew(model, request, mapping, expires) : create(model, request, expires);
}
