/* SPDX-License-Identifier: MIT */
/*
 * table.h - the mappings of the gateway model: found by client and internal
 * port or by external port in constant time, dropped when they are over. The
 * memory is the caller's.
 */
#ifndef GATEWAY_TABLE_H
#define GATEWAY_TABLE_H

#include "host.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_NONCE 12 /* bytes */

/* The protocol that made a mapping, or renewed it last. */
enum model_maker { MODEL_BY_NATPMP = 1, MODEL_BY_PCP = 2, MODEL_BY_ANY = 3 };

/* That of an IPv6 client is a pinhole: it takes no external port from anybody. */
struct model_mapping {
	uint64_t expires;    /* ms; live while now < expires */
	uint64_t renewed_at; /* ms; by PCP, since the clock was set last; 0 = not */
	struct model_host client;
	uint16_t internal_port;
	uint16_t external_port;
	uint8_t opcode;             /* MODEL_UDP or MODEL_TCP */
	uint8_t maker;              /* enum model_maker; any = made by hand */
	bool manual;                /* made by hand: stays, and a deletion is refused */
	uint8_t nonce[MODEL_NONCE]; /* of PCP */
};

/*
 * The mappings lie dense in slots[0..count). Two hash indexes over them are
 * chains of slot numbers; the head of chain b sits in slots[b], whatever
 * mapping that slot holds.
 */
struct model_slot {
	struct model_mapping mapping;
	uint16_t head[2];
	uint16_t next[2];
};

/* Told of every mapping that came (true) or went (false), an expiry included;
 * a moved one went and came. Not told of renewals. Do not call the model from it. */
typedef void model_change_fn(void *arg, const struct model_mapping *mapping, bool came);

struct table {
	struct model_slot *slots;
	uint32_t capacity;
	uint32_t count;
	uint64_t earliest;          /* ms; no mapping expires before this */
	model_change_fn *on_change; /* may be NULL */
	void *on_change_arg;
};

void table_init(struct table *table, struct model_slot *slots, size_t capacity);

/* The caller has seen to it that there is room and the external port is free. */
struct model_mapping *table_add(struct table *table, const struct model_mapping *mapping);
void table_drop(struct table *table, const struct model_mapping *mapping);
void table_renew(struct table *table, struct model_mapping *mapping, uint64_t expires);
void table_expire(struct table *table, uint64_t now);

/* Pointers are good until the next mapping comes or goes. An external port is
 * one of IPv4. */
struct model_mapping *table_external(const struct table *table, unsigned opcode, uint16_t port);
struct model_mapping *table_internal(const struct table *table, const struct model_host *client,
				     unsigned opcode, uint16_t port);
/* another one of the same client, opcode and internal port */
struct model_mapping *table_internal_next(const struct table *table,
					  const struct model_mapping *mapping);

#endif
