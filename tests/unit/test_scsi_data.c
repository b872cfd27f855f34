/* Parameter data: golden bytes, both ways, and every truncation of every kind. */
#include <string.h>

#include "field.h"
#include "scsi_data.h"
#include "unit.h"

static void inquiry_data_is_laid_out_as_in_spc(void)
{
	static const uint8_t head[] = {
		0x00, 0x00, 0x06, 0x12, 91, 0x19, 0x10, 0x02,
		'A', 'C', 'M', 'E', ' ', ' ', ' ', ' ',
		'D', 'i', 's', 'k', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ',
		'0', '0', '0', '1',
	};
	struct inquiry inq = {
		.version = 6, .hi_sup = true, .response_data_format = 2, .tpgs = 1,
		.third_party_copy = true,
		.protect = true, .multi_port = true, .cmd_que = true, .vendor = "ACME",
		.product = "Disk",
		.revision = "0001", .version_descriptor = { 0x0960, [7] = 0x04c0 },
	}, back;
	uint8_t wire[INQUIRY_LEN], again[INQUIRY_LEN];

	CU_ASSERT_EQUAL(inquiry_encode(&inq, wire), INQUIRY_LEN);
	CU_ASSERT(!memcmp(wire, head, sizeof(head)));
	CU_ASSERT_EQUAL(get_be16(wire + 58), 0x0960);
	CU_ASSERT_EQUAL(get_be16(wire + 72), 0x04c0);
	CU_ASSERT_TRUE(inquiry_decode(wire, sizeof(wire), &back));
	CU_ASSERT_EQUAL(back.additional_length, 91);
	inquiry_encode(&back, again);
	CU_ASSERT(!memcmp(again, wire, sizeof(wire)));
}

static void inquiry_text_of_a_peer_comes_out_printable(void)
{
	uint8_t wire[INQUIRY_LEN] = { 0, 0, 5, 2, 91 };
	struct inquiry inq;

	memcpy(wire + 8, "  a\033[b\0", 8);
	memset(wire + 16, 0xff, 16);
	CU_ASSERT_TRUE(inquiry_decode(wire, sizeof(wire), &inq));
	CU_ASSERT_STRING_EQUAL(inq.vendor, "a?[b");
	CU_ASSERT_STRING_EQUAL(inq.product, "????????????????");
	CU_ASSERT_STRING_EQUAL(inq.revision, "");
}

static void inquiry_data_may_be_cut_anywhere(void)
{
	static const struct inquiry whole = { .version = 6, .vendor = "ABCDEFGH", .product = "p",
					      .cmd_que = true };
	uint8_t wire[INQUIRY_LEN], cut[INQUIRY_LEN];

	inquiry_encode(&whole, wire);
	for (size_t len = 0; len <= sizeof(wire); len++) {
		struct inquiry inq;

		memset(cut, 'x', sizeof(cut));
		memcpy(cut, wire, len);
		CU_ASSERT_EQUAL(inquiry_decode(cut, len, &inq), len >= 5);
		CU_ASSERT_EQUAL(strlen(inq.vendor), len < 8 ? 0 : len < 16 ? len - 8 : 8);
		CU_ASSERT_EQUAL(inq.cmd_que, len >= 8);
	}
}

static void inquiry_data_ends_where_its_length_says(void)
{
	uint8_t wire[INQUIRY_LEN];
	struct inquiry inq = { .version = 6, .vendor = "ACME", .cmd_que = true };

	inquiry_encode(&inq, wire);
	wire[4] = 3;
	CU_ASSERT_TRUE(inquiry_decode(wire, sizeof(wire), &inq));
	CU_ASSERT_TRUE(inq.cmd_que);
	CU_ASSERT_STRING_EQUAL(inq.vendor, "");
}

