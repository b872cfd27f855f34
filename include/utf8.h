/*
 * Text of peers on its way to people: what of it is text, and what a terminal would obey
 * rather than show. Pure functions on memory.
 */
#ifndef UTF8_H
#define UTF8_H

#include <stdbool.h>

/* Bytes of the UTF-8 sequence (RFC 3629 §4) that a NUL-terminated text begins with: 1 to 4; 0
 * where it ends, and where it is no UTF-8. */
unsigned utf8_length(const char *text);

/* Does the text begin with a control character? Both sets of them, ISO 6429 §5.1 and §5.2: the
 * upper one is U+0080 to U+009F, of which terminals know CSI best. */
bool utf8_is_control(const char *text);

/* Put '?' for each control character, and for each byte that is no UTF-8. */
void utf8_clean(char *text);

#endif
