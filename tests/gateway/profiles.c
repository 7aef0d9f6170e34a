/* SPDX-License-Identifier: MIT */
/* profiles.c - the makes of gateways, as data. */
#include "model.h"

#include <string.h>

#define EXTERNAL_ADDRESS 0x0b16212cU /* 11.22.33.44 */

#define COMMON                                                                                     \
	.external_address = EXTERNAL_ADDRESS, .clock_permille = 1000, .random_low = 49152,         \
	.random_high = 65535, .forced_result = {-1, -1, -1}, .forced_port = -1,                    \
	.forced_lifetime = -1, .forced_pcp_result = {-1, -1, -1, -1}, .forced_error_lifetime = -1, \
	.pcp_max_lifetime = 86400, .short_error_lifetime = 30, .reserves_companion = true

#define STRICT COMMON, .pcp_version = 2, .long_error_lifetime = 1800

/* As measured. */
#define MINIUPNPD                                                                                  \
	COMMON, .maps_without_address = true, .denies_private_address = true,                      \
		.zero_means_internal = true, .scans_upward = true, .second_mapping = true,         \
		.delete_all_both = true, .short_opcode_error = true, .echoes_errors = true,        \
		.forever_vanishes = true, .pcp_version = 2, .tail = MODEL_TAIL_NONE,               \
		.pcp_min_lifetime = 120, .shares_mappings = true, .announces_to_anyone = true,     \
		.unknown_deletion_fails = true, .tells_address = true, .echoes_options = true,     \
		.accepts_filter = true, .garbles_malformed = true, .zero_is_malformed = true,      \
		.echoes_pinhole_port = true

static const struct model_profile rfc = {
	.name = "rfc",
	.about = "strictly RFC 6886",
	STRICT,
};

static const struct model_profile rfc_pcp = {
	.name = "rfc-pcp",
	.about = "strictly RFC 6886 and RFC 6887, each with mappings of its own",
	STRICT,
	.pcp = MODEL_PCP_TOO,
};

static const struct model_profile pcp = {
	.name = "pcp",
	.about = "strictly RFC 6887, and refuses version 0 the way a PCP server does",
	STRICT,
	.pcp = MODEL_PCP_ONLY,
};

static const struct model_profile miniupnpd = {
	.name = "miniupnpd",
	.about = "the quirks of miniupnpd 2.3.1",
	MINIUPNPD,
	.pcp = MODEL_PCP_TOO,
	.nonces = MODEL_NONCES_DELETIONS,
	.prefer_failure = MODEL_PREFER_IGNORED,
};

static const struct model_profile miniupnpd_new = {
	.name = "miniupnpd-2.3.11",
	.about = "that version: honours PREFER_FAILURE, checks nonces of pinholes",
	MINIUPNPD,
	.pcp = MODEL_PCP_TOO,
	.nonces = MODEL_NONCES_PINHOLES,
};

static const struct model_profile miniupnpd_natpmp = {
	.name = "miniupnpd-nopcp",
	.about = "miniupnpd 2.3.1 built without PCP: refuses version 2 with its opcode + 128",
	MINIUPNPD,
	.refusal = MODEL_REFUSAL_COPIED,
	.nonces = MODEL_NONCES_DELETIONS,
	.prefer_failure = MODEL_PREFER_IGNORED,
};

static const struct model_profile stallone = {
	.name = "stallone",
	.about = "grants 3600 s at most, refuses version 2 in 4 bytes",
	STRICT,
	.refusal = MODEL_REFUSAL_SHORT,
	.max_lifetime = 3600,
};

static const struct model_profile drops_pcp = {
	.name = "drops-pcp",
	.about = "as rfc, but no answer at all to version 2",
	STRICT,
	.refusal = MODEL_REFUSAL_SILENT,
};

static const struct model_profile repcpd = {
	.name = "repcpd",
	.about = "PCP only, silent to version 0; grants any option but PREFER_FAILURE",
	STRICT,
	.pcp = MODEL_PCP_ONLY,
	.silent_to_natpmp = true,
	.prefer_failure = MODEL_PREFER_REFUSED,
	.accepts_options = true,
};

static const struct model_profile pcp3 = {
	.name = "pcp3",
	.about = "a PCP server of version 3 only; ask again in 60 s",
	COMMON,
	.pcp = MODEL_PCP_ONLY,
	.pcp_version = 3,
	.long_error_lifetime = 60,
};

static const struct model_profile echo = {
	.name = "echo",
	.about = "errors repeat port and lifetime, deletions the external port",
	STRICT,
	.refusal = MODEL_REFUSAL_COPIED,
	.echoes_errors = true,
	.echoes_address = true,
	.echoes_deletion = true,
};

static const struct model_profile highport = {
	.name = "highport",
	.about = "grants no suggestion: always a random high port",
	STRICT,
	.denies_suggestions = true,
};

static const struct model_profile splitports = {
	.name = "splitports",
	.about = "different ports for TCP and UDP unless one above 40000 is suggested",
	STRICT,
	.split_up_to = 40000,
};

static const struct model_profile vpn = {
	.name = "vpn",
	.about = "one external port per client, 60 s, internal port 0 asked and repeated",
	STRICT,
	.min_lifetime = 60,
	.max_lifetime = 60,
	.vpn = MODEL_VPN_ECHO,
};

static const struct model_profile vpn_named = {
	.name = "vpn-named",
	.about = "as vpn, but the answer names the external port as the internal one",
	STRICT,
	.min_lifetime = 60,
	.max_lifetime = 60,
	.vpn = MODEL_VPN_NAMED,
};

static const struct model_profile noaddress = {
	.name = "noaddress",
	.about = "maps, but answers the external address query with result 3",
	STRICT,
	.maps_without_address = true,
	.denies_address = true,
};

static const struct model_profile pcponly = {
	.name = "pcponly",
	.about = "refuses version 0 the way a PCP server does; of PCP, ANNOUNCE only",
	STRICT,
	.pcp = MODEL_PCP_ONLY,
	.announce_only = true,
};

const struct model_profile *const model_profiles[] = {
	&rfc,        &rfc_pcp,   &pcp,       &miniupnpd, &miniupnpd_new, &miniupnpd_natpmp,
	&stallone,   &drops_pcp, &repcpd,    &pcp3,      &echo,          &highport,
	&splitports, &vpn,       &vpn_named, &noaddress, &pcponly,       NULL,
};

const struct model_profile *model_profile_find(const char *name)
{
	for (size_t i = 0; model_profiles[i]; i++)
		if (strcmp(model_profiles[i]->name, name) == 0)
			return model_profiles[i];
	return NULL;
}
