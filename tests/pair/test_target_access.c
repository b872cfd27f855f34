/*
 * Who gets where: portal groups, auth groups, redirections, what SendTargets tells, and
 * the LUNs that each initiator has.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "scsi_data.h"
#include "target_peer.h"
#include "unit.h"

#define ME		RIG_INITIATOR
#define OTHER		"iqn.2026-11.test:other-initiator"
#define T(name)		"iqn.2026-11.test:" name
#define OK(why)		CU_ASSERT_PTR_NULL_FATAL(why)

enum { LAN = RIG_GROUP, WAN = 2, BACK = 3 };

static const struct chap_secret secret = { 20, "what only alice sees" };

static struct rig rig;
static struct peer peer;
static struct access_auth_group *open_to_all, *nobody, *mine, *others, *near, *far, *chap;
static struct access_portal_group *wan, *back;

static struct access_auth_group *add_group(const char *name, enum access_auth auth)
{
	struct access_auth_group *group;

	OK(access_add_auth_group(rig.access, name, auth, &group));
	return group;
}

static struct access_target *add_target(const char *name, const struct access_auth_group *auth,
					const struct access_portal_group *by)
{
	struct access_target *target;

	OK(access_add_target(rig.access, name, auth, &target));
	OK(access_add_entrance(target, by, NULL));
	return target;
}

static void add_groups(void)
{
	open_to_all = rig.access->auth_groups[0];
	nobody = add_group("nobody", ACCESS_DENY);
	mine = add_group("mine", ACCESS_OPEN);
	OK(access_add_initiator(mine, ME));
	others = add_group("others", ACCESS_OPEN);
	OK(access_add_initiator(others, OTHER));
	near = add_group("near", ACCESS_OPEN);
	OK(access_add_prefix(near, "127.0.0.0/8"));
	OK(access_add_prefix(near, "::1"));
	far = add_group("far", ACCESS_OPEN);
	OK(access_add_prefix(far, "192.0.2.0/24"));
	chap = add_group("chap", ACCESS_CHAP);
	OK(access_add_user(chap, "alice", &secret, NULL, NULL));
	OK(access_add_initiator(chap, ME));
	OK(access_add_portal_group(rig.access, "wan", WAN, open_to_all, &wan));
	OK(access_add_portal(wan, "198.51.100.1:3260"));
	OK(access_add_portal_group(rig.access, "back", BACK, nobody, &back));
	OK(access_add_portal(back, "203.0.113.1:3260"));
	OK(access_redirect_group(back, ACCESS_MOVED_TEMPORARILY, "198.51.100.1:3260,2"));
}

/* One target of each kind. */
static void begin(void)
{
	struct access_target *target;

	rig_init(&rig);
	add_groups();
	add_target(T("mine"), mine, rig.group);
	add_target(T("others"), others, rig.group);
	add_target(T("near"), near, rig.group);
	add_target(T("far"), far, rig.group);
	add_target(T("nobodys"), nobody, rig.group);
	add_target(T("secured"), chap, rig.group);
	target = add_target(T("moved"), open_to_all, rig.group);
	OK(access_redirect_target(target, ACCESS_MOVED_TEMPORARILY, "198.51.100.9:3260"));
	target = add_target(T("gone"), mine, rig.group);
	OK(access_redirect_target(target, ACCESS_MOVED_PERMANENTLY, "[2001:db8::9]"));
	target = add_target(T("offline"), open_to_all, rig.group);
	target->offline = true;
	target = add_target(T("far-away"), open_to_all, wan);
	OK(access_add_entrance(target, back, NULL));
	target = add_target(T("two-ways"), open_to_all, rig.group);
	OK(access_add_entrance(target, wan, others));
	rig_start(&rig);
}

static void finish(void)
{
	rig_stop(&rig);
}

/* ---- logging in */

struct visit {
	const char *initiator, *target;	/* no target: discovery */
	uint16_t group;
	bool	 tcp;			/* from 127.0.0.1; else from no internet address */
	uint16_t status;
	const char *moved_to;
};

