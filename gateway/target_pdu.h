/*
 * PDUs of a connection, as they come in and as they go out.
 */
#ifndef TARGET_PDU_H
#define TARGET_PDU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bhs.h"
#include "conn.h"
#include "crc32c.h"
#include "list.h"

struct target_conn;
struct target_r2t;
struct target_task;

/* RFC 7143 §11.17.1 */
enum reject_reason {
	REJECT_NONE = 0x00,
	REJECT_DATA_DIGEST = 0x02,
	REJECT_SNACK = 0x03,
	REJECT_PROTOCOL_ERROR = 0x04,
	REJECT_NOT_SUPPORTED = 0x05,
	REJECT_IMMEDIATE = 0x06,
	REJECT_INVALID_FIELD = 0x09,
};

/* A PDU that came in. It owns its data and its task until it is executed or dropped. */
struct target_pdu {
	struct list node;		/* session->held */
	struct target_conn *conn;	/* NULL in a hole */
	struct bhs bhs;
	uint8_t	 wire[BHS_LEN];		/* the header as it came, for a Reject */
	enum reject_reason reject;	/* what it gets instead of being executed */
	bool	 hole;			/* nothing to execute: its CmdSN only has to be passed */
	uint8_t	*data;			/* NOP-Out, Text, Login: bhs.data_len bytes of the pool */
	struct target_task *task;	/* SCSI Command */
};

enum target_rx_state {
	RX_HEADER,			/* basic header, AHS and header digest come next */
	RX_DATA,			/* conn.c puts the data segment in place */
	RX_SKIP,			/* a data segment that nobody wants */
	RX_TAIL,			/* padding and data digest */
};

/* The PDU that is coming in. Between two of them, in RX_HEADER, it holds nothing. */
struct target_rx {
	enum target_rx_state state;
	struct target_pdu pdu;
	bool	 ignored;		/* CmdSN outside the window: RFC 7143 §4.2.2.1 */
	uint8_t	*into;			/* where the data segment goes; NULL: nowhere */
	uint32_t left;			/* of the segment, while skipping */
	uint32_t crc;			/* of the segment, if there is a data digest */
	struct target_task *task;	/* whose data it is; it stays while task->receiving */
	struct target_r2t *r2t;		/* ... and which R2T asked for it; NULL: unsolicited */
};

/* A PDU on its way out; from the pool. Frees itself when it is sent, or never will be. */
struct target_out {
	struct conn_out out;
	struct target_conn *conn;
	struct target_task *task;	/* told when this is sent; or NULL */
	void	*own;			/* goes back to the pool when this is sent; or NULL */
	uint32_t own_len;
	uint8_t	 header[BHS_LEN + DIGEST_LEN];
	uint8_t	 tail[3 + DIGEST_LEN];	/* padding and data digest */
};

/* ---- target_receive.c */

size_t target_receive(struct conn *conn, const uint8_t *p, size_t n);
void target_received(struct conn *conn);

/* The connection is dead: forget the PDU that was coming in. */
void target_receive_end(struct target_conn *c);

/* ---- target_dispatch.c */

/*
 * The header of the PDU in c->rx is here, with the additional header segments ahs[len]: decide
 * what is to become of it, and where its data segment goes. "known" = the opcode is one of the
 * standard's. The connection may have failed afterwards.
 */
void target_dispatch_header(struct target_conn *c, bool known, const uint8_t *ahs, size_t len);

/* The PDU in c->rx is whole; "spoiled" = its data digest is wrong. Do what was decided. */
void target_dispatch(struct target_conn *c, bool spoiled);

/* In full feature phase: do what the PDU asks for, in its turn. Its data and task are used up. */
void target_execute(struct target_pdu *pdu);

/* The PDU goes unexecuted: give back what it holds. */
void target_pdu_drop(struct target_pdu *pdu);

/* ---- target_send.c */

/* NULL: no memory, and the connection has failed. */
struct target_out *target_out_new(struct target_conn *c);

/*
 * Queue the PDU "b" with data[len], which must live until it is sent (see out->task
 * and out->own). ExpCmdSN, MaxCmdSN and DataSegmentLength are filled in here.
 */
void target_out_send(struct target_out *out, struct bhs *b, const void *data, uint32_t len);

/* The same for a PDU whose data is copied; len may be 0. */
void target_send_copy(struct target_conn *c, struct bhs *b, const void *data, uint32_t len);

/* What comes in ('<') or goes out ('>'), if that is to be traced. */
void target_pdu_trace(const struct target_conn *c, char direction, const struct bhs *b);

void target_reject(struct target_conn *c, const uint8_t wire[BHS_LEN], enum reject_reason reason);

#endif
