/* iscsi:// URLs: what is understood, and what each mistake is called. */
#include <string.h>

#include "initiator.h"
#include "unit.h"

#define IQN "iqn.2001-04.com.example:disk"

static void good_urls_are_taken_apart(void)
{
	static const struct {
		const char *url, *user, *host, *port, *target;
		int lun;
	} good[] = {
		{ "iscsi://san/" IQN "/0", "", "san", "3260", IQN, 0 },
		{ "iscsi://san:3261/" IQN "/7", "", "san", "3261", IQN, 7 },
		{ "iscsi://san:0003260/" IQN "/16383", "", "san", "3260", IQN, 16383 },
		{ "iscsi://joe@192.0.2.1/" IQN "/255", "joe", "192.0.2.1", "3260", IQN, 255 },
		{ "iscsi://joe@x@[2001:db8::1]:1/" IQN "/1", "joe@x", "2001:db8::1", "1", IQN, 1 },
		{ "iscsi://[fe80::1%25eth0]/" IQN "/1", "", "fe80::1%eth0", "3260", IQN, 1 },
		{ "iscsi://san/iqn.2001-04.com.example%3Aa/1", "", "san", "3260",
		  "iqn.2001-04.com.example:a", 1 },
		{ "iscsi://san/eui.02004567A425678D/1", "", "san", "3260", "eui.02004567A425678D", 1 },
		{ "iscsi://san/" IQN, "", "san", "3260", IQN, -1 },
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct iscsi_url url;
		char why[160] = "";

		CU_ASSERT_TRUE(iscsi_url_parse(good[i].url, &url, why, sizeof(why)));
		CU_ASSERT_STRING_EQUAL(why, "");
		CU_ASSERT_STRING_EQUAL(url.user, good[i].user);
		CU_ASSERT_STRING_EQUAL(url.portals[0].host, good[i].host);
		CU_ASSERT_STRING_EQUAL(url.portals[0].port, good[i].port);
		CU_ASSERT_STRING_EQUAL(url.target, good[i].target);
		CU_ASSERT_EQUAL(url.has_lun, good[i].lun >= 0);
		CU_ASSERT_EQUAL(url.lun, good[i].lun < 0 ? 0 : good[i].lun);
	}
}

static void every_mistake_is_named(void)
{
	static const struct { const char *url, *says; } bad[] = {
		{ "", "iscsi://" }, { "http://san/" IQN "/0", "iscsi://" },
		{ "iscsi://", "host is missing" }, { "iscsi:///" IQN "/0", "host is missing" },
		{ "iscsi://:3260/" IQN "/0", "host is missing" },
		{ "iscsi://[]/" IQN "/0", "host is missing" },
		{ "iscsi://[::1/" IQN "/0", "closing bracket" },
		{ "iscsi://[::1]x/" IQN "/0", "brackets" },
		{ "iscsi://san:/" IQN "/0", "port" }, { "iscsi://san:0/" IQN "/0", "port" },
		{ "iscsi://san:65536/" IQN "/0", "port" }, { "iscsi://san:1x/" IQN "/0", "port" },
		{ "iscsi://san:99999999999999999999/" IQN "/0", "port" },
		{ "iscsi://joe:secret@san/" IQN "/0", "password" },
		{ "iscsi://joe%secret@san/" IQN "/0", "password" },
		{ "iscsi://san", "target name is missing" }, { "iscsi://san/", "target name is missing" },
		{ "iscsi://san//0", "target name is missing" },
		{ "iscsi://san/disk/0", "iqn., eui. or naa." },
		{ "iscsi://san/" IQN "%00/0", "malformed" }, { "iscsi://san/" IQN "%4/0", "malformed" },
		{ "iscsi://san/" IQN "%zz/0", "malformed" }, { "iscsi://s\nn/" IQN "/0", "malformed" },
		{ "iscsi://san/" IQN "/", "LUN" }, { "iscsi://san/" IQN "/x", "LUN" },
		{ "iscsi://san/" IQN "/-1", "LUN" }, { "iscsi://san/" IQN "/16384", "LUN" },
		{ "iscsi://san/" IQN "/0/1", "LUN" }, { "iscsi://san/" IQN "/0?x=1", "nothing may follow" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct iscsi_url url;
		char why[160] = "";

		CU_ASSERT_FALSE(iscsi_url_parse(bad[i].url, &url, why, sizeof(why)));
		CU_ASSERT_PTR_NOT_NULL(strstr(why, bad[i].says));
		CU_ASSERT_PTR_NULL(strstr(why, "secret"));
	}
}

static void a_name_of_223_bytes_fits_and_not_one_more(void)
{
	char text[400] = "iscsi://san/iqn.2001-04.";
	size_t len = strlen(text), name = strlen("iqn.2001-04.");
	struct iscsi_url url;
	char why[160];

	memset(text + len, 'x', sizeof(text) - len);
	memcpy(text + len + ISCSI_NAME_MAX - name, "/3", 3);
	CU_ASSERT_TRUE(iscsi_url_parse(text, &url, why, sizeof(why)));
	CU_ASSERT_EQUAL(strlen(url.target), ISCSI_NAME_MAX);
	memcpy(text + len + ISCSI_NAME_MAX - name, "x/3", 4);
	CU_ASSERT_FALSE(iscsi_url_parse(text, &url, why, sizeof(why)));
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "longer than 223"));
}

