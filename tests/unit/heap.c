/* SPDX-License-Identifier: MIT */
/* The heap against a model so plain that it is right. */
#include "core/heap.h"

#include <stdlib.h>

#include "suite.h"

enum { NODES = 200, ROUNDS = 20000 };

struct model {
	struct heap heap;
	struct heap_node nodes[NODES];
	bool in[NODES];
	size_t count;
	uint64_t random;
};

static unsigned pick(struct model *m, unsigned below)
{
	m->random = m->random * 6364136223846793005 + 1442695040888963407;
	return (unsigned)(m->random >> 33) % below;
}

static const struct heap_node *smallest(const struct model *m)
{
	const struct heap_node *best = NULL;

	for (int i = 0; i < NODES; i++) {
		const struct heap_node *node = &m->nodes[i];
		if (m->in[i] && (!best || node->key < best->key ||
				 (node->key == best->key && node->tie < best->tie)))
			best = node;
	}
	return best;
}

static void step(struct model *m, uint32_t tie)
{
	unsigned i = pick(m, NODES);

	if (pick(m, 3)) { /* few keys, so that ties decide often */
		m->count += !m->in[i];
		m->in[i] = true;
		heap_set(&m->heap, &m->nodes[i], pick(m, 2) ? pick(m, 20) : UINT64_MAX - pick(m, 3),
			 tie);
	} else {
		m->count -= m->in[i];
		m->in[i] = false;
		heap_remove(&m->heap, &m->nodes[i]);
	}
	ck_assert_uint_eq(m->nodes[i].place != 0, m->in[i]);
	ck_assert_uint_eq(m->heap.count, m->count);
	ck_assert_ptr_eq(heap_first(&m->heap), smallest(m));
}

START_TEST(H13_heap_is_as_a_plain_model)
{
	struct model *m = calloc(1, sizeof(*m));

	ck_assert_ptr_nonnull(m);
	m->random = 4711;
	ck_assert(heap_reserve(&m->heap, NODES));
	for (uint32_t round = 0; round < ROUNDS; round++)
		step(m, round);
	/* and out again, in order */
	for (const struct heap_node *first; (first = heap_first(&m->heap));) {
		ck_assert_ptr_eq(first, smallest(m));
		m->in[first - m->nodes] = false;
		heap_remove(&m->heap, &m->nodes[first - m->nodes]);
	}
	for (int i = 0; i < NODES; i++)
		ck_assert(!m->in[i] && !m->nodes[i].place);
	heap_free(&m->heap);
	free(m);
}

START_TEST(H13_heap_reserves_and_frees)
{
	struct heap heap = {0};
	struct heap_node a = {0}, b = {0};

	ck_assert_ptr_null(heap_first(&heap));
	heap_remove(&heap, &a); /* not in: nothing happens */
	ck_assert(heap_reserve(&heap, 1));
	heap_set(&heap, &a, 2, 0);
	ck_assert(heap_reserve(&heap, 1000));
	heap_set(&heap, &b, 1, 0);
	ck_assert_ptr_eq(heap_first(&heap), &b);
	heap_set(&heap, &b, 3, 0);
	ck_assert_ptr_eq(heap_first(&heap), &a);
	ck_assert_uint_eq(heap.count, 2);
	heap_free(&heap);
	ck_assert_ptr_null(heap_first(&heap));
}

int main(void)
{
	return RUN_TESTS("heap", H13_heap_is_as_a_plain_model, H13_heap_reserves_and_frees);
}
