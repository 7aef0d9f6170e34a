/* SPDX-License-Identifier: MIT */
#include "pcp.h"

#include "bytes.h"
#include "mapper.h"

#include <string.h>

enum { ANNOUNCE = 0, MAP = 1, PEER = 2 };
enum { THIRD_PARTY = 1, PREFER_FAILURE = 2, FILTER = 3, OPTIONAL = 128 };
enum { PROTOCOL_TCP = 6, PROTOCOL_UDP = 17 };
enum { HEADER = 24, MAP_LENGTH = 60 };

/* Where the fields of a packet lie. */
enum {
	AT_RESULT = 3,
	AT_LIFETIME = 4,
	AT_CLOCK = 8,  /* answers */
	AT_CLIENT = 8, /* requests */
	AT_RESERVED = 12,
	AT_NONCE = 24,
	AT_PROTOCOL = 36,
	AT_INTERNAL_PORT = 40,
	AT_EXTERNAL_PORT = 42,
	AT_EXTERNAL_ADDRESS = 44
};

/* A packet that came, and what became of it so far. */
struct question {
	const struct model_host *client;
	const uint8_t *bytes;
	size_t len;
	bool unparsed;          /* nothing behind its first bytes was understood */
	bool prefers_failure;   /* has that option */
	struct request request; /* of a MAP */
};

static uint8_t opcode_of(const struct question *question)
{
	return question->bytes[1] & 0x7f;
}

static size_t options_at(const struct question *question)
{
	return opcode_of(question) == MAP ? MAP_LENGTH : HEADER;
}

static bool has_options(const struct question *question)
{
	return question->len > options_at(question);
}

static struct model_host host_at(const uint8_t *bytes)
{
	struct model_host host;

	memcpy(host.bytes, bytes, sizeof(host.bytes));
	return host;
}

/* The address that stands for none, of the same family: RFC 6887 section 5. */
static struct model_host zeros_of_family(const struct model_host *client)
{
	struct model_host none = model_host_ipv4(0);

	if (!model_host_is_ipv4(client))
		memset(&none, 0, sizeof(none));
	return none;
}

/* -------------------------------------------------------------- options -- */

struct option {
	uint8_t code;
	uint16_t length; /* of the data, without padding */
};

/* Takes the option at *at; false = there is no whole one. */
static bool option_take(const struct question *question, size_t *at, struct option *option)
{
	size_t size;

	if (*at + 4 > question->len)
		return false;
	option->code = question->bytes[*at];
	option->length = get16(question->bytes + *at + 2);
	size = 4 + (option->length + 3U) / 4 * 4;
	if (size > question->len - *at)
		return false;
	*at += size;
	return true;
}

/* RFC 6887 section 13.2 */
static bool preference_makes_sense(const struct question *question, const struct option *option)
{
	return option->length == 0 && !question->prefers_failure && opcode_of(question) == MAP &&
	       question->request.lifetime != 0 && question->request.suggested_port != 0;
}

static bool accepts_option(const struct model_profile *profile, const struct option *option)
{
	return option->code >= OPTIONAL || profile->accepts_options ||
	       (option->code == FILTER && profile->accepts_filter);
}

static enum model_pcp_result read_options(const struct model_profile *profile,
					  struct question *question)
{
	size_t at = options_at(question);

	while (at < question->len) {
		struct option option;

		if (!option_take(question, &at, &option))
			return MODEL_PCP_MALFORMED_OPTION;
		if (option.code == PREFER_FAILURE) {
			if (!preference_makes_sense(question, &option))
				return MODEL_PCP_MALFORMED_OPTION;
			question->prefers_failure = true;
		} else if (!accepts_option(profile, &option)) {
			return MODEL_PCP_UNSUPP_OPTION;
		}
	}
	return MODEL_PCP_SUCCESS;
}

/* --------------------------------------------------------------- judging -- */

static uint32_t judge_options(struct question *question)
{
	size_t at = options_at(question);
	uint32_t broken = 0;

	while (at < question->len) {
		struct option option;

		if (!option_take(question, &at, &option))
			return broken | MODEL_RULE_OPTION;
		if (option.code == THIRD_PARTY)
			broken |= MODEL_RULE_THIRD_PARTY;
		if (option.code != PREFER_FAILURE)
			continue;
		if (!preference_makes_sense(question, &option))
			broken |= MODEL_RULE_OPTION;
		question->prefers_failure = true;
	}
	return broken;
}

