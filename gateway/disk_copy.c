/*
 * EXTENDED COPY(LID1), SPC-4 §6.4: from blocks to blocks, between logical units that the
 * nexus of the command has.
 *
 * The parameter list names copy sources and destinations (CSCDs) by their NAA designator,
 * and segments to be copied between them. All of it is judged before anything is copied.
 * A CSCD is looked up in the directory for the nexus, and nowhere else; reservations,
 * write protection and the ends of both units are looked at again before every window of
 * data, for they may change while the copy runs.
 *
 * The operation is of the unit that the command was sent to. Its requests go to the units
 * that it copies between, which are instances of the same worker, one at a time: a read
 * into the window, the wait for the destination's range, a write.
 */
#include "disk_copy.h"

#include <assert.h>
#include <string.h>

#include "disk_private.h"
#include "field.h"
#include "pool.h"
#include "scsi_data.h"

/* One segment, judged; in bytes. */
struct segment {
	struct disk_lu *source, *destination;
	uint64_t from, to, left;
	bool	 read_only;		/* the nexus may not write to the destination */
};

struct copy {
	struct copy_record *record;	/* NULL: nobody will ask after it */
	struct segment segments[COPY_MAX_SEGMENTS];
	unsigned count, current;
};

/* The parameter list ---------------------------------------------------------------- */

enum list_id_usage { LIST_ID_HOLD, LIST_ID_RESERVED, LIST_ID_DISCARD, LIST_ID_NONE };

struct list_header {
	uint8_t	 list_id, list_id_usage;
	uint16_t cscds_len;
	uint32_t segments_len, inline_len;
};

#define FIELD_STRUCT struct list_header
static const struct field list_header[] = {
	FIELD_U8(list_id, 0), FIELD(list_id_usage, 1, 4, 2), FIELD_U16(cscds_len, 2),
	FIELD_U32(segments_len, 8), FIELD_U32(inline_len, 12), FIELD_END
};
#undef FIELD_STRUCT
#define LIST_HEADER_LEN		16

/* Identification descriptor CSCD descriptor, SPC-4 §6.4.5.5, of a block device with an NAA. LU
 * ID TYPE says nothing here: it is about a LUN, which descriptors of other types hold. */
struct cscd {
	uint8_t	 type, device_type;
	bool	 nul;
	uint8_t	 code_set, association, designator_type, designator_len;
	uint64_t naa;
	uint32_t block_len;
};

#define FIELD_STRUCT struct cscd
static const struct field cscd_fields[] = {
	FIELD_U8(type, 0), FIELD_BIT(nul, 1, 5), FIELD(device_type, 1, 4, 5),
	FIELD(code_set, 4, 3, 4), FIELD(association, 5, 5, 2), FIELD(designator_type, 5, 3, 4),
	FIELD_U8(designator_len, 7), FIELD_U64(naa, 8), FIELD_U24(block_len, 29), FIELD_END
};
#undef FIELD_STRUCT
#define CSCD_BLOCK_LEN_AT	29

/* Segment descriptors, SPC-4 §6.4.6.3 and §6.4.6.10. */
struct segment_descriptor {
	uint8_t	 type;
	bool	 dc;			/* the count is in blocks of the destination */
	uint16_t len, source, destination;
	uint32_t count;			/* blocks or bytes */
	uint64_t source_lba, destination_lba;
	uint16_t source_offset, destination_offset;	/* bytes */
};

#define FIELD_STRUCT struct segment_descriptor
#define SEGMENT_FIELDS \
	FIELD_U8(type, 0), FIELD_U16(len, 2), FIELD_U16(source, 4), FIELD_U16(destination, 6)
static const struct field segment_any[] = { SEGMENT_FIELDS, FIELD_END };
static const struct field segment_blocks[] = {
	SEGMENT_FIELDS, FIELD_BIT(dc, 1, 1), FIELD(count, 10, 7, 16), FIELD_U64(source_lba, 12),
	FIELD_U64(destination_lba, 20), FIELD_END
};
static const struct field segment_bytes[] = {
	SEGMENT_FIELDS, FIELD_U32(count, 8), FIELD_U64(source_lba, 12),
	FIELD_U64(destination_lba, 20), FIELD_U16(source_offset, 28),
	FIELD_U16(destination_offset, 30), FIELD_END
};
#undef FIELD_STRUCT
#define SEGMENT_HEADER_LEN	4
enum { SEGMENT_LEN_AT = 2, SEGMENT_COUNT_AT = 8 };

