/*
 * MODE SENSE and MODE SELECT, (6) and (10) (SPC-4 §6, §7.5; SBC-3 §6.5).
 *
 * All that can be changed is on or off: a set of enum mode_flag in lu_shared, for all
 * nexuses at once. A page is written by its encoder out of such a set; which bits are
 * changeable, and what a list sent to MODE SELECT changes, is found out by encoding
 * pages with one flag on and off. So only the encoders know where a bit is.
 */
#include <assert.h>
#include <string.h>

#include "disk_private.h"
#include "field.h"
#include "scsi_data.h"

enum { PC_CURRENT, PC_CHANGEABLE, PC_DEFAULT, PC_SAVED };	/* page control */

#define ALL_PAGES	0x3f
#define ALL_SUBPAGES	0xff
#define MODE_PAGE_ROOM	32	/* the longest page */
#define MODE_DATA_ROOM	256
#define LONG_BLOCK_DESCRIPTOR_LEN 16

/* Pages -------------------------------------------------------------------------- */

#define PAGE_HEADER_LEN	2

struct page_header {
	bool	ps, spf;
	uint8_t code, len;	/* the bytes after the header */
};

#define FIELD_STRUCT struct page_header
static const struct field page_header[] = {
	FIELD_BIT(ps, 0, 7), FIELD_BIT(spf, 0, 6), FIELD(code, 0, 5, 6), FIELD_U8(len, 1), FIELD_END
};
#undef FIELD_STRUCT

static size_t put_header(uint8_t code, size_t whole, uint8_t *wire)
{
	const struct page_header header = {
		.code = code, .len = (uint8_t)(whole - PAGE_HEADER_LEN),
	};

	memset(wire, 0, whole);
	field_encode(page_header, &header, wire);
	return whole;
}

/* 01h Read-Write Error Recovery, SBC-3 §6.5.8: the device recovers as it can, always. */
struct error_recovery {
	bool awre, arre;
};

#define FIELD_STRUCT struct error_recovery
static const struct field error_recovery[] = {
	FIELD_BIT(awre, 2, 7), FIELD_BIT(arre, 2, 6), FIELD_END
};
#undef FIELD_STRUCT

static size_t put_error_recovery(unsigned flags, uint8_t *wire)
{
	const struct error_recovery page = { .awre = true, .arre = true };
	size_t len = put_header(0x01, 12, wire);

	(void)flags;
	field_encode(error_recovery, &page, wire);
	return len;
}

static size_t put_caching(unsigned flags, uint8_t *wire)
{
	const struct mode_caching page = { .wce = flags & MODE_WCE };

	return mode_caching_encode(&page, wire);
}

/* 0Ah Control, SPC-4 §7.5.8: one task set for all nexuses, reordered at will, TAS = 0. */
struct control {
	bool	 d_sense, gltsd, swp;
	uint8_t	 queue_algorithm_modifier;
	uint16_t busy_timeout_period;	/* 100 ms; ffffh: no limit */
};

#define FIELD_STRUCT struct control
static const struct field control[] = {
	FIELD_BIT(d_sense, 2, 2), FIELD_BIT(gltsd, 2, 1), FIELD(queue_algorithm_modifier, 3, 7, 4),
	FIELD_BIT(swp, 4, 3), FIELD_U16(busy_timeout_period, 8), FIELD_END
};
#undef FIELD_STRUCT

static size_t put_control(unsigned flags, uint8_t *wire)
{
	const struct control page = {
		.d_sense = flags & MODE_D_SENSE,
		.gltsd = true,
		.queue_algorithm_modifier = 1,
		.swp = flags & MODE_SWP,
		.busy_timeout_period = 0xffff,
	};
	size_t len = put_header(0x0a, 12, wire);

	field_encode(control, &page, wire);
	return len;
}

/* 1Ch Informational Exceptions Control, SPC-4 §7.5.13: there are none to report. */
struct informational_exceptions {
	bool dexcpt;
};

#define FIELD_STRUCT struct informational_exceptions
static const struct field informational_exceptions[] = { FIELD_BIT(dexcpt, 2, 3), FIELD_END };
#undef FIELD_STRUCT

static size_t put_informational_exceptions(unsigned flags, uint8_t *wire)
{
	const struct informational_exceptions page = { .dexcpt = true };
	size_t len = put_header(0x1c, 12, wire);

	(void)flags;
	field_encode(informational_exceptions, &page, wire);
	return len;
}

