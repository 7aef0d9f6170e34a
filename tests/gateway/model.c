/* SPDX-License-Identifier: MIT */
#include "bytes.h"
#include "mapper.h"
#include "pcp.h"

#include <string.h>

const char *model_rule_text(enum model_rule rule)
{
	switch (rule) {
	case MODEL_RULE_LENGTH:
		return "wrong length for its opcode";
	case MODEL_RULE_RESERVED:
		return "reserved bytes are not 0";
	case MODEL_RULE_DELETE_PORT:
		return "deletion with an external port";
	case MODEL_RULE_INTERNAL_ZERO:
		return "internal port 0 with a lifetime";
	case MODEL_RULE_OPCODE:
		return "not an opcode of a request";
	case MODEL_RULE_VERSION_ONE:
		return "version 1";
	case MODEL_RULE_DELETE_ADDRESS:
		return "deletion with an external address, or all zeros of the other family";
	case MODEL_RULE_DELETE_OPTION:
		return "deletion with an option";
	case MODEL_RULE_ANNOUNCE_LIFETIME:
		return "announce with a lifetime";
	case MODEL_RULE_CLIENT_ADDRESS:
		return "client address is not the source";
	case MODEL_RULE_FAMILY:
		return "suggested address of the other family";
	case MODEL_RULE_NONCE:
		return "nonce is all zeros";
	case MODEL_RULE_OPTION:
		return "option makes no sense";
	case MODEL_RULE_THIRD_PARTY:
		return "mapping for a third party";
	case MODEL_RULE_TOO_SOON:
		return "renewals less than 4 s apart";
	}
	return "?";
}

/* -------------------------------------------------------------- clocks -- */

static uint64_t clock_ms(const struct model *model, const struct model_clock *clock, uint64_t now)
{
	return clock->shown + (now - clock->since) * model->profile.clock_permille / 1000;
}

uint32_t model_clock(const struct model *model, uint64_t now)
{
	return (uint32_t)(clock_ms(model, &model->natpmp_clock, now) / 1000);
}

uint32_t model_pcp_clock(const struct model *model, uint64_t now)
{
	return (uint32_t)(clock_ms(model, &model->pcp_clock, now) / 1000);
}

void model_set_natpmp_clock(struct model *model, uint64_t now, uint32_t seconds)
{
	model->natpmp_clock = (struct model_clock){now, (uint64_t)seconds * 1000};
}

void model_set_pcp_clock(struct model *model, uint64_t now, uint32_t seconds)
{
	model->pcp_clock = (struct model_clock){now, (uint64_t)seconds * 1000};
	for (uint32_t i = 0; i < model->table.count; i++)
		model->table.slots[i].mapping.renewed_at = 0;
}

void model_set_clock(struct model *model, uint64_t now, uint32_t seconds)
{
	model_set_natpmp_clock(model, now, seconds);
	model_set_pcp_clock(model, now, seconds);
}

/* Its speed may change after this. */
static void freeze_clock(const struct model *model, struct model_clock *clock, uint64_t now)
{
	*clock = (struct model_clock){now, clock_ms(model, clock, now)};
}

static uint32_t grant_lifetime(const struct model_profile *profile, uint32_t asked)
{
	if (profile->forced_lifetime >= 0)
		return (uint32_t)profile->forced_lifetime;
	if (asked < profile->min_lifetime)
		return profile->min_lifetime;
	if (profile->max_lifetime && asked > profile->max_lifetime)
		return profile->max_lifetime;
	return asked;
}

/* ------------------------------------------------------------- answers -- */

static void put_head(const struct model *model, uint64_t now, uint8_t *answer, uint8_t opcode,
		     uint32_t result)
{
	answer[0] = 0;
	answer[1] = opcode | 0x80;
	put16(answer + 2, result);
	put32(answer + 4, model_clock(model, now));
}

static size_t put_map(const struct model *model, uint64_t now, const struct request *request,
		      uint32_t result, uint16_t external_port, uint32_t lifetime, uint8_t *answer)
{
	put_head(model, now, answer, request->opcode, result);
	put16(answer + 8, request->internal_port);
	put16(answer + 10, external_port);
	put32(answer + 12, lifetime);
	return 16;
}

static size_t refuse_map(const struct model *model, uint64_t now, const struct request *request,
			 uint32_t result, uint8_t *answer)
{
	bool echoes = model->profile.echoes_errors;

	return put_map(model, now, request, result, echoes ? request->suggested_port : 0,
		       echoes ? request->lifetime : 0, answer);
}