static uint32_t judge_deletion(const struct question *question)
{
	struct model_host suggested = host_at(question->bytes + AT_EXTERNAL_ADDRESS);
	struct model_host none = zeros_of_family(question->client);
	uint32_t broken = 0;

	if (question->request.suggested_port != 0)
		broken |= MODEL_RULE_DELETE_PORT;
	if (!model_host_equal(&suggested, &none))
		broken |= MODEL_RULE_DELETE_ADDRESS;
	if (has_options(question))
		broken |= MODEL_RULE_DELETE_OPTION;
	return broken;
}

static uint32_t judge_map(const struct question *question)
{
	static const uint8_t zeros[MODEL_NONCE];
	const uint8_t *bytes = question->bytes;
	struct model_host suggested = host_at(bytes + AT_EXTERNAL_ADDRESS);
	uint32_t broken = 0;

	if (bytes[37] || bytes[38] || bytes[39])
		broken |= MODEL_RULE_RESERVED;
	if (memcmp(bytes + AT_NONCE, zeros, sizeof(zeros)) == 0)
		broken |= MODEL_RULE_NONCE;
	if (question->request.internal_port == 0)
		broken |= MODEL_RULE_INTERNAL_ZERO;
	if (question->request.lifetime == 0)
		return broken | judge_deletion(question);
	if (model_host_is_ipv4(&suggested) != model_host_is_ipv4(question->client))
		broken |= MODEL_RULE_FAMILY;
	return broken;
}

static uint32_t judge_header(const struct question *question)
{
	struct model_host named = host_at(question->bytes + AT_CLIENT);
	uint32_t broken = 0;

	if (question->bytes[1] & 0x80 || opcode_of(question) > PEER)
		broken |= MODEL_RULE_OPCODE;
	if (get16(question->bytes + 2) != 0)
		broken |= MODEL_RULE_RESERVED;
	if (!model_host_equal(&named, question->client))
		broken |= MODEL_RULE_CLIENT_ADDRESS;
	if (opcode_of(question) == ANNOUNCE && get32(question->bytes + AT_LIFETIME) != 0)
		broken |= MODEL_RULE_ANNOUNCE_LIFETIME;
	return broken;
}

static void read_request(struct question *question)
{
	const uint8_t *bytes = question->bytes;
	struct request *request = &question->request;

	request->client = *question->client;
	request->maker = MODEL_BY_PCP;
	request->opcode = bytes[AT_PROTOCOL] == PROTOCOL_UDP ? MODEL_UDP : MODEL_TCP;
	request->internal_port = get16(bytes + AT_INTERNAL_PORT);
	request->suggested_port = get16(bytes + AT_EXTERNAL_PORT);
	request->lifetime = get32(bytes + AT_LIFETIME);
	memcpy(request->nonce, bytes + AT_NONCE, sizeof(request->nonce));
}

void pcp_judge(struct model *model, const struct model_host *client, const uint8_t *bytes,
	       size_t len)
{
	struct question question = {.client = client, .bytes = bytes, .len = len};

	if (len < HEADER || len % 4 != 0 || len < options_at(&question)) {
		model->broken |= MODEL_RULE_LENGTH;
		return;
	}
	model->broken |= judge_header(&question);
	if (opcode_of(&question) == MAP) {
		read_request(&question);
		model->broken |= judge_map(&question);
	}
	if (opcode_of(&question) <= MAP)
		model->broken |= judge_options(&question);
}

/* RFC 6887 section 11.2.1; the first after a creation may be a repetition of it. */
static void judge_renewal(struct model *model, uint64_t now, struct model_mapping *mapping)
{
	if (mapping->renewed_at && now - mapping->renewed_at < 4000)
		model->broken |= MODEL_RULE_TOO_SOON;
	mapping->renewed_at = now;
}

/* --------------------------------------------------------------- answers -- */

static void put_head(const struct model *model, uint64_t now, uint8_t opcode, uint32_t result,
		     uint32_t lifetime, uint8_t *answer)
{
	answer[0] = (uint8_t)model->profile.pcp_version;
	answer[1] = opcode | 0x80;
	answer[2] = 0;
	answer[AT_RESULT] = (uint8_t)result;
	put32(answer + AT_LIFETIME, lifetime);
	put32(answer + AT_CLOCK, model_pcp_clock(model, now));
}

