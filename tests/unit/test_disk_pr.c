/*
 * PERSISTENT RESERVE IN and OUT as bytes: the parameter data of the one, the parameter
 * lists of the other and where each fault in them is found.
 */
#include <stdio.h>
#include <string.h>

#include "field.h"
#include "reserve_bed.h"
#include "transport_id.h"
#include "unit.h"

static void start(void)
{
	disk_bed_init(&bed, 1);
}

/* PERSISTENT RESERVE IN ----------------------------------------------------- */

static void keys_and_the_generation_are_read(void)
{
	start();
	IN(READ_KEYS);
	CU_ASSERT(is_good(&probe) && moved(&probe, 8, 8));
	CU_ASSERT_EQUAL(get_be64(probe.data), 0);
	disk_bed_free(&bed);
	start_reserved(WE);
	IN(READ_KEYS);
	CU_ASSERT(moved(&probe, 24, 24));
	CU_ASSERT_EQUAL(get_be32(probe.data), 2);
	CU_ASSERT_EQUAL(get_be32(probe.data + 4), 16);
	CU_ASSERT_EQUAL(get_be64(probe.data + 8), 1);
	CU_ASSERT_EQUAL(get_be64(probe.data + 16), 2);
	disk_bed_free(&bed);
}

static void what_does_not_fit_is_cut_off_and_counted_all_the_same(void)
{
	start_reserved(WE);
	for (uint32_t room = 0; room < 24; room++) {
		read_in(CDB_PR_IN_READ_KEYS, room);
		CU_ASSERT(is_good(&probe) && moved(&probe, room, room));
		if (room >= 8)
			CU_ASSERT_EQUAL(get_be32(probe.data + 4), 16);
		CU_ASSERT_EQUAL(probe.data[room], 0xa5);
	}
	disk_bed_free(&bed);
}

static void the_reservation_is_read_with_the_key_of_its_holder(void)
{
	start();
	IN(READ_RESERVATION);
	CU_ASSERT(moved(&probe, 8, 8));
	disk_bed_free(&bed);
	start_reserved(WERO);
	IN(READ_RESERVATION);
	CU_ASSERT(moved(&probe, 24, 24));
	CU_ASSERT_EQUAL(get_be32(probe.data + 4), 16);
	CU_ASSERT_EQUAL(get_be64(probe.data + 8), 1);
	CU_ASSERT_EQUAL(probe.data[21], WERO);
	disk_bed_free(&bed);
	start_reserved(EAAR);
	IN(READ_RESERVATION);
	CU_ASSERT_EQUAL(get_be64(probe.data + 8), 0);	/* it is nobody's in particular */
	CU_ASSERT_EQUAL(probe.data[21], EAAR);
	disk_bed_free(&bed);
}

static void full_status_names_ports_and_holders(void)
{
	struct transport_id id;
	size_t at = 8, len;

	start_reserved(WERO);
	IN(READ_FULL_STATUS);
	CU_ASSERT(is_good(&probe));
	for (int i = 0; i < 2; i++, at += 24 + len) {
		const uint8_t *d = probe.data + at;
		const struct nexus *nexus = i ? &bed.b : &bed.a;

		CU_ASSERT_EQUAL(get_be64(d), i ? 2 : 1);
		CU_ASSERT_EQUAL(d[12], i ? 0 : 1);
		CU_ASSERT_EQUAL(d[13], i ? 0 : WERO);
		CU_ASSERT_EQUAL(get_be16(d + 18), nexus->tpgt);
		len = get_be32(d + 20);
		CU_ASSERT_EQUAL(transport_id_decode(d + 24, len, &id), len);
		CU_ASSERT_STRING_EQUAL(id.name, nexus->initiator_name);
		CU_ASSERT_EQUAL(memcmp(id.isid, nexus->isid, 6), 0);
	}
	CU_ASSERT_EQUAL(get_be32(probe.data + 4), at - 8);
	CU_ASSERT(moved(&probe, (uint32_t)at, at));
	read_in(CDB_PR_IN_READ_FULL_STATUS, 20);
	CU_ASSERT(moved(&probe, 20, 20));
	CU_ASSERT_EQUAL(get_be32(probe.data + 4), at - 8);
	disk_bed_free(&bed);
}