static const struct visit visits[] = {
	{ ME, RIG_TARGET, LAN, false, 0, NULL },
	{ ME, RIG_TARGET, LAN, true, 0, NULL },
	{ ME, "IQN.2026-11.test:RIG", LAN, false, 0, NULL },
	{ ME, RIG_TARGET, WAN, false, 0x0203, NULL },
	{ ME, T("nothing"), LAN, false, 0x0203, NULL },
	{ ME, T("mine"), LAN, false, 0, NULL },
	{ "IQN.2026-11.test:Initiator", T("mine"), LAN, false, 0, NULL },
	{ OTHER, T("mine"), LAN, false, 0x0202, NULL },
	{ OTHER, T("others"), LAN, true, 0, NULL },
	{ ME, T("others"), LAN, true, 0x0202, NULL },
	{ ME, T("near"), LAN, true, 0, NULL },
	{ ME, T("near"), LAN, false, 0x0202, NULL },
	{ ME, T("far"), LAN, true, 0x0202, NULL },
	{ ME, T("nobodys"), LAN, true, 0x0202, NULL },
	{ ME, T("secured"), LAN, true, 0x0201, NULL },
	{ OTHER, T("secured"), LAN, true, 0x0202, NULL },
	{ ME, T("moved"), LAN, false, 0x0101, "198.51.100.9:3260" },
	{ ME, T("gone"), LAN, false, 0x0102, "[2001:db8::9]" },
	{ OTHER, T("gone"), LAN, false, 0x0202, NULL },
	{ ME, T("offline"), LAN, false, 0x0301, NULL },
	{ ME, T("far-away"), LAN, false, 0x0203, NULL },
	{ ME, T("far-away"), WAN, false, 0, NULL },
	{ ME, T("far-away"), BACK, false, 0x0101, "198.51.100.1:3260,2" },
	{ ME, T("two-ways"), LAN, false, 0, NULL },
	{ ME, T("two-ways"), WAN, false, 0x0202, NULL },
	{ OTHER, T("two-ways"), WAN, false, 0, NULL },
	{ ME, NULL, LAN, false, 0, NULL },
	{ ME, NULL, BACK, false, 0x0202, NULL },
	{ ME, T("mine"), 9, false, 0x0301, NULL },	/* a portal that is no more */
};

static void connect_for(const struct visit *v)
{
	if (v->tcp)
		peer_connect_by_tcp(&peer, &rig, 0, v->group);
	else
		peer_connect_to(&peer, &rig, 0, v->group);
}

static void introduce_with(const struct visit *v, uint8_t stage)
{
	char text[600];
	struct key_text out = { .text = text, .room = sizeof(text) };
	struct bhs b;

	keys_put(&out, "InitiatorName", v->initiator);
	keys_put(&out, v->target ? "TargetName" : "SessionType",
		 v->target ? v->target : "Discovery");
	b = peer_login_request(&peer, (uint32_t)out.len);
	b.csg = stage;
	peer_send(&peer, &b, text);
	CU_ASSERT_FATAL(peer_get(&peer));
	peer.stat_sn++;
}

static void log_in(const struct visit *v)
{
	connect_for(v);
	introduce_with(v, 1);
	CU_ASSERT_EQUAL_FATAL(peer.got.status_class << 8 | peer.got.status_detail, 0);
	CU_ASSERT_FATAL(peer.got.final);
}

/* The keys of the latest PDU, each in a line. */
static const char *lines(void)
{
	static char text[8192];

	CU_ASSERT_FATAL(peer.got.data_len < sizeof(text));
	memcpy(text, peer.data, peer.got.data_len);
	for (uint32_t i = 0; i < peer.got.data_len; i++)
		if (!text[i])
			text[i] = '\n';
	text[peer.got.data_len] = '\0';
	return text;
}

