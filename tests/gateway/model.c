/* SPDX-License-Identifier: MIT */
#include "model.h"

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
	}
	return "?";
}

/* --------------------------------------------------------------- bytes -- */

static uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)get16(at) << 16 | get16(at + 2);
}

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value);
}

/* splitmix64 */
static uint64_t random_next(struct model *model)
{
	uint64_t z = model->random += 0x9e3779b97f4a7c15U;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
	z = (z ^ z >> 27) * 0x94d049bb133111ebU;
	return z ^ z >> 31;
}

/* --------------------------------------------------------------- clock -- */

static uint64_t clock_ms(const struct model *model, uint64_t now)
{
	return model->clock_shown +
	       (now - model->clock_since) * model->profile.clock_permille / 1000;
}

uint32_t model_clock(const struct model *model, uint64_t now)
{
	return (uint32_t)(clock_ms(model, now) / 1000);
}

static void set_clock_ms(struct model *model, uint64_t now, uint64_t ms)
{
	model->clock_since = now;
	model->clock_shown = ms;
}

void model_set_clock(struct model *model, uint64_t now, uint32_t seconds)
{
	set_clock_ms(model, now, (uint64_t)seconds * 1000);
}

/* ---------------------------------------------------------- map request -- */

struct request {
	uint32_t client;
	uint8_t opcode;
	uint16_t internal_port;
	uint16_t suggested_port;
	uint32_t lifetime;
};

static unsigned companion_of(unsigned opcode)
{
	return opcode == MODEL_UDP ? MODEL_TCP : MODEL_UDP;
}

static uint16_t companion_port(struct model *model, const struct request *request)
{
	const struct model_mapping *companion =
		table_internal(&model->table, request->client, companion_of(request->opcode),
			       request->internal_port);

	return companion ? companion->external_port : 0;
}

static bool is_free(struct model *model, const struct request *request, uint16_t port)
{
	const struct model_mapping *companion;

	if (port == 0 || port < model->profile.lowest_port ||
	    table_external(&model->table, request->opcode, port))
		return false;
	if (!model->profile.reserves_companion)
		return true;
	companion = table_external(&model->table, companion_of(request->opcode), port);
	return !companion || companion->client == request->client;
}

/* A free port of the random range that is not the one to avoid; 0 = none left. */
static uint16_t random_port(struct model *model, const struct request *request, uint16_t avoid)
{
	uint32_t low = model->profile.random_low;
	uint32_t range = model->profile.random_high - low + 1U;
	uint32_t start = (uint32_t)(random_next(model) % range);

	for (uint32_t i = 0; i < range; i++) {
		uint16_t port = (uint16_t)(low + (start + i) % range);

		if (port != avoid && is_free(model, request, port))
			return port;
	}
	return 0;
}

static uint16_t next_port(struct model *model, const struct request *request, uint16_t from)
{
	for (uint32_t i = 0; i < 65535; i++) {
		uint16_t port = (uint16_t)((from - 1U + i) % 65535 + 1);

		if (is_free(model, request, port))
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
		if (wanted != companion && is_free(model, request, wanted))
			return wanted;
		return random_port(model, request, companion);
	}
	if (wanted == 0)
		wanted = profile->zero_means_internal ? request->internal_port : companion;
	if (is_free(model, request, wanted))
		return wanted;
	return profile->scans_upward ? next_port(model, request, wanted)
				     : random_port(model, request, 0);
}

/* For the profiles with one mapping per client and protocol: few, so no index. */
static struct model_mapping *find_client(const struct model *model, uint32_t client,
					 unsigned opcode)
{
	for (uint32_t i = 0; i < model->table.count; i++) {
		struct model_mapping *mapping = &model->table.slots[i].mapping;

		if (mapping->client == client && mapping->opcode == opcode)
			return mapping;
	}
	return NULL;
}

