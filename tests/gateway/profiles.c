/* SPDX-License-Identifier: MIT */
/* profiles.c - the makes of gateways, as data. */
#include "model.h"

#include <string.h>

#define EXTERNAL_ADDRESS 0x0b16212cU /* 11.22.33.44 */

#define STRICT                                                                                     \
	.external_address = EXTERNAL_ADDRESS, .clock_permille = 1000, .random_low = 49152,         \
	.random_high = 65535, .forced_result = {-1, -1, -1}, .forced_port = -1,                    \
	.forced_lifetime = -1, .reserves_companion = true

static const struct model_profile rfc = {
	.name = "rfc",
	.about = "strictly RFC 6886",
	STRICT,
};

/* As measured on miniupnpd 2.3.1. */
static const struct model_profile miniupnpd = {
	.name = "miniupnpd",
	.about = "the quirks of miniupnpd 2.3.1",
	STRICT,
	.pcp = MODEL_PCP_TOO,
	.maps_without_address = true,
	.denies_private_address = true,
	.zero_means_internal = true,
	.scans_upward = true,
	.second_mapping = true,
	.delete_all_both = true,
	.short_opcode_error = true,
	.echoes_errors = true,
	.forever_vanishes = true,
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
	.about = "refuses version 0 the way a PCP server does",
	STRICT,
	.pcp = MODEL_PCP_ONLY,
};

const struct model_profile *const model_profiles[] = {
	&rfc, &miniupnpd, &echo,      &highport, &splitports,
	&vpn, &vpn_named, &noaddress, &pcponly,  NULL,
};

const struct model_profile *model_profile_find(const char *name)
{
	for (size_t i = 0; model_profiles[i]; i++)
		if (strcmp(model_profiles[i]->name, name) == 0)
			return model_profiles[i];
	return NULL;
}
