#include "disk_bed.h"

#include <string.h>

#include "pool.h"
#include "range_lock.h"
#include "unit.h"

#define TARGET_NAME	"iqn.2024-01.org.example:disk"

static void name_nexus(struct nexus *nexus, char which)
{
	memset(nexus, 0, sizeof(*nexus));
	memcpy(nexus->initiator_name, "iqn.2024-01.org.example:?", 26);
	nexus->initiator_name[24] = which;
	memcpy(nexus->target_name, TARGET_NAME, sizeof(TARGET_NAME));
	nexus->tpgt = 3;
}

static struct scsi_lu *find_nothing(const struct lu_directory *directory,
				    const struct nexus *nexus, uint64_t naa,
				    bool *read_only)
{
	(void)directory;
	(void)nexus;
	(void)naa;
	(void)read_only;
	return NULL;
}

static void take_attention(struct disk_bed *bed, const struct nexus *nexus, uint32_t reason)
{
	static struct command c;

	command_init(&c, bed, &(struct cdb){ .id = CDB_TEST_UNIT_READY });
	c.task.nexus = nexus;
	command_run(&c);
	CU_ASSERT(failed_with(&c, reason));
}

/* A loop, a device and an instance; two nexuses whose first unit attention is taken. */
static void open_instance(struct disk_bed *bed, struct blk_store *store)
{
	bed->loop = loop_new();
	CU_ASSERT_PTR_NOT_NULL_FATAL(bed->loop);
	blk_double_init(&bed->device, store, bed->loop, &bed->shared);
	bed->directory.find = find_nothing;
	bed->lu = disk_lu_open(&bed->device.dev, bed->lu_shared, &bed->directory);
	CU_ASSERT_PTR_NOT_NULL_FATAL(bed->lu);
	name_nexus(&bed->a, 'a');
	name_nexus(&bed->b, 'b');
	lu_attach(bed->lu, &bed->a);
	lu_attach(bed->lu, &bed->b);
	for (int i = 0; i < 2; i++)
		take_attention(bed, i ? &bed->b : &bed->a, SENSE_POWER_ON_OR_RESET);
}

void disk_bed_init(struct disk_bed *bed, uint32_t min_block)
{
	const struct disk_lu_conf plain = { .lun = 0 };

	disk_bed_init_conf(bed, min_block, &plain);
}

void disk_bed_init_conf(struct disk_bed *bed, uint32_t min_block, const struct disk_lu_conf *conf)
{
	struct disk_lu_conf ours = *conf;

	memcpy(ours.target_name, TARGET_NAME, sizeof(TARGET_NAME));
	ours.lun = 7;
	ours.block_len = DISK_BED_BLOCK;
	memset(bed, 0, sizeof(*bed));
	bed->shared.ranges = range_lock_new();
	bed->lu_shared = lu_shared_new(&ours);
	CU_ASSERT_FATAL(bed->shared.ranges && bed->lu_shared);
	blk_store_init(&bed->store, DISK_BED_BLOCKS * DISK_BED_BLOCK, min_block);
	open_instance(bed, &bed->store);
}

void disk_bed_set_ports(struct disk_bed *bed, const uint16_t *tags, unsigned count)
{
	struct lu_port ports[DISK_MAX_PORTS];

	for (unsigned i = 0; i < count; i++) {
		ports[i] = lu_port_of(&bed->a);
		ports[i].tag = tags[i];
	}
	CU_ASSERT(lu_shared_set_ports(bed->lu_shared, ports, count));
	for (int i = 0; i < 2; i++)
		take_attention(bed, i ? &bed->b : &bed->a, SENSE_INQUIRY_CHANGED);
}

void disk_bed_init_second(struct disk_bed *bed, struct disk_bed *first)
{
	memset(bed, 0, sizeof(*bed));
	bed->first = first;
	bed->shared = first->shared;
	bed->lu_shared = first->lu_shared;
	open_instance(bed, &first->store);
}

static void set_flag(void *flag)
{
	*(bool *)flag = true;
}

void disk_bed_free(struct disk_bed *bed)
{
	bool lu_closed = false, blk_closed = false;

	disk_bed_settle(bed);
	lu_detach(bed->lu, &bed->a);
	lu_detach(bed->lu, &bed->b);
	lu_close(bed->lu, set_flag, &lu_closed);
	blk_double_release(&bed->device);
	for (int i = 0; i < 100 && !lu_closed; i++)
		disk_bed_settle(bed);
	CU_ASSERT(lu_closed);
	blk_close(&bed->device.dev, set_flag, &blk_closed);
	CU_ASSERT(blk_closed);
	CU_ASSERT_EQUAL(pool_in_use(bed->loop->pool), 0);
	if (!bed->first) {
		lu_shared_free(bed->lu_shared);
		range_lock_free(bed->shared.ranges);
		blk_store_free(&bed->store);
	}
	loop_free(bed->loop);
}