static void every_visitor_gets_the_right_answer(void)
{
	begin();
	for (size_t i = 0; i < sizeof(visits) / sizeof(visits[0]); i++) {
		const struct visit *v = &visits[i];
		char want[100] = "";

		connect_for(v);
		introduce_with(v, 1);
		CU_ASSERT_EQUAL(peer.got.status_class << 8 | peer.got.status_detail, v->status);
		if (v->status != (peer.got.status_class << 8 | peer.got.status_detail))
			printf("\n  visit %zu: %02x%02x\n", i, peer.got.status_class,
			       peer.got.status_detail);
		if (v->moved_to)
			snprintf(want, sizeof(want), "TargetAddress=%s\n", v->moved_to);
		if (v->status) {
			CU_ASSERT_STRING_EQUAL(lines(), want);
			CU_ASSERT(!peer.got.final && !peer.got.tsih);
			peer_expect_end(&peer);
		} else if (v->target) {
			snprintf(want, sizeof(want), "TargetPortalGroupTag=%u\n", v->group);
			CU_ASSERT_EQUAL(strncmp(lines(), want, strlen(want)), 0);
		}
		peer_disconnect(&peer);
	}
	finish();
}

static void a_redirection_needs_no_proof(void)
{
	const struct visit v = { ME, T("moved"), LAN, false, 0, NULL };

	begin();
	connect_for(&v);
	introduce_with(&v, 0);
	CU_ASSERT_EQUAL(peer.got.status_class << 8 | peer.got.status_detail, 0x0101);
	CU_ASSERT_STRING_EQUAL(lines(), "TargetAddress=198.51.100.9:3260\n");
	peer_expect_end(&peer);
	peer_disconnect(&peer);
	finish();
}

/* Two targets: two nexuses, though all other names are the same. */
static void the_same_port_may_visit_two_targets(void)
{
	const struct visit v = { ME, T("mine"), LAN, false, 0, NULL };
	struct peer first;

	begin();
	peer_connect(&first, &rig, 1);
	peer_log_in(&first);
	log_in(&v);
	peer_expect_silence(&first);
	peer_disconnect(&first);
	peer_disconnect(&peer);
	finish();
}

/* TARGET COLD RESET ends the sessions of its target alone. */
static void a_cold_reset_leaves_other_targets_alone(void)
{
	const struct visit v = { ME, T("mine"), LAN, false, 0, NULL };
	struct bhs reset = { .op = OP_TMF_REQUEST, .function = TMF_TARGET_COLD_RESET, .itt = 7,
			     .immediate = true };
	struct bhs want = { .op = OP_TMF_RESPONSE, .itt = 7 };
	struct peer first;

	begin();
	peer_connect(&first, &rig, 0);
	peer_log_in(&first);
	log_in(&v);
	peer_send(&peer, &reset, NULL);
	peer_expect(&peer, &want, NULL, 0);	/* it has no units */
	peer_expect_drop(&peer, 0);
	peer_expect_silence(&first);
	peer_disconnect(&first);
	peer_disconnect(&peer);
	finish();
}

/* ---- SendTargets */

static const char *send_targets(const char *which)
{
	static char all[8192];
	char text[300];
	struct key_text out = { .text = text, .room = sizeof(text) };
	struct bhs b = { .op = OP_TEXT_REQUEST, .final = true, .itt = 9, .ttt = ISCSI_NO_TAG };

	keys_put(&out, "SendTargets", which);
	b.data_len = (uint32_t)out.len;
	peer_send_numbered(&peer, &b, text);
	CU_ASSERT_FATAL(peer_get(&peer));
	peer.stat_sn++;
	CU_ASSERT(peer.got.final);
	snprintf(all, sizeof(all), "%s", lines());
	return all;
}

#define LAN_PORTALS	"TargetAddress=192.0.2.1:3260,1\nTargetAddress=[2001:db8::1]:3260,1\n"
#define WAN_PORTALS	"TargetAddress=198.51.100.1:3260,2\n"
#define NAME(name)	"TargetName=iqn.2026-11.test:" name "\n"

