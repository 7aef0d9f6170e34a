/* SPDX-License-Identifier: MIT */
#include "core/heap.h"

#include <assert.h>
#include <stdlib.h>

enum { CHILDREN = 4 };

bool heap_reserve(struct heap *heap, size_t room)
{
	if (room <= heap->room)
		return true;
	if (room < 2 * (size_t)heap->room)
		room = 2 * (size_t)heap->room;
	if (room > UINT32_MAX)
		return false;
	struct heap_node **nodes = realloc(heap->nodes, room * sizeof(struct heap_node *));
	if (!nodes)
		return false;
	heap->nodes = nodes;
	heap->room = (uint32_t)room;
	return true;
}

void heap_free(struct heap *heap)
{
	free(heap->nodes);
	*heap = (struct heap){0};
}

static bool is_before(const struct heap_node *a, const struct heap_node *b)
{
	return a->key != b->key ? a->key < b->key : a->tie < b->tie;
}

static void put_node(struct heap *heap, uint32_t place, struct heap_node *node)
{
	heap->nodes[place - 1] = node;
	node->place = place;
}

static uint32_t parent_of(uint32_t place)
{
	return (place - 2) / CHILDREN + 1;
}

/* The place of the smallest child; 0: there is no child. */
static uint32_t first_child_of(const struct heap *heap, uint32_t place)
{
	uint32_t first = (place - 1) * CHILDREN + 2, best = first;
	uint32_t end = first + CHILDREN <= heap->count + 1 ? first + CHILDREN : heap->count + 1;

	if (first > heap->count)
		return 0;
	for (uint32_t child = first + 1; child < end; child++)
		if (is_before(heap->nodes[child - 1], heap->nodes[best - 1]))
			best = child;
	return best;
}

static void settle_node(struct heap *heap, struct heap_node *node, uint32_t place)
{
	uint32_t child;

	while (place > 1 && is_before(node, heap->nodes[parent_of(place) - 1])) {
		put_node(heap, place, heap->nodes[parent_of(place) - 1]);
		place = parent_of(place);
	}
	while ((child = first_child_of(heap, place)) && is_before(heap->nodes[child - 1], node)) {
		put_node(heap, place, heap->nodes[child - 1]);
		place = child;
	}
	put_node(heap, place, node);
}

void heap_set(struct heap *heap, struct heap_node *node, uint64_t key, uint32_t tie)
{
	if (node->place && node->key == key && node->tie == tie)
		return;
	node->key = key;
	node->tie = tie;
	if (!node->place) {
		assert(heap->count < heap->room);
		node->place = ++heap->count;
	}
	settle_node(heap, node, node->place);
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
	uint32_t place = node->place;

	if (!place)
		return;
	struct heap_node *last = heap->nodes[--heap->count];
	node->place = 0;
	if (last != node)
		settle_node(heap, last, place);
}

struct heap_node *heap_first(const struct heap *heap)
{
	return heap->count ? heap->nodes[0] : NULL;
}