/* Returns the last external port that went. Mappings made by hand stay. */
static uint16_t delete_all(struct model *model, const struct model_host *client, unsigned opcode)
{
	uint16_t external_port = 0;

	for (uint32_t i = model->table.count; i-- > 0;) {
		const struct model_mapping *mapping = &model->table.slots[i].mapping;

		if (mapping->opcode != opcode || mapping->maker != MODEL_BY_NATPMP ||
		    !model_host_equal(&mapping->client, client))
			continue;
		external_port = mapping->external_port;
		table_drop(&model->table, mapping);
	}
	return external_port;
}

static size_t answer_delete_all(struct model *model, uint64_t now, const struct request *request,
				uint8_t *answer)
{
	uint16_t external_port = delete_all(model, &request->client, request->opcode);

	if (model->profile.delete_all_both)
		delete_all(model, &request->client, mapper_companion(request->opcode));
	return put_map(model, now, request, MODEL_SUCCESS,
		       model->profile.echoes_deletion ? external_port : 0, 0, answer);
}

/* RFC 6886 section 3.4: what is not there was deleted successfully. What PCP made is
 * not there either: so does miniupnpd. */
static size_t answer_deletion(struct model *model, uint64_t now, const struct request *request,
			      uint8_t *answer)
{
	struct model_mapping *mapping;
	uint16_t external_port = 0;

	while ((mapping = mapper_first(&model->table, request, MODEL_BY_NATPMP))) {
		if (mapping->manual)
			return refuse_map(model, now, request, MODEL_NOT_AUTHORIZED, answer);
		external_port = mapping->external_port;
		table_drop(&model->table, mapping);
	}
	return put_map(model, now, request, MODEL_SUCCESS,
		       model->profile.echoes_deletion ? external_port : 0, 0, answer);
}

static size_t answer_creation(struct model *model, uint64_t now, struct request *request,
			      uint8_t *answer)
{
	const struct model_profile *profile = &model->profile;
	uint32_t lifetime = grant_lifetime(profile, request->lifetime);
	uint64_t expires = now + lifetime * (uint64_t)1000;
	struct model_mapping *mapping = mapper_find(model, request);
	uint16_t external_port;

	if (profile->forced_port == 0 || lifetime == 0) {
		external_port = mapping ? mapping->external_port : request->suggested_port;
		return put_map(model, now, request, MODEL_SUCCESS,
			       profile->forced_port == 0 ? 0 : external_port, lifetime, answer);
	}
	mapping = mapper_grant(model, request, mapping, expires);
	if (!mapping)
		return refuse_map(model, now, request, MODEL_NO_RESOURCES, answer);
	external_port = mapping->external_port;
	if (profile->vpn == MODEL_VPN_NAMED)
		request->internal_port = external_port;
	if (profile->forever_vanishes && request->lifetime == UINT32_MAX && !mapping->manual) {
		table_renew(&model->table, mapping, now);
		model_expire(model, now);
	}
	return put_map(model, now, request, MODEL_SUCCESS, external_port, lifetime, answer);
}

static void judge_map(struct model *model, const struct request *request, const uint8_t *bytes,
		      size_t len)
{
	if (len != 12)
		model->broken |= MODEL_RULE_LENGTH;
	if (get16(bytes + 2) != 0)
		model->broken |= MODEL_RULE_RESERVED;
	if (request->lifetime == 0 && request->suggested_port != 0)
		model->broken |= MODEL_RULE_DELETE_PORT;
	if (request->lifetime != 0 && request->internal_port == 0 && !model->profile.vpn)
		model->broken |= MODEL_RULE_INTERNAL_ZERO;
}

static size_t answer_map(struct model *model, uint64_t now, const struct model_host *client,
			 const uint8_t *bytes, size_t len, uint8_t *answer)
{
	const struct model_profile *profile = &model->profile;
	struct request request = {.client = *client, .maker = MODEL_BY_NATPMP, .opcode = bytes[1]};

	if (len < 12) {
		model->broken |= MODEL_RULE_LENGTH;
		return 0;
	}
	request.internal_port = get16(bytes + 4);
	request.suggested_port = get16(bytes + 6);
	request.lifetime = get32(bytes + 8);
	judge_map(model, &request, bytes, len);

	if (profile->forced_result[request.opcode] >= 0)
		return refuse_map(model, now, &request,
				  (uint32_t)profile->forced_result[request.opcode], answer);
	if (request.lifetime == 0)
		return request.internal_port == 0 ? answer_delete_all(model, now, &request, answer)
						  : answer_deletion(model, now, &request, answer);
	if (request.internal_port == 0 && !profile->vpn)
		return refuse_map(model, now, &request, MODEL_NOT_AUTHORIZED, answer);
	if (profile->external_address == 0 && !profile->maps_without_address)
		return refuse_map(model, now, &request, MODEL_NETWORK_FAILURE, answer);
	return answer_creation(model, now, &request, answer);
}

