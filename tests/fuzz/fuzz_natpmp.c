/* SPDX-License-Identifier: MIT */
/* Any bytes at all to the decoder, beside any question. */
#include <stdlib.h>
#include <string.h>

#include "core/natpmp.h"
#include "fuzz.h"

/* What a decoded response promises. */
static const struct ends no_ends;

static void look(const struct response *r, size_t len)
{
	bool is_mapping = r->kind == RESPONSE_MAPPING;

	if (r->has_clock)
		insist(len >= 8 && r->result != 5);
	if (r->kind == RESPONSE_ADDRESS)
		insist(len >= (r->status == NATPMP_OK ? 12 : 4));
	if (is_mapping)
		insist(len >= (r->status == NATPMP_OK ? 16 : 10) && r->protocol);
	if (r->external_port || r->lifetime)
		insist(is_mapping && r->status == NATPMP_OK);
	if (!ip_is_none(&r->address))
		insist(r->kind == RESPONSE_ADDRESS && r->status == NATPMP_OK);
	insist((r->status == NATPMP_OK) == (r->result == 0));
}

/* A request is no response, and never looks like one. */
static void look_at_request(const struct response *r)
{
	struct message message = {
		.kind = (uint8_t)(r->clock % 3),
		.protocol = r->protocol ? r->protocol : NATPMP_UDP,
		.internal_port = r->internal_port,
		.suggested_port = r->external_port,
		.lifetime = r->lifetime,
	};
	uint8_t bytes[REQUEST_MAX];
	size_t len = dialect_natpmp.encode(&message, &no_ends, bytes);

	insist(len == (message.kind == ASK_ADDRESS ? 2 : 12));
	if (message.kind == ASK_DELETE) /* RFC 6886 section 3.4: no suggestion, no lifetime */
		insist(!bytes[6] && !bytes[7] && !memcmp(bytes + 8, "\0\0\0\0", 4));
	insist(dialect_natpmp.decode(bytes, len, &message, &no_ends).kind == RESPONSE_JUNK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A copy of just that size, so that a byte too many is seen. */
	uint8_t *exact = calloc(1, size ? size : 1);

	if (!exact)
		return 0;
	if (size)
		memcpy(exact, data, size);
	struct response r = dialect_natpmp.decode(exact, size, NULL, &no_ends);
	look(&r, size);
	look_at_request(&r);

	/* The same beside a question that may be its own: a refusal in the request's layout. */
	struct message asked = {.kind = ASK_CREATE, .protocol = NATPMP_TCP, .lifetime = 7200};
	if (size >= 6)
		asked.internal_port = (uint16_t)(exact[4] << 8 | exact[5]);
	struct response beside = dialect_natpmp.decode(exact, size, &asked, &no_ends);
	look(&beside, size);
	free(exact);
	return 0;
}