/* A parameter list as it is read. What finds a fault in it says so and finishes the task. */
struct copy_list {
	struct disk_lu *disk;
	struct scsi_task *task;
	struct list_header header;
	size_t	 at, end;		/* of the descriptors that are being read */
	struct disk_lu *cscds[COPY_MAX_CSCDS];	/* NULL: not within reach */
	bool	 read_only[COPY_MAX_CSCDS];
	unsigned cscd_count;
};

static bool refuse(struct copy_list *list, uint32_t reason)
{
	disk_refuse(list->disk, list->task, reason);
	return false;
}

static bool refuse_at(struct copy_list *list, size_t byte, int bit)
{
	disk_refuse_parameter(list->disk, list->task, byte, bit);
	return false;
}

/* SPC-4 §6.4.4: what ends a copy rather than refuses it names the segment, in the third and
 * fourth byte of the field. */
static void abort_copy(struct disk_lu *disk, struct scsi_task *task, unsigned segment,
		       uint32_t reason)
{
	const struct sense sense = { .reason = reason, .command_specific = segment };

	disk_sense(disk, task, &sense);
	disk_finish(disk, task);
}

/* The unit, if the nexus has it. A null device has no data, and we are no tape. */
static struct disk_lu *reach(const struct copy_list *list, const struct cscd *cscd, bool *read_only)
{
	const struct lu_directory *directory = list->disk->directory;
	struct scsi_lu *lu;

	if (cscd->nul || cscd->device_type || cscd->designator_type != DESIGNATOR_NAA ||
	    cscd->code_set != CODE_SET_BINARY || cscd->association != OF_UNIT ||
	    cscd->designator_len != sizeof(cscd->naa) || !list->task->nexus)
		return NULL;
	lu = directory->find(directory, list->task->nexus, cscd->naa, read_only);
	if (!lu)
		return NULL;
	assert(lu->interprets && lu->loop == list->disk->lu.loop);
	return disk_of(lu);
}

static bool take_cscd(struct copy_list *list)
{
	struct disk_lu **slot = &list->cscds[list->cscd_count];
	bool *read_only = &list->read_only[list->cscd_count++];
	struct cscd cscd;

	field_decode(cscd_fields, list->task->data + list->at, CSCD_LEN, &cscd);
	if (cscd.type != CSCD_IDENTIFICATION)
		return refuse(list, SENSE_UNSUPPORTED_COPY_TARGET);
	*slot = reach(list, &cscd, read_only);
	/* A host that thinks of other blocks would have others copied than it means. */
	if (*slot && cscd.block_len != (*slot)->lu.block_len)
		return refuse_at(list, list->at + CSCD_BLOCK_LEN_AT, 7);
	list->at += CSCD_LEN;
	return true;
}

static bool is_within(const struct disk_lu *disk, uint64_t lba, uint64_t offset, uint64_t len)
{
	uint64_t blocks = disk_blocks(disk), rest;

	if (lba > blocks)
		return false;
	rest = (blocks - lba) * disk->lu.block_len;
	return offset <= rest && len <= rest - offset;
}

/* Why this segment's data, or what is left of it, must not be copied now; else SENSE_NONE. */
static uint32_t obstacle(const struct scsi_task *task, const struct segment *s)
{
	struct sense sense;

	/* ASC 21h would say more, but no host expects it with this key: the segment has to do. */
	if (!is_within(s->source, 0, s->from, s->left) ||
	    !is_within(s->destination, 0, s->to, s->left))
		return SENSE_COPY_ABORTED;
	if (disk_sanitize_sense(s->source, &sense) || disk_sanitize_sense(s->destination, &sense))
		return SENSE_COPY_TARGET_UNREACHABLE;
	if (disk_conflicts(s->source, task, ACCESS_READ) ||
	    disk_conflicts(s->destination, task, ACCESS_WRITE) ||
	    disk_write_protected(s->destination) || s->read_only)
		return SENSE_THIRD_PARTY_DEVICE_FAILURE;
	return SENSE_NONE;
}

/*
 * What a descriptor means in bytes; else why the copy must not be. Residual data, of segments
 * that are no whole number of blocks on both sides, is neither kept nor padded for anyone.
 */
static uint32_t judge_segment(const struct copy_list *list, const struct segment_descriptor *d,
			      struct segment *s)
{
	uint32_t source_len, destination_len;

