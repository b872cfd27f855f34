/*
 * From what probing found out about a logical unit to what struct blk_info tells
 * of a block device, row by row of "what NBD advertises of a LUN": sizes, limits,
 * capabilities, name. Called when the unit has been probed and when it turned out
 * to refuse something.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "scsi_blk_private.h"

#define MIN_BLOCK		512u
#define MAX_BLOCK		(64u << 10)
#define MAX_PREFERRED		(1u << 20)
#define MAX_COMMAND_DATA	(32u << 20)	/* of one READ or WRITE */

#define DIRECT_ACCESS		0x00		/* peripheral device type, SPC-4 §6.6.2 */
#define FIRST_RPM		0x0401		/* MEDIUM ROTATION RATE, SBC-3 §6.6.3 */

static bool is_power_of_2(uint32_t n)
{
	return n && !(n & (n - 1));
}

uint64_t scsi_size(const struct scsi_facts *f)
{
	return (f->capacity.last_lba + 1) * f->capacity.block_len;
}

bool scsi_facts_usable(const struct scsi_facts *f, char *why, size_t size)
{
	const struct capacity *c = &f->capacity;

	if (f->inquiry.qualifier != 0)
		snprintf(why, size, "there is no logical unit (peripheral qualifier %u)",
			 f->inquiry.qualifier);
	else if (f->inquiry.device_type != DIRECT_ACCESS)
		snprintf(why, size, "peripheral type %02x is not a disk", f->inquiry.device_type);
	else if (!f->has_capacity)
		return true;
	else if (!is_power_of_2(c->block_len) || c->block_len < MIN_BLOCK ||
		 c->block_len > MAX_BLOCK)
		snprintf(why, size, "blocks of %u bytes cannot be served, only powers of 2 from "
			 "%u to %u", c->block_len, MIN_BLOCK, MAX_BLOCK);
	else if (c->last_lba >= INT64_MAX / c->block_len)
		snprintf(why, size, "last block %llu: more than 2^63 bytes cannot be served",
			 (unsigned long long)c->last_lba);
	else
		return true;
	return false;
}

bool scsi_facts_same_unit(const struct scsi_facts *was, const struct scsi_facts *is,
			  char *why, size_t size)
{
	if (strcmp(was->name, is->name) != 0)
		snprintf(why, size, "it is \"%s\" now, it was \"%s\"", is->name, was->name);
	else if (strcmp(was->serial, is->serial) != 0)
		snprintf(why, size, "its serial number is \"%s\" now, it was \"%s\"", is->serial,
			 was->serial);
	else if (was->capacity.block_len != is->capacity.block_len)
		snprintf(why, size, "its blocks have %u bytes now, they had %u",
			 is->capacity.block_len, was->capacity.block_len);
	else if (!was->name[0] && !was->serial[0] &&
		 was->capacity.last_lba != is->capacity.last_lba)
		/* A unit without a name is known by its size alone. */
		snprintf(why, size, "its last block is %llu now, it was %llu",
			 (unsigned long long)is->capacity.last_lba,
			 (unsigned long long)was->capacity.last_lba);
	else
		return true;
	return false;
}

bool scsi_unmapped_reads_zeroes(const struct scsi_facts *f)
{
	/* SBC-3 §6.6.7; units of before the page have a bit in READ CAPACITY(16). */
	return f->has_provisioning ? f->provisioning.lbprz & 1 : f->capacity.lbprz;
}

static uint32_t max_data(const struct scsi_blk *sb)
{
	uint32_t block_len = scsi_block_len(sb);
	uint64_t max = MAX_COMMAND_DATA;
	uint64_t reported = (uint64_t)sb->facts.limits.max_transfer * block_len;

	assert(sb->lu->max_transfer >= block_len);
	if (reported && reported < max)
		max = reported;
	if (sb->lu->max_transfer < max)
		max = sb->lu->max_transfer;
	return (uint32_t)(max - max % block_len);
}

