/*
 * The CDB interpreter with a disk in memory: the input is commands by two hosts, each a
 * CDB, the data that comes with it, and the room for what is answered. A directory of
 * two disks lets EXTENDED COPY through.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "disk_lu.h"
#include "fuzz.h"
#include "fuzz_peer.h"
#include "mem_blk.h"
#include "pool.h"
#include "range_lock.h"

/* Bits of the first byte. */
enum { LONG_BLOCKS = 1, FRESH = 2 /* hosts that have not heard of their unit attentions */ };

/* Of the byte that a command begins with. */
enum {
	BY_OTHER = 1,		/* host */
	OTHER_DISK = 2,
	DATA_IN = 4, DATA_OUT = 8,
	AS_CALLED_FOR = 16,	/* direction and room as the CDB has them, not as the input does */
	ABORTED = 32,
	RESET = 64,		/* of the unit, behind the command */
	AT_ONCE = 128,		/* the next one does not wait for this */
};

#define DISKS		2
#define HOSTS		2
#define DISK_LEN	(256u << 10)
#define COMMANDS	48
#define ROOM_MAX	(64u << 10)
#define QUIET_TURNS	6
#define TURNS_MAX	100000

struct command {
	struct scsi_task task;
	uint8_t wire[CDB_MAX_LEN];
	bool	done;
};

struct management {
	struct scsi_tmf tmf;
	bool	done;
};

static struct bed {
	struct loop *loop;
	struct lu_directory directory;
	struct mem *mem[DISKS];
	struct blk_shared blk_shared[DISKS];
	struct blkdev *blk[DISKS];
	struct lu_shared *shared[DISKS];
	struct scsi_lu *lu[DISKS];
	struct nexus host[HOSTS];
	struct command commands[COMMANDS];
	struct management resets[COMMANDS];
	unsigned count, pending, events;
} bed;

/* Every name is one of the disks': no input could guess them. */
static struct scsi_lu *find(const struct lu_directory *directory, const struct nexus *nexus,
			    uint64_t naa, bool *read_only)
{
	(void)directory;
	(void)nexus;
	*read_only = naa & 0x100;
	return bed.lu[naa % DISKS];
}

static void init_disk(unsigned i, uint32_t block_len)
{
	struct disk_lu_conf conf = {
		.target_name = "iqn.2001-04.com.example:disk", .lun = (uint16_t)i,
		.block_len = block_len,
	};
	static const struct lu_port ports[] = { { .tag = 1 }, { .tag = 2 } };

	bed.mem[i] = mem_new(DISK_LEN);
	bed.blk_shared[i].ranges = range_lock_new();
	bed.shared[i] = lu_shared_new(&conf);
	if (!bed.mem[i] || !bed.blk_shared[i].ranges || !bed.shared[i] ||
	    !lu_shared_set_ports(bed.shared[i], ports, 2))
		abort();
	bed.blk[i] = mem_blk_open(bed.mem[i], bed.loop, &bed.blk_shared[i]);
	bed.lu[i] = disk_lu_open(bed.blk[i], bed.shared[i], &bed.directory);
}

static void bed_init(uint8_t flags)
{
	memset(&bed, 0, sizeof(bed));
	bed.loop = fuzz_loop();
	bed.directory.find = find;
	for (unsigned i = 0; i < DISKS; i++)
		init_disk(i, flags & LONG_BLOCKS ? 4096 : 512);
	for (unsigned i = 0; i < HOSTS; i++) {
		strcpy(bed.host[i].initiator_name, "iqn.2001-04.com.example:hosta");
		bed.host[i].initiator_name[28] = (char)('a' + i);
		bed.host[i].tpgt = 1;
		for (unsigned j = 0; j < DISKS; j++)
			lu_attach(bed.lu[j], &bed.host[i]);
	}
}

static void run(void)
{
	unsigned turns = 0;

	for (unsigned quiet = 0; quiet < QUIET_TURNS || bed.pending; quiet++) {
		unsigned before = bed.events;

		ev_run(bed.loop->ev, EVRUN_NOWAIT);
		if (bed.events != before)
			quiet = 0;
		assert(++turns < TURNS_MAX);
	}
}

static void nothing(void *opaque)
{
	(void)opaque;
}

static void bed_exit(void)
{
	for (unsigned j = 0; j < DISKS; j++) {
		for (unsigned i = 0; i < HOSTS; i++)
			lu_detach(bed.lu[j], &bed.host[i]);
		lu_close(bed.lu[j], nothing, NULL);
	}
	run();
	for (unsigned j = 0; j < DISKS; j++)
		blk_close(bed.blk[j], nothing, NULL);
	run();
	for (unsigned j = 0; j < DISKS; j++) {
		lu_shared_free(bed.shared[j]);
		range_lock_free(bed.blk_shared[j].ranges);
		mem_free(bed.mem[j]);
	}
	assert(pool_in_use(bed.loop->pool) == 0);
}

