/*
 * The access rules as data: what may be added, what is found again, who is let in.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access.h"
#include "unit.h"

#define OK(why)		CU_ASSERT_PTR_NULL_FATAL(why)
#define NOT(why)	CU_ASSERT_PTR_NOT_NULL(why)

static const struct chap_secret secret = { 16, "sixteen bytes   " };
static const struct chap_secret other = { 16, "sixteen others  " };

static struct access *rules;
static struct access_auth_group *group;
static struct access_target *target;
static struct export export[3];

static void begin(void)
{
	rules = access_new();
	OK(access_add_auth_group(rules, "open", ACCESS_OPEN, &group));
	OK(access_add_target(rules, "iqn.2026-11.test:a", group, &target));
}

static void finish(void)
{
	CU_ASSERT_EQUAL(atomic_load(&rules->holders), 1);
	access_drop(rules);
}

static void who_holds_it_keeps_it(void)
{
	begin();
	CU_ASSERT_PTR_EQUAL(access_hold(rules), rules);
	access_drop(rules);
	CU_ASSERT_STRING_EQUAL(rules->targets[0]->name, "iqn.2026-11.test:a");
	finish();
	access_drop(NULL);
}

static void names_are_iscsi_names_in_lower_case_and_once_each(void)
{
	struct access_auth_group *g;
	struct access_portal_group *p;
	struct access_target *t;
	struct access_map *m;

	begin();
	OK(access_add_target(rules, "IQN.2026-11.Test:B", group, &t));
	CU_ASSERT_STRING_EQUAL(t->name, "iqn.2026-11.test:b");
	CU_ASSERT_PTR_EQUAL(access_find_target(rules, "iqn.2026-11.test:b"), t);
	CU_ASSERT_PTR_NULL(access_find_target(rules, "iqn.2026-11.test:c"));
	NOT(access_add_target(rules, "iqn.2026-11.test:B", group, &t));
	NOT(access_add_target(rules, "disk", group, &t));
	NOT(access_add_target(rules, "", group, &t));
	NOT(access_add_auth_group(rules, "open", ACCESS_DENY, &g));
	OK(access_add_portal_group(rules, "lan", 7, group, &p));
	NOT(access_add_portal_group(rules, "lan", 8, group, &p));
	NOT(access_add_portal_group(rules, "wan", 7, group, &p));
	NOT(access_add_portal_group(rules, "wan", 0, group, &p));
	CU_ASSERT_STRING_EQUAL(access_find_portal_group(rules, 7)->name, "lan");
	CU_ASSERT_PTR_NULL(access_find_portal_group(rules, 8));
	OK(access_add_entrance(target, rules->portal_groups[0], NULL));
	NOT(access_add_entrance(target, rules->portal_groups[0], NULL));
	OK(access_add_map(target, NULL, "iqn.1993-08.org.debian:01:AB", &m));
	CU_ASSERT_STRING_EQUAL(m->initiator, "iqn.1993-08.org.debian:01:ab");
	NOT(access_add_map(target, NULL, "iqn.1993-08.org.debian:01:ab", &m));
	NOT(access_add_map(target, NULL, "ab", &m));
	finish();
}

static void a_map_is_sorted_and_may_have_holes(void)
{
	static const unsigned numbers[] = { 5, 16383, 0 };
	struct access_map *map, *own;

	begin();
	map = target->maps[0];
	for (unsigned i = 0; i < 3; i++) {
		OK(access_add_lun(map, numbers[i], &export[i], i == 1));
		NOT(access_add_lun(map, numbers[i], &export[2], false));
	}
	CU_ASSERT_EQUAL(map->count, 3);
	for (unsigned i = 0; i < 3; i++) {
		CU_ASSERT_PTR_EQUAL(access_find_lun(map, numbers[i])->export, &export[i]);
		CU_ASSERT_EQUAL(access_find_lun(map, numbers[i])->read_only, i == 1);
	}
	CU_ASSERT_EQUAL(map->luns[0].number, 0);
	CU_ASSERT_EQUAL(map->luns[1].number, 5);
	CU_ASSERT_EQUAL(map->luns[2].number, 16383);
	CU_ASSERT_PTR_NULL(access_find_lun(map, 1));
	CU_ASSERT_PTR_NULL(access_find_lun(map, 16384));
	NOT(access_add_lun(map, 16384, &export[0], false));
	NOT(access_add_lun(map, 1, &export[0], false));		/* it is LUN 5 */
	OK(access_add_map(target, NULL, "iqn.2026-11.test:i", &own));
	CU_ASSERT_PTR_NULL(access_find_lun(own, 0));
	CU_ASSERT_PTR_EQUAL(access_map_of(target, NULL, "iqn.2026-11.test:i"), own);
	CU_ASSERT_PTR_EQUAL(access_map_of(target, NULL, "iqn.2026-11.test:ii"), map);
	finish();
}

