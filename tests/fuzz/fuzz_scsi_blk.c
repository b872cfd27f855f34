/*
 * The CDB builder over a logical unit that lies: a disk in memory behind it carries out
 * what it is asked, and the input says for each command what becomes of the outcome, and
 * what the block device is asked for. When the input ends, so do the lies.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "disk_lu.h"
#include "fuzz.h"
#include "fuzz_peer.h"
#include "fuzz_world.h"
#include "lu_shared.h"
#include "mem_blk.h"
#include "pool.h"
#include "range_lock.h"
#include "write_log.h"
#include "scsi_blk.h"

/* Bits of the first byte. */
enum { READ_ONLY = 1, LONG_BLOCKS = 2, PATIENT = 4, AT_ONCE = 8, ABORTS = 16 };

/* What becomes of a command: the low bits of a byte. */
enum lie { TRUTH, SPOILT, OWN_DATA, SENSE, RAW_SENSE, STATUS, LOST, SHORT };
#define LIES	(SHORT + 1)

#define DISK_LEN	(1u << 20)
#define MAX_LEN		(128u << 10)	/* of a request */
#define REQUESTS	12
#define QUIET_TURNS	8
#define PATIENCE	100		/* times that a second passes */
#define RETRY_TIMEOUT	30		/* seconds */

struct told {
	struct scsi_task inner;
	struct scsi_task *outer;
	struct loop_call end;
};

struct request {
	struct blk_req blk;
	struct blk_extent extents[4];
	bool done;
};

static struct bed {
	struct loop *loop;
	struct fuzz_input in;
	struct mem *mem;
	struct blk_shared below, above;
	struct blkdev *store;
	struct lu_shared *lu_shared;
	struct scsi_lu *truth, lu;	/* the honest unit, and the one that lies */
	struct blkdev *dev;
	bool over;			/* open has failed, or close is through */
	unsigned events;		/* something happened */
	struct request requests[REQUESTS];
	unsigned asked, done;
} bed;

/* The unit that lies --------------------------------------------------------- */

static void end_told(struct loop_call *call)
{
	struct told *told = container_of(call, struct told, end);
	struct scsi_task *outer = told->outer;

	bed.events++;
	free(told);
	lu_complete(&bed.lu, outer);
}

static void spoil(struct scsi_task *task)
{
	for (int i = 0; i < 4 && task->moved && task->direction == CDB_DATA_IN; i++) {
		uint16_t at = fuzz_u16(&bed.in);

		task->data[at % task->moved] ^= fuzz_u8(&bed.in);
	}
}

static void invent_data(struct scsi_task *task)
{
	size_t len, wanted = fuzz_u8(&bed.in);
	const uint8_t *bytes = fuzz_bytes(&bed.in, wanted, &len);

	if (task->direction != CDB_DATA_IN)
		return;
	task->moved = (uint32_t)(len < task->data_len ? len : task->data_len);
	if (task->moved)
		memcpy(task->data, bytes, task->moved);
}

#define REASON(symbol, value, text) value,

static void invent_sense(struct scsi_task *task)
{
	static const uint32_t known[] = { SENSE_REASONS(REASON) };
	struct sense sense = { .reason = known[fuzz_u8(&bed.in) % (sizeof(known) / sizeof(known[0]))] };

	sense.information = fuzz_u8(&bed.in);
	sense.has_information = sense.information > 0;
	lu_sense(task, &sense);
}

static void invent_raw_sense(struct scsi_task *task)
{
	size_t len, wanted = fuzz_u8(&bed.in) % (SENSE_MAX_LEN + 1);
	const uint8_t *bytes = fuzz_bytes(&bed.in, wanted, &len);

	task->status = STATUS_CHECK_CONDITION;
	task->sense_len = (uint8_t)len;
	if (len)
		memcpy(task->sense, bytes, len);
}

static void lie_about(struct scsi_task *task, enum lie lie)
{
	switch (lie) {
	case SPOILT:
		spoil(task);
		return;
	case OWN_DATA:
		invent_data(task);
		return;
	case SENSE:
		invent_sense(task);
		return;
	case RAW_SENSE:
		invent_raw_sense(task);
		return;
	case STATUS:
	case LOST:
		task->status = lie == LOST ? LU_LOST : fuzz_u8(&bed.in);
		task->sense_len = 0;
		return;
	case SHORT:
		task->moved = task->moved ? fuzz_u16(&bed.in) % task->moved : 0;
		return;
	case TRUTH:
		return;
	}
}

static void true_end(struct scsi_task *inner)
{
	struct told *told = container_of(inner, struct told, inner);
	struct scsi_task *outer = told->outer;

	outer->status = inner->status;
	outer->moved = inner->moved;
	outer->wanted = inner->wanted;
	outer->sense_len = inner->sense_len;
	memcpy(outer->sense, inner->sense, inner->sense_len);
	lie_about(outer, (enum lie)(fuzz_u8(&bed.in) % LIES));
	loop_defer(bed.loop, &told->end);
}

static void lying_submit(struct scsi_lu *lu, struct scsi_task *task)
{
	struct told *told = calloc(1, sizeof(*told));

	(void)lu;
	bed.events++;
	if (!told)
		abort();
	told->inner = *task;
	told->inner.done = true_end;
	told->outer = task;
	loop_call_init(&told->end, end_told);
	lu_submit(bed.truth, &told->inner);
}

static void lying_abort(struct scsi_lu *lu, struct scsi_task *task)
{
	(void)lu;
	(void)task;	/* advice, which it does not take */
}