/* The number that the client's other protocol has, or any. */
static uint16_t choose_vpn_port(struct model *model, const struct request *request)
{
	const struct model_mapping *companion =
		find_client(model, request->client, companion_of(request->opcode));

	if (model->profile.forced_port > 0)
		return next_port(model, request, (uint16_t)model->profile.forced_port);
	if (companion && is_free(model, request, companion->external_port))
		return companion->external_port;
	return random_port(model, request, 0);
}

/* With second_mapping, a mapping is known by both ports: the one that the
 * upward scan from the wanted port meets first, before any free port. */
static struct model_mapping *find_by_scan(struct model *model, const struct request *request)
{
	uint16_t wanted =
		request->suggested_port ? request->suggested_port : request->internal_port;

	for (uint32_t i = 0; i < 65535; i++) {
		uint16_t port = (uint16_t)((wanted - 1U + i) % 65535 + 1);
		struct model_mapping *mapping =
			table_external(&model->table, request->opcode, port);

		if (mapping && mapping->client == request->client &&
		    mapping->internal_port == request->internal_port)
			return mapping;
		if (!mapping && is_free(model, request, port))
			return NULL;
	}
	return NULL;
}

static struct model_mapping *find_existing(struct model *model, const struct request *request)
{
	if (model->profile.vpn)
		return find_client(model, request->client, request->opcode);
	if (model->profile.second_mapping && model->profile.forced_port <= 0)
		return find_by_scan(model, request);
	return table_internal(&model->table, request->client, request->opcode,
			      request->internal_port);
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

static bool is_full(const struct model *model)
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
					.internal_port = request->internal_port};

	if (is_full(model))
		return NULL;
	if (model->profile.vpn)
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
	if (forced > 0 && is_free(model, request, (uint16_t)forced)) {
		table_drop(&model->table, mapping);
		return create(model, request, expires);
	}
	table_renew(&model->table, mapping, expires);
	return mapping;
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
static uint16_t delete_all(struct model *model, uint32_t client, unsigned opcode)
{
	uint16_t external_port = 0;

	for (uint32_t i = model->table.count; i-- > 0;) {
		const struct model_mapping *mapping = &model->table.slots[i].mapping;

		if (mapping->client != client || mapping->opcode != opcode || mapping->manual)
			continue;
		external_port = mapping->external_port;
		table_drop(&model->table, mapping);
	}
	return external_port;
}

static size_t answer_delete_all(struct model *model, uint64_t now, const struct request *request,
				uint8_t *answer)
{
	uint16_t external_port = delete_all(model, request->client, request->opcode);

	if (model->profile.delete_all_both)
		delete_all(model, request->client, companion_of(request->opcode));
	return put_map(model, now, request, MODEL_SUCCESS,
		       model->profile.echoes_deletion ? external_port : 0, 0, answer);
}

