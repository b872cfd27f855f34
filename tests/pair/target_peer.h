/* An initiator made of bare PDUs, connected to a target in its rig. */
#ifndef TARGET_PEER_H
#define TARGET_PEER_H

#include "target_rig.h"

/* One connection's initiator side. */
struct peer {
	struct rig *rig;
	int	 fd;
	uint64_t isid;
	uint32_t cmd_sn;		/* of the next numbered PDU */
	uint32_t stat_sn;		/* of the next response */
	uint32_t max_cmd_sn;		/* the latest that we were told */
	bool	 header_digest, data_digest;
	struct bhs got;			/* the latest PDU */
	uint8_t	 data[1u << 17];	/* its data segment */
};

/* A new connection to a worker: by RIG_GROUP, another portal group, or TCP from 127.0.0.1. */
void peer_connect_to(struct peer *p, struct rig *rig, unsigned worker, uint16_t group);
void peer_connect_by_tcp(struct peer *p, struct rig *rig, unsigned worker, uint16_t group);
void peer_connect(struct peer *p, struct rig *rig, unsigned worker);
void peer_disconnect(struct peer *p);

/* Send bytes as they are; a PDU with CmdSN, digests and padding filled in; one that is numbered. */
void peer_send_raw(struct peer *p, const void *bytes, size_t len);
void peer_send(struct peer *p, struct bhs *b, const void *data);
void peer_send_numbered(struct peer *p, struct bhs *b, const void *data);

/* The next PDU, into got and data. False when the connection ends, or nothing comes for long. */
bool peer_get(struct peer *p);
/* It must be this one, to the byte. StatSN, ExpCmdSN and MaxCmdSN of "want" are filled in. */
void peer_expect(struct peer *p, struct bhs *want, const void *data, uint32_t data_len);
/* Nothing comes, though every worker has had time to send it. */
void peer_expect_silence(struct peer *p);
/* The target closes the connection, without another PDU. */
void peer_expect_end(struct peer *p);
/* ... but for one that says so: event 2, with this CID, or, if it is 0, event 3. */
void peer_expect_drop(struct peer *p, uint16_t cid);
void peer_expect_reject(struct peer *p, const struct bhs *rejected, uint8_t reason);
/* CHECK CONDITION with this reason, and this much underflow. */
void peer_expect_sense(struct peer *p, uint32_t itt, uint32_t reason, uint32_t underflow,
		       uint32_t exp_data_sn);

/* A SCSI Response without data; "residual" > 0 is an overflow, < 0 an underflow. */
void peer_expect_response(struct peer *p, uint32_t itt, uint8_t status, int64_t residual,
			  uint32_t exp_data_sn);
/* An R2T for this; returns its transfer tag. */
uint32_t peer_expect_r2t(struct peer *p, uint32_t itt, uint32_t r2t_sn, uint32_t offset, uint32_t len);
/* Data-Out, of the pattern from "offset" on. */
void peer_send_data(struct peer *p, uint32_t itt, uint32_t ttt, uint32_t data_sn, uint32_t offset,
		    uint32_t len, bool final);

/* Text with an explicit length: keys in a string literal, "a=1\0b=2", get their last NUL. */
#define TEXT(literal)	literal, (uint32_t)sizeof(literal)

/* The Login Request of a peer: CSG 1, NSG 3, T. */
struct bhs peer_login_request(struct peer *p, uint32_t len);
void peer_log_in_with(struct peer *p, const char *text, uint32_t len);
/* A normal session with InitialR2T=No and nothing else negotiated. */
void peer_log_in(struct peer *p);
void peer_log_in_to_discovery(struct peer *p);

/* SCSI Command headers. blocks count from LBA 0. */
struct bhs peer_read(uint32_t itt, uint32_t edtl, uint32_t blocks);
struct bhs peer_write(uint32_t itt, uint32_t edtl, uint32_t blocks, uint32_t immediate);

/* All of a test with one connection, to worker 0, that nothing has been said on. */
void rig_begin(struct rig *rig, struct peer *peer);
void rig_finish(struct rig *rig, struct peer *peer);

#endif
