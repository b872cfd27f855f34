/* See fake_lu.h. Every CDB is decoded from its bytes, strictly: a builder that puts a
 * bit where none belongs fails the test. */
#include "fake_lu.h"

#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>

#include "field.h"

#define UNWRITTEN	0xee	/* what deallocated blocks read as when not as zeroes */

static bool by_chance(struct fake_lu *fake, unsigned in)
{
	return in && rand_r(&fake->seed) % in == 0;
}

static bool is_probing(enum cdb_id id)
{
	switch ((int)id) {
	case CDB_INQUIRY: case CDB_READ_CAPACITY_10: case CDB_READ_CAPACITY_16:
	case CDB_MODE_SENSE_6: case CDB_MODE_SENSE_10: case CDB_REPORT_SUPPORTED_OPCODES:
		return true;
	}
	return false;
}

/* Parameter data ----------------------------------------------------------- */

static void answer(struct scsi_task *task, const void *data, size_t len)
{
	uint64_t room = cdb_transfer_len(&task->cdb, 512);

	if (room > task->data_len)
		room = task->data_len;
	task->moved = len < room ? (uint32_t)len : (uint32_t)room;
	memcpy(task->data, data, task->moved);
}

static size_t page_00(const struct fake_lu *fake, uint8_t *wire)
{
	static const uint8_t pages[] = { 0x00, 0x80, 0x83, 0xb0, 0xb1, 0xb2 };
	size_t len = 0;

	for (size_t i = 0; i < sizeof(pages); i++)
		if (pages[i] != 0x80 || fake->is.serial)
			wire[VPD_HEADER_LEN + len++] = pages[i];
	return vpd_header(wire, 0, VPD_SUPPORTED, len);
}

static size_t page_83(const struct fake_lu *fake, uint8_t *wire)
{
	const struct designator t10 = { .code_set = 2, .type = DESIGNATOR_T10, .len = 8,
					.value = (const uint8_t *)"ACME    " };
	const struct designator naa = { .code_set = 1, .type = DESIGNATOR_NAA,
					.len = fake->is.naa_len, .value = fake->is.naa };
	const uint8_t group_value[4] = { 0, 0, 0, (uint8_t)(fake->path + 1) };
	const struct designator group = { .code_set = 1, .type = DESIGNATOR_PORT_GROUP,
					  .association = 1, .len = 4, .value = group_value };
	size_t end = designator_encode(&t10, wire, VPD_HEADER_LEN);

	if (fake->is.paths)
		end = designator_encode(&group, wire, end);
	if (naa.len)
		end = designator_encode(&naa, wire, end);
	return vpd_header(wire, 0, VPD_DEVICE_ID, end - VPD_HEADER_LEN);
}

static void vpd(struct fake_lu *fake, struct scsi_task *task)
{
	const struct block_characteristics bc = { .rotation_rate = fake->is.rotation_rate };
	uint8_t wire[256] = { 0 };
	size_t len = 0;

	if (!fake->is.vpd) {
		lu_fail(task, SENSE_INVALID_FIELD_IN_CDB);
		return;
	}
	switch (task->cdb.page) {
	case VPD_SUPPORTED:
		len = page_00(fake, wire);
		break;
	case VPD_SERIAL:
		memcpy(wire + VPD_HEADER_LEN, fake->is.serial, strlen(fake->is.serial));
		len = vpd_header(wire, 0, VPD_SERIAL, strlen(fake->is.serial));
		break;
	case VPD_DEVICE_ID:
		len = page_83(fake, wire);
		break;
	case VPD_BLOCK_LIMITS:
		len = block_limits_encode(&fake->is.limits, 0, wire);
		break;
	case VPD_BLOCK_CHARACTERISTICS:
		len = block_characteristics_encode(&bc, 0, wire);
		break;
	case VPD_PROVISIONING:
		len = provisioning_encode(&fake->is.provisioning, 0, wire);
		break;
	default:
		CU_FAIL("a page that was not listed");
	}
	answer(task, wire, len);
}

