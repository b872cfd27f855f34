/*
 * A hostile target: the input is what it says, PDU by PDU, to an initiator that has
 * commands for it. The first byte says how honest it is at the beginning.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_pdu.h"
#include "fuzz_world.h"
#include "initiator.h"
#include "pool.h"
#include "scsi_data.h"

/* Bits of the first byte. */
enum {
	HONEST_LOGIN = 1, HONEST_PROBE = 2, HEADER_DIGEST = 4, DATA_DIGEST = 8, DRIP = 16,
	ABORTS = 32,		/* ... of commands, and a reset of the unit */
	LEAVES = 64,		/* it closes the unit before the target hangs up */
	NARROW = 128,		/* one command at a time */
};

#define REQUESTS	8	/* the latest that are remembered; a power of two */
#define CONNECTIONS	4
#define BLOCK_LEN	512

/* What the initiator is asked to do. Some end in the middle of a word, or do not fit the CDB. */
static const struct order {
	enum cdb_direction direction;
	uint32_t blocks, len;
} orders[] = {
	{ CDB_DATA_IN, 8, 8 * BLOCK_LEN },
	{ CDB_DATA_OUT, 8, 8 * BLOCK_LEN },
	{ CDB_DATA_IN, 1, 13 },
	{ CDB_DATA_OUT, 2, 3 },
	{ CDB_NO_DATA, 0, 0 },
	{ CDB_DATA_OUT, 96, 96 * BLOCK_LEN },
};

#define ORDERS	(sizeof(orders) / sizeof(orders[0]))

struct command {
	struct scsi_task task;
	uint8_t wire[CDB_MAX_LEN];
	bool done;
};

/* Of one input; one at a time, as doubles of the system have no place for a pointer to it. */
static struct side {
	struct fuzz_pdus target;
	struct loop *loop;
	uint8_t flags;
	unsigned connections;
	struct scsi_lu *lu;
	bool over;		/* the open has failed, or the unit is closed */
	struct command commands[ORDERS];
	struct scsi_tmf reset;
	bool reset_done;
	unsigned done;
	struct bhs requests[REQUESTS];
	unsigned heard, answered;	/* of them, since the beginning */
	unsigned probed;
	uint32_t stat_sn;
} side;

static void command_done(struct scsi_task *task)
{
	struct command *c = container_of(task, struct command, task);

	assert(!c->done && task->moved <= task->data_len && task->sense_len <= SENSE_MAX_LEN);
	c->done = true;
	side.done++;
	free(task->data);
}

static void reset_done(struct scsi_tmf *tmf)
{
	(void)tmf;
	assert(!side.reset_done);
	side.reset_done = true;
}

static void submit(struct command *c, const struct order *order)
{
	struct cdb cdb = { .id = CDB_TEST_UNIT_READY, .blocks = order->blocks };

	if (order->direction != CDB_NO_DATA)
		cdb.id = order->direction == CDB_DATA_IN ? CDB_READ_16 : CDB_WRITE_16;
	c->task = (struct scsi_task) {
		.wire = c->wire, .wire_len = (uint16_t)cdb_encode(&cdb, c->wire), .cdb = cdb,
		.direction = order->direction, .data_len = order->len, .attribute = TASK_SIMPLE,
		.data = order->len ? calloc(1, order->len) : NULL, .done = command_done,
	};
	lu_submit(side.lu, &c->task);
}

static void opened(void *opaque, struct scsi_lu *lu, const char *why)
{
	(void)opaque;
	assert(!side.lu && !side.over && !lu == !!why);
	side.lu = lu;
	side.over = !lu;
	if (!lu)
		return;
	for (size_t i = 0; i < ORDERS; i++)
		submit(&side.commands[i], &orders[i]);
	if (!(side.flags & ABORTS))
		return;
	lu_abort(lu, &side.commands[0].task);
	lu_abort(lu, &side.commands[1].task);
	side.reset = (struct scsi_tmf) { .function = TMF_LU_RESET, .done = reset_done };
	lu_manage(lu, &side.reset);
}

static void closed(void *opaque)
{
	(void)opaque;
	assert(!side.over);
	side.over = true;
}

static void got(struct fuzz_pdus *p, const struct bhs *b)
{
	(void)p;
	side.requests[side.heard++ % REQUESTS] = *b;
}

static struct stream *connected(void)
{
	if (side.connections == CONNECTIONS)
		return NULL;
	assert(!side.connections || side.target.peer.closed);
	side.connections++;
	side.answered = side.heard;
	fuzz_pdus_init(&side.target, side.loop);
	side.target.got = got;
	side.target.peer.piece = side.flags & DRIP ? 11 : 0;
	return &side.target.peer.stream;
}

static void number(struct bhs *b)
{
	const struct bhs *request = &side.requests[(side.heard - 1) % REQUESTS];

	b->exp_cmd_sn = request->cmd_sn + !request->immediate;
	b->max_cmd_sn = b->exp_cmd_sn + (side.flags & NARROW ? 0 : 16);
	b->stat_sn = side.stat_sn;
	if (b->op != OP_R2T && (b->op != OP_DATA_IN || b->has_status))
		side.stat_sn++;
}