/* 7, 8 and 10 pass by themselves: RFC 6887 section 7.4. */
static uint32_t error_lifetime(const struct model_profile *profile, uint32_t result)
{
	switch (result) {
	case MODEL_PCP_NETWORK_FAILURE:
	case MODEL_PCP_NO_RESOURCES:
	case MODEL_PCP_USER_EX_QUOTA:
	case MODEL_PCP_CANNOT_PROVIDE_EXTERNAL:
		return profile->short_error_lifetime;
	default:
		return profile->long_error_lifetime;
	}
}

static bool keeps_tail(const struct model_profile *profile, const struct question *question)
{
	return profile->tail == MODEL_TAIL_ERRORS ||
	       (profile->tail == MODEL_TAIL_UNPARSED && question->unparsed);
}

/* RFC 6887 section 8.2: the request comes back, filled up, behind another header. */
static size_t refuse_for(const struct model *model, uint64_t now, const struct question *question,
			 uint32_t result, uint32_t lifetime, uint8_t *answer)
{
	size_t len = (question->len + 3) / 4 * 4;

	if (len < HEADER)
		len = HEADER;
	memset(answer, 0, len);
	memcpy(answer, question->bytes, question->len);
	if (model->profile.forced_error_lifetime >= 0)
		lifetime = (uint32_t)model->profile.forced_error_lifetime;
	put_head(model, now, question->bytes[1], result, lifetime, answer);
	if (!keeps_tail(&model->profile, question))
		memset(answer + AT_RESERVED, 0, HEADER - AT_RESERVED);
	return len;
}

static size_t refuse(const struct model *model, uint64_t now, const struct question *question,
		     uint32_t result, uint8_t *answer)
{
	return refuse_for(model, now, question, result, error_lifetime(&model->profile, result),
			  answer);
}

static size_t refuse_malformed(const struct model *model, uint64_t now, struct question *question,
			       uint8_t *answer)
{
	question->unparsed = true;
	if (!model->profile.garbles_malformed)
		return refuse(model, now, question, MODEL_PCP_MALFORMED_REQUEST, answer);
	memset(answer, 0, HEADER);
	put_head(model, now, 0, MODEL_PCP_MALFORMED_REQUEST, 0, answer);
	answer[0] = 0;
	return HEADER;
}

/* RFC 6887 appendix A: the answer to NAT-PMP may be no longer than its request. */
size_t pcp_refuse_natpmp(const struct model *model, uint64_t now, const uint8_t *bytes, size_t len,
			 uint8_t *answer)
{
	struct question question = {.bytes = bytes, .len = len, .unparsed = true};
	size_t size;

	if (model->profile.silent_to_natpmp)
		return 0;
	size = refuse(model, now, &question, MODEL_PCP_UNSUPP_VERSION, answer);
	return len < 12 ? size : (len + 3) / 4 * 4;
}

/* With all options (miniupnpd), or with the one that was acted upon. */
static size_t put_options(const struct model *model, const struct question *question,
			  uint8_t *answer)
{
	static const uint8_t preference[4] = {PREFER_FAILURE};

	if (model->profile.echoes_options) {
		memcpy(answer + MAP_LENGTH, question->bytes + MAP_LENGTH,
		       question->len - MAP_LENGTH);
		return question->len;
	}
	if (!question->prefers_failure || model->profile.prefer_failure != MODEL_PREFER_HONOURED)
		return MAP_LENGTH;
	memcpy(answer + MAP_LENGTH, preference, sizeof(preference));
	return MAP_LENGTH + sizeof(preference);
}

static struct model_host external_address(const struct model *model,
					  const struct model_host *client)
{
	return model_host_is_ipv4(client) ? model_host_ipv4(model->profile.external_address)
					  : *client;
}

static void put_address(const struct model *model, const struct model_host *client, uint8_t *answer)
{
	struct model_host address = external_address(model, client);

	memcpy(answer + AT_EXTERNAL_ADDRESS, address.bytes, sizeof(address.bytes));
}

static size_t put_granted(const struct model *model, uint64_t now, const struct question *question,
			  uint16_t external_port, uint32_t lifetime, uint8_t *answer)
{
	memset(answer, 0, HEADER);
	put_head(model, now, MAP, MODEL_PCP_SUCCESS, lifetime, answer);
	memcpy(answer + HEADER, question->bytes + HEADER, MAP_LENGTH - HEADER);
	put16(answer + AT_EXTERNAL_PORT, external_port);
	put_address(model, question->client, answer);
	return put_options(model, question, answer);
}

/* ------------------------------------------------------------ creations -- */

