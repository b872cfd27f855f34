/*
 * Text requests of the initiator in full feature phase (RFC 7143 §11.10, §11.11), of
 * which there is one kind: SendTargets (appendix C). The answer may come in any number
 * of pieces, up to a limit.
 *
 * Called by discovery, and by a session that wants to know of further portals.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "initiator_private.h"

#define MAX_ROUNDS	4096		/* pieces: a target that sends more never comes to an end */
#define PORTALS_TEXT	(64u << 10)	/* of one target */

/* Say something, or that the next piece may come: RFC 7143 §6.2. */
static void say(struct initiator *ini, const char *text, size_t len, uint32_t ttt, uint64_t lun)
{
	struct bhs bhs = {
		.op = OP_TEXT_REQUEST, .itt = ini->text.itt, .ttt = ttt, .lun = lun,
		.data_len = (uint32_t)len,
	};

	pdu_send_immediate(ini, &bhs, text);
}

void text_send_targets(struct initiator *ini, const char *which, size_t limit,
		       void (*done)(struct initiator *ini, const char *text, size_t len,
				    const char *why))
{
	struct text *t = &ini->text;

	assert(ini->state == INITIATOR_UP && !t->active);
	t->active = true;
	t->itt = session_itt(ini, OTHER_TEXT);
	t->in_len = 0;
	t->limit = limit;
	t->rounds = 0;
	t->done = done;
	t->out = (struct key_text){ .text = t->request, .room = sizeof(t->request) };
	keys_put(&t->out, key_row(KEY_SEND_TARGETS)->name, which);
	assert(!t->out.overflow);
	say(ini, t->request, t->out.len, ISCSI_NO_TAG, 0);
}

static void finish(struct initiator *ini, const char *why)
{
	struct text *t = &ini->text;
	char *in = t->in;

	t->active = false;
	t->in = NULL;
	if (why)
		t->done(ini, NULL, 0, why);
	else
		t->done(ini, in ? in : "", t->in_len, NULL);
	free(in);
}

void text_end(struct initiator *ini, const char *why)
{
	if (ini->text.active)
		finish(ini, why);
}

/* False after conn_fail(). */
static bool gather(struct initiator *ini, const uint8_t *data, size_t len)
{
	struct text *t = &ini->text;
	char *bigger = t->in;

	if (len > t->limit - t->in_len || ++t->rounds > MAX_ROUNDS) {
		conn_fail(&ini->conn, "SendTargets: the answer has no end within %zu bytes", t->limit);
		return false;
	}
	if (len)
		bigger = realloc(t->in, t->in_len + len);
	if (len && !bigger) {
		conn_fail(&ini->conn, "no memory for the answer to SendTargets");
		return false;
	}
	t->in = bigger;
	if (len)
		memcpy(t->in + t->in_len, data, len);
	t->in_len += len;
	return true;
}

void text_response(struct initiator *ini, const struct bhs *bhs, const uint8_t *data)
{
	struct text *t = &ini->text;

	if (!t->active || bhs->itt != t->itt)
		conn_fail(&ini->conn, "Text Response to no request of ours, ITT 0x%x", bhs->itt);
	else if (bhs->final ? bhs->cont : bhs->ttt == ISCSI_NO_TAG)
		conn_fail(&ini->conn, "Text Response that is neither whole nor to be continued "
			  "(RFC 7143 §11.11.1, §11.11.4)");
	else if (!gather(ini, data, bhs->data_len))
		return;
	else if (bhs->final)
		finish(ini, NULL);
	else if (ini->state == INITIATOR_UP)
		say(ini, NULL, 0, bhs->ttt, bhs->lun);
}

/* TargetAddress=host[:port],tag for our own target: the others are none of our business. */
static void learn(struct initiator *ini, const char *text, size_t len, const char *why)
{
	bool ours = false;
	struct key_pair pair;
	size_t at = 0;

	while (!why && keys_next(text, len, &at, &pair, &why) > 0) {
		struct iscsi_portal portal;
		char reason[120];

		if (pair.id == KEY_TARGET_NAME)
			ours = strcmp(pair.value, ini->url.target) == 0;
		else if (ours && pair.id == KEY_TARGET_ADDRESS
			 && iscsi_portal_parse(pair.value, strcspn(pair.value, ","), false, &portal,
					       reason, sizeof(reason)))
			connect_add_portal(ini, &portal);
	}
	if (why)
		log_info("%s: no further portals: %s", ini->url.target, why);
	else
		log_trace(iscsi_debug_session, "%s: %u portals", ini->url.target, ini->portal_count);
}

void text_learn_portals(struct initiator *ini)
{
	text_send_targets(ini, ini->url.target, PORTALS_TEXT, learn);
}