static void command_done(struct scsi_task *task)
{
	struct command *c = container_of(task, struct command, task);

	assert(!c->done && task->moved <= task->data_len && task->status != LU_LOST);
	assert((task->status == STATUS_CHECK_CONDITION) == (task->sense_len > 0));
	c->done = true;
	bed.pending--;
	bed.events++;
	free(task->data);
}

static void reset_done(struct scsi_tmf *tmf)
{
	struct management *m = container_of(tmf, struct management, tmf);

	assert(!m->done);
	m->done = true;
	bed.pending--;
	bed.events++;
}

static uint32_t room(const struct scsi_lu *lu, const struct cdb *cdb)
{
	uint64_t len = cdb->id == CDB_UNKNOWN ? 0 : cdb_transfer_len(cdb, lu->block_len);

	return len < ROOM_MAX ? (uint32_t)len : ROOM_MAX;
}

/* The data of a command, exactly as much as there is to be. */
static void lend(struct scsi_task *task, const uint8_t *bytes, size_t len)
{
	task->data = task->data_len ? calloc(1, task->data_len) : NULL;
	if (task->data_len && !task->data)
		abort();
	if (task->direction == CDB_DATA_OUT && len && task->data_len)
		memcpy(task->data, bytes, len < task->data_len ? len : task->data_len);
}

static void submit(struct fuzz_input *in, struct command *c, uint8_t how)
{
	struct scsi_lu *lu = bed.lu[how & OTHER_DISK ? 1 : 0];
	struct scsi_task *task = &c->task;
	size_t len, cdb_len = fuzz_u8(in) % (CDB_MAX_LEN + 1);
	const uint8_t *bytes = fuzz_bytes(in, cdb_len, &len);

	if (len)
		memcpy(c->wire, bytes, len);
	*task = (struct scsi_task) {
		.wire = c->wire, .wire_len = (uint16_t)(len < 16 ? 16 : len),
		.attribute = TASK_SIMPLE, .nexus = &bed.host[how & BY_OTHER ? 1 : 0],
		.done = command_done,
		.direction = how & DATA_OUT ? CDB_DATA_OUT : how & DATA_IN ? CDB_DATA_IN : CDB_NO_DATA,
	};
	task->verdict = cdb_decode(c->wire, task->wire_len, lu->caps, &task->cdb, &task->bad);
	len = fuzz_u16(in);
	bytes = fuzz_bytes(in, how & DATA_OUT ? len : 0, &cdb_len);
	task->data_len = (uint32_t)len;
	if (how & AS_CALLED_FOR && task->cdb.id != CDB_UNKNOWN) {
		task->direction = cdb_direction(&task->cdb);
		task->data_len = room(lu, &task->cdb);
	}
	if (task->direction == CDB_NO_DATA)
		task->data_len = 0;
	lend(task, bytes, cdb_len);
	bed.pending++;
	lu_submit(lu, task);
	if (how & ABORTED && !c->done)
		lu_abort(lu, task);
}

/* A TEST UNIT READY by each host, which learns of what the first command has to learn of. */
static void clear_attentions(void)
{
	static const uint8_t test_unit_ready[] = { 0 };

	for (uint8_t how = 0; how < HOSTS * DISKS; how++) {
		struct fuzz_input in = { test_unit_ready, sizeof(test_unit_ready) };

		submit(&in, &bed.commands[bed.count++], how);
	}
	run();
}

static void reset(struct management *m, uint8_t how)
{
	m->tmf = (struct scsi_tmf) {
		.function = how & BY_OTHER ? TMF_CLEAR_TASK_SET : TMF_LU_RESET,
		.nexus = &bed.host[how & BY_OTHER ? 1 : 0], .done = reset_done,
	};
	bed.pending++;
	lu_manage(bed.lu[how & OTHER_DISK ? 1 : 0], &m->tmf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	uint8_t flags = fuzz_u8(&in);

	bed_init(flags);
	if (!(flags & FRESH))
		clear_attentions();
	for (; in.left && bed.count < COMMANDS; bed.count++) {
		uint8_t how = fuzz_u8(&in);

		fuzz_units++;
		submit(&in, &bed.commands[bed.count], how);
		if (how & RESET)
			reset(&bed.resets[bed.count], how);
		if (!(how & AT_ONCE))
			run();
	}
	run();
	bed_exit();
	return 0;
}