/* RFC 6886 section 3.4: what is not there was deleted successfully. */
static size_t answer_deletion(struct model *model, uint64_t now, const struct request *request,
			      uint8_t *answer)
{
	struct model_mapping *mapping;
	uint16_t external_port = 0;

	while ((mapping = table_internal(&model->table, request->client, request->opcode,
					 request->internal_port))) {
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
	struct model_mapping *mapping = find_existing(model, request);
	uint16_t external_port;

	if (profile->forced_port == 0 || lifetime == 0) {
		external_port = mapping ? mapping->external_port : request->suggested_port;
		return put_map(model, now, request, MODEL_SUCCESS,
			       profile->forced_port == 0 ? 0 : external_port, lifetime, answer);
	}
	mapping =
		mapping ? renew(model, request, mapping, expires) : create(model, request, expires);
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

static size_t answer_map(struct model *model, uint64_t now, uint32_t client, const uint8_t *bytes,
			 size_t len, uint8_t *answer)
{
	const struct model_profile *profile = &model->profile;
	struct request request = {.client = client, .opcode = bytes[1]};

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

static size_t put_pcp(const struct model *model, uint64_t now, uint8_t version, uint8_t opcode,
		      uint8_t result, uint32_t lifetime, uint8_t *answer)
{
	memset(answer, 0, 24);
	answer[0] = version;
	answer[1] = opcode | 0x80;
	answer[3] = result;
	put32(answer + 4, lifetime);
	put32(answer + 8, model_clock(model, now));
	return 24;
}

/* RFC 6887 section 8.2: ANNOUNCE, and errors for all the rest. Beside NAT-PMP as
 * miniupnpd does it: answers ANNOUNCE from any address, errors last 0 s. */
static size_t answer_pcp(const struct model *model, uint64_t now, uint32_t client,
			 const uint8_t *bytes, size_t len, uint8_t *answer)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	enum { ANNOUNCE = 0, MALFORMED = 3, OPCODE = 4, ADDRESS_MISMATCH = 12 };
	bool strict = model->profile.pcp == MODEL_PCP_ONLY;
	uint32_t lasting = strict ? 1800 : 0;

	if (len < 4 || bytes[1] & 0x80)
		return 0;
	if (len < 24 || len % 4 != 0) /* with version 0: so does miniupnpd */
		return put_pcp(model, now, 0, 0, MALFORMED, 0, answer);
	if (bytes[0] != 2)
		return put_pcp(model, now, 2, bytes[1], MODEL_UNSUPPORTED_VERSION, 0, answer);
	if (strict &&
	    (memcmp(bytes + 8, mapped, sizeof(mapped)) != 0 || get32(bytes + 20) != client))
		return put_pcp(model, now, 2, bytes[1], ADDRESS_MISMATCH, lasting, answer);
	if (bytes[1] != ANNOUNCE)
		return put_pcp(model, now, 2, bytes[1], OPCODE, lasting, answer);
	return put_pcp(model, now, 2, ANNOUNCE, 0, 0, answer);
}

/* RFC 6887 appendix A: a PCP server and a packet of version 0. The answer is
 * the request, copied, with the version it does speak; a very short one padded. */
static size_t refuse_version_zero(const struct model *model, uint64_t now, const uint8_t *bytes,
				  size_t len, uint8_t *answer)
{
	put_pcp(model, now, 2, bytes[1], MODEL_UNSUPPORTED_VERSION, 1800, answer);
	if (len < 12)
		return 24;
	memcpy(answer + 12, bytes + 12, len - 12);
	return len;
}

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
	case MODEL_REFUSAL_SILENT:
		break;
	}
	return 0;
}

static size_t answer_request(struct model *model, uint64_t now, uint32_t client,
			     const uint8_t *bytes, size_t len, uint8_t *answer)
{
	if (bytes[0] == 1)
		model->broken |= MODEL_RULE_VERSION_ONE;
	if (bytes[0] != 0)
		return model->profile.pcp ? answer_pcp(model, now, client, bytes, len, answer)
					  : refuse_version(model, now, bytes, answer);
	if (bytes[1] & 0x80) {
		model->broken |= MODEL_RULE_OPCODE;
		return 0;
	}
	if (model->profile.pcp == MODEL_PCP_ONLY)
		return refuse_version_zero(model, now, bytes, len, answer);
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
	model->clock_since = now;
}

size_t model_input(struct model *model, uint64_t now, uint32_t client, const uint8_t *bytes,
		   size_t len, uint8_t *answer)
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
	return put_pcp(model, now, 2, 0, 0, 0, bytes);
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
	set_clock_ms(model, now, clock_ms(model, now));
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
					.client = client,
					.internal_port = internal_port,
					.external_port = external_port,
					.opcode = (uint8_t)opcode,
					.manual = true};

	model_expire(model, now);
	if (is_full(model) || table_external(&model->table, opcode, external_port))
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

size_t model_lookup(const struct model *model, uint64_t now, uint32_t client,
		    enum model_opcode opcode, uint16_t internal_port, uint16_t *external_ports,
		    size_t max)
{
	size_t found = 0;

	for (const struct model_mapping *mapping =
		     table_internal(&model->table, client, opcode, internal_port);
	     mapping; mapping = table_internal_next(&model->table, mapping)) {
		if (mapping->expires <= now)
			continue;
		if (found < max)
			external_ports[found] = mapping->external_port;
		found++;
	}
	return found;
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