static void a_vpd_page_is_as_long_as_both_lengths_allow(void)
{
	uint8_t wire[16] = { 0 };

	CU_ASSERT_EQUAL(vpd_header(wire, 0, VPD_SUPPORTED, 3), 7);
	wire[4] = VPD_SUPPORTED;
	wire[5] = VPD_SERIAL;
	wire[6] = VPD_BLOCK_LIMITS;
	CU_ASSERT_EQUAL(vpd_payload(wire, 3, VPD_SUPPORTED), -1);
	CU_ASSERT_EQUAL(vpd_payload(wire, 4, VPD_SUPPORTED), 0);
	CU_ASSERT_EQUAL(vpd_payload(wire, 6, VPD_SUPPORTED), 2);
	CU_ASSERT_EQUAL(vpd_payload(wire, 16, VPD_SUPPORTED), 3);
	CU_ASSERT_EQUAL(vpd_payload(wire, 16, VPD_SERIAL), -1);
	CU_ASSERT_TRUE(vpd_supported(wire, 7, VPD_BLOCK_LIMITS));
	CU_ASSERT_FALSE(vpd_supported(wire, 6, VPD_BLOCK_LIMITS));
	CU_ASSERT_FALSE(vpd_supported(wire, 16, VPD_PROVISIONING));
	CU_ASSERT_FALSE(vpd_supported(wire, 0, VPD_SUPPORTED));
}

static void a_serial_number_is_trimmed_cut_and_printable(void)
{
	static const uint8_t wire[] = { 0, 0x80, 0, 9, ' ', ' ', '1', '2', '\n', '4', ' ', 0, ' ',
					'x' };
	char text[16], small[3];

	CU_ASSERT_TRUE(vpd_serial_decode(wire, sizeof(wire), text, sizeof(text)));
	CU_ASSERT_STRING_EQUAL(text, "12?4");
	CU_ASSERT_TRUE(vpd_serial_decode(wire, sizeof(wire), small, sizeof(small)));
	CU_ASSERT_STRING_EQUAL(small, "12");
	CU_ASSERT_TRUE(vpd_serial_decode(wire, 4, text, sizeof(text)));
	CU_ASSERT_STRING_EQUAL(text, "");
	CU_ASSERT_FALSE(vpd_serial_decode(wire, 3, text, sizeof(text)));
	CU_ASSERT_STRING_EQUAL(text, "");
}

static void designators_are_walked_as_they_were_written(void)
{
	static const uint8_t naa[8] = { 0x60, 1, 2, 3, 4, 5, 6, 7 };
	static const uint8_t golden[] = {
		0x00, 0x83, 0x00, 21,
		0x01, 0x03, 0x00, 8, 0x60, 1, 2, 3, 4, 5, 6, 7,
		0x53, 0x98, 0x00, 5, 'i', 'q', 'n', '.', 'x',
	};
	static const struct designator list[] = {
		{ .code_set = 1, .type = DESIGNATOR_NAA, .len = 8, .value = naa },
		{ .protocol = 5, .code_set = 3, .piv = true, .association = 1,
		  .type = DESIGNATOR_SCSI_NAME,
		  .len = 5, .value = (const uint8_t *)"iqn.x" },
	};
	uint8_t wire[64];
	struct designator d;
	size_t end = VPD_HEADER_LEN, at = 0;

	for (size_t i = 0; i < 2; i++)
		end = designator_encode(&list[i], wire, end);
	CU_ASSERT_EQUAL(vpd_header(wire, 0, VPD_DEVICE_ID, end - VPD_HEADER_LEN), sizeof(golden));
	CU_ASSERT(!memcmp(wire, golden, sizeof(golden)));
	for (size_t i = 0; i < 2; i++) {
		CU_ASSERT_TRUE(designator_next(golden, sizeof(golden), &at, &d));
		CU_ASSERT(d.protocol == list[i].protocol && d.code_set == list[i].code_set);
		CU_ASSERT(d.piv == list[i].piv && d.association == list[i].association);
		CU_ASSERT_EQUAL(d.type, list[i].type);
		CU_ASSERT_EQUAL(d.len, list[i].len);
		CU_ASSERT(!memcmp(d.value, list[i].value, d.len));
	}
	CU_ASSERT_FALSE(designator_next(golden, sizeof(golden), &at, &d));
}

static void designators_end_where_the_bytes_do(void)
{
	uint8_t wire[] = { 0, 0x83, 0, 17, 1, 3, 0, 4, 'a', 'b', 'c', 'd', 1, 8, 0, 5, 'v', 'w',
			   'x', 'y', 'z' };
	struct designator d;

	for (size_t len = 0; len <= sizeof(wire); len++) {
		size_t at = 0;
		unsigned found = 0;

		while (designator_next(wire, len, &at, &d)) {
			CU_ASSERT(d.value >= wire && d.value + d.len <= wire + len);
			found++;
		}
		CU_ASSERT_EQUAL(found, len < 12 ? 0 : len < 21 ? 1 : 2);
	}
}