struct view {
	enum access_filter filter;
	const char *initiator;
	bool	 tcp;
	const char *sees;
};

static const struct view views[] = {
	{ ACCESS_FILTER_NAME, ME, true,
	  NAME("rig") LAN_PORTALS NAME("mine") LAN_PORTALS NAME("near") LAN_PORTALS
	  NAME("secured") LAN_PORTALS NAME("moved") LAN_PORTALS NAME("gone") LAN_PORTALS
	  NAME("offline") LAN_PORTALS NAME("two-ways") LAN_PORTALS },
	{ ACCESS_FILTER_NAME, ME, false,
	  NAME("rig") LAN_PORTALS NAME("mine") LAN_PORTALS NAME("secured") LAN_PORTALS
	  NAME("moved") LAN_PORTALS NAME("gone") LAN_PORTALS NAME("offline") LAN_PORTALS
	  NAME("two-ways") LAN_PORTALS },
	{ ACCESS_FILTER_NAME, OTHER, false,
	  NAME("rig") LAN_PORTALS NAME("others") LAN_PORTALS NAME("moved") LAN_PORTALS
	  NAME("offline") LAN_PORTALS NAME("two-ways") LAN_PORTALS WAN_PORTALS },
	{ ACCESS_FILTER_AUTH, ME, false,
	  NAME("rig") LAN_PORTALS NAME("mine") LAN_PORTALS NAME("moved") LAN_PORTALS
	  NAME("gone") LAN_PORTALS NAME("offline") LAN_PORTALS NAME("two-ways") LAN_PORTALS },
	{ ACCESS_FILTER_PORTAL, OTHER, false,
	  NAME("rig") LAN_PORTALS NAME("mine") LAN_PORTALS NAME("others") LAN_PORTALS
	  NAME("secured") LAN_PORTALS NAME("moved") LAN_PORTALS NAME("gone") LAN_PORTALS
	  NAME("offline") LAN_PORTALS NAME("two-ways") LAN_PORTALS WAN_PORTALS },
	{ ACCESS_FILTER_NONE, OTHER, false,
	  NAME("rig") LAN_PORTALS NAME("mine") LAN_PORTALS NAME("others") LAN_PORTALS
	  NAME("near") LAN_PORTALS NAME("far") LAN_PORTALS NAME("nobodys") LAN_PORTALS
	  NAME("secured") LAN_PORTALS NAME("moved") LAN_PORTALS NAME("gone") LAN_PORTALS
	  NAME("offline") LAN_PORTALS NAME("two-ways") LAN_PORTALS WAN_PORTALS },
};

static void everybody_sees_what_is_there_for_them(void)
{
	for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++) {
		const struct visit v = { views[i].initiator, NULL, LAN, views[i].tcp, 0, NULL };

		begin();
		rig.group->filter = views[i].filter;
		log_in(&v);
		CU_ASSERT_STRING_EQUAL(send_targets("All"), views[i].sees);
		peer_disconnect(&peer);
		finish();
	}
}

static void one_target_is_asked_for_by_name(void)
{
	const struct visit discovery = { ME, NULL, LAN, false, 0, NULL };
	const struct visit normal = { ME, T("mine"), LAN, false, 0, NULL };

	begin();
	log_in(&discovery);
	CU_ASSERT_STRING_EQUAL(send_targets(T("mine")), NAME("mine") LAN_PORTALS);
	CU_ASSERT_STRING_EQUAL(send_targets(T("others")), "");
	CU_ASSERT_STRING_EQUAL(send_targets(T("far-away")), "");
	CU_ASSERT_STRING_EQUAL(send_targets(T("nothing")), "");
	CU_ASSERT_STRING_EQUAL(send_targets(""), "SendTargets=Reject\n");
	CU_ASSERT_STRING_EQUAL(send_targets("all"), "SendTargets=Reject\n");
	peer_disconnect(&peer);
	log_in(&normal);
	CU_ASSERT_STRING_EQUAL(send_targets(""), NAME("mine") LAN_PORTALS);
	CU_ASSERT_STRING_EQUAL(send_targets(T("mine")), NAME("mine") LAN_PORTALS);
	CU_ASSERT_STRING_EQUAL(send_targets(RIG_TARGET), "");
	CU_ASSERT_STRING_EQUAL(send_targets("All"), "SendTargets=Reject\n");
	peer_disconnect(&peer);
	finish();
}

