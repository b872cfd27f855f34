/*
 * MODE SENSE and MODE SELECT, (6) and (10) (SPC-4 §6, §7.5; SBC-3 §6.5).
 *
 * All that can be changed is on or off: a set of enum mode_flag in lu_shared, for all
 * nexuses at once. What is in a page is disk_mode_page.c's.
 */
#include "disk_mode.h"

#include <assert.h>

#include "field.h"
#include "scsi_data.h"

#define ALL_PAGES	0x3f
#define ALL_SUBPAGES	0xff
#define MODE_DATA_ROOM	256
#define LONG_BLOCK_DESCRIPTOR_LEN 16

/* Block descriptors --------------------------------------------------------------- */

struct block_descriptor {
	uint64_t blocks;
	uint32_t block_len;
};

#define FIELD_STRUCT struct block_descriptor
static const struct field short_descriptor[] = {
	FIELD_U32(blocks, 0), FIELD_U24(block_len, 5), FIELD_END
};
static const struct field long_descriptor[] = {
	FIELD_U64(blocks, 0), FIELD_U32(block_len, 12), FIELD_END
};
#undef FIELD_STRUCT

static struct block_descriptor describe_blocks(const struct disk_lu *disk, bool long_lba)
{
	struct block_descriptor d = {
		.blocks = disk_blocks(disk), .block_len = disk->lu.block_len,
	};

	if (!long_lba && d.blocks > UINT32_MAX)
		d.blocks = UINT32_MAX;		/* SBC-3 §6.5.2.2: "more than that" */
	return d;
}

static size_t put_block_descriptor(const struct disk_lu *disk, bool long_lba, uint8_t *wire)
{
	const struct block_descriptor d = describe_blocks(disk, long_lba);

	field_encode(long_lba ? long_descriptor : short_descriptor, &d, wire);
	return long_lba ? LONG_BLOCK_DESCRIPTOR_LEN : MODE_BLOCK_DESCRIPTOR_LEN;
}

/* MODE SENSE ---------------------------------------------------------------------- */

static bool is_ten(const struct scsi_task *task)
{
	return task->cdb.id == CDB_MODE_SENSE_10 || task->cdb.id == CDB_MODE_SELECT_10;
}

/* There are no subpages: only 00h, and FFh for "all there are". */
static bool is_valid_sense(struct disk_lu *disk, struct scsi_task *task)
{
	const struct cdb *cdb = &task->cdb;

	if (cdb->page != ALL_PAGES && !mode_page_find(cdb->page))
		disk_refuse_field(disk, task, page);
	else if (cdb->subpage && cdb->subpage != ALL_SUBPAGES)
		disk_refuse_field(disk, task, subpage);
	else if (cdb->pc == PC_SAVED)
		disk_refuse(disk, task, SENSE_SAVING_NOT_SUPPORTED);
	else
		return true;
	return false;
}

void disk_mode_sense(struct disk_lu *disk, struct scsi_task *task)
{
	bool ten = is_ten(task);
	size_t header_len = ten ? MODE_HEADER_10_LEN : MODE_HEADER_6_LEN, at = header_len;
	uint8_t wire[MODE_DATA_ROOM] = { 0 };
	struct mode_header header = {
		.wp = disk_write_protected(disk) || task->read_only,
		.dpofua = true,
		.long_lba = task->cdb.llbaa && !task->cdb.dbd,
	};

	if (!is_valid_sense(disk, task))
		return;
	if (!task->cdb.dbd)
		at += put_block_descriptor(disk, header.long_lba, wire + at);
	header.block_descriptor_len = (uint16_t)(at - header_len);
	for (size_t i = 0; i < mode_page_count; i++)
		if (task->cdb.page == ALL_PAGES || task->cdb.page == mode_pages[i].code)
			at += mode_page_put(disk, &mode_pages[i], task->cdb.pc, wire + at);
	assert(at <= sizeof(wire));
	/* MODE DATA LENGTH does not count itself. */
	header.data_len = (uint16_t)(at - (ten ? 2 : 1));
	mode_header_encode(&header, ten, wire);
	disk_reply(disk, task, wire, at, task->cdb.alloc_len);
}

/* MODE SELECT --------------------------------------------------------------------- */

/* A parameter list as it is read; nothing of it takes effect before all of it is right. */
struct selection {
	struct disk_lu *disk;
	struct scsi_task *task;		/* finished when something was wrong */
	size_t len, at;
	unsigned flags;			/* what they will be */
};

static bool wrong_length(struct selection *s)
{
	disk_refuse(s->disk, s->task, SENSE_PARAMETER_LIST_LENGTH);
	return false;
}