static void block_limits_are_laid_out_as_in_sbc(void)
{
	static const uint8_t golden[VPD_BLOCK_LIMITS_LEN] = {
		0x00, 0xb0, 0x00, 0x3c, 0x01, 0x20, 0x00, 0x08,
		0, 0, 0x40, 0, 0, 0, 0x10, 0, 0, 0, 0, 5,
		0xff, 0xff, 0xff, 0xff, 0, 0, 1, 0, 0, 0, 0, 0x80, 0x80, 0, 0, 7,
		1, 2, 3, 4, 5, 6, 7, 8,
		0, 0, 0x20, 0, 0, 0, 0, 8, 0, 0, 0, 4, 0, 1, 0, 2, 0, 0, 0, 9,
	};
	struct block_limits bl = {
		.wsnz = true, .max_compare_and_write = 32, .transfer_granularity = 8,
		.max_transfer = 0x4000,
		.optimal_transfer = 0x1000, .max_prefetch = 5, .max_unmap_blocks = UINT32_MAX,
		.max_unmap_descriptors = 256, .unmap_granularity = 128, .unmap_alignment = 7,
		.ugavalid = true,
		.max_write_same = UINT64_C(0x0102030405060708),
		.max_atomic = 0x2000, .atomic_alignment = 8, .atomic_granularity = 4,
		.max_atomic_with_boundary = 0x10002, .max_atomic_boundary = 9,
	}, back;
	uint8_t wire[VPD_BLOCK_LIMITS_LEN];

	CU_ASSERT_EQUAL(block_limits_encode(&bl, 0, wire), sizeof(wire));
	CU_ASSERT(!memcmp(wire, golden, sizeof(wire)));
	for (size_t len = 0; len <= sizeof(wire); len++) {
		CU_ASSERT_EQUAL(block_limits_decode(wire, len, &back), len >= 4);
		CU_ASSERT_EQUAL(back.max_transfer, len >= 12 ? 0x4000 : 0);
		CU_ASSERT_EQUAL(back.unmap_alignment, len >= 36 ? 7 : 0);
		CU_ASSERT_EQUAL(back.max_write_same, len >= 44 ? bl.max_write_same : 0);
	}
	/* The page of SBC-2 ends after OPTIMAL TRANSFER LENGTH, whatever lies behind it. */
	wire[3] = 12;
	CU_ASSERT_TRUE(block_limits_decode(wire, sizeof(wire), &back));
	CU_ASSERT_EQUAL(back.optimal_transfer, 0x1000);
	CU_ASSERT_EQUAL(back.max_unmap_blocks, 0);
	wire[1] = 0xb1;
	CU_ASSERT_FALSE(block_limits_decode(wire, sizeof(wire), &back));
}

static void characteristics_and_provisioning_are_laid_out_as_in_sbc(void)
{
	static const uint8_t b1[] = { 0x00, 0xb1, 0x00, 0x3c, 0x1c, 0x20, 0x01, 0x02, 0x03 };
	static const uint8_t b2[VPD_PROVISIONING_LEN] = { 0x00, 0xb2, 0x00, 0x04, 0x09, 0xe7, 0x02,
							  0x00 };
	struct block_characteristics bc = { .rotation_rate = 7200, .product_type = 1,
					    .form_factor = 2,
					    .fuab = true, .vbuls = true }, bc_back;
	struct provisioning p = { .threshold_exponent = 9, .lbpu = true, .lbpws = true,
				  .lbpws10 = true,
				  .lbprz = 1, .anc_sup = true, .dp = true, .type = 2 }, p_back;
	uint8_t wire[64];

	CU_ASSERT_EQUAL(block_characteristics_encode(&bc, 0, wire), 64);
	CU_ASSERT(!memcmp(wire, b1, sizeof(b1)));
	CU_ASSERT_TRUE(block_characteristics_decode(wire, 64, &bc_back));
	CU_ASSERT_EQUAL(bc_back.rotation_rate, 7200);
	CU_ASSERT(bc_back.form_factor == 2 && bc_back.fuab && bc_back.vbuls);
	CU_ASSERT_FALSE(block_characteristics_decode(wire, 2, &bc_back));

	CU_ASSERT_EQUAL(provisioning_encode(&p, 0, wire), sizeof(b2));
	CU_ASSERT(!memcmp(wire, b2, sizeof(b2)));
	CU_ASSERT_TRUE(provisioning_decode(wire, sizeof(b2), &p_back));
	CU_ASSERT(p_back.lbpu && p_back.lbpws && p_back.lbpws10 && p_back.anc_sup && p_back.dp);
	CU_ASSERT(p_back.threshold_exponent == 9 && p_back.lbprz == 1 && p_back.type == 2);
	CU_ASSERT_TRUE(provisioning_decode(wire, 5, &p_back));
	CU_ASSERT(p_back.threshold_exponent == 9 && !p_back.lbpu);
}