static const struct scsi_lu_ops lying_ops = {
	.name = "lying", .submit = lying_submit, .abort = lying_abort,
};

/* What stands below and above it ---------------------------------------------- */

static void opened(void *opaque, struct blkdev *dev, const char *why)
{
	(void)opaque;
	assert(!dev == !!why);
	bed.events++;
	bed.dev = dev;
	bed.over = !dev;
}

static void closed(void *opaque)
{
	(void)opaque;
	bed.events++;
	bed.over = true;
}

static void bed_init(uint8_t flags)
{
	struct scsi_blk_conf conf = { .retry_timeout = flags & PATIENT ? RETRY_TIMEOUT : 0,
				      .read_only = flags & READ_ONLY };
	struct disk_lu_conf lu_conf = { .target_name = "iqn.x", .serial = "fuzz",
					.block_len = flags & LONG_BLOCKS ? 4096 : 512 };

	bed.loop = fuzz_loop();
	bed.mem = mem_new(DISK_LEN);
	bed.below.ranges = range_lock_new();
	bed.above.ranges = range_lock_new();
	bed.above.log = write_log_new(1u << 20);
	bed.lu_shared = lu_shared_new(&lu_conf);
	if (!bed.mem || !bed.below.ranges || !bed.above.ranges || !bed.above.log || !bed.lu_shared)
		abort();
	bed.store = mem_blk_open(bed.mem, bed.loop, &bed.below);
	bed.truth = disk_lu_open(bed.store, bed.lu_shared, NULL);
	bed.lu = *bed.truth;
	bed.lu.ops = &lying_ops;
	scsi_blk_open(&bed.lu, &bed.above, &conf, opened, NULL);
}

static void nothing(void *opaque)
{
	(void)opaque;
}

static void run(void)
{
	for (unsigned quiet = 0; quiet < QUIET_TURNS; quiet++) {
		unsigned before = bed.events;

		ev_run(bed.loop->ev, EVRUN_NOWAIT);
		if (bed.events != before)
			quiet = 0;
	}
}

static void bed_exit(void)
{
	lu_close(bed.truth, nothing, NULL);
	run();
	blk_close(bed.store, nothing, NULL);
	run();
	lu_shared_free(bed.lu_shared);
	range_lock_free(bed.below.ranges);
	range_lock_free(bed.above.ranges);
	write_log_free(bed.above.log);
	mem_free(bed.mem);
	assert(pool_in_use(bed.loop->pool) == 0);
}

static void request_done(struct blk_req *blk)
{
	struct request *r = container_of(blk, struct request, blk);

	assert(!r->done && blk->error >= 0);
	if (blk->op == BLK_STATUS && !blk->error)
		assert(blk->extent_count >= 1 && blk->extent_count <= blk->extent_room);
	r->done = true;
	bed.events++;
	bed.done++;
	free(blk->data);
}

static bool moves_data(enum blk_op op)
{
	return op == BLK_READ || op == BLK_WRITE;
}

/* The next of the input. False if there is none that the device would take. */
static bool ask(void)
{
	struct request *r = &bed.requests[bed.asked];
	enum blk_op op = (enum blk_op)(fuzz_u8(&bed.in) % (BLK_STATUS + 1));
	uint32_t flags = fuzz_u8(&bed.in) & (BLK_FUA | BLK_NO_HOLE | BLK_FAST | BLK_REQ_ONE);
	uint64_t size = bed.dev->info.size, offset = fuzz_u16(&bed.in), length = fuzz_u16(&bed.in);

	if (size == 0)
		return false;
	offset = offset * 37 % size;
	length = length * 2 % MAX_LEN + 1;
	if (length > size - offset)
		length = size - offset;
	r->blk = (struct blk_req) {
		.op = op, .flags = flags, .done = request_done, .offset = op == BLK_FLUSH ? 0 : offset,
		.length = op == BLK_FLUSH ? 0 : length, .extents = r->extents, .extent_room = 4,
	};
	if (blk_refusal(bed.dev, &r->blk))
		return false;
	if (moves_data(op))
		r->blk.data = calloc(1, length);
	bed.asked++;
	fuzz_units++;
	blk_submit(bed.dev, &r->blk);
	return true;
}

/* Until all that was asked for has ended. */
static void settle(bool abort_all)
{
	for (unsigned i = 0; i < bed.asked && abort_all; i++)
		if (!bed.requests[i].done)
			blk_abort(bed.dev, &bed.requests[i].blk);
	for (int i = 0; i < PATIENCE && bed.done < bed.asked; i++) {
		run();
		if (bed.done < bed.asked)
			fuzz_skip_time(1);
	}
	assert(bed.done == bed.asked);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t flags;

	memset(&bed, 0, sizeof(bed));
	bed.in = (struct fuzz_input) { data, size };
	flags = fuzz_u8(&bed.in);
	bed_init(flags);
	for (int i = 0; i < PATIENCE && !bed.dev && !bed.over; i++) {
		run();
		fuzz_skip_time(1);
	}
	assert(bed.dev || bed.over);
	while (bed.dev && bed.in.left && bed.asked < REQUESTS && ask())
		if (!(flags & AT_ONCE))
			settle(flags & ABORTS);
	settle(flags & ABORTS);
	if (bed.dev) {
		bed.over = false;
		blk_close(bed.dev, closed, NULL);
		run();
		assert(bed.over);
	}
	bed_exit();
	return 0;
}