static void inquiry(struct fake_lu *fake, struct scsi_task *task)
{
	const struct inquiry inq = {
		.qualifier = fake->is.qualifier, .device_type = fake->is.device_type,
		.tpgs = fake->is.paths ? 1 : 0, .version = 5, .vendor = "ACME", .product = "disk", .revision = "1.0",
	};
	uint8_t wire[INQUIRY_LEN];

	if (task->cdb.evpd)
		vpd(fake, task);
	else
		answer(task, wire, inquiry_encode(&inq, wire));
}

static void capacity(struct fake_lu *fake, struct scsi_task *task)
{
	const struct capacity c = {
		.last_lba = fake->is.blocks - 1, .block_len = fake->is.block_len,
		.lbppbe = fake->is.lbppbe, .lbpme = fake->is.lbpme,
		.lbprz = fake->is.provisioning.lbprz & 1,
	};
	uint8_t wire[CAPACITY_16_LEN];

	if (task->cdb.id == CDB_READ_CAPACITY_16) {
		answer(task, wire, capacity_16_encode(&c, wire));
		return;
	}
	task->moved = CAPACITY_10_LEN;
	capacity_10_encode(&c, task->data);
}

static void mode_sense(struct fake_lu *fake, struct scsi_task *task)
{
	bool ten = task->cdb.id == CDB_MODE_SENSE_10;
	const struct mode_caching caching = { .wce = fake->is.wce };
	struct mode_header header = { .wp = fake->is.wp, .dpofua = fake->is.dpofua };
	size_t head = ten ? MODE_HEADER_10_LEN : MODE_HEADER_6_LEN;
	uint8_t wire[MODE_HEADER_10_LEN + MODE_CACHING_LEN];
	size_t len = head;

	if (fake->is.no_mode || (fake->is.no_caching_page && task->cdb.page == 0x08)) {
		lu_fail(task, SENSE_INVALID_FIELD_IN_CDB);
		return;
	}
	if (!fake->is.no_caching_page)
		len += mode_caching_encode(&caching, wire + head);
	header.data_len = (uint16_t)(len - (ten ? 2 : 1));
	mode_header_encode(&header, ten, wire);
	answer(task, wire, len);
}

static void supported_opcodes(struct fake_lu *fake, struct scsi_task *task)
{
	uint8_t wire[4 + CDB_MAX_LEN] = { 0 };
	uint32_t caps = CDB_CAPS_ALL;
	const struct cdb ndob = { .id = CDB_WRITE_SAME_16, .ndob = true };
	uint8_t bit[CDB_MAX_LEN] = { 0 };
	size_t len = cdb_usage(CDB_WRITE_SAME_16, caps, wire + 4);

	CU_ASSERT_EQUAL(task->cdb.requested_opcode, 0x93);
	if (!fake->is.rsoc) {
		lu_fail(task, SENSE_INVALID_OPCODE);
		return;
	}
	wire[1] = fake->is.refuses[CDB_WRITE_SAME_16] ? 1 : 3;
	put_be16(wire + 2, (uint16_t)len);
	cdb_encode(&ndob, bit);
	for (size_t i = 1; !fake->is.ndob && i < len; i++)
		wire[4 + i] &= (uint8_t)~bit[i];
	answer(task, wire, wire[1] == 1 ? 4 : 4 + len);
}

static void port_groups(struct fake_lu *fake, struct scsi_task *task)
{
	uint8_t wire[64] = { 0 };
	size_t len = PORT_GROUPS_HEADER_LEN;

	CU_ASSERT(fake->is.paths > 0);
	for (unsigned i = 0; i < fake->is.paths; i++) {
		const struct port_group g = { .state = fake->is.states[i], .group = (uint16_t)(i + 1),
					      .port_count = 1 };

		port_group_encode(&g, wire + len);
		len += PORT_GROUP_LEN + PORT_GROUP_PORT_LEN;
	}
	put_be32(wire, (uint32_t)(len - PORT_GROUPS_HEADER_LEN));
	answer(task, wire, len);
}