static uint32_t grant_lifetime(const struct model_profile *profile, uint32_t asked)
{
	if (profile->forced_lifetime >= 0)
		return (uint32_t)profile->forced_lifetime;
	if (asked < profile->pcp_min_lifetime)
		return profile->pcp_min_lifetime;
	if (profile->pcp_max_lifetime && asked > profile->pcp_max_lifetime)
		return profile->pcp_max_lifetime;
	return asked;
}

static bool nonce_fits(const struct model_mapping *mapping, const struct request *request)
{
	return mapping->maker == MODEL_BY_PCP &&
	       memcmp(mapping->nonce, request->nonce, sizeof(mapping->nonce)) == 0;
}

/* What NAT-PMP made has no nonce to protect it. */
static bool may_renew(const struct model_profile *profile, const struct model_mapping *mapping,
		      const struct request *request)
{
	bool pinhole = !model_host_is_ipv4(&request->client);

	if (mapping->maker != MODEL_BY_PCP || nonce_fits(mapping, request))
		return true;
	return !(profile->nonces == MODEL_NONCES_ALL ||
		 (profile->nonces == MODEL_NONCES_PINHOLES && pinhole));
}

static uint32_t seconds_left(const struct model_mapping *mapping, uint64_t now)
{
	uint64_t left = mapping->expires - now;
	uint64_t seconds = left / 1000 + (left % 1000 != 0);

	return seconds < UINT32_MAX ? (uint32_t)seconds : UINT32_MAX;
}

/* A wrong nonce: as long as the mapping lives; one made by hand: as any error. */
static uint32_t unauthorized_lifetime(const struct model_profile *profile,
				      const struct model_mapping *mapping, uint64_t now)
{
	uint32_t lifetime = error_lifetime(profile, MODEL_PCP_NOT_AUTHORIZED);

	return lifetime && !mapping->manual ? seconds_left(mapping, now) : lifetime;
}

/* Whether the port and the address suggested are what the client would get. */
static bool can_provide(struct model *model, const struct question *question,
			const struct model_mapping *mapping)
{
	const struct request *request = &question->request;
	struct model_host suggested = host_at(question->bytes + AT_EXTERNAL_ADDRESS);
	struct model_host none = zeros_of_family(question->client);
	struct model_host external = external_address(model, question->client);

	if (model->profile.prefer_failure == MODEL_PREFER_REFUSED)
		return false;
	if (!model_host_equal(&suggested, &none) && !model_host_equal(&suggested, &external))
		return false;
	if (mapping)
		return mapping->external_port == request->suggested_port;
	if (!model_host_is_ipv4(question->client))
		return request->internal_port == request->suggested_port;
	return !model->profile.denies_suggestions &&
	       mapper_is_free(model, request, request->suggested_port);
}

/* A granted port or lifetime of 0 is a lie: nothing is done. */
static size_t answer_with_lie(const struct model *model, uint64_t now,
			      const struct question *question, const struct model_mapping *mapping,
			      uint32_t lifetime, uint8_t *answer)
{
	uint16_t port = mapping ? mapping->external_port : question->request.suggested_port;

	return put_granted(model, now, question, model->profile.forced_port == 0 ? 0 : port,
			   lifetime, answer);
}

static size_t answer_grant(struct model *model, uint64_t now, const struct question *question,
			   struct model_mapping *mapping, uint8_t *answer)
{
	const struct request *request = &question->request;
	uint32_t lifetime = grant_lifetime(&model->profile, request->lifetime);
	bool known = mapping != NULL;
	uint16_t port;

	if (model->profile.forced_port == 0 || lifetime == 0)
		return answer_with_lie(model, now, question, mapping, lifetime, answer);
	if (known && nonce_fits(mapping, request))
		judge_renewal(model, now, mapping);
	mapping = mapper_grant(model, request, mapping, now + lifetime * (uint64_t)1000);
	if (!mapping)
		return refuse(model, now, question, MODEL_PCP_NO_RESOURCES, answer);
	port = mapping->external_port;
	if (known && model->profile.echoes_pinhole_port && request->suggested_port &&
	    !model_host_is_ipv4(question->client))
		port = request->suggested_port;
	return put_granted(model, now, question, port, mapping->manual ? UINT32_MAX : lifetime,
			   answer);
}

static size_t answer_creation(struct model *model, uint64_t now, const struct question *question,
			      struct model_mapping *mapping, uint8_t *answer)
{
	const struct model_profile *profile = &model->profile;