/* A message to the loop itself arrives in a later turn than what is deferred now. */
struct pause {
	struct loop_msg msg;
	struct loop *loop;
	unsigned turns;
};

static void another_turn(struct loop_msg *msg)
{
	struct pause *pause = container_of(msg, struct pause, msg);

	if (pause->turns-- > 0)
		loop_post(pause->loop, &pause->msg);
	else
		loop_stop(pause->loop);
}

void disk_bed_settle(struct disk_bed *bed)
{
	struct pause pause = { .msg.run = another_turn, .loop = bed->loop, .turns = 8 };

	loop_post(bed->loop, &pause.msg);
	loop_run(bed->loop);
}

void disk_bed_changed(struct disk_bed *bed)
{
	static struct command c;

	bed->device.dev.info.generation++;
	for (int i = 0; i < 4; i++) {
		command_init(&c, bed, &(struct cdb){ .id = CDB_TEST_UNIT_READY });
		c.task.nexus = i % 2 ? &bed->b : &bed->a;
		command_run(&c);
	}
}

static void on_done(struct scsi_task *task)
{
	struct command *c = container_of(task, struct command, task);

	c->ended++;
}

void command_init_raw(struct command *c, struct disk_bed *bed, const uint8_t *wire, size_t len,
		      enum cdb_direction direction, uint32_t data_len)
{
	CU_ASSERT_FATAL(len <= CDB_MAX_LEN && data_len <= COMMAND_ROOM);
	memset(&c->task, 0, sizeof(c->task));
	memset(c->wire, 0, sizeof(c->wire));
	memcpy(c->wire, wire, len);
	c->bed = bed;
	c->ended = 0;
	c->task.wire = c->wire;
	c->task.wire_len = (uint16_t)len;
	c->task.verdict = cdb_decode(c->wire, len, bed->lu->caps, &c->task.cdb, &c->task.bad);
	c->task.direction = direction;
	c->task.data = c->data;
	c->task.data_len = data_len;
	c->task.attribute = TASK_SIMPLE;
	c->task.nexus = &bed->a;
	c->task.done = on_done;
}

void command_init(struct command *c, struct disk_bed *bed, const struct cdb *cdb)
{
	uint8_t wire[CDB_MAX_LEN];
	size_t len = cdb_encode(cdb, wire);
	uint64_t data_len = cdb_transfer_len(cdb, bed->lu->block_len);

	command_init_raw(c, bed, wire, len, cdb_direction(cdb),
			 data_len < COMMAND_ROOM ? (uint32_t)data_len : COMMAND_ROOM);
}

void command_start(struct command *c)
{
	lu_submit(c->bed->lu, &c->task);
	CU_ASSERT_EQUAL(c->ended, 0);
}

void command_run(struct command *c)
{
	command_start(c);
	for (int i = 0; i < 1000 && !c->ended; i++)
		disk_bed_settle(c->bed);
	CU_ASSERT_EQUAL_FATAL(c->ended, 1);
}

void command_do(struct command *c, struct disk_bed *bed, const struct cdb *cdb)
{
	command_init(c, bed, cdb);
	command_run(c);
}

bool is_good(const struct command *c)
{
	return c->ended == 1 && c->task.status == STATUS_GOOD && !c->task.sense_len;
}

static bool parse(const struct command *c, struct sense *sense)
{
	return c->ended == 1 && c->task.status == STATUS_CHECK_CONDITION &&
	       sense_parse(c->task.sense, c->task.sense_len, sense);
}

bool failed_with(const struct command *c, uint32_t reason)
{
	struct sense sense;

	return parse(c, &sense) && sense.reason == reason && !sense.has_field &&
	       !sense.has_information;
}

bool refused_at(const struct command *c, uint32_t reason, uint16_t byte, int bit)
{
	struct sense sense;

	return parse(c, &sense) && sense.reason == reason &&
	       sense.has_field && sense.byte == byte &&
	       sense.in_cdb == (reason == SENSE_INVALID_FIELD_IN_CDB) &&
	       sense.has_bit == (bit >= 0) && (bit < 0 || sense.bit == bit);
}

bool failed_at(const struct command *c, uint32_t reason, uint64_t information)
{
	struct sense sense;

	return parse(c, &sense) && sense.reason == reason && sense.has_information &&
	       sense.information == information;
}

bool moved(const struct command *c, uint32_t bytes, uint64_t wanted)
{
	return c->task.moved == bytes && c->task.wanted == wanted;
}
