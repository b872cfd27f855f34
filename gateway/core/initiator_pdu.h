/*
 * PDUs of the initiator, as they come in and as they go out.
 */
#ifndef INITIATOR_PDU_H
#define INITIATOR_PDU_H

#include <stdbool.h>
#include <stdint.h>

#include "bhs.h"
#include "conn.h"
#include "crc32c.h"

#define MAX_CDB		32		/* 16 in the header, the rest in an AHS (RFC 7143 §11.2.2.3) */
#define EXTENDED_CDB_AHS (4 + MAX_CDB - 16)

struct initiator;
struct task_slot;

/* A PDU on its way out, from the pool. The payload is borrowed. */
struct pdu {
	struct conn_out out;
	struct initiator *ini;
	struct task_slot *slot;		/* whose buffer the payload lies in, or NULL */
	uint8_t header[BHS_LEN + EXTENDED_CDB_AHS + DIGEST_LEN];
	uint8_t trailer[3 + DIGEST_LEN];
};

enum rx_phase { RX_HEADER, RX_PAYLOAD, RX_TRAILER };

/* The PDU being received. */
struct rx {
	enum rx_phase phase;
	struct bhs bhs;
	uint8_t *payload;		/* into a task's buffer, or "own" */
	uint8_t *own;			/* from the pool, bhs.data_len bytes, until the PDU is done with */
};

/* initiator_rx.c */
extern const struct conn_ops initiator_conn_ops;
void rx_reset(struct initiator *ini);

/* initiator_tx.c */
/*
 * Queue a PDU: bhs->data_len bytes at "payload", which stay lent until they are sent
 * (slot->unsent counts, where there is a slot). bhs->ahs_words words at "ahs" are copied.
 */
void pdu_send(struct initiator *ini, const struct bhs *bhs, const uint8_t *ahs,
	      const void *payload, struct task_slot *slot);
/* "initiator sends ...": where log_is_on(iscsi_debug_pdu). */
void pdu_trace(const char *does, const struct bhs *bhs);
/* A request of our own but a command: immediate, with the numbers filled in (RFC 7143 §11.2.1.1).
 * bhs->data_len bytes of payload are lent as pdu_send() has it. */
void pdu_send_immediate(struct initiator *ini, struct bhs *bhs, const void *payload);

#endif