static size_t put_address(const struct model *model, uint64_t now, uint32_t result, uint8_t *answer)
{
	bool tells = result == MODEL_SUCCESS || model->profile.echoes_address;

	put_head(model, now, answer, MODEL_ADDRESS, result);
	put32(answer + 8, tells ? model->profile.external_address : 0);
	return 12;
}

static bool is_private(uint32_t address)
{
	return address >> 24 == 10 || address >> 20 == 0xac1 || address >> 16 == 0xc0a8 ||
	       address >> 22 == 0x191; /* 10/8, 172.16/12, 192.168/16, 100.64/10 */
}

static uint32_t address_result(const struct model_profile *profile)
{
	if (profile->forced_result[MODEL_ADDRESS] >= 0)
		return (uint32_t)profile->forced_result[MODEL_ADDRESS];
	if (profile->external_address == 0 || profile->denies_address)
		return MODEL_NETWORK_FAILURE;
	if (profile->denies_private_address && is_private(profile->external_address))
		return MODEL_NETWORK_FAILURE;
	return MODEL_SUCCESS;
}

static size_t answer_address(struct model *model, uint64_t now, size_t len, uint8_t *answer)
{
	if (len != 2)
		model->broken |= MODEL_RULE_LENGTH;
	return put_address(model, now, address_result(&model->profile), answer);
}

/* RFC 6886 section 3.5: the request comes back, so there is no clock in it. */
static size_t answer_unknown_opcode(struct model *model, uint64_t now, const uint8_t *bytes,
				    size_t len, uint8_t *answer)
{
	model->broken |= MODEL_RULE_OPCODE;
	if (model->profile.short_opcode_error) {
		put_head(model, now, answer, bytes[1], MODEL_UNSUPPORTED_OPCODE);
		return 8;
	}
	memset(answer, 0, 4);
	memcpy(answer, bytes, len);
	answer[1] |= 0x80;
	put16(answer + 2, MODEL_UNSUPPORTED_OPCODE);
	return len < 4 ? 4 : len;
}

/* ------------------------------------------------------ other versions -- */

static size_t refuse_version(const struct model *model, uint64_t now, const uint8_t *bytes,
			     uint8_t *answer)
{
	switch (model->profile.refusal) {
	case MODEL_REFUSAL_ERRATUM:
		put_head(model, now, answer, 0, MODEL_UNSUPPORTED_VERSION);
		return 8;
	case MODEL_REFUSAL_PRINTED:
		put_head(model, now, answer, 0, MODEL_UNSUPPORTED_VERSION);
		answer[1] = 0;
		return 8;
	case MODEL_REFUSAL_COPIED:
		put_head(model, now, answer, bytes[1], MODEL_UNSUPPORTED_VERSION);
		return 8;
	case MODEL_REFUSAL_SHORT:
		put_head(model, now, answer, 0, MODEL_UNSUPPORTED_VERSION);
		return 4;
	case MODEL_REFUSAL_SILENT:
		break;
	}
	return 0;
}

static size_t answer_other_version(struct model *model, uint64_t now,
				   const struct model_host *client, const uint8_t *bytes,
				   size_t len, uint8_t *answer)
{
	if (bytes[0] == 1)
		model->broken |= MODEL_RULE_VERSION_ONE;
	if (bytes[0] == 2)
		pcp_judge(model, client, bytes, len);
	if (model->profile.pcp)
		return pcp_answer(model, now, client, bytes, len, answer);
	return model_host_is_ipv4(client) ? refuse_version(model, now, bytes, answer) : 0;
}

static size_t answer_request(struct model *model, uint64_t now, const struct model_host *client,
			     const uint8_t *bytes, size_t len, uint8_t *answer)
{
	if (bytes[0] != 0)
		return answer_other_version(model, now, client, bytes, len, answer);
	if (bytes[1] & 0x80) {
		model->broken |= MODEL_RULE_OPCODE;
		return 0;
	}
	if (model->profile.pcp == MODEL_PCP_ONLY)
		return pcp_refuse_natpmp(model, now, bytes, len, answer);
	if (!model_host_is_ipv4(client)) /* NAT-PMP is of IPv4 */
		return 0;
	if (bytes[1] == MODEL_ADDRESS)
		return answer_address(model, now, len, answer);
	if (bytes[1] == MODEL_UDP || bytes[1] == MODEL_TCP)
		return answer_map(model, now, client, bytes, len, answer);
	return answer_unknown_opcode(model, now, bytes, len, answer);
}

/* -------------------------------------------------------------- public -- */

void model_init(struct model *model, const struct model_profile *profile, struct model_slot *slots,
		size_t capacity, uint64_t seed, uint64_t now)
{
	memset(model, 0, sizeof(*model));
	model->profile = *profile;
	table_init(&model->table, slots, capacity);
	model->random = seed;
	model_set_clock(model, now, 0);
}