/* Ascending, as page 3Fh returns them. */
static const struct mode_page {
	uint8_t code;
	size_t (*put)(unsigned flags, uint8_t *wire);	/* whole page; returns its length */
} pages[] = {
	{ 0x01, put_error_recovery },
	{ 0x08, put_caching },
	{ 0x0a, put_control },
	{ 0x1c, put_informational_exceptions },
};
#define PAGE_COUNT	(sizeof(pages) / sizeof(pages[0]))

static const struct mode_page *page_find(uint8_t code)
{
	for (size_t i = 0; i < PAGE_COUNT; i++)
		if (pages[i].code == code)
			return &pages[i];
	return NULL;
}

static const enum mode_flag all_flags[] = { MODE_WCE, MODE_D_SENSE, MODE_SWP };
#define FLAG_COUNT	(sizeof(all_flags) / sizeof(all_flags[0]))

/* Without a cache there is none to switch on. */
static unsigned changeable_flags(const struct disk_lu *disk)
{
	return MODE_D_SENSE | MODE_SWP | (disk->dev->info.can_flush ? MODE_WCE : 0);
}

static unsigned flags_of(const struct disk_lu *disk, uint8_t pc)
{
	unsigned flags = pc == PC_DEFAULT ? MODE_DEFAULTS : atomic_load(&disk_shared(disk)->mode);

	return flags & changeable_flags(disk);
}

/* The bits of a page that "flags" switch on; all else is zero. */
static void mask_of(const struct mode_page *page, unsigned flags, uint8_t *wire)
{
	uint8_t off[MODE_PAGE_ROOM];
	size_t len = page->put(flags, wire);

	page->put(0, off);
	for (size_t i = 0; i < len; i++)
		wire[i] ^= off[i];
}

static size_t put_page(const struct disk_lu *disk, const struct mode_page *page, uint8_t pc,
		       uint8_t *wire)
{
	uint8_t mask[MODE_PAGE_ROOM];
	size_t len;

	if (pc != PC_CHANGEABLE)
		return page->put(flags_of(disk, pc), wire);
	mask_of(page, changeable_flags(disk), mask);
	len = page->put(0, wire);
	memcpy(wire + PAGE_HEADER_LEN, mask + PAGE_HEADER_LEN, len - PAGE_HEADER_LEN);
	return len;
}

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

	if (cdb->page != ALL_PAGES && !page_find(cdb->page))
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
	for (size_t i = 0; i < PAGE_COUNT; i++)
		if (task->cdb.page == ALL_PAGES || task->cdb.page == pages[i].code)
			at += put_page(disk, &pages[i], task->cdb.pc, wire + at);
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

/* Switch on and off what the page's bits say. */
static void take_flags(struct selection *s, const struct mode_page *page, const uint8_t *wire,
		       size_t len)
{
	uint8_t mask[MODE_PAGE_ROOM];

	for (size_t f = 0; f < FLAG_COUNT; f++) {
		if (!(changeable_flags(s->disk) & all_flags[f]))
			continue;
		mask_of(page, all_flags[f], mask);
		for (size_t i = 0; i < len; i++) {
			if (mask[i] & wire[i])
				s->flags |= all_flags[f];
			else if (mask[i])
				s->flags &= ~(unsigned)all_flags[f];
		}
	}
}

static bool take_page(struct selection *s)
{
	const uint8_t *wire = s->task->data + s->at;
	uint8_t current[MODE_PAGE_ROOM], changeable[MODE_PAGE_ROOM], changed[MODE_PAGE_ROOM];
	const struct mode_page *page;
	struct page_header header;
	uint16_t byte;
	uint8_t bit;
	size_t len;

	if (s->len - s->at < PAGE_HEADER_LEN)
		return wrong_length(s);
	field_decode(page_header, wire, PAGE_HEADER_LEN, &header);
	page = page_find(header.code);
	if (!page)
		return wrong_byte(s, s->at, 5);
	if (header.spf)
		return wrong_byte(s, s->at, 6);
	len = page->put(flags_of(s->disk, PC_CURRENT), current);
	if (header.len != len - PAGE_HEADER_LEN)
		return wrong_byte(s, s->at + 1, -1);
	if (s->len - s->at < len)
		return wrong_length(s);
	mask_of(page, changeable_flags(s->disk), changeable);
	for (size_t i = PAGE_HEADER_LEN; i < len; i++)
		changed[i] = wire[i] ^ current[i];
	memset(changed, 0, PAGE_HEADER_LEN);
	if (field_unclaimed(changeable, changed, len, &byte, &bit))
		return wrong_byte(s, s->at + byte, bit);
	take_flags(s, page, wire, len);
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