/* SPC-4 §5.16.2.4: who one is may be asked by any port, the medium not. */
static bool is_barred(struct fake_lu *fake, struct scsi_task *task)
{
	uint8_t state = fake->is.paths ? fake->is.states[fake->path] : PORT_GROUP_OPTIMIZED;

	if (task->cdb.id == CDB_INQUIRY || task->cdb.id == CDB_REPORT_TARGET_PORT_GROUPS)
		return false;
	if (state == PORT_GROUP_STANDBY)
		lu_fail(task, SENSE_ALUA_STANDBY);
	else if (state == PORT_GROUP_UNAVAILABLE)
		lu_fail(task, SENSE_ALUA_UNAVAILABLE);
	else if (state == PORT_GROUP_TRANSITION)
		lu_fail(task, SENSE_ALUA_TRANSITION);
	else
		return false;
	return true;
}

/* Blocks ------------------------------------------------------------------- */

static uint8_t *at(const struct fake_lu *fake, uint64_t lba)
{
	return fake->data + lba * fake->is.block_len;
}

static bool in_range(const struct fake_lu *fake, struct scsi_task *task, uint64_t lba,
		     uint64_t blocks)
{
	if (lba <= fake->is.blocks && blocks <= fake->is.blocks - lba)
		return true;
	lu_fail(task, SENSE_LBA_OUT_OF_RANGE);
	return false;
}

static void deallocate(struct fake_lu *fake, uint64_t lba, uint64_t blocks)
{
	bool zero = fake->is.provisioning.lbprz & 1;

	memset(at(fake, lba), zero ? 0 : UNWRITTEN, blocks * fake->is.block_len);
	memset(fake->provisioning + lba, 1, blocks);
}

static void read_blocks(struct fake_lu *fake, struct scsi_task *task)
{
	const struct cdb *cdb = &task->cdb;
	uint32_t len = cdb->blocks * fake->is.block_len;
	uint64_t bad = fake->is.bad_lba;

	if (!in_range(fake, task, cdb->lba, cdb->blocks))
		return;
	CU_ASSERT_EQUAL(task->data_len, len);
	if (fake->is.has_bad_lba && bad >= cdb->lba && bad - cdb->lba < cdb->blocks) {
		const struct sense sense = { .reason = SENSE_READ_ERROR, .has_information = true,
					     .information = bad };

		lu_sense(task, &sense);
		len = (uint32_t)(bad - cdb->lba) * fake->is.block_len;
	}
	task->moved = len - (fake->short_by < len ? fake->short_by : len);
	memcpy(task->data, at(fake, cdb->lba), task->moved);
}

static void write_blocks(struct fake_lu *fake, struct scsi_task *task)
{
	const struct cdb *cdb = &task->cdb;

	if (!in_range(fake, task, cdb->lba, cdb->blocks))
		return;
	CU_ASSERT_EQUAL(task->data_len, cdb->blocks * fake->is.block_len);
	task->moved = task->data_len - fake->short_by;
	memcpy(at(fake, cdb->lba), task->data, task->moved);
	memset(fake->provisioning + cdb->lba, 0, cdb->blocks);
}

static void compare_and_write(struct fake_lu *fake, struct scsi_task *task)
{
	const struct cdb *cdb = &task->cdb;
	uint32_t half = cdb->blocks * fake->is.block_len;
	const struct sense miscompare = { .reason = SENSE_MISCOMPARE_VERIFY,
					  .has_information = true, .information = half - 1 };

	CU_ASSERT(cdb->blocks <= fake->is.limits.max_compare_and_write);
	if (!in_range(fake, task, cdb->lba, cdb->blocks))
		return;
	CU_ASSERT_EQUAL_FATAL(task->data_len, 2 * half);
	if (fake->interferes) {
		fake->interferes--;
		at(fake, cdb->lba)[half - 1]++;
	}
	if (memcmp(at(fake, cdb->lba), task->data, half) != 0) {
		lu_sense(task, &miscompare);
		return;
	}
	task->moved = task->data_len;
	memcpy(at(fake, cdb->lba), task->data + half, half);
	memset(fake->provisioning + cdb->lba, 0, cdb->blocks);
}

