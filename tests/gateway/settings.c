/* SPDX-License-Identifier: MIT */
#include "settings.h"

#include "text.h"

#include <stddef.h>
#include <string.h>

enum kind { SWITCH, PORT, NUMBER, ADDRESS, FORCED_PORT, FORCED_NUMBER, CHOICE };

/* Words of the enums, in their order, with | between. */
#define REFUSALS "erratum|printed|copied|silent|short"
#define PCPS     "none|too|only"
#define VPNS     "none|echo|named"
#define NONCES   "all|pinholes|deletions|none"
#define PREFERS  "honoured|ignored|refused"
#define TAILS    "unparsed|errors|none"

#define FIELD(name, kind, member)                                                                  \
	{                                                                                          \
		name, kind, offsetof(struct model_profile, member), NULL                           \
	}
#define WORDS(name, words, member)                                                                 \
	{                                                                                          \
		name, CHOICE, offsetof(struct model_profile, member), words                        \
	}

static const struct setting {
	const char *name;
	enum kind kind;
	size_t offset;
	const char *words;
} settings[] = {
	FIELD("address", ADDRESS, external_address),
	FIELD("lifetime", FORCED_NUMBER, forced_lifetime),
	FIELD("error-lifetime", FORCED_NUMBER, forced_error_lifetime),
	FIELD("port", FORCED_PORT, forced_port),
	FIELD("min-lifetime", NUMBER, min_lifetime),
	FIELD("max-lifetime", NUMBER, max_lifetime),
	FIELD("max-mappings", NUMBER, max_mappings),
	FIELD("clock-permille", NUMBER, clock_permille),
	FIELD("random-low", PORT, random_low),
	FIELD("random-high", PORT, random_high),
	FIELD("lowest-port", PORT, lowest_port),
	FIELD("split-up-to", PORT, split_up_to),
	WORDS("refusal", REFUSALS, refusal),
	WORDS("pcp", PCPS, pcp),
	WORDS("vpn", VPNS, vpn),
	WORDS("nonces", NONCES, nonces),
	WORDS("prefer-failure", PREFERS, prefer_failure),
	WORDS("tail", TAILS, tail),
	FIELD("pcp-version", NUMBER, pcp_version),
	FIELD("pcp-min-lifetime", NUMBER, pcp_min_lifetime),
	FIELD("pcp-max-lifetime", NUMBER, pcp_max_lifetime),
	FIELD("long-error-lifetime", NUMBER, long_error_lifetime),
	FIELD("short-error-lifetime", NUMBER, short_error_lifetime),
	FIELD("deletion-leaves", NUMBER, deletion_leaves),
	FIELD("reserves-companion", SWITCH, reserves_companion),
	FIELD("maps-without-address", SWITCH, maps_without_address),
	FIELD("denies-address", SWITCH, denies_address),
	FIELD("denies-private-address", SWITCH, denies_private_address),
	FIELD("denies-suggestions", SWITCH, denies_suggestions),
	FIELD("zero-means-internal", SWITCH, zero_means_internal),
	FIELD("scans-upward", SWITCH, scans_upward),
	FIELD("second-mapping", SWITCH, second_mapping),
	FIELD("delete-all-both", SWITCH, delete_all_both),
	FIELD("short-opcode-error", SWITCH, short_opcode_error),
	FIELD("echoes-errors", SWITCH, echoes_errors),
	FIELD("echoes-address", SWITCH, echoes_address),
	FIELD("echoes-deletion", SWITCH, echoes_deletion),
	FIELD("forever-vanishes", SWITCH, forever_vanishes),
	FIELD("announce-only", SWITCH, announce_only),
	FIELD("silent-to-natpmp", SWITCH, silent_to_natpmp),
	FIELD("shares-mappings", SWITCH, shares_mappings),
	FIELD("announces-to-anyone", SWITCH, announces_to_anyone),
	FIELD("unknown-deletion-fails", SWITCH, unknown_deletion_fails),
	FIELD("tells-address", SWITCH, tells_address),
	FIELD("echoes-options", SWITCH, echoes_options),
	FIELD("accepts-filter", SWITCH, accepts_filter),
	FIELD("accepts-options", SWITCH, accepts_options),
	FIELD("garbles-malformed", SWITCH, garbles_malformed),
	FIELD("zero-is-malformed", SWITCH, zero_is_malformed),
	FIELD("echoes-pinhole-port", SWITCH, echoes_pinhole_port),
};

#define SETTINGS (sizeof(settings) / sizeof(settings[0]))

static const char *takes(const struct setting *setting)
{
	switch (setting->kind) {
	case SWITCH:
		return "on|off";
	case PORT:
		return "PORT";
	case NUMBER:
		return "N";
	case ADDRESS:
		return "ADDR|none";
	case FORCED_PORT:
		return "PORT|off";
	case FORCED_NUMBER:
		return "SECONDS|off";
	case CHOICE:
		return setting->words;
	}
	return "";
}

