/* What the parser of UCL consists of: ucl.c makes the tree out of what ucl_text.c takes. */
#ifndef UCL_PRIVATE_H
#define UCL_PRIVATE_H

#include "ucl.h"

struct ucl_parser {
	const char *at, *end;
	unsigned line;
	unsigned depth;
	char *why;
	size_t size;
};

/* NUL-terminated once there is a character; whoever has it frees the bytes. */
struct ucl_text {
	char *bytes;
	size_t len;
};

/* Says why, for the line that the parser is at. Always false. */
bool ucl_fail(struct ucl_parser *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

bool ucl_at_end(const struct ucl_parser *p);
/* The character that many places ahead; NUL beyond the end. */
char ucl_peek(const struct ucl_parser *p, size_t ahead);
/* Over one character; not at the end. */
void ucl_advance(struct ucl_parser *p);
/* Over this character, if it is the next. */
bool ucl_take(struct ucl_parser *p, char c);
/* Over blanks and comments; line ends, too, where "lines" says so. False: ucl_fail(). */
bool ucl_skip(struct ucl_parser *p, bool lines);

/* Take a value's text, quoted or bare, or a key. False: ucl_fail(); there may be a text. */
bool ucl_take_text(struct ucl_parser *p, bool in_array, struct ucl_text *text);
bool ucl_take_key(struct ucl_parser *p, struct ucl_text *text);

#endif
