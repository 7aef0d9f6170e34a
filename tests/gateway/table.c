/* SPDX-License-Identifier: MIT */
#include "table.h"

#include <string.h>

enum { BY_INTERNAL, BY_EXTERNAL, INDEXES };
#define NONE UINT16_MAX

static uint16_t *chain(const struct table *table, int index, uint64_t key)
{
	uint32_t b = (uint32_t)((key * 0x9e3779b97f4a7c15U) >> 32) % table->capacity;

	return &table->slots[b].head[index];
}

static uint16_t *internal_chain(const struct table *table, const struct model_host *client,
				unsigned opcode, uint16_t port)
{
	uint64_t high, low;

	memcpy(&high, client->bytes, sizeof(high));
	memcpy(&low, client->bytes + sizeof(high), sizeof(low));
	return chain(table, BY_INTERNAL,
		     (high * 31 + low) ^ ((uint64_t)opcode << 48 | (uint64_t)port << 16));
}

static uint16_t *external_chain(const struct table *table, unsigned opcode, uint16_t port)
{
	return chain(table, BY_EXTERNAL, (uint64_t)opcode << 16 | port);
}

static uint16_t *chain_of(const struct table *table, int index, const struct model_mapping *mapping)
{
	if (index == BY_EXTERNAL)
		return external_chain(table, mapping->opcode, mapping->external_port);
	return internal_chain(table, &mapping->client, mapping->opcode, mapping->internal_port);
}

static void link_slot(struct table *table, uint16_t slot)
{
	for (int index = 0; index < INDEXES; index++) {
		uint16_t *head = chain_of(table, index, &table->slots[slot].mapping);

		table->slots[slot].next[index] = *head;
		*head = slot;
	}
}

static void unlink_slot(struct table *table, uint16_t slot)
{
	for (int index = 0; index < INDEXES; index++) {
		uint16_t *at = chain_of(table, index, &table->slots[slot].mapping);

		while (*at != slot)
			at = &table->slots[*at].next[index];
		*at = table->slots[slot].next[index];
	}
}

static void tell(struct table *table, const struct model_mapping *mapping, bool came)
{
	if (table->on_change)
		table->on_change(table->on_change_arg, mapping, came);
}

void table_init(struct table *table, struct model_slot *slots, size_t capacity)
{
	memset(table, 0, sizeof(*table));
	table->slots = slots;
	table->capacity = (uint32_t)(capacity < NONE ? capacity : NONE);
	table->earliest = UINT64_MAX;
	for (uint32_t i = 0; i < table->capacity; i++)
		slots[i].head[BY_INTERNAL] = slots[i].head[BY_EXTERNAL] = NONE;
}

void table_renew(struct table *table, struct model_mapping *mapping, uint64_t expires)
{
	mapping->expires = expires;
	if (expires < table->earliest)
		table->earliest = expires;
}

struct model_mapping *table_add(struct table *table, const struct model_mapping *mapping)
{
	uint16_t slot = (uint16_t)table->count++;
	struct model_mapping *added = &table->slots[slot].mapping;

	*added = *mapping;
	link_slot(table, slot);
	table_renew(table, added, mapping->expires);
	tell(table, mapping, true);
	return added;
}

static void drop_slot(struct table *table, uint16_t slot)
{
	struct model_mapping gone = table->slots[slot].mapping;
	uint16_t last = (uint16_t)(table->count - 1);

	unlink_slot(table, slot);
	if (slot != last) {
		unlink_slot(table, last);
		table->slots[slot].mapping = table->slots[last].mapping;
		link_slot(table, slot);
	}
	table->count--;
	tell(table, &gone, false);
}

static uint16_t slot_of(const struct table *table, const struct model_mapping *mapping)
{
	return (uint16_t)((const struct model_slot *)(const void *)mapping - table->slots);
}

void table_drop(struct table *table, const struct model_mapping *mapping)
{
	drop_slot(table, slot_of(table, mapping));
}

void table_expire(struct table *table, uint64_t now)
{
	uint64_t earliest = UINT64_MAX;

	if (now < table->earliest)
		return;
	for (uint32_t i = table->count; i-- > 0;) {
		uint64_t expires = table->slots[i].mapping.expires;

		if (expires <= now)
			drop_slot(table, (uint16_t)i);
		else if (expires < earliest)
			earliest = expires;
	}
	table->earliest = earliest;
}

struct model_mapping *table_external(const struct table *table, unsigned opcode, uint16_t port)
{
	for (uint16_t i = *external_chain(table, opcode, port); i != NONE;
	     i = table->slots[i].next[BY_EXTERNAL]) {
		struct model_mapping *mapping = &table->slots[i].mapping;

		if (mapping->opcode == opcode && mapping->external_port == port &&
		    model_host_is_ipv4(&mapping->client))
			return mapping;
	}
	return NULL;
}

static struct model_mapping *internal_from(const struct table *table, uint16_t slot,
					   const struct model_host *client, unsigned opcode,
					   uint16_t port)
{
	for (; slot != NONE; slot = table->slots[slot].next[BY_INTERNAL]) {
		struct model_mapping *mapping = &table->slots[slot].mapping;

		if (mapping->opcode == opcode && mapping->internal_port == port &&
		    model_host_equal(&mapping->client, client))
			return mapping;
	}
	return NULL;
}

struct model_mapping *table_internal(const struct table *table, const struct model_host *client,
				     unsigned opcode, uint16_t port)
{
	return internal_from(table, *internal_chain(table, client, opcode, port), client, opcode,
			     port);
}

struct model_mapping *table_internal_next(const struct table *table,
					  const struct model_mapping *mapping)
{
	return internal_from(table, table->slots[slot_of(table, mapping)].next[BY_INTERNAL],
			     &mapping->client, mapping->opcode, mapping->internal_port);
}