/* A list that is longer than any PDU, in pieces of what the initiator takes (RFC 7143 §11.10.2). */
static void a_thousand_targets_are_told_in_pieces(void)
{
	enum { TARGETS = 1000, PIECE = 512 };
	static const char wish[] = "SendTargets=All\0MaxRecvDataSegmentLength=512";
	static char got[TARGETS * 200], want[TARGETS * 200];
	struct bhs b = { .op = OP_TEXT_REQUEST, .final = true, .itt = 9, .ttt = ISCSI_NO_TAG,
			 .data_len = sizeof(wish) };
	struct key_text out = { .text = want, .room = sizeof(want) };
	size_t len = 0;

	rig_init(&rig);
	for (int i = -1; i < TARGETS; i++) {
		char name[60] = RIG_TARGET;

		if (i >= 0) {
			snprintf(name, sizeof(name), "iqn.2026-11.test:target-number-%d", i);
			add_target(name, rig.access->auth_groups[0], rig.group);
		}
		keys_put(&out, "TargetName", name);
		keys_put(&out, "TargetAddress", "192.0.2.1:3260,1");
		keys_put(&out, "TargetAddress", "[2001:db8::1]:3260,1");
	}
	rig_start(&rig);
	peer_connect(&peer, &rig, 0);
	peer_log_in_to_discovery(&peer);
	peer_send_numbered(&peer, &b, wish);
	for (;;) {
		CU_ASSERT_FATAL(peer_get(&peer));
		peer.stat_sn++;
		CU_ASSERT_FATAL(peer.got.op == OP_TEXT_RESPONSE && peer.got.itt == 9);
		CU_ASSERT_FATAL(len + peer.got.data_len <= sizeof(got));
		memcpy(got + len, peer.data, peer.got.data_len);
		len += peer.got.data_len;
		CU_ASSERT(peer.got.data_len <= PIECE);
		CU_ASSERT_EQUAL(peer.got.cont, !peer.got.final);
		CU_ASSERT_EQUAL(peer.got.ttt == ISCSI_NO_TAG, peer.got.final);
		if (peer.got.final)
			break;
		b.ttt = peer.got.ttt;
		b.data_len = 0;
		peer_send_numbered(&peer, &b, NULL);
	}
	CU_ASSERT_EQUAL(len, out.len);
	CU_ASSERT_EQUAL(memcmp(got, want, len), 0);
	peer_disconnect(&peer);
	finish();
}

/* ---- LUN maps */

static struct bhs command(const struct cdb *cdb, uint64_t lun, uint32_t edtl)
{
	struct bhs b = { .op = OP_SCSI_COMMAND, .final = true, .read = edtl > 0, .itt = 21,
			 .edtl = edtl, .lun = lun, .attribute = TASK_SIMPLE };

	cdb_encode(cdb, b.cdb);
	return b;
}

static void expect_luns(const uint64_t *luns, uint32_t count)
{
	const struct cdb cdb = { .id = CDB_REPORT_LUNS, .alloc_len = 256 };
	uint8_t data[256];
	struct bhs want = { .op = OP_DATA_IN, .final = true, .has_status = true, .itt = 21,
			    .ttt = ISCSI_NO_TAG };
	uint32_t len = (uint32_t)report_luns_encode(luns, count, data);
	struct bhs b = command(&cdb, 0, 256);

	want.underflow = len < 256;
	want.residual = 256 - len;
	peer_send_numbered(&peer, &b, NULL);
	peer_expect(&peer, &want, data, len);
}