static void write_same(struct fake_lu *fake, struct scsi_task *task)
{
	const struct cdb *cdb = &task->cdb;
	const struct block_limits *limits = &fake->is.limits;

	CU_ASSERT_NOT_EQUAL(cdb->blocks, 0);
	if (cdb->ndob && !fake->is.ndob) {
		lu_fail(task, SENSE_INVALID_FIELD_IN_CDB);
		return;
	}
	if ((limits->max_write_same && cdb->blocks > limits->max_write_same) ||
	    (cdb->unmap && fake->is.same_unmap_max && cdb->blocks > fake->is.same_unmap_max)) {
		lu_fail(task, SENSE_INVALID_FIELD_IN_CDB);
		return;
	}
	if (!in_range(fake, task, cdb->lba, cdb->blocks))
		return;
	CU_ASSERT_EQUAL(task->data_len, cdb->ndob ? 0 : fake->is.block_len);
	task->moved = task->data_len;
	if (cdb->unmap) {
		deallocate(fake, cdb->lba, cdb->blocks);
		return;
	}
	for (uint64_t lba = cdb->lba; lba < cdb->lba + cdb->blocks; lba++) {
		if (cdb->ndob)
			memset(at(fake, lba), 0, fake->is.block_len);
		else
			memcpy(at(fake, lba), task->data, fake->is.block_len);
		fake->provisioning[lba] = 0;
	}
}

/* Whole granules are deallocated, parts are left alone. */
static void unmap_range(struct fake_lu *fake, struct scsi_task *task, const struct unmap_range *r)
{
	const struct block_limits *limits = &fake->is.limits;
	uint64_t granule = limits->unmap_granularity ? limits->unmap_granularity : 1;
	uint64_t offset = limits->ugavalid ? limits->unmap_alignment % granule : 0;

	if (!in_range(fake, task, r->lba, r->blocks))
		return;
	for (uint64_t lba = offset; lba + granule <= fake->is.blocks; lba += granule)
		if (lba >= r->lba && lba + granule <= r->lba + r->blocks)
			deallocate(fake, lba, granule);
}

static void unmap(struct fake_lu *fake, struct scsi_task *task)
{
	int count = unmap_count(task->data, task->data_len);
	uint64_t blocks = 0;

	CU_ASSERT_EQUAL(task->cdb.param_len, task->data_len);
	CU_ASSERT(count > 0);
	for (int i = 0; i < count; i++) {
		struct unmap_range r;

		unmap_decode(task->data, (uint32_t)i, &r);
		blocks += r.blocks;
	}
	if (blocks > fake->is.limits.max_unmap_blocks ||
	    (uint32_t)count > fake->is.limits.max_unmap_descriptors) {
		lu_fail(task, SENSE_INVALID_FIELD_IN_PARAMETERS);
		return;
	}
	task->moved = task->data_len;
	for (int i = 0; i < count; i++) {
		struct unmap_range r;

		unmap_decode(task->data, (uint32_t)i, &r);
		unmap_range(fake, task, &r);
	}
}

static void lba_status(struct fake_lu *fake, struct scsi_task *task)
{
	uint8_t wire[LBA_STATUS_HEADER_LEN + 4 * LBA_STATUS_DESCRIPTOR_LEN];
	uint64_t lba = task->cdb.lba;
	uint32_t count = 0;

	if (fake->lba_status) {
		answer(task, fake->lba_status, fake->lba_status_len);
		return;
	}
	if (!in_range(fake, task, lba, 1))
		return;
	/* Four at most, so that asking once is not enough. */
	while (lba < fake->is.blocks && count < 4) {
		struct lba_status s = { .lba = lba, .status = fake->provisioning[lba] };

		while (lba < fake->is.blocks && fake->provisioning[lba] == s.status) {
			s.blocks++;
			lba++;
		}
		lba_status_encode(&s, wire + LBA_STATUS_HEADER_LEN +
				  count++ * LBA_STATUS_DESCRIPTOR_LEN);
	}
	lba_status_header(wire, count);
	answer(task, wire, LBA_STATUS_HEADER_LEN + count * LBA_STATUS_DESCRIPTOR_LEN);
}