static void capabilities_promise_no_persistence_where_there_is_no_store(void)
{
	static const uint8_t expected[] = { 0, 8, 0x1c, 0xb0, 0xea, 0x01, 0, 0 };

	start();
	IN(REPORT_CAPABILITIES);
	CU_ASSERT(moved(&probe, 8, 8));
	CU_ASSERT_EQUAL(memcmp(probe.data, expected, sizeof(expected)), 0);
	OUT(&bed.a, REGISTER, .action_key = 1, .flags = APTPL);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_PARAMETERS, 20, 0));
	OUT(&bed.a, REGISTER_AND_IGNORE, .action_key = 1, .flags = APTPL);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_PARAMETERS, 20, 0));
	GOOD_OUT(&bed.a, REGISTER, .action_key = 1);
	GOOD_OUT(&bed.a, CLEAR, .key = 1, .flags = APTPL);	/* ignored there */
	disk_bed_free(&bed);
}

/* Parameter lists ----------------------------------------------------------- */

static void list(enum cdb_id action, uint32_t param_len, uint32_t arrived)
{
	const struct cdb cdb = { .id = action, .type = WE, .param_len = param_len };

	command_init(&c, &bed, &cdb);
	c.task.data_len = arrived;
	if (!arrived)
		c.task.direction = CDB_NO_DATA;
	run(&c);
}

static void lists_of_wrong_length_are_refused(void)
{
	start();
	memset(c.data, 0, 64);
	for (int id = CDB_PR_OUT_REGISTER; id <= CDB_PR_OUT_REGISTER_AND_MOVE; id++) {
		for (uint32_t len = 0; len < LIST_LEN; len++) {
			list((enum cdb_id)id, len, len);
			CU_ASSERT(failed_with(&c, SENSE_PARAMETER_LIST_LENGTH));
		}
		list((enum cdb_id)id, LIST_LEN, LIST_LEN - 1);
		CU_ASSERT(failed_with(&c, SENSE_PARAMETER_LIST_LENGTH));
		if (id == CDB_PR_OUT_REGISTER_AND_MOVE)
			continue;
		list((enum cdb_id)id, LIST_LEN + 1, LIST_LEN + 1);
		CU_ASSERT(failed_with(&c, SENSE_PARAMETER_LIST_LENGTH));
	}
	disk_bed_free(&bed);
}

static void only_register_specifies_initiator_ports(void)
{
	start_reserved(WE);
	for (int id = CDB_PR_OUT_RESERVE; id < CDB_PR_OUT_REGISTER_AND_MOVE; id++) {
		out_init(&bed, &bed.a, (enum cdb_id)id, &(struct out){
			.key = 1, .action_key = 1, .type = WE, .flags = SPEC_I_PT });
		run(&c);
		CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_PARAMETERS, 20, 3));
	}
	disk_bed_free(&bed);
}

/* REGISTER with SPEC_I_PT and these TransportIDs. */
static void specify(const uint8_t *ids, uint32_t len, uint32_t announced)
{
	const struct cdb cdb = { .id = CDB_PR_OUT_REGISTER, .param_len = 28 + len };

	command_init(&c, &bed, &cdb);
	memset(c.data, 0, 28);
	put_be64(c.data + 8, 0x11);
	c.data[20] = SPEC_I_PT;
	put_be32(c.data + 24, announced);
	if (len)
		memcpy(c.data + 28, ids, len);
	run(&c);
}

static void specified_ports_are_registered_be_they_here_or_not(void)
{
	static const struct nexus absent = {
		.initiator_name = "iqn.2026-11.test:absent", .isid = { 1, 2, 3, 4, 5, 6 }, .tpgt = 3,
	};
	uint8_t ids[2 * TRANSPORT_ID_MAX_LEN];
	size_t len;

	start();
	len = transport_id_encode(absent.initiator_name, absent.isid, ids);
	len += transport_id_encode(bed.b.initiator_name, bed.b.isid, ids + len);
	specify(ids, (uint32_t)len, (uint32_t)len);
	CU_ASSERT(is_good(&c));
	CU_ASSERT(has_key(&bed.a, 0x11) && has_key(&bed.b, 0x11) && has_key(&absent, 0x11));
	disk_bed_free(&bed);
}

/* A TransportID of a node: a name alone, padded. */
static size_t node_id(const char *name, uint8_t *wire)
{
	size_t len = (strlen(name) + 4) & ~(size_t)3;

	memset(wire, 0, 4 + len);
	wire[0] = 0x05;
	wire[3] = (uint8_t)len;
	memcpy(wire + 4, name, strlen(name));
	return 4 + len;
}