	if (model_host_is_ipv4(question->client) && profile->external_address == 0)
		return refuse(model, now, question, MODEL_PCP_NETWORK_FAILURE, answer);
	if (mapping && !may_renew(profile, mapping, &question->request))
		return refuse_for(model, now, question, MODEL_PCP_NOT_AUTHORIZED,
				  unauthorized_lifetime(profile, mapping, now), answer);
	if (question->prefers_failure && profile->prefer_failure != MODEL_PREFER_IGNORED &&
	    !can_provide(model, question, mapping))
		return refuse(model, now, question, MODEL_PCP_CANNOT_PROVIDE_EXTERNAL, answer);
	return answer_grant(model, now, question, mapping, answer);
}

/* ------------------------------------------------------------- deletions -- */

/* RFC 6887 section 15.1: the suggestion comes back, and lifetime 0. */
static size_t put_deleted(const struct model *model, uint64_t now, const struct question *question,
			  uint8_t *answer)
{
	size_t len = put_granted(model, now, question, question->request.suggested_port, 0, answer);

	if (!model->profile.tells_address)
		memcpy(answer + AT_EXTERNAL_ADDRESS, question->bytes + AT_EXTERNAL_ADDRESS,
		       sizeof(struct model_host));
	return len;
}

static size_t refuse_deletion(const struct model *model, uint64_t now,
			      const struct question *question, uint32_t result, uint32_t lifetime,
			      uint8_t *answer)
{
	size_t len = refuse_for(model, now, question, result, lifetime, answer);

	if (model->profile.tells_address)
		put_address(model, question->client, answer);
	return len;
}

static size_t answer_unknown_deletion(const struct model *model, uint64_t now,
				      const struct question *question, uint8_t *answer)
{
	if (!model->profile.unknown_deletion_fails)
		return put_deleted(model, now, question, answer);
	return refuse_deletion(model, now, question, MODEL_PCP_NO_RESOURCES,
			       error_lifetime(&model->profile, MODEL_PCP_NO_RESOURCES), answer);
}

/* RFC 6887 section 15: it lives on for a while, as there was traffic. */
static size_t answer_slow_deletion(struct model *model, uint64_t now,
				   const struct question *question, struct model_mapping *mapping,
				   uint8_t *answer)
{
	uint64_t ends = now + model->profile.deletion_leaves * (uint64_t)1000;

	if (ends < mapping->expires)
		table_renew(&model->table, mapping, ends);
	return put_granted(model, now, question, mapping->external_port, seconds_left(mapping, now),
			   answer);
}

static size_t answer_deletion(struct model *model, uint64_t now, const struct question *question,
			      uint8_t *answer)
{
	const struct model_profile *profile = &model->profile;
	unsigned makers = profile->shares_mappings ? MODEL_BY_ANY : MODEL_BY_PCP;
	struct model_mapping *mapping = mapper_first(&model->table, &question->request, makers);

	if (has_options(question) && !profile->echoes_options && !profile->accepts_options)
		return refuse(model, now, question, MODEL_PCP_MALFORMED_OPTION, answer);
	if (!mapping)
		return answer_unknown_deletion(model, now, question, answer);
	for (; mapping; mapping = mapper_next(&model->table, mapping, makers))
		if (mapping->manual || (profile->nonces != MODEL_NONCES_NONE &&
					!nonce_fits(mapping, &question->request)))
			return refuse_deletion(model, now, question, MODEL_PCP_NOT_AUTHORIZED,
					       unauthorized_lifetime(profile, mapping, now),
					       answer);
	mapping = mapper_first(&model->table, &question->request, makers);
	if (profile->deletion_leaves)
		return answer_slow_deletion(model, now, question, mapping, answer);
	for (; mapping; mapping = mapper_first(&model->table, &question->request, makers))
		table_drop(&model->table, mapping);
	return put_deleted(model, now, question, answer);
}

/* -------------------------------------------------------------- requests -- */

/* RFC 6887 section 11.3: what a MAP cannot be about. Protocol 0 stands for all of
 * them, port 0 for all of one: a server that cannot do that in full refuses. */
static enum model_pcp_result check_protocol(const struct model_profile *profile,
					    const struct question *question)
{
	uint8_t protocol = question->bytes[AT_PROTOCOL];
	uint16_t port = question->request.internal_port;

	if (protocol == 0 && (port != 0 || profile->zero_is_malformed))
		return MODEL_PCP_MALFORMED_REQUEST;
	if (protocol != PROTOCOL_TCP && protocol != PROTOCOL_UDP)
		return MODEL_PCP_UNSUPP_PROTOCOL;
	if (port == 0 && profile->zero_is_malformed)
		return MODEL_PCP_MALFORMED_REQUEST;
	if (port == 0 && question->request.lifetime != 0)
		return MODEL_PCP_UNSUPP_PROTOCOL;
	return MODEL_PCP_SUCCESS;
}