/*
 * ME: LUN 5 is the interpreter, read-only, LUN 300 the pass-through, read-only.
 * OTHER: LUN 0 is the pass-through. Everybody else: nothing.
 */
static void begin_with_maps(void)
{
	struct access_map *map;

	rig_init(&rig);
	rig.target->maps[0]->count = 0;
	OK(access_add_map(rig.target, NULL, ME, &map));
	OK(access_add_lun(map, 300, &rig.export[1], true));
	OK(access_add_lun(map, 5, &rig.export[0], true));
	OK(access_add_map(rig.target, NULL, OTHER, &map));
	OK(access_add_lun(map, 0, &rig.export[1], false));
	rig_start(&rig);
}

static const struct visit me = { ME, RIG_TARGET, LAN, false, 0, NULL };
static const struct visit other = { OTHER, RIG_TARGET, LAN, false, 0, NULL };
static const struct visit third = { T("third"), RIG_TARGET, LAN, false, 0, NULL };

static void every_initiator_has_its_own_luns(void)
{
	const uint64_t my_luns[] = { lun_encode(5), lun_encode(300) };
	const uint64_t other_luns[] = { 0 };

	begin_with_maps();
	log_in(&me);
	expect_luns(my_luns, 2);
	CU_ASSERT_EQUAL(rig.lu[0][0].attached, 1);
	CU_ASSERT_EQUAL(rig.lu[1][0].attached, 1);
	peer_disconnect(&peer);
	log_in(&other);
	expect_luns(other_luns, 1);
	CU_ASSERT_EQUAL(rig.lu[0][0].attached, 1);
	CU_ASSERT_EQUAL(rig.lu[1][0].attached, 2);
	peer_disconnect(&peer);
	log_in(&third);
	expect_luns(NULL, 0);
	peer_disconnect(&peer);
	finish();
}

static void a_lun_is_looked_up_in_the_map_of_its_initiator(void)
{
	struct bhs b;

	begin_with_maps();
	log_in(&me);
	for (unsigned lun = 0; lun < 400; lun += 5) {
		b = peer_read(1, 512, 1);
		b.lun = lun_encode((uint16_t)lun);
		peer_send_numbered(&peer, &b, NULL);
		rig_turn(&rig);
		CU_ASSERT_EQUAL(rig.lu[0][0].count, lun == 5);
		CU_ASSERT_EQUAL(rig.lu[1][0].count, lun == 300);
		if (lun == 5 || lun == 300) {
			rig_end_good(&rig, &rig.lu[lun == 300][0], 0);
			CU_ASSERT_FATAL(peer_get(&peer));
			CU_ASSERT(peer.got.op == OP_DATA_IN && peer.got.data_len == 512);
			peer.stat_sn++;
		} else {
			peer_expect_sense(&peer, 1, SENSE_LUN_NOT_SUPPORTED, 512, 0);
		}
	}
	peer_disconnect(&peer);
	finish();
}

static void lun_0_answers_where_it_is_not_mapped(void)
{
	const struct cdb inquire = { .id = CDB_INQUIRY, .alloc_len = 36 };
	const struct cdb ready = { .id = CDB_TEST_UNIT_READY };
	const uint64_t my_luns[] = { lun_encode(5), lun_encode(300) };
	struct bhs b;

	begin_with_maps();
	log_in(&me);
	expect_luns(my_luns, 2);
	b = command(&inquire, 0, 36);
	peer_send_numbered(&peer, &b, NULL);
	CU_ASSERT_FATAL(peer_get(&peer));
	CU_ASSERT_EQUAL(peer.got.data_len, 36);
	CU_ASSERT_EQUAL(peer.data[0], 0x7f);	/* qualifier 011b, type 1Fh */
	peer.stat_sn++;
	b = command(&ready, 0, 0);
	peer_send_numbered(&peer, &b, NULL);
	peer_expect_sense(&peer, 21, SENSE_LUN_NOT_SUPPORTED, 0, 0);
	peer_disconnect(&peer);
	finish();
}