static void a_node_stands_for_its_ports_that_are_logged_in(void)
{
	uint8_t id[TRANSPORT_ID_MAX_LEN];
	size_t len;

	start();
	disk_bed_init_second(&other, &bed);
	other.b.isid[0] = 0x77;
	len = node_id(bed.b.initiator_name, id);
	specify(id, (uint32_t)len, (uint32_t)len);
	CU_ASSERT(is_good(&c));
	CU_ASSERT(has_key(&bed.a, 0x11) && has_key(&bed.b, 0x11) && has_key(&other.b, 0x11));
	disk_bed_free(&other);
	disk_bed_free(&bed);
	start();
	len = node_id("iqn.2026-11.test:nobody", id);
	specify(id, (uint32_t)len, (uint32_t)len);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_PARAMETERS, 28, -1));
	disk_bed_free(&bed);
}

static void a_wrong_transport_id_is_refused_where_it_begins(void)
{
	uint8_t ids[2 * TRANSPORT_ID_MAX_LEN];
	size_t first, len;

	start();
	first = transport_id_encode(bed.b.initiator_name, bed.b.isid, ids);
	len = first + transport_id_encode("iqn.2026-11.test:x", bed.b.isid, ids + first);
	specify(ids, (uint32_t)len, (uint32_t)len + 1);
	CU_ASSERT(failed_with(&c, SENSE_PARAMETER_LIST_LENGTH));
	specify(ids, (uint32_t)len, (uint32_t)len - 1);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_PARAMETERS, (uint16_t)(28 + first), -1));
	ids[first] = 0x00;
	specify(ids, (uint32_t)len, (uint32_t)len);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_PARAMETERS, (uint16_t)(28 + first), -1));
	CU_ASSERT(has_key(&bed.a, 0) && has_key(&bed.b, 0));
	OUT(&bed.a, REGISTER, .action_key = 1, .flags = SPEC_I_PT);
	CU_ASSERT(failed_with(&c, SENSE_PARAMETER_LIST_LENGTH));	/* 24 bytes cannot do */
	disk_bed_free(&bed);
}

static void more_ports_than_one_list_may_name_are_too_many(void)
{
	static uint8_t ids[40 * TRANSPORT_ID_MAX_LEN];
	char name[] = "iqn.2026-11.test:xx";
	size_t len = 0;

	start();
	for (int i = 0; i < 33; i++) {
		snprintf(name, sizeof(name), "iqn.2026-11.test:%02d", i);
		len += transport_id_encode(name, bed.b.isid, ids + len);
	}
	specify(ids, (uint32_t)len, (uint32_t)len);
	CU_ASSERT(failed_with(&c, SENSE_INSUFFICIENT_REGISTRATION));
	CU_ASSERT(has_key(&bed.a, 0));
	disk_bed_free(&bed);
}

/* REGISTER AND MOVE by a, whose key is 1. */
static void move_to_port(const struct nexus *nexus, uint16_t port, uint8_t flags)
{
	uint8_t id[TRANSPORT_ID_MAX_LEN];
	size_t len = transport_id_encode(nexus->initiator_name, nexus->isid, id);
	const struct cdb cdb = {
		.id = CDB_PR_OUT_REGISTER_AND_MOVE, .param_len = (uint32_t)(24 + len),
	};

	command_init(&c, &bed, &cdb);
	memset(c.data, 0, 24);
	put_be64(c.data, 1);
	put_be64(c.data + 8, 0x22);
	c.data[17] = flags;
	put_be16(c.data + 18, port);
	put_be32(c.data + 20, (uint32_t)len);
	memcpy(c.data + 24, id, len);
	run(&c);
}

static void move_to(const struct nexus *nexus, uint8_t flags)
{
	move_to_port(nexus, nexus->tpgt, flags);
}

static void a_reservation_is_moved_and_the_mover_unregistered(void)
{
	struct nexus far;

	start_reserved(WERO);
	far = bed.b;
	far.isid[3] = 9;
	move_to(&far, 0x02);
	CU_ASSERT(is_good(&c));
	CU_ASSERT(has_key(&bed.a, 0) && has_key(&bed.b, 2) && has_key(&far, 0x22));
	IN(READ_RESERVATION);
	CU_ASSERT_EQUAL(get_be64(probe.data + 8), 0x22);
	disk_bed_free(&bed);
}

