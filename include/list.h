/*
 * An intrusive, circular, doubly linked list.
 *
 * The node lives in the object that is listed, so putting something on a list
 * cannot fail and allocates nothing. A node is on at most one list; list_del()
 * leaves it pointing at itself, so that list_linked() is always truthful.
 * Nothing here locks: a list belongs to one thread, or to the mutex of its owner.
 */
#ifndef LIST_H
#define LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *prev, *next;
};

#define LIST_INIT(name) { &(name), &(name) }

#define container_of(ptr, type, member) \
	((type *)(void *)((char *)(ptr) - offsetof(type, member)))

static inline void list_init(struct list *l)
{
	l->prev = l->next = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

/* Is this node on a list? (It must have been list_init()ed once.) */
static inline bool list_linked(const struct list *node)
{
	return node->next != node;
}

static inline void list_insert_before(struct list *at, struct list *node)
{
	node->prev = at->prev;
	node->next = at;
	at->prev->next = node;
	at->prev = node;
}

static inline void list_add_tail(struct list *l, struct list *node)
{
	list_insert_before(l, node);
}

static inline void list_add_head(struct list *l, struct list *node)
{
	list_insert_before(l->next, node);
}

static inline void list_del(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

/* The first node, taken off the list; NULL when the list is empty. */
static inline struct list *list_pop(struct list *l)
{
	struct list *node = l->next;

	if (node == l)
		return NULL;
	list_del(node);
	return node;
}

/* Append everything on "from" to "to"; "from" ends empty. */
static inline void list_splice_tail(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	from->prev->next = to;
	to->prev->next = from->next;
	to->prev = from->prev;
	list_init(from);
}

#define list_for_each(node, l) \
	for (struct list *node = (l)->next; node != (l); node = node->next)

/* The body may take "node" off the list, but no other. */
#define list_for_each_safe(node, l) \
	for (struct list *node = (l)->next, *node##_next = node->next; \
	     node != (l); node = node##_next, node##_next = node->next)

#endif