static void what_is_said_of_the_group_comes_first(void)
{
	struct access_portal_group *one, *two;
	struct access_map *mine, *all, *both;

	begin();
	OK(access_add_portal_group(rules, "one", 11, target->auth, &one));
	OK(access_add_portal_group(rules, "two", 12, target->auth, &two));
	OK(access_add_map(target, one, "iqn.2026-11.test:i", &both));
	OK(access_add_map(target, one, NULL, &all));
	OK(access_add_map(target, NULL, "iqn.2026-11.test:i", &mine));
	NOT(access_add_map(target, one, NULL, &all));
	NOT(access_add_map(target, one, "iqn.2026-11.test:I", &both));
	CU_ASSERT_PTR_EQUAL(access_map_of(target, one, "iqn.2026-11.test:i"), both);
	CU_ASSERT_PTR_EQUAL(access_map_of(target, one, "iqn.2026-11.test:j"), all);
	CU_ASSERT_PTR_EQUAL(access_map_of(target, two, "iqn.2026-11.test:i"), mine);
	CU_ASSERT_PTR_EQUAL(access_map_of(target, two, "iqn.2026-11.test:j"), target->maps[0]);
	finish();
}

static void every_lun_there_can_be(void)
{
	static struct export many[LUN_MAX + 1];
	struct access_map *map;

	begin();
	map = target->maps[0];
	for (unsigned i = 0; i < 64; i++)
		OK(access_add_lun(map, LUN_MAX - 250 * i, &many[i], false));
	for (unsigned i = 0; i <= LUN_MAX; i++) {
		const struct access_lun *lun = access_find_lun(map, i);
		bool there = (LUN_MAX - i) % 250 == 0 && (LUN_MAX - i) / 250 < 64;

		CU_ASSERT_EQUAL(lun != NULL, there);
		CU_ASSERT(!lun || lun->number == i);
	}
	finish();
}

static void no_secret_proves_both_ends(void)
{
	struct access_auth_group *chap;

	begin();
	OK(access_add_auth_group(rules, "chap", ACCESS_CHAP, &chap));
	OK(access_add_user(chap, "a", &secret, "t", &other));
	NOT(access_add_user(chap, "a", &secret, NULL, NULL));	/* the name is there */
	NOT(access_add_user(chap, "", &secret, NULL, NULL));
	/* Another's secret is the one by which the target proves itself to the first. */
	NOT(access_add_user(chap, "b", &other, NULL, NULL));
	finish();
	begin();
	OK(access_add_auth_group(rules, "chap", ACCESS_CHAP, &chap));
	NOT(access_add_user(chap, "a", &secret, "t", &secret));
	finish();
}

static void users_are_the_same_by_name_and_secret(void)
{
	const struct chap_user a = { .name = "a", .secret = &secret };
	const struct chap_user changed = { .name = "a", .secret = &other };
	const struct chap_user b = { .name = "b", .secret = &secret };
	struct access_auth_group *chap, *deny;

	begin();
	OK(access_add_auth_group(rules, "chap", ACCESS_CHAP, &chap));
	OK(access_add_auth_group(rules, "deny", ACCESS_DENY, &deny));
	OK(access_add_user(chap, "a", &secret, NULL, NULL));
	CU_ASSERT(access_admits_user(chap, &a));
	CU_ASSERT_PTR_EQUAL(access_find_user(chap, &a), &chap->users[0]);
	CU_ASSERT(!access_admits_user(chap, &changed));
	CU_ASSERT(!access_admits_user(chap, &b));
	CU_ASSERT(!access_admits_user(chap, NULL));
	CU_ASSERT(access_admits_user(group, NULL) && access_admits_user(group, &a));
	CU_ASSERT(!access_admits_user(deny, NULL) && !access_admits_user(deny, &a));
	finish();
}

static void initiators_are_let_in_by_name(void)
{
	struct access_auth_group *deny;

	begin();
	CU_ASSERT(access_admits_name(group, "iqn.2026-11.test:x"));
	OK(access_add_initiator(group, "iqn.2026-11.test:X"));
	OK(access_add_initiator(group, "eui.02004567A425678D"));
	NOT(access_add_initiator(group, "x"));
	CU_ASSERT(access_admits_name(group, "iqn.2026-11.test:x"));
	CU_ASSERT(access_admits_name(group, "eui.02004567a425678d"));
	CU_ASSERT(!access_admits_name(group, "iqn.2026-11.test:xx"));
	CU_ASSERT(!access_admits_name(group, "iqn.2026-11.test:"));
	OK(access_add_auth_group(rules, "deny", ACCESS_DENY, &deny));
	CU_ASSERT(!access_admits_name(deny, "iqn.2026-11.test:x"));
	CU_ASSERT(!access_admits_address(deny, NULL));
	finish();
}

struct range {
	const char *prefix, *in, *out;
};