/* MAXIMUM COMPARE AND WRITE LENGTH (SBC-3 §6.6.4), of which twice as much is sent. */
static uint32_t max_compare_write(const struct scsi_blk *sb)
{
	uint32_t blocks = scsi_max_compare(sb), most = sb->lu->max_transfer / 2 / scsi_block_len(sb);

	return (blocks < most ? blocks : most) * scsi_block_len(sb);
}

/* max(LOGICAL BLOCK LENGTH, physical block, OPTIMAL TRANSFER LENGTH GRANULARITY), a power of 2. */
static uint32_t preferred_block(const struct scsi_facts *f)
{
	uint64_t block_len = f->capacity.block_len;
	uint64_t want = block_len << f->capacity.lbppbe;
	uint64_t granularity = f->limits.transfer_granularity * block_len;
	uint64_t preferred = block_len;

	if (granularity > want)
		want = granularity;
	while (preferred < want && preferred < MAX_PREFERRED)
		preferred <<= 1;
	return (uint32_t)preferred;
}

/* "LIO-ORG disk0 4.0, naa.6001405…" */
static void describe(const struct scsi_facts *f, struct blk_info *info)
{
	const char *name = f->name[0] ? f->name : f->serial;

	snprintf(info->description, sizeof(info->description), "%s %s %s%s%s", f->inquiry.vendor,
		 f->inquiry.product, f->inquiry.revision, name[0] ? ", " : "", name);
	snprintf(info->identity, sizeof(info->identity), "%s", name);
}

void scsi_heed_mode(struct scsi_blk *sb)
{
	if (sb->facts.has_mode)
		sb->dev.shared->write_protected = sb->facts.mode.wp;
}

bool scsi_read_only(const struct scsi_blk *sb)
{
	return sb->conf.read_only || sb->dev.shared->write_protected;
}

void scsi_update_info(struct scsi_blk *sb)
{
	const struct scsi_facts *f = &sb->facts;
	struct blk_info *info = &sb->dev.info;

	info->size = scsi_size(f);
	info->min_block = f->capacity.block_len;
	info->preferred_block = preferred_block(f);
	info->max_data = max_data(sb);
	info->max_compare_write = max_compare_write(sb);
	/* Longer ones are split here, by limits that may be learned on the way. */
	info->max_trim = info->max_zero = info->max_extent = UINT64_MAX;
	info->read_only = scsi_read_only(sb);
	info->rotational = f->characteristics.rotation_rate >= FIRST_RPM;
	info->can_flush = !(sb->refused[CDB_SYNCHRONIZE_CACHE_16] &&
			    sb->refused[CDB_SYNCHRONIZE_CACHE_10]);
	info->can_fua = true;		/* by the bit, or by SYNCHRONIZE CACHE of the range */
	info->can_trim = scsi_can_discard(sb);
	info->can_zero = scsi_same_command(sb, false) != CDB_UNKNOWN;
	info->can_fast_zero = scsi_unmapped_reads_zeroes(f) &&
		scsi_same_command(sb, true) != CDB_UNKNOWN;
	info->trim_zeroes = scsi_unmapped_reads_zeroes(f);
	info->can_cache = !sb->refused[CDB_PRE_FETCH_16];
	info->can_extents = f->capacity.lbpme && !sb->refused[CDB_GET_LBA_STATUS];
	describe(f, info);
	info->generation++;
}

void scsi_mark_refused(struct scsi_blk *sb, enum cdb_id id)
{
	sb->refused[id] = true;
	scsi_update_info(sb);
}

void scsi_blk_identify(const struct blkdev *dev, struct scsi_identity *identity)
{
	const struct scsi_blk *sb = container_of(dev, const struct scsi_blk, dev);
	const struct scsi_facts *f = &sb->facts;

	snprintf(identity->vendor, sizeof(identity->vendor), "%s", f->inquiry.vendor);
	snprintf(identity->product, sizeof(identity->product), "%s", f->inquiry.product);
	snprintf(identity->revision, sizeof(identity->revision), "%s", f->inquiry.revision);
	snprintf(identity->serial, sizeof(identity->serial), "%s", f->serial);
	snprintf(identity->name, sizeof(identity->name), "%s", f->name);
}