size_t model_input(struct model *model, uint64_t now, uint32_t client, const uint8_t *bytes,
		   size_t len, uint8_t *answer)
{
	struct model_host host = model_host_ipv4(client);

	return model_input_from(model, now, &host, bytes, len, answer);
}

size_t model_input_from(struct model *model, uint64_t now, const struct model_host *client,
			const uint8_t *bytes, size_t len, uint8_t *answer)
{
	size_t size = 0;

	model_expire(model, now);
	model->requests++;
	model->broken = 0;
	if (len < 2 || len > MODEL_PACKET_MAX)
		model->broken |= MODEL_RULE_LENGTH;
	else
		size = answer_request(model, now, client, bytes, len, answer);
	model->ever_broken |= model->broken;
	return size;
}

size_t model_announcement(const struct model *model, uint64_t now, uint8_t *bytes)
{
	return put_address(model, now, address_result(&model->profile), bytes);
}

size_t model_pcp_announcement(const struct model *model, uint64_t now, uint8_t *bytes)
{
	return pcp_announcement(model, now, bytes);
}

size_t model_pcp_update(const struct model *model, uint64_t now,
			const struct model_mapping *mapping, uint8_t *bytes)
{
	return pcp_update(model, now, mapping, bytes);
}

void model_restart(struct model *model, uint64_t now, bool keep_table, bool keep_clock)
{
	for (uint32_t i = model->table.count; i-- > 0 && !keep_table;) {
		const struct model_mapping *mapping = &model->table.slots[i].mapping;

		if (!mapping->manual)
			table_drop(&model->table, mapping);
	}
	if (!keep_clock)
		model_set_clock(model, now, 0);
}

void model_set_profile(struct model *model, uint64_t now, const struct model_profile *profile)
{
	freeze_clock(model, &model->natpmp_clock, now);
	freeze_clock(model, &model->pcp_clock, now);
	model->profile = *profile;
}

void model_set_address(struct model *model, uint32_t address)
{
	model->profile.external_address = address;
}

bool model_add_manual(struct model *model, uint64_t now, uint32_t client, enum model_opcode opcode,
		      uint16_t internal_port, uint16_t external_port)
{
	struct model_mapping mapping = {.expires = UINT64_MAX,
					.client = model_host_ipv4(client),
					.internal_port = internal_port,
					.external_port = external_port,
					.opcode = (uint8_t)opcode,
					.maker = MODEL_BY_ANY,
					.manual = true};

	model_expire(model, now);
	if (mapper_is_full(model) || table_external(&model->table, opcode, external_port))
		return false;
	table_add(&model->table, &mapping);
	return true;
}

void model_expire(struct model *model, uint64_t now)
{
	table_expire(&model->table, now);
}

uint64_t model_next_expiry(const struct model *model)
{
	return model->table.count ? model->table.earliest : UINT64_MAX;
}

const struct model_mapping *model_find(const struct model *model, uint64_t now,
				       const struct model_host *client, enum model_opcode opcode,
				       uint16_t internal_port, enum model_maker makers,
				       const struct model_mapping *after)
{
	const struct model_mapping *mapping =
		after ? table_internal_next(&model->table, after)
		      : table_internal(&model->table, client, opcode, internal_port);

	while (mapping && (mapping->expires <= now || !(mapping->maker & makers)))
		mapping = table_internal_next(&model->table, mapping);
	return mapping;
}

size_t model_lookup(const struct model *model, uint64_t now, uint32_t client,
		    enum model_opcode opcode, uint16_t internal_port, uint16_t *external_ports,
		    size_t max)
{
	struct model_host host = model_host_ipv4(client);
	const struct model_mapping *mapping = NULL;
	size_t found = 0;

	while ((mapping = model_find(model, now, &host, opcode, internal_port, MODEL_BY_ANY,
				     mapping))) {
		if (found < max)
			external_ports[found] = mapping->external_port;
		found++;
	}
	return found;
}

bool model_move(struct model *model, const struct model_mapping *mapping, uint16_t external_port)
{
	struct model_mapping moved = *mapping;

	if (mapping->external_port == external_port)
		return true;
	if (model_host_is_ipv4(&mapping->client) &&
	    table_external(&model->table, mapping->opcode, external_port))
		return false;
	moved.external_port = external_port;
	table_drop(&model->table, mapping);
	table_add(&model->table, &moved);
	return true;
}

const struct model_mapping *model_next(const struct model *model, uint64_t now, size_t *cursor)
{
	while (*cursor < model->table.count) {
		const struct model_mapping *mapping = &model->table.slots[(*cursor)++].mapping;

		if (mapping->expires > now)
			return mapping;
	}
	return NULL;
}

size_t model_count(const struct model *model, uint64_t now)
{
	size_t cursor = 0, count = 0;

	while (model_next(model, now, &cursor))
		count++;
	return count;
}
