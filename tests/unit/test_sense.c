/* Sense data: both formats both ways, every truncation, and what is said about it. */
#include <string.h>

#include "sense.h"
#include "unit.h"

static bool same(const struct sense *a, const struct sense *b)
{
	return a->reason == b->reason && a->deferred == b->deferred &&
	       a->has_information == b->has_information && a->information == b->information &&
	       a->has_field == b->has_field && a->in_cdb == b->in_cdb && a->has_bit == b->has_bit &&
	       a->bit == b->bit && a->byte == b->byte && a->has_progress == b->has_progress &&
	       a->progress == b->progress;
}

#define VALUE(symbol, value, text) value,
static const uint32_t reasons[] = { SENSE_REASONS(VALUE) };
#undef VALUE

#define REASONS	(sizeof(reasons) / sizeof(reasons[0]))

static void every_reason_survives_both_formats(void)
{
	uint8_t wire[SENSE_MAX_LEN];

	for (size_t i = 0; i < REASONS; i++) {
		for (unsigned bits = 0; bits < 16; bits++) {
			struct sense in = { .reason = reasons[i], .deferred = bits & 1 }, out;
			bool illegal = SENSE_KEY(reasons[i]) == SENSE_KEY_ILLEGAL_REQUEST;

			if (bits & 2) {
				in.has_information = true;
				in.information = 0xfedcba98;
			}
			if (bits & 4 && illegal) {
				in.has_field = in.in_cdb = in.has_bit = true;
				in.byte = 0x1234;
				in.bit = 5;
			}
			if (bits & 4 && SENSE_KEY(reasons[i]) == SENSE_KEY_NOT_READY) {
				in.has_progress = true;
				in.progress = 0x9876;
			}
			CU_ASSERT_TRUE(sense_parse(wire, sense_build(&in, bits & 8, wire), &out));
			CU_ASSERT(same(&in, &out));
		}
	}
}

static void fixed_format_is_laid_out_as_in_4_5_3(void)
{
	static const uint8_t medium[18] = { 0xf0, 0, 0x03, 0, 0, 0x04, 0xd2, 10, 0, 0, 0, 0, 0x11,
					    0 };
	static const uint8_t illegal[18] = { 0x70, 0, 0x05, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x24, 0, 0,
					     0xcb, 0x00, 0x01 };
	struct sense sense = { .reason = SENSE_READ_ERROR, .has_information = true,
			       .information = 1234 };
	uint8_t wire[SENSE_MAX_LEN];

	CU_ASSERT_EQUAL(sense_build(&sense, false, wire), sizeof(medium));
	CU_ASSERT(!memcmp(wire, medium, sizeof(medium)));
	sense = (struct sense){ .reason = SENSE_INVALID_FIELD_IN_CDB, .has_field = true,
				.in_cdb = true,
				.byte = 1, .has_bit = true, .bit = 3 };
	CU_ASSERT_EQUAL(sense_build(&sense, false, wire), sizeof(illegal));
	CU_ASSERT(!memcmp(wire, illegal, sizeof(illegal)));
}

static void descriptor_format_is_laid_out_as_in_4_5_2(void)
{
	static const uint8_t bare[8] = { 0x72, 0x06, 0x29, 0x00, 0, 0, 0, 0 };
	static const uint8_t both[28] = {
		0x72, 0x05, 0x24, 0x00, 0, 0, 0, 20,
		0x00, 0x0a, 0x80, 0, 1, 2, 3, 4, 5, 6, 7, 8,
		0x02, 0x06, 0, 0, 0x80, 0x00, 0x07, 0,
	};
	struct sense sense = { .reason = SENSE_POWER_ON_OR_RESET };
	uint8_t wire[SENSE_MAX_LEN];

	CU_ASSERT_EQUAL(sense_build(&sense, true, wire), sizeof(bare));
	CU_ASSERT(!memcmp(wire, bare, sizeof(bare)));
	sense = (struct sense){ .reason = SENSE_INVALID_FIELD_IN_CDB, .has_information = true,
				.information = UINT64_C(0x0102030405060708), .has_field = true,
				.byte = 7 };
	CU_ASSERT_EQUAL(sense_build(&sense, true, wire), sizeof(both));
	CU_ASSERT(!memcmp(wire, both, sizeof(both)));
}

static void fixed_format_has_no_room_for_a_large_lba(void)
{
	struct sense in = { .reason = SENSE_READ_ERROR, .has_information = true,
			    .information = UINT64_C(0x100000000) }, out;
	uint8_t wire[SENSE_MAX_LEN];

	CU_ASSERT_TRUE(sense_parse(wire, sense_build(&in, false, wire), &out));
	CU_ASSERT_EQUAL(out.reason, SENSE_READ_ERROR);
	CU_ASSERT_FALSE(out.has_information);
	CU_ASSERT_TRUE(sense_parse(wire, sense_build(&in, true, wire), &out));
	CU_ASSERT_TRUE(out.has_information);
	CU_ASSERT_EQUAL(out.information, UINT64_C(0x100000000));
}

