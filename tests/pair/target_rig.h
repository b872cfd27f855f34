/*
 * The iSCSI target between two things that a test controls to the byte: an initiator
 * made of bare PDUs over a socketpair, and logical units that keep every command
 * until the test ends it.
 */
#ifndef TARGET_RIG_H
#define TARGET_RIG_H

#include <stdbool.h>
#include <stdint.h>

#include "access.h"
#include "bhs.h"
#include "export.h"
#include "loop.h"
#include "lu.h"
#include "target.h"

#define RIG_WORKERS	2
#define RIG_LUNS	3		/* 0: interprets; 1: passes through; 2: none on any worker */
#define RIG_GROUP	1		/* tag of its portal group */
#define RIG_TASKS	64
#define RIG_TARGET	"iqn.2026-11.test:rig"
#define RIG_INITIATOR	"iqn.2026-11.test:initiator"
#define RIG_BLOCK	512

/* A logical unit. */
struct rig_lu {
	struct scsi_lu lu;
	struct scsi_task *task[RIG_TASKS]; /* submitted and not ended, oldest first */
	unsigned count;
	unsigned submitted, aborted, attached, detached;
	uint32_t told;			/* the latest unit attention that it was told of; 0: taken back */
	unsigned tellings;
	struct scsi_tmf *tmf;		/* the one that it was given and has not done */
	enum tmf_function managed;	/* the latest */
	bool	 ends_at_abort;		/* an abort ends the task at once */
};

struct rig {
	struct loop *loop[RIG_WORKERS];
	struct target_service service[RIG_WORKERS];
	struct target_conf conf;
	struct target_shared *shared;
	/* What is served until rig_follow(): RIG_TARGET, to everybody. */
	struct access *access;
	struct access_portal_group *group;
	struct access_target *target;
	struct export export[RIG_LUNS];
	struct export_instance instance[RIG_LUNS][RIG_WORKERS];
	struct rig_lu lu[RIG_LUNS][RIG_WORKERS];
	unsigned idle;			/* how often service->idle() came */
	unsigned follows;		/* ... service->follows() */
};

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

/* Change conf between these two. */
void rig_init(struct rig *rig);
void rig_start(struct rig *rig);
/* Asserts that nothing is left over. */
void rig_stop(struct rig *rig);

/* One turn of every worker. */
void rig_turn(struct rig *rig);

/* End the i-th task of a unit. data-in: the first "moved" bytes are byte number mod 251. */
void rig_end(struct rig *rig, struct rig_lu *lu, unsigned i, uint8_t status, uint32_t moved,
	     uint64_t wanted);
/* GOOD, with all that was asked for. */
void rig_end_good(struct rig *rig, struct rig_lu *lu, unsigned i);
void rig_end_sense(struct rig *rig, struct rig_lu *lu, unsigned i, uint32_t reason);
void rig_end_tmf(struct rig *rig, struct rig_lu *lu, enum tmf_response response);

/* Put other rules into force, on all workers; the rig's hold on them is the caller's. */
void rig_follow(struct rig *rig, struct access *access);

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

/* Bytes that differ from place to place: byte number mod 251. */
const uint8_t *rig_pattern(void);

#endif
