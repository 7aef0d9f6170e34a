/* SPDX-License-Identifier: MIT */
/*
 * heap - an intrusive min-heap with four children to a node. Setting and removing take O(log n);
 * room is reserved beforehand, so that they allocate nothing and cannot fail.
 */
#ifndef CORE_HEAP_H
#define CORE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
	uint64_t key;   /* smallest key first ... */
	uint32_t tie;   /* ... then smallest tie */
	uint32_t place; /* 1-based; 0: in no heap */
};

struct heap {
	struct heap_node **nodes;
	uint32_t count, room;
};

/* Make sure that this many elements fit. False: out of memory, nothing changed. */
bool heap_reserve(struct heap *heap, size_t room);
void heap_free(struct heap *heap);

/* Put the node in with that key, or move it if it is in already. */
void heap_set(struct heap *heap, struct heap_node *node, uint64_t key, uint32_t tie);
/* Take the node out, if it is in. */
void heap_remove(struct heap *heap, struct heap_node *node);
/* The first node, NULL if there is none. */
struct heap_node *heap_first(const struct heap *heap);

#endif
