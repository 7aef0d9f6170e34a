/* SPDX-License-Identifier: MIT */
/* Any bytes at all to the decoder. */
#include <stdlib.h>
#include <string.h>

#include "core/wire.h"
#include "fuzz.h"

/* What a decoded answer promises. */
static void look(const struct wire_answer *a, size_t len)
{
	if (a->has_epoch)
		insist(len >= 8 && a->result != 5);
	if (a->kind == WIRE_ANSWER)
		insist(len >= (a->opcode == WIRE_ADDRESS ? 8 : 10));
	if (a->external_port || a->lifetime)
		insist(a->kind == WIRE_ANSWER && a->result == 0 && len >= 16);
	if (a->address)
		insist(a->kind == WIRE_ANSWER && a->result == 0 && a->opcode == WIRE_ADDRESS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A copy of just that size, so that a byte too many is seen. */
	uint8_t *exact = calloc(1, size ? size : 1);

	if (!exact)
		return 0;
	if (size)
		memcpy(exact, data, size);
	struct wire_answer a = wire_decode(exact, size);
	look(&a, size);

	/* A request is no answer, and never looks like one. */
	struct wire_request request = {
		.opcode = a.opcode % 3,
		.internal_port = a.internal_port,
		.external_port = a.external_port,
		.lifetime = a.lifetime,
	};
	uint8_t bytes[WIRE_REQUEST_MAX];
	size_t len = wire_encode(&request, 0, bytes);
	insist(len == (request.opcode == WIRE_ADDRESS ? 2 : 12));
	insist(wire_decode(bytes, len).kind == WIRE_JUNK);
	free(exact);
	return 0;
}
