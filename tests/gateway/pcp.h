/* SPDX-License-Identifier: MIT */
/* pcp.h - the model as a PCP server: packets of RFC 6887, and packets it refuses. */
#ifndef GATEWAY_PCP_H
#define GATEWAY_PCP_H

#include "model.h"

/* Notes in model->broken what a correct client would not have sent; version is 2. */
void pcp_judge(struct model *model, const struct model_host *client, const uint8_t *bytes,
	       size_t len);

/* All of these return the length of what they wrote, 0 = silence. */
size_t pcp_answer(struct model *model, uint64_t now, const struct model_host *client,
		  const uint8_t *bytes, size_t len, uint8_t *answer);
size_t pcp_refuse_natpmp(const struct model *model, uint64_t now, const uint8_t *bytes, size_t len,
			 uint8_t *answer);
size_t pcp_announcement(const struct model *model, uint64_t now, uint8_t *bytes);
size_t pcp_update(const struct model *model, uint64_t now, const struct model_mapping *mapping,
		  uint8_t *bytes);

#endif