/* Cut anywhere, it says nothing that is not there, and all that is. */
static void every_truncation_of_either_format_is_safe(void)
{
	static const struct sense in = {
		.reason = SENSE_INVALID_FIELD_IN_CDB, .has_information = true, .information = 77,
		.has_field = true, .in_cdb = true, .has_bit = true, .bit = 7, .byte = 9,
	};
	uint8_t wire[SENSE_MAX_LEN], cut[SENSE_MAX_LEN];

	for (int descriptor = 0; descriptor < 2; descriptor++) {
		size_t whole = sense_build(&in, descriptor, wire);

		for (size_t len = 0; len <= whole; len++) {
			struct sense out;

			memset(cut, 0xff, sizeof(cut));
			memcpy(cut, wire, len);
			CU_ASSERT_EQUAL(sense_parse(cut, len, &out), len > 0);
			CU_ASSERT_EQUAL(out.has_information, len >= (descriptor ? 20 : 7));
			CU_ASSERT_EQUAL(out.information, out.has_information ? 77 : 0);
			CU_ASSERT_EQUAL(out.has_field, len >= (descriptor ? 28 : 18));
			CU_ASSERT_EQUAL(out.byte, out.has_field ? 9 : 0);
			CU_ASSERT_EQUAL(SENSE_KEY(out.reason), len >= (descriptor ? 2 : 3) ? 5 : 0);
			CU_ASSERT_EQUAL(SENSE_ASC(out.reason),
					len >= (descriptor ? 3 : 13) ? 0x24 : 0);
		}
	}
}

static void what_lies_behind_the_additional_length_is_not_sense(void)
{
	uint8_t wire[18] = { 0xf0, 0, 0x05, 0, 0, 0, 1, 5, 0, 0, 0, 0, 0x24, 0x99, 0x99, 0xff, 0xff,
			     0xff };
	struct sense sense;

	CU_ASSERT_TRUE(sense_parse(wire, sizeof(wire), &sense));
	CU_ASSERT_EQUAL(sense.reason, SENSE_INVALID_FIELD_IN_CDB);
	CU_ASSERT_FALSE(sense.has_field);
}

static void only_four_response_codes_are_sense_data(void)
{
	uint8_t wire[32];
	struct sense sense;

	for (unsigned code = 0; code < 256; code++) {
		memset(wire, 0, sizeof(wire));
		wire[0] = (uint8_t)code;
		CU_ASSERT_EQUAL(sense_parse(wire, sizeof(wire), &sense), (code & 0x7f) >= 0x70 &&
				(code & 0x7f) <= 0x73);
		CU_ASSERT_EQUAL(sense.deferred, (code & 0x7f) == 0x71 || (code & 0x7f) == 0x73);
	}
}

static void descriptors_in_any_order_and_number_are_walked(void)
{
	static const uint8_t wire[] = {
		0x72, 0x03, 0x11, 0x00, 0, 0, 0, 32,
		0x80, 0x02, 0xff, 0xff,				/* vendor's */
		0x01, 0x0a, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9,	/* command specific */
		0x00, 0x02, 0x80, 0,				/* too short for its type */
		0x00, 0x0a, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 42,
	};
	static const uint8_t endless[] = { 0x72, 0x03, 0x11, 0x00, 0, 0, 0, 255, 0, 0, 0, 0, 0, 0,
					   0, 255 };
	struct sense sense;

	CU_ASSERT_TRUE(sense_parse(wire, sizeof(wire), &sense));
	CU_ASSERT_TRUE(sense.has_information);
	CU_ASSERT_EQUAL(sense.information, 42);
	CU_ASSERT_TRUE(sense_parse(endless, sizeof(endless), &sense));
	CU_ASSERT_FALSE(sense.has_information);
}

static void progress_is_not_taken_for_a_field_pointer(void)
{
	static const uint8_t wire[18] = { 0x70, 0, 0x02, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x04, 0x04, 0,
					  0x80, 0x80, 0x00 };
	struct sense sense;
	char text[100];

	CU_ASSERT_TRUE(sense_parse(wire, sizeof(wire), &sense));
	CU_ASSERT_FALSE(sense.has_field);
	CU_ASSERT(sense.has_progress && sense.progress == 0x8000);
	sense_format(STATUS_CHECK_CONDITION, wire, sizeof(wire), text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "NOT READY 04/04 50 % done");
}