static void resets_reach_the_luns_of_the_session_alone(void)
{
	struct bhs b = { .op = OP_TMF_REQUEST, .immediate = true, .itt = 7,
			 .function = TMF_LU_RESET, .lun = lun_encode(1) };
	struct bhs want = { .op = OP_TMF_RESPONSE, .itt = 7, .response = TMF_NO_LUN };

	begin_with_maps();
	log_in(&other);
	peer_send(&peer, &b, NULL);
	peer_expect(&peer, &want, NULL, 0);
	b.function = TMF_TARGET_WARM_RESET;
	peer_send(&peer, &b, NULL);
	rig_turn(&rig);
	CU_ASSERT_PTR_NULL(rig.lu[0][0].tmf);
	rig_end_tmf(&rig, &rig.lu[1][0], TMF_COMPLETE);
	want.response = TMF_COMPLETE;
	peer_expect(&peer, &want, NULL, 0);
	peer_disconnect(&peer);
	finish();
}

static void the_interpreter_is_told_who_may_only_read(void)
{
	struct bhs b;

	begin_with_maps();
	log_in(&me);
	b = peer_write(1, 512, 1, 512);
	b.lun = lun_encode(5);
	peer_send_numbered(&peer, &b, rig_pattern());
	rig_turn(&rig);
	CU_ASSERT_EQUAL_FATAL(rig.lu[0][0].count, 1);
	CU_ASSERT(rig.lu[0][0].task[0]->read_only);
	rig_end_sense(&rig, &rig.lu[0][0], 0, SENSE_WRITE_PROTECTED);
	peer_expect_sense(&peer, 1, SENSE_WRITE_PROTECTED, 512, 0);
	peer_disconnect(&peer);
	finish();
}

static void nobody_writes_through_a_read_only_lun(void)
{
	struct bhs b;

	begin_with_maps();
	log_in(&me);
	b = peer_write(1, 512, 1, 512);
	b.lun = lun_encode(300);
	peer_send_numbered(&peer, &b, rig_pattern());
	peer_expect_sense(&peer, 1, SENSE_WRITE_PROTECTED, 512, 0);
	CU_ASSERT_EQUAL(rig.lu[1][0].submitted, 0);
	/* Nor does it keep off those who do. */
	b = command(&(struct cdb){ .id = CDB_RESERVE_6 }, lun_encode(300), 0);
	peer_send_numbered(&peer, &b, NULL);
	peer_expect_sense(&peer, b.itt, SENSE_WRITE_PROTECTED, 0, 0);
	CU_ASSERT_EQUAL(rig.lu[1][0].submitted, 0);
	peer_disconnect(&peer);
	log_in(&other);
	b = peer_write(1, 512, 1, 512);
	b.lun = 0;
	peer_send_numbered(&peer, &b, rig_pattern());
	rig_turn(&rig);
	CU_ASSERT_EQUAL_FATAL(rig.lu[1][0].count, 1);
	CU_ASSERT(!rig.lu[1][0].task[0]->read_only);
	rig_end_good(&rig, &rig.lu[1][0], 0);
	CU_ASSERT_FATAL(peer_get(&peer));
	CU_ASSERT_EQUAL(peer.got.status, STATUS_GOOD);
	peer_disconnect(&peer);
	finish();
}

/* A far end that may be written to says so in its mode data; to this initiator it may not. */
static void a_read_only_pass_through_says_so(void)
{
	static const enum cdb_id ids[] = { CDB_MODE_SENSE_6, CDB_MODE_SENSE_10 };

	begin_with_maps();
	log_in(&me);
	for (size_t i = 0; i < 2; i++) {
		const struct cdb cdb = { .id = ids[i], .page = 0x3f, .alloc_len = 64 };
		struct bhs b = command(&cdb, lun_encode(300), 64);
		uint8_t at = ids[i] == CDB_MODE_SENSE_6 ? 2 : 3;

		peer_send_numbered(&peer, &b, NULL);
		rig_turn(&rig);
		rig_end_good(&rig, &rig.lu[1][0], 0);
		CU_ASSERT_FATAL(peer_get(&peer));
		CU_ASSERT_EQUAL(peer.got.data_len, 64);
		for (uint8_t j = 0; j < 64; j++)
			CU_ASSERT_EQUAL(peer.data[j], j == at ? j | 0x80 : j);
		peer.stat_sn++;
	}
	peer_disconnect(&peer);
	finish();
}