static size_t answer_map(struct model *model, uint64_t now, struct question *question,
			 uint8_t *answer)
{
	const struct model_profile *profile = &model->profile;
	struct model_mapping *mapping = NULL;
	enum model_wish wish = MODEL_WISH_DELETE;
	enum model_pcp_result result;

	if (question->len < MAP_LENGTH)
		return refuse(model, now, question, MODEL_PCP_MALFORMED_REQUEST, answer);
	read_request(question);
	if (question->request.lifetime != 0) {
		mapping = mapper_find(model, &question->request);
		wish = mapping ? MODEL_WISH_RENEW : MODEL_WISH_CREATE;
	}
	if (profile->forced_pcp_result[wish] >= 0)
		return refuse(model, now, question, (uint32_t)profile->forced_pcp_result[wish],
			      answer);
	result = check_protocol(profile, question);
	if (result == MODEL_PCP_SUCCESS)
		result = read_options(profile, question);
	if (result != MODEL_PCP_SUCCESS)
		return refuse(model, now, question, result, answer);
	return wish == MODEL_WISH_DELETE ? answer_deletion(model, now, question, answer)
					 : answer_creation(model, now, question, mapping, answer);
}

static size_t answer_announce(const struct model *model, uint64_t now, struct question *question,
			      uint8_t *answer)
{
	int32_t forced = model->profile.forced_pcp_result[MODEL_WISH_ANNOUNCE];
	enum model_pcp_result result;

	if (forced >= 0)
		return refuse(model, now, question, (uint32_t)forced, answer);
	result = read_options(&model->profile, question);
	if (result != MODEL_PCP_SUCCESS)
		return refuse(model, now, question, result, answer);
	return pcp_announcement(model, now, answer);
}

static bool names_client(const struct model *model, const struct question *question)
{
	struct model_host named = host_at(question->bytes + AT_CLIENT);

	return model_host_equal(&named, question->client) ||
	       (model->profile.announces_to_anyone && opcode_of(question) != MAP);
}

size_t pcp_answer(struct model *model, uint64_t now, const struct model_host *client,
		  const uint8_t *bytes, size_t len, uint8_t *answer)
{
	struct question question = {.client = client, .bytes = bytes, .len = len};
	const struct model_profile *profile = &model->profile;
	bool whole = len >= HEADER && len % 4 == 0;

	if (len < 4 || bytes[1] & 0x80)
		return 0;
	if (bytes[0] != profile->pcp_version && (whole || !profile->garbles_malformed)) {
		question.unparsed = true;
		return refuse(model, now, &question, MODEL_PCP_UNSUPP_VERSION, answer);
	}
	if (!whole)
		return refuse_malformed(model, now, &question, answer);
	if (!names_client(model, &question))
		return refuse(model, now, &question, MODEL_PCP_ADDRESS_MISMATCH, answer);
	if (bytes[1] == ANNOUNCE)
		return answer_announce(model, now, &question, answer);
	if (bytes[1] == MAP && !profile->announce_only)
		return answer_map(model, now, &question, answer);
	return refuse(model, now, &question, MODEL_PCP_UNSUPP_OPCODE, answer);
}

size_t pcp_announcement(const struct model *model, uint64_t now, uint8_t *bytes)
{
	memset(bytes, 0, HEADER);
	put_head(model, now, ANNOUNCE, MODEL_PCP_SUCCESS, 0, bytes);
	return HEADER;
}

size_t pcp_update(const struct model *model, uint64_t now, const struct model_mapping *mapping,
		  uint8_t *bytes)
{
	memset(bytes, 0, MAP_LENGTH);
	put_head(model, now, MAP, MODEL_PCP_SUCCESS, seconds_left(mapping, now), bytes);
	memcpy(bytes + AT_NONCE, mapping->nonce, sizeof(mapping->nonce));
	bytes[AT_PROTOCOL] = mapping->opcode == MODEL_UDP ? PROTOCOL_UDP : PROTOCOL_TCP;
	put16(bytes + AT_INTERNAL_PORT, mapping->internal_port);
	put16(bytes + AT_EXTERNAL_PORT, mapping->external_port);
	put_address(model, &mapping->client, bytes);
	return MAP_LENGTH;
}