void settings_print(FILE *file)
{
	for (size_t i = 0; i < SETTINGS; i++)
		fprintf(file, "  %s %s\n", settings[i].name, takes(&settings[i]));
}

static bool store_switch(void *at, const char *value)
{
	bool on = strcmp(value, "on") == 0;

	if (!on && strcmp(value, "off") != 0)
		return false;
	memcpy(at, &on, sizeof(on));
	return true;
}

static bool store_number(void *at, const char *value, int64_t max)
{
	int64_t number;
	uint16_t port;
	uint32_t word;

	if (!text_number(value, 0, max, &number))
		return false;
	port = (uint16_t)number;
	word = (uint32_t)number;
	if (max == UINT16_MAX)
		memcpy(at, &port, sizeof(port));
	else
		memcpy(at, &word, sizeof(word));
	return true;
}

static bool store_address(void *at, const char *value)
{
	uint32_t address = 0;

	if (strcmp(value, "none") != 0 && !text_address(value, &address))
		return false;
	memcpy(at, &address, sizeof(address));
	return true;
}

static bool store_choice(void *at, const char *words, const char *value)
{
	size_t len = strlen(value);
	unsigned number = 0;

	for (const char *word = words; word; number++) {
		const char *end = strchr(word, '|');

		if (len && strncmp(word, value, len) == 0 && (word[len] == '|' || !word[len])) {
			memcpy(at, &number, sizeof(number));
			return true;
		}
		word = end ? end + 1 : NULL;
	}
	return false;
}

static bool forced(const char *value, int64_t max, int64_t *number)
{
	*number = -1;
	return strcmp(value, "off") == 0 || text_number(value, 0, max, number);
}

static bool store(const struct setting *setting, void *at, const char *value)
{
	int64_t number;
	int32_t port;

	switch (setting->kind) {
	case SWITCH:
		return store_switch(at, value);
	case PORT:
		return store_number(at, value, UINT16_MAX);
	case NUMBER:
		return store_number(at, value, UINT32_MAX);
	case ADDRESS:
		return store_address(at, value);
	case FORCED_PORT:
		if (!forced(value, UINT16_MAX, &number))
			return false;
		port = (int32_t)number;
		memcpy(at, &port, sizeof(port));
		return true;
	case FORCED_NUMBER:
		if (!forced(value, UINT32_MAX, &number))
			return false;
		memcpy(at, &number, sizeof(number));
		return true;
	case CHOICE:
		return store_choice(at, setting->words, value);
	}
	return false;
}

bool settings_apply(struct model_profile *profile, const char *name, const char *value)
{
	struct model_profile changed = *profile;

	for (size_t i = 0; i < SETTINGS; i++) {
		if (strcmp(settings[i].name, name) != 0)
			continue;
		if (!store(&settings[i], (char *)&changed + settings[i].offset, value) ||
		    changed.random_low > changed.random_high)
			return false;
		*profile = changed;
		return true;
	}
	return false;
}

bool settings_opcode(const char *name, enum model_opcode *opcode)
{
	static const char *const names[] = {"address", "udp", "tcp"};

	for (unsigned i = 0; i < 3; i++) {
		if (strcmp(names[i], name) != 0)
			continue;
		*opcode = (enum model_opcode)i;
		return true;
	}
	return false;
}

bool settings_result(struct model_profile *profile, const char *code, const char *opcode)
{
	enum model_opcode only = MODEL_ADDRESS;
	int64_t result;

	if (!forced(code, UINT16_MAX, &result) || (opcode && !settings_opcode(opcode, &only)))
		return false;
	for (unsigned i = 0; i < 3; i++)
		if (!opcode || i == only)
			profile->forced_result[i] = (int32_t)result;
	return true;
}

bool settings_pcp_result(struct model_profile *profile, const char *code, const char *wish)
{
	static const struct {
		const char *name;
		bool wishes[MODEL_WISHES];
	} names[] = {
		{"announce", {[MODEL_WISH_ANNOUNCE] = true}},
		{"map", {[MODEL_WISH_CREATE] = true, [MODEL_WISH_RENEW] = true}},
		{"create", {[MODEL_WISH_CREATE] = true}},
		{"renew", {[MODEL_WISH_RENEW] = true}},
		{"delete", {[MODEL_WISH_DELETE] = true}},
	};
	bool known = !wish;
	int64_t result;

	if (!forced(code, UINT8_MAX, &result))
		return false;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (wish && strcmp(names[i].name, wish) != 0)
			continue;
		known = true;
		for (unsigned w = 0; w < MODEL_WISHES; w++)
			if (names[i].wishes[w])
				profile->forced_pcp_result[w] = (int32_t)result;
	}
	return known;
}