/*
 * CVE-2020-28374: EXTENDED COPY names units by their NAA, which anybody can know. It must
 * find those of the nexus, whichever others there are.
 */
static void a_copy_reaches_the_luns_of_its_nexus_alone(void)
{
	struct disk_lu_conf conf = { .target_name = RIG_TARGET, .block_len = 512 };
	struct device device[2] = { { 0 }, { 0 } };
	const struct visit *const visitors[] = { &me, &other };
	struct access_map *map;
	uint64_t naa[2];

	rig_init(&rig);
	OK(access_add_map(rig.target, NULL, OTHER, &map));
	OK(access_add_lun(map, 7, &rig.export[0], true));
	for (uint16_t i = 0; i < 2; i++) {
		conf.lun = i;
		device[i].lu_shared = lu_shared_new(&conf);
		naa[i] = lu_shared_naa(device[i].lu_shared);
		rig.export[i].device = &device[i];
	}
	rig.target->maps[0]->count = 2;
	rig_start(&rig);
	for (size_t i = 0; i < 2; i++) {
		const struct lu_directory *directory = &rig.service[0].directory;
		struct bhs b = peer_read(1, 512, 1);
		const struct nexus *nexus;
		bool read_only = false;

		log_in(visitors[i]);
		b.lun = lun_encode(i ? 7 : 0);
		peer_send_numbered(&peer, &b, NULL);
		rig_turn(&rig);
		CU_ASSERT_EQUAL_FATAL(rig.lu[0][0].count, 1);
		nexus = rig.lu[0][0].task[0]->nexus;
		CU_ASSERT_PTR_EQUAL(directory->find(directory, nexus, naa[0], &read_only),
				    &rig.lu[0][0].lu);
		CU_ASSERT_EQUAL(read_only, i == 1);
		CU_ASSERT_PTR_EQUAL(directory->find(directory, nexus, naa[1], &read_only),
				    i ? NULL : &rig.lu[1][0].lu);
		CU_ASSERT_PTR_NULL(directory->find(directory, nexus, 42, &read_only));
		rig_end_good(&rig, &rig.lu[0][0], 0);
		peer_disconnect(&peer);
	}
	finish();
	for (int i = 0; i < 2; i++)
		lu_shared_free(device[i].lu_shared);
}

static const struct unit_test tests[] = {
	UNIT_TEST(every_visitor_gets_the_right_answer),
	UNIT_TEST(a_redirection_needs_no_proof),
	UNIT_TEST(the_same_port_may_visit_two_targets),
	UNIT_TEST(a_cold_reset_leaves_other_targets_alone),
	UNIT_TEST(everybody_sees_what_is_there_for_them),
	UNIT_TEST(one_target_is_asked_for_by_name),
	UNIT_TEST(a_thousand_targets_are_told_in_pieces),
	UNIT_TEST(every_initiator_has_its_own_luns),
	UNIT_TEST(a_lun_is_looked_up_in_the_map_of_its_initiator),
	UNIT_TEST(lun_0_answers_where_it_is_not_mapped),
	UNIT_TEST(resets_reach_the_luns_of_the_session_alone),
	UNIT_TEST(the_interpreter_is_told_who_may_only_read),
	UNIT_TEST(nobody_writes_through_a_read_only_lun),
	UNIT_TEST(a_read_only_pass_through_says_so),
	UNIT_TEST(a_copy_reaches_the_luns_of_its_nexus_alone),
};

UNIT_MAIN("target_access", tests)