static void capacities_are_laid_out_as_in_sbc(void)
{
	static const uint8_t sixteen[CAPACITY_16_LEN] = {
		0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x02, 0, 0x0b, 0x53, 0xc0 | 0x12, 0x34,
	};
	struct capacity c = { .last_lba = UINT64_C(0x100000000), .block_len = 512, .prot_en = true,
			      .p_type = 5,
			      .p_i_exponent = 5, .lbppbe = 3, .lbpme = true, .lbprz = true,
			      .lowest_aligned_lba = 0x1234 }, back;
	uint8_t wire[CAPACITY_16_LEN], again[CAPACITY_16_LEN];

	CU_ASSERT_EQUAL(capacity_16_encode(&c, wire), sizeof(sixteen));
	CU_ASSERT(!memcmp(wire, sixteen, sizeof(sixteen)));
	for (size_t len = 0; len <= sizeof(wire); len++) {
		CU_ASSERT_EQUAL(capacity_16_decode(wire, len, &back), len >= 12);
		CU_ASSERT_EQUAL(back.lbppbe, len >= 14 ? 3 : 0);
	}
	capacity_16_encode(&back, again);
	CU_ASSERT(!memcmp(again, wire, sizeof(wire)));
	CU_ASSERT_EQUAL(capacity_10_encode(&c, wire), CAPACITY_10_LEN);
	CU_ASSERT(!memcmp(wire, "\xff\xff\xff\xff\0\0\2\0", 8));
	c.last_lba = 99;
	capacity_10_encode(&c, wire);
	for (size_t len = 0; len <= CAPACITY_10_LEN; len++)
		CU_ASSERT_EQUAL(capacity_10_decode(wire, len, &back), len >= 8);
	CU_ASSERT_EQUAL(back.last_lba, 99);
	memset(wire, 0, sizeof(wire));
	CU_ASSERT_FALSE(capacity_10_decode(wire, 8, &back));
	CU_ASSERT_FALSE(capacity_16_decode(wire, 32, &back));
}

static void lba_status_counts_only_what_is_there(void)
{
	static const struct lba_status s[2] = {
		{ .lba = 8, .blocks = 16, .status = 1 },
		{ .lba = 24, .blocks = UINT32_MAX, .status = 2 },
	};
	uint8_t wire[LBA_STATUS_HEADER_LEN + 2 * LBA_STATUS_DESCRIPTOR_LEN];
	struct lba_status back;

	lba_status_header(wire, 2);
	CU_ASSERT_EQUAL(get_be32(wire), 36);
	for (uint32_t i = 0; i < 2; i++)
		lba_status_encode(&s[i], wire + LBA_STATUS_HEADER_LEN +
					 i * LBA_STATUS_DESCRIPTOR_LEN);
	CU_ASSERT(!memcmp(wire + 24, "\0\0\0\0\0\0\0\x18\xff\xff\xff\xff\2\0\0\0", 16));
	for (size_t len = 0; len <= sizeof(wire); len++)
		CU_ASSERT_EQUAL(lba_status_count(wire, len), len < 24 ? 0 : len < 40 ? 1 : 2);
	lba_status_decode(wire, 1, &back);
	CU_ASSERT(back.lba == 24 && back.blocks == UINT32_MAX && back.status == 2);
	put_be32(wire, UINT32_MAX);
	CU_ASSERT_EQUAL(lba_status_count(wire, sizeof(wire)), 2);
	put_be32(wire, 4 + 16);
	CU_ASSERT_EQUAL(lba_status_count(wire, sizeof(wire)), 1);
	put_be32(wire, 0);
	CU_ASSERT_EQUAL(lba_status_count(wire, sizeof(wire)), 0);
}