static bool wrong_byte(struct selection *s, size_t byte, int bit)
{
	disk_refuse_parameter(s->disk, s->task, byte, bit);
	return false;
}

/* The geometry cannot be changed: what a host sends back must be what it was told (or "as it
 * is": 0 blocks, all ones). */
static bool take_block_descriptor(struct selection *s, bool long_lba)
{
	const struct block_descriptor ours = describe_blocks(s->disk, long_lba);
	const struct field *table = long_lba ? long_descriptor : short_descriptor;
	size_t len = long_lba ? LONG_BLOCK_DESCRIPTOR_LEN : MODE_BLOCK_DESCRIPTOR_LEN;
	uint64_t as_it_is = long_lba ? UINT64_MAX : UINT32_MAX;
	struct block_descriptor theirs;

	if (s->len - s->at < len)
		return wrong_length(s);
	field_decode(table, s->task->data + s->at, len, &theirs);
	if (theirs.blocks && theirs.blocks != ours.blocks && theirs.blocks != as_it_is)
		return wrong_byte(s, s->at + table[0].byte, -1);
	if (theirs.block_len != ours.block_len)
		return wrong_byte(s, s->at + table[1].byte, -1);
	s->at += len;
	return true;
}

static bool take_header(struct selection *s)
{
	bool ten = is_ten(s->task);
	struct mode_header header;

	if (!mode_header_decode(s->task->data, s->len, ten, &header))
		return wrong_length(s);
	s->at = ten ? MODE_HEADER_10_LEN : MODE_HEADER_6_LEN;
	if (header.medium_type)
		return wrong_byte(s, ten ? 2 : 1, -1);
	if (!header.block_descriptor_len)
		return true;
	if (header.block_descriptor_len !=
	    (header.long_lba ? LONG_BLOCK_DESCRIPTOR_LEN : MODE_BLOCK_DESCRIPTOR_LEN))
		return wrong_byte(s, s->at - (ten ? 2 : 1), -1);
	return take_block_descriptor(s, header.long_lba);
}

static bool take_page(struct selection *s)
{
	const uint8_t *wire = s->task->data + s->at;
	uint8_t current[MODE_PAGE_ROOM];
	const struct mode_page *page;
	struct mode_page_header header;
	uint16_t byte;
	uint8_t bit;
	size_t len;

	if (s->len - s->at < MODE_PAGE_HEADER_LEN)
		return wrong_length(s);
	mode_page_header_decode(wire, &header);
	page = mode_page_find(header.code);
	if (!page)
		return wrong_byte(s, s->at, 5);
	if (header.spf)
		return wrong_byte(s, s->at, 6);
	len = mode_page_put(s->disk, page, PC_CURRENT, current);
	if (header.len != len - MODE_PAGE_HEADER_LEN)
		return wrong_byte(s, s->at + 1, -1);
	if (s->len - s->at < len)
		return wrong_length(s);
	if (!mode_page_may_be(s->disk, page, wire, &byte, &bit))
		return wrong_byte(s, s->at + byte, bit);
	s->flags = mode_page_flags(s->disk, page, wire, s->flags);
	s->at += len;
	return true;
}

/* What has been written back so far stays in the cache no longer than what is to come. */
static void put_into_effect(struct disk_lu *disk, struct scsi_task *task, unsigned flags)
{
	unsigned before = atomic_exchange(&disk_shared(disk)->mode, flags);
	struct disk_op *op;

	if (before != flags)
		lu_shared_raise(disk_shared(disk), task->nexus, ATTENTION_MODE_PARAMETERS_CHANGED);
	if (!(before & ~flags & MODE_WCE)) {
		disk_good(disk, task);
		return;
	}
	op = disk_op_new(disk, task);
	if (op)
		disk_op_request(op, BLK_FLUSH, 0, 0, 0, NULL, disk_op_done);
}

void disk_mode_select(struct disk_lu *disk, struct scsi_task *task)
{
	struct selection s = {
		.disk = disk, .task = task, .len = task->cdb.param_len,
		.flags = atomic_load(&disk_shared(disk)->mode),
	};

	if (task->cdb.sp) {
		disk_refuse_field(disk, task, sp);	/* there is nowhere to save to */
		return;
	}
	if (!s.len) {
		disk_good(disk, task);
		return;
	}
	if (!task->cdb.pf) {
		disk_refuse_field(disk, task, pf);	/* a vendor's own format: we have none */
		return;
	}
	if (disk_arrived(task) < s.len) {
		wrong_length(&s);
		return;
	}
	if (!take_header(&s))
		return;
	while (s.at < s.len)
		if (!take_page(&s))
			return;
	put_into_effect(disk, task, s.flags);
}
