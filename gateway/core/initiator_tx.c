/*
 * The initiator's PDUs on their way out: header, payload slice, padding and digests
 * gathered as they lie (RFC 7143 §11.2), so that no payload is copied.
 *
 * Called by the login, the session, the tasks and the task management functions. A
 * struct pdu comes from the worker's pool and goes back when it has been sent.
 */
#include <assert.h>
#include <string.h>

#include "crc32c.h"
#include "initiator_private.h"

/*
 * So many PDUs, besides one per task, may wait for a target that asks more than it listens.
 * What carries a task's data is bounded by that data (task_r2t()).
 */
#define BARE_UNSENT_MAX	4096

static void pdu_sent(struct conn_out *out, bool ok)
{
	struct pdu *pdu = container_of(out, struct pdu, out);
	struct initiator *ini = pdu->ini;
	struct task_slot *slot = pdu->slot;

	(void)ok;	/* the end of the connection is told by closed() */
	pool_put(ini->lu.loop->pool, pdu, sizeof(*pdu));
	if (slot)
		task_pdu_sent(ini, slot);
	else
		ini->bare_unsent--;
}

static void add_slice(struct conn_out *out, const void *data, size_t len)
{
	assert(out->count < CONN_OUT_IOV);
	out->iov[out->count++] = (struct iovec) { (void *)(uintptr_t)data, len };
}

static void add_header(struct pdu *pdu, const struct bhs *bhs, const uint8_t *ahs)
{
	size_t len = BHS_LEN, ahs_len = bhs->ahs_words * 4u;

	assert(ahs_len <= EXTENDED_CDB_AHS);
	bhs_encode(bhs, pdu->header);
	if (ahs_len)
		memcpy(pdu->header + len, ahs, ahs_len);
	len += ahs_len;
	if (pdu->ini->params.header_digest == DIGEST_CRC32C) {
		digest_put(pdu->header + len, crc32c(0, pdu->header, len));
		len += DIGEST_LEN;
	}
	add_slice(&pdu->out, pdu->header, len);
}

static void add_payload(struct pdu *pdu, const void *payload, uint32_t len)
{
	uint32_t pad = bhs_pad(len), trailer = pad;

	add_slice(&pdu->out, payload, len);
	memset(pdu->trailer, 0, pad);
	if (pdu->ini->params.data_digest == DIGEST_CRC32C) {
		digest_put(pdu->trailer + pad, crc32c(crc32c(0, payload, len), pdu->trailer, pad));
		trailer += DIGEST_LEN;
	}
	if (trailer)
		add_slice(&pdu->out, pdu->trailer, trailer);
}

void pdu_trace(const char *does, const struct bhs *bhs)
{
	char text[256];

	bhs_format(bhs, text, sizeof(text));
	log_trace(iscsi_debug_pdu, "initiator %s %s", does, text);
}

void pdu_send(struct initiator *ini, const struct bhs *bhs, const uint8_t *ahs,
	      const void *payload, struct task_slot *slot)
{
	struct pdu *pdu;

	assert(ini->connected);
	if (ini->bare_unsent >= BARE_UNSENT_MAX + ini->conf.max_tasks) {
		conn_fail(&ini->conn, "the target takes none of our answers");
		return;
	}
	pdu = pool_get(ini->lu.loop->pool, sizeof(*pdu));
	if (!pdu) {
		conn_fail(&ini->conn, "no memory for a %s", bhs_op_name(bhs->op));
		return;
	}
	list_init(&pdu->out.node);
	pdu->out.count = 0;
	pdu->out.sent = pdu_sent;
	pdu->ini = ini;
	pdu->slot = bhs->data_len ? slot : NULL;
	add_header(pdu, bhs, ahs);
	if (bhs->data_len)
		add_payload(pdu, payload, bhs->data_len);
	if (pdu->slot)
		slot->unsent++;
	else
		ini->bare_unsent++;
	if (log_is_on(iscsi_debug_pdu))
		pdu_trace("sends", bhs);
	conn_send(&ini->conn, &pdu->out);
}

void pdu_send_immediate(struct initiator *ini, struct bhs *bhs, const void *payload)
{
	bhs->immediate = true;
	bhs->final = true;
	bhs->cmd_sn = ini->cmd_sn;
	bhs->exp_stat_sn = ini->exp_stat_sn;
	pdu_send(ini, bhs, NULL, payload, NULL);
}