static void unmap_lists_count_only_what_is_there(void)
{
	static const struct unmap_range r = { .lba = UINT64_C(0x0102030405060708), .blocks = 9 };
	uint8_t wire[UNMAP_HEADER_LEN + 3 * UNMAP_DESCRIPTOR_LEN] = { 0 };
	struct unmap_range back;

	CU_ASSERT_EQUAL(unmap_header(wire, 3), sizeof(wire));
	CU_ASSERT(!memcmp(wire, "\0\x36\0\x30\0\0\0\0", 8));
	unmap_encode(&r, wire + UNMAP_HEADER_LEN + 2 * UNMAP_DESCRIPTOR_LEN);
	unmap_decode(wire, 2, &back);
	CU_ASSERT(back.lba == r.lba && back.blocks == r.blocks);
	for (size_t len = 0; len <= sizeof(wire); len++)
		CU_ASSERT_EQUAL(unmap_count(wire, len), len < 8 ? -1 : (int)((len - 8) / 16));
	put_be16(wire + 2, 47);		/* a descriptor that is cut does not count */
	CU_ASSERT_EQUAL(unmap_count(wire, sizeof(wire)), 2);
	put_be16(wire + 2, 0xffff);
	CU_ASSERT_EQUAL(unmap_count(wire, sizeof(wire)), 3);
	put_be16(wire, 0);
	CU_ASSERT_EQUAL(unmap_count(wire, sizeof(wire)), 0);
	CU_ASSERT_EQUAL(unmap_header(wire, UNMAP_MAX_DESCRIPTORS), 8 + 16 * 4095);
}

static void mode_headers_are_laid_out_as_in_spc(void)
{
	static const uint8_t six[] = { 0x23, 0x00, 0x90, 0x08 };
	static const uint8_t ten[] = { 0x01, 0x00, 0x00, 0x80, 0x01, 0x00, 0x00, 0x10 };
	struct mode_header h = { .data_len = 0x23, .wp = true, .dpofua = true,
				 .block_descriptor_len = 8 }, back;
	uint8_t wire[MODE_HEADER_10_LEN];

	CU_ASSERT_EQUAL(mode_header_encode(&h, false, wire), 4);
	CU_ASSERT(!memcmp(wire, six, 4));
	for (size_t len = 0; len <= 4; len++)
		CU_ASSERT_EQUAL(mode_header_decode(wire, len, false, &back), len == 4);
	CU_ASSERT(back.data_len == 0x23 && back.wp && back.dpofua &&
		  back.block_descriptor_len == 8);
	h = (struct mode_header){ .data_len = 256, .wp = true, .long_lba = true,
				  .block_descriptor_len = 16 };
	CU_ASSERT_EQUAL(mode_header_encode(&h, true, wire), 8);
	CU_ASSERT(!memcmp(wire, ten, 8));
	for (size_t len = 0; len <= 8; len++)
		CU_ASSERT_EQUAL(mode_header_decode(wire, len, true, &back), len == 8);
	CU_ASSERT(back.data_len == 256 && back.wp && !back.dpofua && back.long_lba);
	CU_ASSERT_EQUAL(back.block_descriptor_len, 16);
}

/* MODE SENSE data with a block descriptor, another page and a subpage before the caching page. */
static size_t mode_data(bool ten, uint8_t *wire)
{
	static const uint8_t others[] = { 0x81, 2, 0, 0, 0x48, 0x01, 0, 3, 9, 9, 9 };
	struct mode_caching caching = { .wce = true, .rcd = true, .fsw = true, .nv_dis = true };
	struct mode_header h = { .block_descriptor_len = 8 };
	size_t at = ten ? MODE_HEADER_10_LEN : MODE_HEADER_6_LEN;

	memset(wire + at, 0, 8);
	at += 8;
	memcpy(wire + at, others, sizeof(others));
	at += sizeof(others);
	at += mode_caching_encode(&caching, wire + at);
	h.data_len = (uint16_t)(at - (ten ? 2 : 1));
	mode_header_encode(&h, ten, wire);
	return at;
}