static void a_target_may_have_several_portals(void)
{
	struct iscsi_url url;
	char why[160] = "", text[ISCSI_PORTAL_TEXT];

	CU_ASSERT_TRUE(iscsi_url_parse("iscsi://joe@san1,[2001:db8::1]:3261,192.0.2.1:1/" IQN "/0", &url,
				       why, sizeof(why)));
	CU_ASSERT_EQUAL(url.portal_count, 3);
	CU_ASSERT_STRING_EQUAL(iscsi_portal_format(&url.portals[0], text), "san1:3260");
	CU_ASSERT_STRING_EQUAL(iscsi_portal_format(&url.portals[1], text), "[2001:db8::1]:3261");
	CU_ASSERT_STRING_EQUAL(iscsi_portal_format(&url.portals[2], text), "192.0.2.1:1");
	CU_ASSERT_STRING_EQUAL(url.user, "joe");
	CU_ASSERT_FALSE(iscsi_url_parse("iscsi://a,/" IQN "/0", &url, why, sizeof(why)));
	CU_ASSERT_STRING_EQUAL(why, "the host is missing");
	CU_ASSERT_TRUE(iscsi_url_parse("iscsi://1,2,3,4,5,6,7,8/" IQN "/0", &url, why, sizeof(why)));
	CU_ASSERT_FALSE(iscsi_url_parse("iscsi://1,2,3,4,5,6,7,8,9/" IQN "/0", &url, why, sizeof(why)));
	CU_ASSERT_STRING_EQUAL(why, "there are more than 8 portals");
}

/* What targets say of portals has no escapes: a scope is written as it is. */
static void a_portal_of_a_target_is_taken_as_it_is_written(void)
{
	static const char scoped[] = "[fe80::1%25]:3260";
	struct iscsi_portal portal;
	char why[160];

	CU_ASSERT_TRUE(iscsi_portal_parse(scoped, strlen(scoped), false, &portal, why, sizeof(why)));
	CU_ASSERT_STRING_EQUAL(portal.host, "fe80::1%25");
	CU_ASSERT_TRUE(iscsi_portal_parse(scoped, strlen(scoped), true, &portal, why, sizeof(why)));
	CU_ASSERT_STRING_EQUAL(portal.host, "fe80::1%");
	for (size_t len = 0; len < strlen(scoped); len++)	/* no byte beyond len counts */
		iscsi_portal_parse(scoped, len, false, &portal, why, sizeof(why));
}

static void a_password_is_not_shown(void)
{
	static const struct { const char *url, *shown; } urls[] = {
		{ "iscsi://me%secret@san/" IQN "/0", "iscsi://me%...@san/" IQN "/0" },
		{ "iscsi://me:se@cr/et@san:1/" IQN, "iscsi://me:...@san:1/" IQN },
		{ "me%secret@san", "me%...@san" },
		{ "iscsi://me@san:3260/" IQN "/0", "iscsi://me@san:3260/" IQN "/0" },
		{ "iscsi://[::1]/" IQN "/0", "iscsi://[::1]/" IQN "/0" },
	};
	char text[ISCSI_URL_SHOWN];

	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++)
		CU_ASSERT_STRING_EQUAL(iscsi_url_shown(urls[i].url, text), urls[i].shown);
}

static const struct unit_test tests[] = {
	UNIT_TEST(a_password_is_not_shown),
	UNIT_TEST(a_target_may_have_several_portals),
	UNIT_TEST(a_portal_of_a_target_is_taken_as_it_is_written),
	UNIT_TEST(good_urls_are_taken_apart),
	UNIT_TEST(every_mistake_is_named),
	UNIT_TEST(a_name_of_223_bytes_fits_and_not_one_more),
};

UNIT_MAIN("iscsi_url", tests)
