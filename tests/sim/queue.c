/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "queue.h"

static bool before(const struct event *a, const struct event *b)
{
	return a->at != b->at ? a->at < b->at : a->serial < b->serial;
}

void queue_push(struct queue *queue, const struct event *event)
{
	if (queue->count == queue->room) {
		queue->room = queue->room ? 2 * queue->room : 256;
		queue->events = realloc(queue->events, queue->room * sizeof(*queue->events));
		if (!queue->events)
			abort();
	}
	size_t place = queue->count++;
	struct event added = *event;
	added.serial = queue->serial++;
	while (place && before(&added, &queue->events[(place - 1) / 2])) {
		queue->events[place] = queue->events[(place - 1) / 2];
		place = (place - 1) / 2;
	}
	queue->events[place] = added;
}

const struct event *queue_first(const struct queue *queue)
{
	return queue->count ? queue->events : NULL;
}

struct event queue_pop(struct queue *queue)
{
	struct event first = queue->events[0];
	const struct event *last = &queue->events[--queue->count];
	size_t place = 0;

	for (;;) {
		size_t child = 2 * place + 1;
		if (child >= queue->count)
			break;
		if (child + 1 < queue->count &&
		    before(&queue->events[child + 1], &queue->events[child]))
			child++;
		if (!before(&queue->events[child], last))
			break;
		queue->events[place] = queue->events[child];
		place = child;
	}
	queue->events[place] = *last;
	return first;
}

void queue_free(struct queue *queue)
{
	free(queue->events);
	*queue = (struct queue){0};
}
