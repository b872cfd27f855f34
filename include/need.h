/*
 * Memory without which nothing goes on: for starting, opening, closing, or reading a
 * configuration. Whoever does not get these few bytes has nobody to tell, and nothing to save:
 * libev, too, ends the process when it has no memory for a watcher.
 *
 * What a peer makes us allocate while we serve is never asked for like this: it is bounded, and
 * refused when it is not to be had.
 */
#ifndef NEED_H
#define NEED_H

#include <stddef.h>
#include <stdlib.h>

/* What an allocating call has returned, which is the caller's to free; never NULL. */
static inline void *need(void *memory)
{
	if (!memory)
		abort();
	return memory;
}

/* Room for one item more than the "count" of "item" bytes each that the array has. It takes the
 * place of the array. */
static inline void *need_more(void *array, size_t count, size_t item)
{
	return need(realloc(array, (count + 1) * item));
}

#endif