static void no_data(struct fake_lu *fake, struct scsi_task *task)
{
	in_range(fake, task, task->cdb.lba, task->cdb.blocks);
	if (task->cdb.id == CDB_PRE_FETCH_16 && task->status == STATUS_GOOD)
		task->status = STATUS_CONDITION_MET;
}

/* Commands ----------------------------------------------------------------- */

static void (*const handlers[CDB_COUNT])(struct fake_lu *, struct scsi_task *) = {
	[CDB_INQUIRY] = inquiry,
	[CDB_READ_CAPACITY_10] = capacity,
	[CDB_READ_CAPACITY_16] = capacity,
	[CDB_MODE_SENSE_6] = mode_sense,
	[CDB_MODE_SENSE_10] = mode_sense,
	[CDB_REPORT_SUPPORTED_OPCODES] = supported_opcodes,
	[CDB_REPORT_TARGET_PORT_GROUPS] = port_groups,
	[CDB_READ_10] = read_blocks,
	[CDB_READ_16] = read_blocks,
	[CDB_WRITE_10] = write_blocks,
	[CDB_WRITE_16] = write_blocks,
	[CDB_COMPARE_AND_WRITE] = compare_and_write,
	[CDB_SYNCHRONIZE_CACHE_10] = no_data,
	[CDB_SYNCHRONIZE_CACHE_16] = no_data,
	[CDB_PRE_FETCH_16] = no_data,
	[CDB_UNMAP] = unmap,
	[CDB_WRITE_SAME_10] = write_same,
	[CDB_WRITE_SAME_16] = write_same,
	[CDB_GET_LBA_STATUS] = lba_status,
};

static bool injected(struct fake_lu *fake, struct scsi_task *task)
{
	for (size_t i = 0; i < sizeof(fake->outcomes) / sizeof(fake->outcomes[0]); i++) {
		struct fake_outcome *o = &fake->outcomes[i];

		if (!o->times || o->id != task->cdb.id)
			continue;
		o->times--;
		if (o->status == STATUS_CHECK_CONDITION)
			lu_sense(task, &o->sense);
		task->status = o->status;
		return true;
	}
	return false;
}

static bool happens_by_chance(struct fake_lu *fake, struct scsi_task *task)
{
	if (is_probing(task->cdb.id))
		return false;
	if (by_chance(fake, fake->is.attention_in))
		lu_fail(task, SENSE_POWER_ON_OR_RESET);
	else if (by_chance(fake, fake->is.busy_in))
		task->status = STATUS_BUSY;
	else
		return false;
	return true;
}

/* The path dies; whether before or after the command, nobody knows. */
static bool answer_is_lost(struct fake_lu *fake, struct scsi_task *task)
{
	if (fake->loses_answer == task->cdb.id) {
		fake->loses_answer = CDB_UNKNOWN;
		return true;
	}
	return !is_probing(task->cdb.id) && by_chance(fake, fake->is.lost_in);
}

static void execute(struct fake_lu *fake, struct scsi_task *task)
{
	if (injected(fake, task) || is_barred(fake, task) || happens_by_chance(fake, task))
		return;
	if (fake->is.refuses[task->cdb.id] || !handlers[task->cdb.id]) {
		lu_fail(task, SENSE_INVALID_OPCODE);
		return;
	}
	handlers[task->cdb.id](fake, task);
	if (answer_is_lost(fake, task)) {
		task->status = LU_LOST;
		task->sense_len = 0;
		task->moved = 0;
	}
}

static void work(struct loop_call *call)
{
	struct fake_lu *fake = container_of(call, struct fake_lu, work);
	struct list batch = LIST_INIT(batch);
	struct list *node;

	if (fake->holds)
		return;
	list_splice_tail(&batch, &fake->pending);
	while ((node = list_pop(&batch))) {
		struct scsi_task *task = container_of(node, struct scsi_task, node);

		if (fake->dead)
			task->status = LU_LOST;
		else if (task->status == STATUS_GOOD)
			execute(fake, task);
		lu_complete(&fake->lu, task);
	}
}