static void answer_login(const struct bhs *request)
{
	struct bhs b = { .op = OP_LOGIN_RESPONSE, .final = request->final, .csg = request->csg,
			 .nsg = request->nsg, .isid = request->isid, .tsih = 1,
			 .itt = request->itt };
	static const char security[] = "TargetPortalGroupTag=1\0AuthMethod=None";
	static const char digests[] = "HeaderDigest=CRC32C\0DataDigest=CRC32C\0InitialR2T=No";
	bool both = side.flags & HEADER_DIGEST && side.flags & DATA_DIGEST;

	side.stat_sn = request->exp_stat_sn;
	number(&b);
	side.target.header_digest = side.target.data_digest = both && request->csg == 1;
	if (request->csg == 0)
		fuzz_pdu_say(&side.target, &b, security, sizeof(security));
	else
		fuzz_pdu_say(&side.target, &b, digests, both ? sizeof(digests) : 0);
}

static void answer_probe(const struct bhs *request)
{
	const struct inquiry inquiry = { .version = 6, .response_data_format = 2 };
	const struct capacity capacity = { .last_lba = 0xffff, .block_len = BLOCK_LEN };
	struct bhs b = { .op = OP_DATA_IN, .final = true, .has_status = true,
			 .itt = request->itt, .ttt = ISCSI_NO_TAG };
	uint8_t data[INQUIRY_LEN];
	size_t len = request->cdb[0] == cdb_row(CDB_INQUIRY)->opcode
		     ? inquiry_encode(&inquiry, data) : capacity_16_encode(&capacity, data);

	side.probed++;
	number(&b);
	fuzz_pdu_say(&side.target, &b, data, (uint32_t)len);
}

/* Answer the oldest request that is to be answered honestly. */
static bool answer(void)
{
	while (side.answered != side.heard) {
		const struct bhs request = side.requests[side.answered++ % REQUESTS];

		if (request.op == OP_LOGIN_REQUEST && side.flags & HONEST_LOGIN)
			answer_login(&request);
		else if (request.op == OP_SCSI_COMMAND && side.flags & HONEST_PROBE
			 && side.probed < 2)
			answer_probe(&request);
		else
			continue;
		return true;
	}
	return false;
}

/* Make the input's PDU one that the initiator may listen to. */
static void help(struct fuzz_record *r)
{
	struct bhs b;

	if (r->how & PDU_RAW || (r->how & PDU_OWN_NUMBERS && r->how & PDU_OWN_TAGS)
	    || bhs_decode(r->wire, &b) < 0 || !side.heard)
		return;
	if (!(r->how & PDU_OWN_TAGS) && b.op != OP_ASYNC_MESSAGE && b.op != OP_REJECT)
		b.itt = side.requests[(side.heard - 1 - b.itt) % REQUESTS].itt;
	if (!(r->how & PDU_OWN_NUMBERS))
		number(&b);
	bhs_encode(&b, r->wire);
}

static void converse(struct fuzz_input *in)
{
	struct fuzz_peer *peer = &side.target.peer;
	struct fuzz_record record;

	while (!side.over) {
		if (peer->closed) {
			if (side.connections == CONNECTIONS)
				return;
			fuzz_skip_time(20);	/* it tries again, sooner or later */
			fuzz_peer_run(peer);
		} else if (!answer()) {
			if (!fuzz_record_read(in, &record))
				return;
			if (record.how & PDU_LATER)
				fuzz_skip_time(6);
			help(&record);
			fuzz_record_say(&side.target, &record);
		}
	}
}

/* Close the unit, once it is idle. */
static void leave(void)
{
	bool idle = side.done == ORDERS && (side.reset_done || !side.reset.done);

	if (!side.lu || !idle)
		return;
	lu_close(side.lu, closed, NULL);
	side.lu = NULL;
	fuzz_peer_run(&side.target.peer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct iscsi_url url = {
		.portals = { { "h", "3260" } }, .portal_count = 1, .target = "iqn.x",
		.has_lun = true,
	};
	struct fuzz_input in = { data, size };
	struct initiator_conf conf;

	memset(&side, 0, sizeof(side));
	side.flags = fuzz_u8(&in);
	side.loop = fuzz_loop();
	side.target.peer.loop = side.loop;
	side.target.peer.closed = true;
	fuzz_connected = connected;
	initiator_conf_init(&conf);
	if (side.flags & HEADER_DIGEST)
		conf.params.header_digest = DIGEST_CRC32C;
	if (side.flags & DATA_DIGEST)
		conf.params.data_digest = DIGEST_CRC32C;
	conf.outage_timeout = 30;
	iscsi_lu_open(side.loop, NULL, &url, &conf, opened, NULL);
	fuzz_peer_run(&side.target.peer);
	converse(&in);
	if (side.flags & LEAVES)
		leave();
	side.connections = CONNECTIONS;
	if (!side.target.peer.closed)
		fuzz_pdus_end(&side.target);
	for (int i = 0; i < 5 && !side.over; i++) {
		fuzz_skip_time(40);
		fuzz_peer_run(&side.target.peer);
		leave();
	}
	assert(side.over && pool_in_use(side.loop->pool) == 0);
	return 0;
}
