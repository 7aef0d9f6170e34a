/* SPDX-License-Identifier: MIT */
/* heap - an intrusive binary min-heap; push, remove and move in O(log n). Room is reserved
 * when an element comes to life, so that nothing allocates, and so fails, later. */
#ifndef CORE_HEAP_H
#define CORE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The struct that a member of that name at that address belongs to. */
#define container_of(pointer, type, member)                                                        \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))

struct heap_node {
	size_t place;      /* 1-based; 0 = not in a heap */
	uint64_t key, tie; /* smallest key first, then smallest tie */
};

struct heap {
	struct heap_node **nodes;
	size_t count, room;
};

/* Make sure that many elements fit. False: out of memory, nothing changed. */
bool heap_reserve(struct heap *heap, size_t room);
void heap_free(struct heap *heap);

/* Is a to come before b? */
bool heap_before(const struct heap_node *a, const struct heap_node *b);
/* Put the node in with that key, or move it if it is in already. */
void heap_set(struct heap *heap, struct heap_node *node, uint64_t key, uint64_t tie);
/* Take it out, if it is in. */
void heap_remove(struct heap *heap, struct heap_node *node);
/* The first one, NULL if empty. */
struct heap_node *heap_first(const struct heap *heap);

#endif