static void a_move_to_where_nothing_is_or_without_a_port_is_refused(void)
{
	struct nexus far;

	start_reserved(WE);
	far = bed.b;
	far.tpgt++;
	move_to(&far, 0);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_PARAMETERS, 18, -1));
	move_to(&bed.b, 0x01);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_PARAMETERS, 17, 0));
	move_to(&bed.a, 0);
	CU_ASSERT(failed_with(&c, SENSE_INVALID_FIELD_IN_PARAMETERS));
	memset(c.data, 0, 24);
	put_be64(c.data, 1);
	put_be16(c.data + 18, bed.a.tpgt);
	list(CDB_PR_OUT_REGISTER_AND_MOVE, 24, 24);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_PARAMETERS, 24, -1));
	put_be32(c.data + 20, 1);
	list(CDB_PR_OUT_REGISTER_AND_MOVE, 24, 24);
	CU_ASSERT(failed_with(&c, SENSE_PARAMETER_LIST_LENGTH));
	disk_bed_free(&bed);
}

static void all_target_ports_are_those_of_the_configuration(void)
{
	static const uint16_t tags[] = { 1, 3, 9 };
	struct nexus by_port;

	disk_bed_init(&bed, 1);
	disk_bed_set_ports(&bed, tags, 3);
	GOOD_OUT(&bed.a, REGISTER, .action_key = 5, .flags = ALL_TG_PT);
	by_port = bed.a;
	for (unsigned i = 0; i < 3; i++) {
		by_port.tpgt = tags[i];
		CU_ASSERT(has_key(&by_port, 5));
	}
	IN(READ_KEYS);
	CU_ASSERT_EQUAL(get_be32(probe.data + 4), 3 * 8);
	disk_bed_free(&bed);
}

/* Two targets show the unit, in one portal group: the second one's port is number 4. */
static struct nexus far;

static void start_in_two_targets(void)
{
	struct lu_port ports[2];

	disk_bed_init(&bed, 1);
	far = bed.a;
	strcpy(far.target_name, "iqn.2026-11.test:other");
	ports[0] = lu_port_of(&bed.a);
	ports[1] = lu_port_of(&far);
	CU_ASSERT(lu_shared_set_ports(bed.lu_shared, ports, 2));
	lu_attach(bed.lu, &far);
	CU_ASSERT(hears(&bed, &bed.a, SENSE_INQUIRY_CHANGED));
	CU_ASSERT(hears(&bed, &bed.b, SENSE_INQUIRY_CHANGED));
	CU_ASSERT(hears(&bed, &far, SENSE_POWER_ON_OR_RESET));
}

static void end_in_two_targets(void)
{
	lu_detach(bed.lu, &far);
	disk_bed_free(&bed);
}

static bool may_write(const struct nexus *nexus)
{
	memset(c.data, 0, DISK_BED_BLOCK);
	run_by(&c, &bed, nexus, &(struct cdb){ .id = CDB_WRITE_10, .blocks = 1 });
	CU_ASSERT(is_good(&c) || conflicted(&c));
	return is_good(&c);
}

static void an_initiator_is_another_nexus_to_another_target(void)
{
	start_in_two_targets();
	GOOD_OUT(&bed.a, REGISTER, .action_key = 1);
	CU_ASSERT(has_key_by(&bed.a, 3, 1) && has_key_by(&far, 4, 0));
	OUT(&far, RESERVE, .key = 1, .type = WE);
	CU_ASSERT(conflicted(&c));
	GOOD_OUT(&bed.a, RESERVE, .key = 1, .type = WE);
	CU_ASSERT(may_write(&bed.a) && !may_write(&far));
	GOOD_OUT(&far, REGISTER, .action_key = 2);
	CU_ASSERT(has_key_by(&bed.a, 3, 1) && has_key_by(&far, 4, 2));
	CU_ASSERT(!may_write(&far));
	GOOD_OUT(&far, PREEMPT, .key = 2, .action_key = 1, .type = WE);
	CU_ASSERT(hears(&bed, &bed.a, SENSE_REGISTRATIONS_PREEMPTED));
	CU_ASSERT(!may_write(&bed.a) && may_write(&far));
	CU_ASSERT(has_key_by(&bed.a, 3, 0) && has_key_by(&far, 4, 2));
	end_in_two_targets();
}