static void submit(struct scsi_lu *lu, struct scsi_task *task)
{
	struct fake_lu *fake = container_of(lu, struct fake_lu, lu);
	struct cdb_bad bad;
	struct cdb cdb;

	CU_ASSERT_EQUAL_FATAL(cdb_decode(task->wire, task->wire_len, CDB_CAPS_ALL, &cdb, &bad),
			      CDB_OK);
	CU_ASSERT_EQUAL(cdb.id, task->cdb.id);
	if (fake->sent_count < FAKE_RECORD) {
		fake->sent[fake->sent_count] = cdb;
		fake->sent_data[fake->sent_count] = task->data;
	}
	fake->sent_count++;
	if (lu->in_flight > fake->most)
		fake->most = lu->in_flight;
	/* Any order is right between commands in flight: this one is not the order of sending. */
	list_init(&task->node);
	if (by_chance(fake, 2))
		list_add_tail(&fake->pending, &task->node);
	else
		list_add_head(&fake->pending, &task->node);
	loop_defer(lu->loop, &fake->work);
}

static void abort_task(struct scsi_lu *lu, struct scsi_task *task)
{
	struct fake_lu *fake = container_of(lu, struct fake_lu, lu);

	task->status = STATUS_TASK_ABORTED;
	fake_go_on(fake);
}

static bool other_path(struct scsi_lu *lu)
{
	struct fake_lu *fake = container_of(lu, struct fake_lu, lu);

	if (fake->is.paths < 2)
		return false;
	fake->path = (fake->path + 1) % fake->is.paths;
	fake->detours++;
	return true;
}

static const struct scsi_lu_ops fake_ops = {
	.name = "fake", .submit = submit, .abort = abort_task, .other_path = other_path,
};

struct fake_lu *fake_lu_new(struct loop *loop, const struct fake_traits *traits)
{
	struct fake_lu *fake = calloc(1, sizeof(*fake));

	fake->is = *traits;
	fake->lu.ops = &fake_ops;
	fake->lu.loop = loop;
	fake->lu.block_len = 512;
	fake->lu.caps = CDB_CAPS_ALL;
	fake->lu.max_transfer = traits->max_transfer ? traits->max_transfer : 1u << 20;
	fake->lu.paths = traits->paths;
	fake->seed = 1;
	/* Units that are too large for memory are only asked, not used. */
	if (traits->blocks <= 1u << 20) {
		fake->data = calloc(traits->blocks, traits->block_len);
		fake->provisioning = calloc(traits->blocks, 1);
	}
	list_init(&fake->pending);
	loop_call_init(&fake->work, work);
	return fake;
}

void fake_lu_free(struct fake_lu *fake)
{
	CU_ASSERT_EQUAL(fake->lu.in_flight, 0);
	loop_call_cancel(&fake->work);
	free(fake->data);
	free(fake->provisioning);
	free(fake);
}

void fake_inject(struct fake_lu *fake, enum cdb_id id, unsigned times, uint8_t status,
		 uint32_t reason)
{
	for (size_t i = 0; i < sizeof(fake->outcomes) / sizeof(fake->outcomes[0]); i++) {
		if (fake->outcomes[i].times)
			continue;
		fake->outcomes[i] = (struct fake_outcome){
			.id = id, .times = times, .status = status, .sense = { .reason = reason },
		};
		return;
	}
	CU_FAIL("too many outcomes at once");
}

void fake_go_on(struct fake_lu *fake)
{
	fake->holds = false;
	loop_defer(fake->lu.loop, &fake->work);
}

unsigned fake_count(const struct fake_lu *fake, enum cdb_id id)
{
	unsigned count = 0;

	for (unsigned i = 0; i < fake->sent_count && i < FAKE_RECORD; i++)
		count += fake->sent[i].id == id;
	return count;
}