	s->source = d->source < list->cscd_count ? list->cscds[d->source] : NULL;
	s->destination = d->destination < list->cscd_count ? list->cscds[d->destination] : NULL;
	if (!s->source || !s->destination)
		return SENSE_COPY_TARGET_UNREACHABLE;
	s->read_only = list->read_only[d->destination];
	source_len = s->source->lu.block_len;
	destination_len = s->destination->lu.block_len;
	s->left = d->count;
	if (d->type == SEGMENT_BLOCKS)
		s->left *= d->dc ? destination_len : source_len;
	if (d->type == SEGMENT_BLOCKS && (s->left % source_len || s->left % destination_len))
		return SENSE_INEXACT_COPY_SEGMENT;
	if (!is_within(s->source, d->source_lba, d->source_offset, s->left) ||
	    !is_within(s->destination, d->destination_lba, d->destination_offset, s->left))
		return SENSE_COPY_ABORTED;
	s->from = d->source_lba * source_len + d->source_offset;
	s->to = d->destination_lba * destination_len + d->destination_offset;
	return obstacle(list->task, s);
}

/* Read the descriptor at list->at, of which only those of two kinds can be read. */
static bool decode_segment(struct copy_list *list, struct segment_descriptor *d)
{
	const uint8_t *wire = list->task->data + list->at;
	size_t room = list->end - list->at, len;

	memset(d, 0, sizeof(*d));
	field_decode(segment_any, wire, room, d);
	if (d->type != SEGMENT_BLOCKS && d->type != SEGMENT_BYTES)
		return refuse(list, SENSE_UNSUPPORTED_COPY_SEGMENT);
	len = d->type == SEGMENT_BLOCKS ? SEGMENT_BLOCKS_LEN : SEGMENT_BYTES_LEN;
	if (room < len)
		return refuse(list, SENSE_PARAMETER_LIST_LENGTH);
	if (d->len != len - SEGMENT_HEADER_LEN)
		return refuse_at(list, list->at + SEGMENT_LEN_AT, 7);
	field_decode(d->type == SEGMENT_BLOCKS ? segment_blocks : segment_bytes, wire, len, d);
	if (d->type == SEGMENT_BYTES && d->count > COPY_MAX_SEGMENT)
		return refuse_at(list, list->at + SEGMENT_COUNT_AT, 7);
	list->at += len;
	return true;
}

static bool take_segment(struct copy_list *list, struct copy *copy)
{
	struct segment_descriptor d;
	uint32_t reason;

	if (copy->count == COPY_MAX_SEGMENTS)
		return refuse(list, SENSE_TOO_MANY_COPY_SEGMENTS);
	if (!decode_segment(list, &d))
		return false;
	reason = judge_segment(list, &d, &copy->segments[copy->count]);
	if (reason != SENSE_NONE) {
		abort_copy(list->disk, list->task, copy->count, reason);
		return false;
	}
	copy->count++;
	return true;
}

/* Is there room for the descriptors that the header announces, and are they not too many? */
static bool take_header(struct copy_list *list)
{
	const struct list_header *h = &list->header;
	uint32_t len = list->task->cdb.param_len;

	if (len < LIST_HEADER_LEN || disk_arrived(list->task) < len)
		return refuse(list, SENSE_PARAMETER_LIST_LENGTH);
	field_decode(list_header, list->task->data, LIST_HEADER_LEN, &list->header);
	if (h->list_id_usage == LIST_ID_RESERVED)
		return refuse_at(list, 1, 4);
	if (h->list_id_usage == LIST_ID_NONE && h->list_id)
		return refuse_at(list, 0, 7);
	len -= LIST_HEADER_LEN;
	if ((uint64_t)h->cscds_len + h->segments_len > len || h->cscds_len % CSCD_LEN)
		return refuse(list, SENSE_PARAMETER_LIST_LENGTH);
	if ((uint64_t)h->cscds_len + h->segments_len > COPY_MAX_LIST)
		return refuse(list, SENSE_PARAMETER_LIST_LENGTH);
	if (h->cscds_len > COPY_MAX_CSCDS * CSCD_LEN)
		return refuse(list, SENSE_TOO_MANY_COPY_TARGETS);
	if (h->inline_len)
		return refuse(list, SENSE_INLINE_DATA_LENGTH);
	return true;
}

/* False: the task is finished, and nothing has been copied. */
static bool judge(struct copy_list *list, struct copy *copy)
{
	if (!take_header(list))
		return false;
	list->at = LIST_HEADER_LEN;
	list->end = list->at + list->header.cscds_len;
	while (list->at < list->end)
		if (!take_cscd(list))
			return false;
	list->end += list->header.segments_len;
	while (list->at < list->end)
		if (!take_segment(list, copy))
			return false;
	return true;
}

/* Copying --------------------------------------------------------------------------- */

