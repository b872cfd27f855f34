/* What a user may choose of a session: every option takes what it says, and names what it does not. */
#include <stdio.h>
#include <string.h>

#include "initiator_option.h"
#include "unit.h"

static const struct initiator_option *find(const char *name)
{
	size_t count;
	const struct initiator_option *options = initiator_options(&count);

	for (size_t i = 0; i < count; i++)
		if (strcmp(options[i].name, name) == 0)
			return &options[i];
	CU_FAIL_FATAL("no such option");
	return NULL;
}

static char why[160];

static bool set(struct initiator_conf *conf, const char *name, const char *value)
{
	*why = '\0';
	return initiator_option_set(conf, find(name), value, why, sizeof(why));
}

static void every_value_has_its_place(void)
{
	struct initiator_conf c;

	initiator_conf_init(&c);
	CU_ASSERT_TRUE(set(&c, "initiator-name", "iqn.2001-04.com.example:me"));
	CU_ASSERT_STRING_EQUAL(c.initiator_name, "iqn.2001-04.com.example:me");
	CU_ASSERT_TRUE(set(&c, "digest", "data"));
	CU_ASSERT(c.params.header_digest == DIGEST_NONE && c.params.data_digest == DIGEST_CRC32C);
	CU_ASSERT_TRUE(set(&c, "digest", "header"));
	CU_ASSERT(c.params.header_digest == DIGEST_CRC32C && c.params.data_digest == DIGEST_NONE);
	CU_ASSERT_TRUE(set(&c, "digest", "both"));
	CU_ASSERT(c.params.header_digest == DIGEST_CRC32C && c.params.data_digest == DIGEST_CRC32C);
	CU_ASSERT_TRUE(set(&c, "chap-algorithms", "sha3-256,md5"));
	CU_ASSERT_EQUAL(c.chap_algorithms, CHAP_BIT(CHAP_MD5) | CHAP_BIT(CHAP_SHA3_256));
	CU_ASSERT_TRUE(set(&c, "chap-algorithms", "sha1,sha-256"));
	CU_ASSERT_EQUAL(c.chap_algorithms, CHAP_BIT(CHAP_SHA1) | CHAP_BIT(CHAP_SHA256));
	CU_ASSERT_TRUE(set(&c, "discover-portals", "yes") && c.discover_portals);
	CU_ASSERT_TRUE(set(&c, "discover-portals", "no") && !c.discover_portals);
	CU_ASSERT_TRUE(set(&c, "login-timeout", "2.5") && c.login_timeout == 2.5);
	CU_ASSERT_TRUE(set(&c, "outage-timeout", "-1") && c.outage_timeout == -1);
	CU_ASSERT_TRUE(set(&c, "noop-interval", "0") && c.noop_interval == 0);
	CU_ASSERT_TRUE(set(&c, "noop-timeout", "7") && c.noop_timeout == 7);
	CU_ASSERT_TRUE(set(&c, "abort-timeout", "8") && c.abort_timeout == 8);
	CU_ASSERT_TRUE(set(&c, "tmf-timeout", "9") && c.tmf_timeout == 9);
	CU_ASSERT_TRUE(set(&c, "queue-depth", "4096") && c.max_tasks == 4096);
	CU_ASSERT_TRUE(set(&c, "initial-r2t", "yes") && c.params.initial_r2t == 1);
	CU_ASSERT_TRUE(set(&c, "immediate-data", "no") && c.params.immediate_data == 0);
	CU_ASSERT_TRUE(set(&c, "first-burst-length", "512") && c.params.first_burst_length == 512);
	CU_ASSERT_TRUE(set(&c, "max-burst-length", "1024") && c.params.max_burst_length == 1024);
	CU_ASSERT_TRUE(set(&c, "max-recv-data-segment-length", "16777215"));
	CU_ASSERT_EQUAL(c.params.our_max_recv_data_segment_length, 16777215);
	CU_ASSERT_TRUE(set(&c, "max-outstanding-r2t", "2") && c.params.max_outstanding_r2t == 2);
	CU_ASSERT_TRUE(set(&c, "default-time2wait", "3") && c.params.default_time2wait == 3);
	CU_ASSERT_TRUE(set(&c, "default-time2retain", "4") && c.params.default_time2retain == 4);
}

/* The words of nbdkit, of UCL, and of the standard, whose keys these are. */
static void yes_has_many_names(void)
{
	static const char *const yes[] = { "yes", "Yes", "true", "on", "ON", "1" };
	static const char *const no[] = { "no", "No", "false", "off", "OFF", "0" };
	struct initiator_conf c;

	initiator_conf_init(&c);
	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		CU_ASSERT_TRUE(set(&c, "immediate-data", yes[i]) && c.params.immediate_data == 1);
		CU_ASSERT_TRUE(set(&c, "immediate-data", no[i]) && c.params.immediate_data == 0);
	}
	CU_ASSERT_TRUE(set(&c, "discover-portals", "1") && c.discover_portals);
	CU_ASSERT_TRUE(set(&c, "discover-portals", "off") && !c.discover_portals);
}

static void what_is_wrong_is_named_and_changes_nothing(void)
{
	static const struct { const char *name, *value, *says; } bad[] = {
		{ "initiator-name", "me", "not an iSCSI name" },
		{ "digest", "crc32c", "not none, header, data or both" },
		{ "chap-algorithms", "", "\"\" is not md5, sha1, sha-256 or sha3-256" },
		{ "chap-algorithms", "md5,", "\"\" is not md5" },
		{ "chap-algorithms", "sha", "\"sha\" is not md5" },
		{ "discover-portals", "2", "neither yes nor no" },
		{ "login-timeout", "0", "not a number of seconds from 1 to 86400" },
		{ "login-timeout", "1s", "not a number of seconds" },
		{ "login-timeout", "nan", "not a number of seconds" },
		{ "outage-timeout", "-2", "not a number of seconds from -1" },
		{ "noop-interval", "-1", "not a number of seconds from 0" },
		{ "queue-depth", "0", "not a number from 1 to 4096" },
		{ "queue-depth", "4097", "not a number from 1 to 4096" },
		{ "immediate-data", "", "neither yes nor no" },
		{ "max-burst-length", "511", "not a number from 512 to 16777215" },
		{ "default-time2wait", "3601", "not a number from 0 to 3600" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct initiator_conf c, before;

		initiator_conf_init(&before);
		c = before;
		CU_ASSERT_FALSE(set(&c, bad[i].name, bad[i].value));
		CU_ASSERT_EQUAL(strncmp(why, bad[i].says, strlen(bad[i].says)), 0);
		CU_ASSERT_EQUAL(c.chap_algorithms, before.chap_algorithms);
		CU_ASSERT_EQUAL(memcmp(&c.initiator_name, &before.initiator_name, sizeof(c.initiator_name)), 0);
		CU_ASSERT_EQUAL(c.login_timeout, before.login_timeout);
		CU_ASSERT_EQUAL(c.outage_timeout, before.outage_timeout);
		CU_ASSERT_EQUAL(c.max_tasks, before.max_tasks);
		CU_ASSERT_EQUAL(c.discover_portals, before.discover_portals);
		CU_ASSERT_EQUAL(c.params.header_digest, before.params.header_digest);
	}
}

static const struct unit_test tests[] = {
	UNIT_TEST(every_value_has_its_place),
	UNIT_TEST(yes_has_many_names),
	UNIT_TEST(what_is_wrong_is_named_and_changes_nothing),
};

UNIT_MAIN("initiator options", tests)