static void the_caching_page_is_found_wherever_it_is(void)
{
	static const uint8_t golden[MODE_CACHING_LEN] = { 0x08, 0x12, 0x05, 0, 0, 0, 0, 0, 0, 0, 0,
							  0, 0x81 };
	uint8_t wire[64];
	struct mode_caching m;

	for (int ten = 0; ten < 2; ten++) {
		size_t whole = mode_data(ten, wire), page = whole - MODE_CACHING_LEN;

		CU_ASSERT(!memcmp(wire + page, golden, sizeof(golden)));
		for (size_t len = 0; len <= whole; len++) {
			CU_ASSERT_EQUAL(mode_caching_find(wire, len, ten, &m), len > page);
			CU_ASSERT_EQUAL(m.wce, len >= page + 3);
			CU_ASSERT_EQUAL(m.nv_dis, len >= page + 13);
		}
	}
}

static void mode_data_without_a_caching_page_has_none(void)
{
	uint8_t wire[64];
	struct mode_caching m;
	size_t whole = mode_data(false, wire);

	wire[whole - MODE_CACHING_LEN] = 0x0a;
	CU_ASSERT_FALSE(mode_caching_find(wire, whole, false, &m));
	whole = mode_data(false, wire);
	wire[0] = 11;			/* MODE DATA LENGTH ends with the block descriptor */
	CU_ASSERT_FALSE(mode_caching_find(wire, whole, false, &m));
	memset(wire, 0xff, sizeof(wire));
	CU_ASSERT_FALSE(mode_caching_find(wire, sizeof(wire), false, &m));
	CU_ASSERT_FALSE(mode_caching_find(wire, sizeof(wire), true, &m));
}

static void lun_lists_count_only_what_is_there(void)
{
	static const uint64_t luns[] = { 0, UINT64_C(0x0001000000000000),
					 UINT64_C(0x4100000000000000) };
	uint8_t wire[REPORT_LUNS_HEADER_LEN + sizeof(luns)];

	CU_ASSERT_EQUAL(report_luns_encode(luns, 3, wire), sizeof(wire));
	CU_ASSERT(!memcmp(wire, "\0\0\0\x18\0\0\0\0", 8));
	for (size_t len = 0; len <= sizeof(wire); len++)
		CU_ASSERT_EQUAL(report_luns_count(wire, len), len < 8 ? 0 : (len - 8) / 8);
	for (uint32_t i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(report_luns_decode(wire, i), luns[i]);
	put_be32(wire, UINT32_MAX);
	CU_ASSERT_EQUAL(report_luns_count(wire, sizeof(wire)), 3);
	put_be32(wire, 15);
	CU_ASSERT_EQUAL(report_luns_count(wire, sizeof(wire)), 1);
}

static const struct unit_test tests[] = {
	UNIT_TEST(inquiry_data_is_laid_out_as_in_spc),
	UNIT_TEST(inquiry_text_of_a_peer_comes_out_printable),
	UNIT_TEST(inquiry_data_may_be_cut_anywhere),
	UNIT_TEST(inquiry_data_ends_where_its_length_says),
	UNIT_TEST(a_vpd_page_is_as_long_as_both_lengths_allow),
	UNIT_TEST(a_serial_number_is_trimmed_cut_and_printable),
	UNIT_TEST(designators_are_walked_as_they_were_written),
	UNIT_TEST(designators_end_where_the_bytes_do),
	UNIT_TEST(block_limits_are_laid_out_as_in_sbc),
	UNIT_TEST(characteristics_and_provisioning_are_laid_out_as_in_sbc),
	UNIT_TEST(capacities_are_laid_out_as_in_sbc),
	UNIT_TEST(lba_status_counts_only_what_is_there),
	UNIT_TEST(unmap_lists_count_only_what_is_there),
	UNIT_TEST(mode_headers_are_laid_out_as_in_spc),
	UNIT_TEST(the_caching_page_is_found_wherever_it_is),
	UNIT_TEST(mode_data_without_a_caching_page_has_none),
	UNIT_TEST(lun_lists_count_only_what_is_there),
};

UNIT_MAIN("scsi_data", tests)