static const struct range ranges[] = {
	{ "192.0.2.7", "192.0.2.7", "192.0.2.6" },
	{ "192.0.2.0/24", "192.0.2.255", "192.0.3.0" },
	{ "192.0.2.0/25", "192.0.2.127", "192.0.2.128" },
	{ "0.0.0.0/0", "255.255.255.255", "2001:db8::1" },
	{ "128.0.0.0/1", "128.0.0.1", "127.255.255.255" },
	{ "192.0.2.6/31", "192.0.2.7", "192.0.2.8" },
	{ "192.0.2.7/32", "::ffff:192.0.2.7", "::192.0.2.7" },
	{ "::ffff:192.0.2.0/120", "192.0.2.1", "192.0.3.1" },
	{ "2001:db8::/32", "2001:db8:ffff::1", "2001:db9::" },
	{ "2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::" },
	{ "[2001:db8::7]", "2001:db8::7", "2001:db8::8" },
	{ "[2001:db8::]/127", "2001:db8::1", "2001:db8::2" },
	{ "::/0", "2001:db8::7", NULL },
};

static bool lets_in(const char *text)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

	if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
		return access_admits_address(group, (struct sockaddr *)&in);
	CU_ASSERT_EQUAL(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
	return access_admits_address(group, (struct sockaddr *)&in6);
}

static void initiators_are_let_in_by_address(void)
{
	const struct sockaddr local = { .sa_family = AF_UNIX };

	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		begin();
		CU_ASSERT(access_admits_address(group, NULL) && access_admits_address(group, &local));
		OK(access_add_prefix(group, "203.0.113.0/24"));
		OK(access_add_prefix(group, ranges[i].prefix));
		CU_ASSERT(lets_in(ranges[i].in));
		CU_ASSERT(!ranges[i].out || !lets_in(ranges[i].out));
		CU_ASSERT(lets_in("203.0.113.9"));
		CU_ASSERT(!access_admits_address(group, NULL));
		CU_ASSERT(!access_admits_address(group, &local));
		finish();
	}
}

static void what_is_no_prefix_is_refused(void)
{
	static const char *const texts[] = {
		"", "/", "/24", "192.0.2", "192.0.2.0/", "192.0.2.0/33", "192.0.2.0/-1", "192.0.2.0/ 1",
		"192.0.2.0/1x", "192.0.2.0/99999999999999999999", "2001:db8::/129", "2001:db8::/x",
		"[2001:db8::", "2001:db8::]", "[192.0.2.1]", "host.example", "192.0.2.1:3260",
		"1111:2222:3333:4444:5555:6666:7777:8888:9999", "192.0.2.0/255.255.255.0",
		"00000000000000000000000000000000000000000000000000000000000000000000",
	};

	begin();
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		NOT(access_add_prefix(group, texts[i]));
	CU_ASSERT_EQUAL(group->prefix_count, 0);
	finish();
}

static void redirections_and_aliases_fit_in_a_key(void)
{
	struct access_portal_group *portals;
	char text[300];

	memset(text, 'x', sizeof(text));
	text[256] = '\0';
	begin();
	OK(access_add_portal_group(rules, "lan", 1, group, &portals));
	NOT(access_redirect_target(target, ACCESS_MOVED_TEMPORARILY, text));
	NOT(access_redirect_target(target, ACCESS_MOVED_TEMPORARILY, ""));
	NOT(access_set_alias(target, text));
	CU_ASSERT_EQUAL(target->redirect, ACCESS_STAY);
	text[255] = '\0';
	OK(access_redirect_target(target, ACCESS_MOVED_PERMANENTLY, text));
	OK(access_redirect_target(target, ACCESS_MOVED_TEMPORARILY, "192.0.2.1"));
	OK(access_redirect_group(portals, ACCESS_MOVED_TEMPORARILY, text));
	OK(access_set_alias(target, text));
	OK(access_set_alias(target, "the disk"));
	CU_ASSERT_STRING_EQUAL(target->redirect_to, "192.0.2.1");
	CU_ASSERT_STRING_EQUAL(target->alias, "the disk");
	finish();
}

static const struct unit_test tests[] = {
	UNIT_TEST(who_holds_it_keeps_it),
	UNIT_TEST(names_are_iscsi_names_in_lower_case_and_once_each),
	UNIT_TEST(a_map_is_sorted_and_may_have_holes),
	UNIT_TEST(what_is_said_of_the_group_comes_first),
	UNIT_TEST(every_lun_there_can_be),
	UNIT_TEST(no_secret_proves_both_ends),
	UNIT_TEST(users_are_the_same_by_name_and_secret),
	UNIT_TEST(initiators_are_let_in_by_name),
	UNIT_TEST(initiators_are_let_in_by_address),
	UNIT_TEST(what_is_no_prefix_is_refused),
	UNIT_TEST(redirections_and_aliases_fit_in_a_key),
};

UNIT_MAIN("access", tests)
