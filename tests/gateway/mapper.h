/* SPDX-License-Identifier: MIT */
/*
 * mapper.h - what a request for a mapping does to the table of the model, by
 * whichever protocol it came.
 */
#ifndef GATEWAY_MAPPER_H
#define GATEWAY_MAPPER_H

#include "model.h"

struct request {
	struct model_host client;
	enum model_maker maker;
	uint8_t opcode; /* MODEL_UDP or MODEL_TCP */
	uint16_t internal_port;
	uint16_t suggested_port;
	uint32_t lifetime;
	uint8_t nonce[MODEL_NONCE];
};

unsigned mapper_companion(unsigned opcode); /* TCP of UDP and the reverse */

/* The mapping that a request is about; NULL = none so far. */
struct model_mapping *mapper_find(struct model *model, const struct request *request);

/* Those with its client, opcode and internal port, of these makers. */
struct model_mapping *mapper_first(const struct table *table, const struct request *request,
				   unsigned makers);
struct model_mapping *mapper_next(const struct table *table, const struct model_mapping *mapping,
				  unsigned makers);

bool mapper_is_free(struct model *model, const struct request *request, uint16_t external_port);
bool mapper_is_full(const struct model *model);

/* Makes the mapping, or extends the one that mapper_find() gave. NULL = no room. */
struct model_mapping *mapper_grant(struct model *model, const struct request *request,
				   struct model_mapping *mapping, uint64_t expires);

#endif
