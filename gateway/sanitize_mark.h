/*
 * What outlives the process of a unit's sanitize operation (SBC-4 §4.11): that it has begun and
 * has not ended well, so that nobody gets at blocks of which some are not sanitized. A file in
 * the state directory, there as long as it is so:
 *
 *	nbd-iscsi-gateway sanitize restricted
 *
 * or "unrestricted", where EXIT FAILURE MODE may end it (AUSE). What cannot be read counts as
 * restricted.
 *
 * All of these block. One thread at a time.
 */
#ifndef SANITIZE_MARK_H
#define SANITIZE_MARK_H

#include <stdbool.h>

struct sanitize_mark;

/* In an existing directory, by the unit's name, a word of at most 16 letters and digits. NULL with
 * errno. */
struct sanitize_mark *sanitize_mark_new(const char *directory, const char *unit);
void sanitize_mark_free(struct sanitize_mark *mark);

/* Is it there? Then *restricted is set. */
bool sanitize_mark_is_set(const struct sanitize_mark *mark, bool *restricted);

/* On the medium when this returns true; else errno, and it may be there or not. */
bool sanitize_mark_set(const struct sanitize_mark *mark, bool restricted);
bool sanitize_mark_clear(const struct sanitize_mark *mark);

#endif
