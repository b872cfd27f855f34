/*
 * Long text in pieces, both ways (RFC 7143 §6.2, §11.10.2).
 *
 * Called by login and by Text requests, which own the pieces and bound what they may hold.
 */
#include "target_pieces.h"

#include <assert.h>
#include <string.h>

bool target_pieces_gather(struct target_pieces *p, struct pool *pool, const void *part, size_t len)
{
	if (len > TARGET_TEXT_MAX - p->in_len)
		return false;
	if (!p->in)
		p->in = pool_get(pool, TARGET_TEXT_MAX);
	if (!p->in)
		return false;
	if (len)
		memcpy(p->in + p->in_len, part, len);
	p->in_len += len;
	return true;
}

void target_pieces_drop_in(struct target_pieces *p, struct pool *pool)
{
	pool_put(pool, p->in, TARGET_TEXT_MAX);
	p->in = NULL;
	p->in_len = 0;
}

bool target_pieces_begin_out(struct target_pieces *p, struct pool *pool, size_t room)
{
	assert(!p->out.text);
	p->out = (struct key_text){ .text = pool_get(pool, room), .room = room };
	p->out_sent = 0;
	return p->out.text;
}

bool target_pieces_next(struct target_pieces *p, uint32_t limit, const char **piece, uint32_t *len)
{
	uint32_t left = (uint32_t)(p->out.len - p->out_sent);

	*len = left < limit ? left : limit;
	*piece = *len ? p->out.text + p->out_sent : NULL;
	p->out_sent += *len;
	return *len < left;
}

void target_pieces_drop_out(struct target_pieces *p, struct pool *pool)
{
	pool_put(pool, p->out.text, p->out.room);
	p->out = (struct key_text){ 0 };
	p->out_sent = 0;
}