static void every_reason_has_its_own_value_and_text(void)
{
	for (size_t i = 0; i < REASONS; i++) {
		CU_ASSERT_PTR_NOT_NULL(sense_reason_text(reasons[i]));
		for (size_t k = 0; k < i; k++)
			CU_ASSERT(reasons[i] != reasons[k]);
	}
	CU_ASSERT_PTR_NULL(sense_reason_text(0x9ffff));
	CU_ASSERT_STRING_EQUAL(sense_reason_text(SENSE_LBA_OUT_OF_RANGE),
			       "LOGICAL BLOCK ADDRESS OUT OF RANGE");
	CU_ASSERT_STRING_EQUAL(sense_key_name(0x0b), "ABORTED COMMAND");
	CU_ASSERT_STRING_EQUAL(scsi_status_name(0x28), "TASK SET FULL");
	CU_ASSERT_STRING_EQUAL(scsi_status_name(0xff), "unknown status");
}

static void says(const struct sense *sense, const char *expected)
{
	uint8_t wire[SENSE_MAX_LEN];
	char text[128], cut[128];
	size_t len = sense_build(sense, true, wire);

	CU_ASSERT_STRING_EQUAL(sense_format(STATUS_CHECK_CONDITION, wire, len, text, sizeof(text)),
			       expected);
	for (size_t size = 1; size < sizeof(cut); size++) {
		sense_format(STATUS_CHECK_CONDITION, wire, len, cut, size);
		CU_ASSERT(strlen(cut) < size);
		CU_ASSERT(!strncmp(cut, text, strlen(cut)));
	}
}

static void a_person_reads_what_happened_and_where(void)
{
	struct sense s = { .reason = SENSE_READ_ERROR, .has_information = true,
			   .information = 1234 };
	char text[64];

	says(&s, "MEDIUM ERROR 11/00 at LBA 1234 (UNRECOVERED READ ERROR)");
	s = (struct sense){ .reason = SENSE_INVALID_FIELD_IN_CDB, .has_field = true, .in_cdb = true,
			    .byte = 1, .has_bit = true, .bit = 3 };
	says(&s, "ILLEGAL REQUEST 24/00 at CDB byte 1 bit 3 (INVALID FIELD IN CDB)");
	s = (struct sense){ .reason = SENSE_INVALID_FIELD_IN_PARAMETERS, .has_field = true,
			    .byte = 65535 };
	says(&s, "ILLEGAL REQUEST 26/00 at parameter byte 65535 (INVALID FIELD IN PARAMETER LIST)");
	s = (struct sense){ .reason = SENSE_MISCOMPARE_VERIFY, .has_information = true,
			    .information = UINT64_MAX };
	says(&s, "MISCOMPARE 1D/00 at offset 18446744073709551615 "
		 "(MISCOMPARE DURING VERIFY OPERATION)");
	s = (struct sense){ .reason = SENSE_WRITE_ERROR, .deferred = true };
	says(&s, "deferred MEDIUM ERROR 0C/00 (WRITE ERROR)");
	s = (struct sense){ .reason = SENSE_REASON(4, 0x5d, 0x10) };
	says(&s, "HARDWARE ERROR 5D/10");
	CU_ASSERT_STRING_EQUAL(sense_format(STATUS_RESERVATION_CONFLICT, NULL, 0, text,
					    sizeof(text)),
			       "RESERVATION CONFLICT");
	CU_ASSERT_STRING_EQUAL(sense_format(STATUS_CHECK_CONDITION, NULL, 0, text, sizeof(text)),
			       "CHECK CONDITION without sense data");
	CU_ASSERT_STRING_EQUAL(sense_format(0x7e, NULL, 0, text, sizeof(text)),
			       "unknown status 0x7e");
}

static const struct unit_test tests[] = {
	UNIT_TEST(every_reason_survives_both_formats),
	UNIT_TEST(fixed_format_is_laid_out_as_in_4_5_3),
	UNIT_TEST(descriptor_format_is_laid_out_as_in_4_5_2),
	UNIT_TEST(fixed_format_has_no_room_for_a_large_lba),
	UNIT_TEST(every_truncation_of_either_format_is_safe),
	UNIT_TEST(what_lies_behind_the_additional_length_is_not_sense),
	UNIT_TEST(only_four_response_codes_are_sense_data),
	UNIT_TEST(descriptors_in_any_order_and_number_are_walked),
	UNIT_TEST(progress_is_not_taken_for_a_field_pointer),
	UNIT_TEST(every_reason_has_its_own_value_and_text),
	UNIT_TEST(a_person_reads_what_happened_and_where),
};

UNIT_MAIN("sense", tests)
