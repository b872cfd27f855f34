#include "copy_bed.h"

#include <string.h>

#include "field.h"
#include "range_lock.h"
#include "scsi_data.h"
#include "unit.h"

struct disk_bed bed;
struct neighbour neighbour;
struct param_list list;
bool neighbour_read_only;

static struct scsi_lu *find(const struct lu_directory *directory, const struct nexus *nexus,
			    uint64_t naa, bool *read_only)
{
	CU_ASSERT_PTR_EQUAL(directory, &bed.directory);
	*read_only = naa == lu_shared_naa(neighbour.lu_shared) && neighbour_read_only;
	if (naa == lu_shared_naa(bed.lu_shared))
		return bed.lu;
	if (naa == lu_shared_naa(neighbour.lu_shared) && nexus == &bed.a)
		return neighbour.lu;
	return NULL;
}

static void open_neighbour(void)
{
	static const struct disk_lu_conf conf = {
		.target_name = "iqn.2024-01.org.example:disk", .lun = 8,
		.block_len = NEIGHBOUR_BLOCK,
	};

	neighbour.shared.ranges = range_lock_new();
	neighbour.lu_shared = lu_shared_new(&conf);
	CU_ASSERT_FATAL(neighbour.shared.ranges && neighbour.lu_shared);
	blk_store_init(&neighbour.store, NEIGHBOUR_BLOCKS * NEIGHBOUR_BLOCK, 1);
	blk_double_init(&neighbour.device, &neighbour.store, bed.loop, &neighbour.shared);
	neighbour.lu = disk_lu_open(&neighbour.device.dev, neighbour.lu_shared, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(neighbour.lu);
	lu_attach(neighbour.lu, &bed.a);
	lu_attach(neighbour.lu, &bed.b);
}

void copy_bed_init(void)
{
	disk_bed_init(&bed, 1);
	bed.directory.find = find;
	open_neighbour();
	for (size_t i = 0; i < bed.store.size; i++)
		bed.store.bytes[i] = (uint8_t)(i * 31 >> 5);
}

static void set_flag(void *flag)
{
	*(bool *)flag = true;
}

void copy_bed_free(void)
{
	bool lu_closed = false, blk_closed = false;

	disk_bed_settle(&bed);
	lu_detach(neighbour.lu, &bed.a);
	lu_detach(neighbour.lu, &bed.b);
	lu_close(neighbour.lu, set_flag, &lu_closed);
	disk_bed_settle(&bed);
	CU_ASSERT(lu_closed);
	blk_close(&neighbour.device.dev, set_flag, &blk_closed);
	CU_ASSERT(blk_closed);
	lu_shared_free(neighbour.lu_shared);
	range_lock_free(neighbour.shared.ranges);
	blk_store_free(&neighbour.store);
	disk_bed_free(&bed);
}

/* Parameter lists ------------------------------------------------------------------- */

void list_cscd(uint64_t naa, uint32_t block_len)
{
	uint8_t *p = list.wire + list.len;

	p[0] = 0xe4;
	p[4] = 1;			/* binary */
	p[5] = DESIGNATOR_NAA;
	p[7] = 8;
	put_be64(p + 8, naa);
	put_be24(p + 29, block_len);
	list.len += LIST_CSCD_LEN;
	put_be16(list.wire + 2, (uint16_t)(get_be16(list.wire + 2) + LIST_CSCD_LEN));
}

void list_begin(uint8_t list_id)
{
	memset(&list, 0, sizeof(list));
	list.wire[0] = list_id;
	list.len = LIST_HEADER_LEN;
	list_cscd(lu_shared_naa(bed.lu_shared), DISK_BED_BLOCK);
	list_cscd(lu_shared_naa(neighbour.lu_shared), NEIGHBOUR_BLOCK);
}

uint8_t *list_segment(uint8_t type, size_t len, uint16_t source, uint16_t destination)
{
	uint8_t *p = list.wire + list.len;

	p[0] = type;
	put_be16(p + 2, (uint16_t)(len - 4));
	put_be16(p + 4, source);
	put_be16(p + 6, destination);
	list.len += len;
	put_be32(list.wire + 8, get_be32(list.wire + 8) + (uint32_t)len);
	return p;
}

void list_blocks(uint8_t dc, uint16_t source, uint64_t from, uint16_t destination, uint64_t to,
		       uint16_t blocks)
{
	uint8_t *p = list_segment(0x02, LIST_BLOCKS_LEN, source, destination);

	p[1] = dc;
	put_be16(p + 10, blocks);
	put_be64(p + 12, from);
	put_be64(p + 20, to);
}

void list_bytes(uint16_t source, uint64_t from, uint16_t from_offset, uint16_t destination,
		      uint64_t to, uint16_t to_offset, uint32_t bytes)
{
	uint8_t *p = list_segment(0x0a, LIST_BYTES_LEN, source, destination);

	put_be32(p + 8, bytes);
	put_be64(p + 12, from);
	put_be64(p + 20, to);
	put_be16(p + 28, from_offset);
	put_be16(p + 30, to_offset);
}

void copy_init(struct command *command)
{
	const struct cdb cdb = { .id = CDB_EXTENDED_COPY_LID1, .param_len = (uint32_t)list.len };

	command_init(command, &bed, &cdb);
	memcpy(command->data, list.wire, list.len);
}

void copy_do(struct command *command)
{
	copy_init(command);
	command_run(command);
}

bool is_copied(uint64_t from, uint64_t to, size_t len)
{
	return !memcmp(bed.store.bytes + from, neighbour.store.bytes + to, len);
}

bool aborted_at(const struct command *command, uint32_t reason, uint32_t segment)
{
	struct sense sense;

	return command->ended == 1 && command->task.status == STATUS_CHECK_CONDITION &&
	       sense_parse(command->task.sense, command->task.sense_len, &sense) &&
	       sense.reason == reason && sense.command_specific == segment;
}
