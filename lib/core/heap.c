/* SPDX-License-Identifier: MIT */
#include "core/heap.h"

#include <assert.h>
#include <stdlib.h>

bool heap_reserve(struct heap *heap, size_t room)
{
	if (room <= heap->room)
		return true;
	if (room < 2 * heap->room)
		room = 2 * heap->room;
	struct heap_node **nodes = realloc(heap->nodes, room * sizeof(*nodes));
	if (!nodes)
		return false;
	heap->nodes = nodes;
	heap->room = room;
	return true;
}

void heap_free(struct heap *heap)
{
	free(heap->nodes);
	*heap = (struct heap){0};
}

bool heap_before(const struct heap_node *a, const struct heap_node *b)
{
	return a->key != b->key ? a->key < b->key : a->tie < b->tie;
}

static void put(struct heap *heap, size_t place, struct heap_node *node)
{
	heap->nodes[place - 1] = node;
	node->place = place;
}

static void settle(struct heap *heap, struct heap_node *node, size_t place)
{
	while (place > 1 && heap_before(node, heap->nodes[place / 2 - 1])) {
		put(heap, place, heap->nodes[place / 2 - 1]);
		place /= 2;
	}
	for (;;) {
		size_t child = 2 * place;
		if (child > heap->count)
			break;
		if (child < heap->count && heap_before(heap->nodes[child], heap->nodes[child - 1]))
			child++;
		if (!heap_before(heap->nodes[child - 1], node))
			break;
		put(heap, place, heap->nodes[child - 1]);
		place = child;
	}
	put(heap, place, node);
}

void heap_set(struct heap *heap, struct heap_node *node, uint64_t key, uint64_t tie)
{
	node->key = key;
	node->tie = tie;
	if (!node->place) {
		assert(heap->count < heap->room);
		node->place = ++heap->count;
	}
	settle(heap, node, node->place);
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
	size_t place = node->place;

	if (!place)
		return;
	struct heap_node *last = heap->nodes[--heap->count];
	node->place = 0;
	if (last != node)
		settle(heap, last, place);
}

struct heap_node *heap_first(const struct heap *heap)
{
	return heap->count ? heap->nodes[0] : NULL;
}