static void all_target_ports_are_those_of_both_targets(void)
{
	uint8_t id[TRANSPORT_ID_MAX_LEN];
	uint32_t len;

	start_in_two_targets();
	GOOD_OUT(&far, REGISTER, .action_key = 7, .flags = ALL_TG_PT);
	CU_ASSERT(has_key_by(&bed.a, 3, 7) && has_key_by(&far, 4, 7));
	GOOD_OUT(&bed.a, REGISTER, .key = 7, .flags = ALL_TG_PT);
	CU_ASSERT(has_key_by(&bed.a, 3, 0) && has_key_by(&far, 4, 0));
	/* SPEC_I_PT alone: by the port of the command, be it not the unit's first. */
	len = (uint32_t)transport_id_encode(bed.b.initiator_name, bed.b.isid, id);
	command_init(&c, &bed, &(struct cdb){ .id = CDB_PR_OUT_REGISTER, .param_len = 28 + len });
	memset(c.data, 0, 28);
	put_be64(c.data + 8, 9);
	c.data[20] = SPEC_I_PT;
	put_be32(c.data + 24, len);
	memcpy(c.data + 28, id, len);
	c.task.nexus = &far;
	run(&c);
	CU_ASSERT(is_good(&c));
	CU_ASSERT(has_key_by(&far, 4, 9) && has_key_by(&bed.b, 4, 9) && has_key_by(&bed.b, 3, 0));
	end_in_two_targets();
}

static void a_reservation_is_moved_to_the_port_of_another_target(void)
{
	start_in_two_targets();
	GOOD_OUT(&bed.a, REGISTER, .action_key = 1);
	GOOD_OUT(&bed.a, RESERVE, .key = 1, .type = EA);
	move_to_port(&bed.a, 4, 0x02);
	CU_ASSERT(is_good(&c));
	CU_ASSERT(has_key_by(&bed.a, 3, 0) && has_key_by(&far, 4, 0x22));
	CU_ASSERT(may_write(&far) && !may_write(&bed.a));
	end_in_two_targets();
}

/* Reload: the target goes, and another comes. A number is never given to another port. */
static void a_port_that_has_gone_keeps_its_number(void)
{
	struct lu_port ports[2];

	start_in_two_targets();
	GOOD_OUT(&far, REGISTER, .action_key = 6);
	ports[0] = lu_port_of(&bed.a);
	ports[1] = ports[0];
	strcpy(ports[1].target, "iqn.2026-11.test:third");
	CU_ASSERT(lu_shared_set_ports(bed.lu_shared, ports, 2));
	CU_ASSERT(hears(&bed, &bed.a, SENSE_INQUIRY_CHANGED));
	CU_ASSERT(has_key_by(&far, 4, 6));
	GOOD_OUT(&bed.a, REGISTER, .action_key = 1, .flags = ALL_TG_PT);
	CU_ASSERT(has_key_by(&bed.a, 3, 1) && has_key_by(&far, 4, 6) && has_key_by(&bed.a, 5, 1));
	GOOD_OUT(&bed.a, RESERVE, .key = 1, .type = WE);
	move_to_port(&bed.a, 4, 0);
	CU_ASSERT(refused_at(&c, SENSE_INVALID_FIELD_IN_PARAMETERS, 18, -1));
	/* As it was: nobody has to be told. */
	CU_ASSERT(lu_shared_set_ports(bed.lu_shared, ports, 2));
	CU_ASSERT(hears(&bed, &bed.a, SENSE_NONE));
	end_in_two_targets();
}

static const struct unit_test tests[] = {
	UNIT_TEST(keys_and_the_generation_are_read),
	UNIT_TEST(what_does_not_fit_is_cut_off_and_counted_all_the_same),
	UNIT_TEST(the_reservation_is_read_with_the_key_of_its_holder),
	UNIT_TEST(full_status_names_ports_and_holders),
	UNIT_TEST(capabilities_promise_no_persistence_where_there_is_no_store),
	UNIT_TEST(lists_of_wrong_length_are_refused),
	UNIT_TEST(only_register_specifies_initiator_ports),
	UNIT_TEST(specified_ports_are_registered_be_they_here_or_not),
	UNIT_TEST(a_node_stands_for_its_ports_that_are_logged_in),
	UNIT_TEST(a_wrong_transport_id_is_refused_where_it_begins),
	UNIT_TEST(more_ports_than_one_list_may_name_are_too_many),
	UNIT_TEST(a_reservation_is_moved_and_the_mover_unregistered),
	UNIT_TEST(a_move_to_where_nothing_is_or_without_a_port_is_refused),
	UNIT_TEST(all_target_ports_are_those_of_the_configuration),
	UNIT_TEST(an_initiator_is_another_nexus_to_another_target),
	UNIT_TEST(all_target_ports_are_those_of_both_targets),
	UNIT_TEST(a_reservation_is_moved_to_the_port_of_another_target),
	UNIT_TEST(a_port_that_has_gone_keeps_its_number),
};

UNIT_MAIN("disk_pr", tests)