static void abort_running(struct disk_op *op, uint32_t reason)
{
	abort_copy(op->disk, op->task, op->copy->current, reason);
}

void disk_copy_failed(struct disk_op *op)
{
	/* What passes with time is not the devices' failure. */
	op->task->status = errmap_status(op->req.error);
	if (op->task->status == STATUS_CHECK_CONDITION)
		abort_running(op, SENSE_THIRD_PARTY_DEVICE_FAILURE);
	else
		disk_finish(op->disk, op->task);
}

static void next_window(struct disk_op *op);

static void window_written(struct disk_op *op)
{
	struct copy *copy = op->copy;
	struct segment *s = &copy->segments[copy->current];

	s->from += op->req.length;
	s->to += op->req.length;
	s->left -= op->req.length;
	if (copy->record)
		copy->record->bytes += (uint32_t)op->req.length;
	next_window(op);
}

static void write_window(struct disk_op *op)
{
	const struct segment *s = &op->copy->segments[op->copy->current];
	uint32_t reason = obstacle(op->task, s);

	if (reason == SENSE_NONE)
		disk_op_request(op, BLK_WRITE, disk_fua(s->destination, op->task), s->to,
				op->req.length, op->buffer, window_written);
	else
		abort_running(op, reason);
}

static void window_read(struct disk_op *op)
{
	const struct segment *s = &op->copy->segments[op->copy->current];

	op->where = s->destination;
	write_window(op);
}

static void next_window(struct disk_op *op)
{
	struct copy *copy = op->copy;
	struct segment *s;
	uint32_t reason;

	while (copy->current < copy->count && !copy->segments[copy->current].left)
		copy->current++;
	if (copy->record)
		copy->record->segments = (uint16_t)copy->current;
	if (copy->current == copy->count) {
		disk_op_done(op);
		return;
	}
	s = &copy->segments[copy->current];
	reason = obstacle(op->task, s);
	if (reason != SENSE_NONE) {
		abort_running(op, reason);
		return;
	}
	op->where = s->source;
	disk_op_request(op, BLK_READ, 0, s->from, s->left < COPY_WINDOW ? s->left : COPY_WINDOW,
			op->buffer, window_read);
}

void disk_copy_end(struct disk_op *op)
{
	struct copy_record *record = op->copy->record;
	const struct scsi_task *task = op->task;

	if (record) {
		record->running = false;
		record->status = task->status;
		record->sense_len = task->sense_len;
		memcpy(record->sense, task->sense, task->sense_len);
	}
	op->disk->copies.running--;
	pool_put(op->disk->lu.loop->pool, op->copy, sizeof(*op->copy));
}

/* An operation with a copy of its own; NULL: no memory, the task is finished. */
static struct disk_op *begin(struct disk_lu *disk, struct scsi_task *task,
			     const struct copy *copy, const struct list_header *header)
{
	struct disk_op *op = disk_op_new(disk, task);

	if (!op || !disk_op_buffer(op, COPY_WINDOW))
		return NULL;
	op->copy = pool_get(disk->lu.loop->pool, sizeof(*op->copy));
	if (!op->copy) {
		task->status = STATUS_TASK_SET_FULL;
		disk_finish(disk, task);
		return NULL;
	}
	*op->copy = *copy;
	disk->copies.running++;
	if (header->list_id_usage != LIST_ID_NONE && task->nexus) {
		op->copy->record = copy_record_new(&disk->copies, task->nexus, header->list_id);
		op->copy->record->number = op->number;
	}
	return op;
}

void disk_extended_copy(struct disk_lu *disk, struct scsi_task *task)
{
	struct copy_list list = { .disk = disk, .task = task };
	struct copy copy = { 0 };
	struct copy_record *earlier;
	struct disk_op *op;

	if (!task->cdb.param_len) {
		disk_good(disk, task);	/* SPC-4 §6.4.2: no error */
		return;
	}
	if (!judge(&list, &copy))
		return;
	earlier = copy_record_find(&disk->copies, task->nexus, list.header.list_id);
	if (earlier && earlier->running && list.header.list_id_usage != LIST_ID_NONE) {
		disk_refuse(disk, task, SENSE_OPERATION_IN_PROGRESS);
		return;
	}
	if (disk->copies.running == COPY_MAX_RUNNING || !copy_records_ready(&disk->copies)) {
		task->status = STATUS_TASK_SET_FULL;
		disk_finish(disk, task);
		return;
	}
	op = begin(disk, task, &copy, &list.header);
	if (op)
		next_window(op);
}
