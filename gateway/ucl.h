/*
 * UCL, the universal configuration language: reading a text into a tree in which every
 * node knows its line, so that whatever is wrong with it later can be said as FILE:LINE.
 * (libucl forgets the lines of what it has parsed.) JSON is UCL, too.
 *
 *	key = value;  key: value  key value	values end at a line's end, ';' or ','
 *	section { ... }  section name { ... }	the second is section { name { ... } }
 *	[a, b]  "a\n"  'a'  <<END ... END	arrays, and texts
 *	# comment, and C comments, which nest
 *
 * A key may come several times. Values stay text: what a key means is its reader's
 * business. Macros (.include and the like) and variables are not read.
 */
#ifndef UCL_H
#define UCL_H

#include <stdbool.h>
#include <stddef.h>

enum ucl_type { UCL_VALUE, UCL_OBJECT, UCL_ARRAY };

struct ucl_node {
	enum ucl_type type;
	char *key;			/* NULL in an array, and of the root */
	char *text;			/* UCL_VALUE, UTF-8 as it came; NUL-terminated */
	unsigned line;			/* of the key; in an array, of the value */
	struct ucl_node *first, *last;	/* UCL_OBJECT and UCL_ARRAY: in the order of the text */
	struct ucl_node *next;
};

#define UCL_MAX_DEPTH	32

/*
 * Parse len bytes. The result is an UCL_OBJECT, to be ucl_free()d. NULL: why, and the line,
 * of the first error of syntax. Aborts without memory.
 */
struct ucl_node *ucl_parse(const char *text, size_t len, unsigned *line, char *why, size_t size);

void ucl_free(struct ucl_node *node);

/* The first child with this key, or NULL; also when object is NULL or has no children. */
const struct ucl_node *ucl_find(const struct ucl_node *object, const char *key);

#endif
