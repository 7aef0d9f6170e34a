/* SPDX-License-Identifier: MIT */
/* list - an intrusive ring of nodes: the ring's own node is its head. */
#ifndef CORE_LIST_H
#define CORE_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* The struct whose member of that name is at that address. */
#define container_of(pointer, type, member)                                                        \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* The same, of a member that may only be read. */
#define const_container_of(pointer, type, member)                                                  \
	((const type *)(const void *)((const char *)(pointer)-offsetof(type, member)))

struct list {
	struct list *next, *before; /* both NULL: in no ring */
};

static inline void list_init(struct list *head)
{
	head->next = head->before = head;
}

static inline bool list_is_empty(const struct list *head)
{
	return head->next == head;
}

static inline bool list_is_linked(const struct list *node)
{
	return node->next != NULL;
}

static inline void list_remove(struct list *node)
{
	if (!node->next)
		return;
	node->next->before = node->before;
	node->before->next = node->next;
	node->next = node->before = NULL;
}

/* The first node of a ring that is not empty; it leaves the ring. */
static inline struct list *list_take_first(struct list *head)
{
	struct list *node = head->next;

	head->next = node->next;
	node->next->before = head;
	node->next = node->before = NULL;
	return node;
}

/* Put the node at the end of the ring, and take it out of the ring where it was. */
static inline void list_append(struct list *head, struct list *node)
{
	list_remove(node);
	node->before = head->before;
	node->next = head;
	head->before->next = node;
	head->before = node;
}

#endif
