/*
 * The parameter list of EXTENDED COPY(LID1), SPC-4 §6.4: copy sources and destinations (CSCDs),
 * which it names by their NAA designator, and segments to be copied between them. disk_copy.c
 * has it read and judged as a whole before anything is copied.
 *
 * A CSCD is looked up in the directory for the nexus, and nowhere else.
 */
#include "disk_copy.h"

#include <assert.h>
#include <string.h>

#include "disk_private.h"
#include "field.h"
#include "scsi_data.h"

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

/*
 * What a descriptor means in bytes; else why the copy must not be. Residual data, of segments
 * that are no whole number of blocks on both sides, is neither kept nor padded for anyone.
 */
static uint32_t judge_segment(const struct copy_list *list, const struct segment_descriptor *d,
			      struct copy_segment *s)
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
	if (!copy_is_within(s->source, d->source_lba, d->source_offset, s->left) ||
	    !copy_is_within(s->destination, d->destination_lba, d->destination_offset, s->left))
		return SENSE_COPY_ABORTED;
	s->from = d->source_lba * source_len + d->source_offset;
	s->to = d->destination_lba * destination_len + d->destination_offset;
	return copy_obstacle(list->task, s);
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
		copy_abort(list->disk, list->task, copy->count, reason);
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

bool copy_list_take(struct disk_lu *disk, struct scsi_task *task, struct copy *copy)
{
	struct copy_list list = { .disk = disk, .task = task };

	if (!take_header(&list))
		return false;
	copy->list_id = list.header.list_id;
	copy->is_known = list.header.list_id_usage != LIST_ID_NONE;
	list.at = LIST_HEADER_LEN;
	list.end = list.at + list.header.cscds_len;
	while (list.at < list.end)
		if (!take_cscd(&list))
			return false;
	list.end += list.header.segments_len;
	while (list.at < list.end)
		if (!take_segment(&list, copy))
			return false;
	return true;
}
