/* CHAP accounts of the command line: whose secret is whose, and what is missing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "accounts.h"
#include "log.h"
#include "unit.h"

static char directory[] = "/tmp/test_accounts.XXXXXX";

/* "NAME" and its secret, which is "secret-of-NAME". */
static void write_secret(const char *name)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	umask(077);
	file = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	fprintf(file, "secret-of-%s\n", name);
	fclose(file);
}

static void unlink_secret(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	unlink(path);
}

static const char *const names[] = { "alice1", "bob-12", "target", "shared" };

/* Arguments "[USER=]@NAME": "@" is our directory. They live as long as a test. */
static char arguments[16][200];
static unsigned argument_count;

static const char *argument(const char *text)
{
	const char *at = strchr(text, '@');
	char *to = arguments[argument_count++];

	if (at)
		snprintf(to, sizeof(arguments[0]), "%.*s%s/%s", (int)(at - text), text, directory, at + 1);
	else
		snprintf(to, sizeof(arguments[0]), "%s", text);
	return to;
}

static struct accounts accounts;
static struct chap_account account;
static const struct chap_user *found;
static char why[300];

static void begin(void)
{
	accounts_free(&accounts);
	memset(&accounts, 0, sizeof(accounts));
	argument_count = 0;
}

static bool find(const char *user)
{
	*why = '\0';
	return accounts_find(&accounts, user, &account, &found, why, sizeof(why));
}

static bool is_secret(const struct chap_secret *secret, const char *text)
{
	return secret && secret->len == strlen(text) && memcmp(secret->bytes, text, secret->len) == 0;
}

static void without_accounts_there_is_none(void)
{
	begin();
	CU_ASSERT_TRUE(find(""));
	CU_ASSERT_PTR_NULL(found);
}

static void each_user_has_its_own_secret_or_that_of_all(void)
{
	begin();
	accounts_add(&accounts, ACCOUNT_SECRET, argument("alice=@alice1"));
	accounts_add(&accounts, ACCOUNT_SECRET, argument("@shared"));
	accounts_add(&accounts, ACCOUNT_SECRET, argument("iqn.2001-04.com.example:bob=@bob-12"));
	CU_ASSERT_TRUE(find("alice") && is_secret(found->secret, "secret-of-alice1"));
	CU_ASSERT_STRING_EQUAL(found->name, "alice");
	CU_ASSERT_PTR_NULL(found->mutual_secret);
	CU_ASSERT_TRUE(find("iqn.2001-04.com.example:bob") && is_secret(found->secret, "secret-of-bob-12"));
	CU_ASSERT_TRUE(find("carol") && is_secret(found->secret, "secret-of-shared"));
	accounts.user = "alice";	/* of URLs without one */
	CU_ASSERT_TRUE(find("") && is_secret(found->secret, "secret-of-alice1"));
	chap_account_wipe(&account);
	CU_ASSERT_EQUAL(account.secret.len, 0);
}

static void a_target_may_have_to_prove_itself_to_some(void)
{
	begin();
	accounts_add(&accounts, ACCOUNT_SECRET, argument("@shared"));
	accounts_add(&accounts, ACCOUNT_MUTUAL_SECRET, argument("alice=@target"));
	accounts_add(&accounts, ACCOUNT_MUTUAL_USER, argument("alice=the-target"));
	CU_ASSERT_TRUE(find("alice") && is_secret(found->mutual_secret, "secret-of-target"));
	CU_ASSERT_STRING_EQUAL(found->mutual_name, "the-target");
	CU_ASSERT_TRUE(find("bob"));
	CU_ASSERT(!found->mutual_secret && !found->mutual_name);
}

static void what_is_missing_is_named_and_no_secret_is(void)
{
	static const struct {
		const char *user, *secret, *mutual_user, *mutual_secret, *says;
	} bad[] = {
		{ "alice", NULL, NULL, NULL, "there is a CHAP user, and no secret for it" },
		{ "", "@alice1", NULL, NULL, "there is a CHAP secret, and no user" },
		{ "alice", NULL, NULL, "@target", "there is a CHAP user, and no secret for it" },
		{ "", NULL, NULL, "@target", "the target is to prove itself by CHAP, which needs" },
		{ "alice", "@alice1", "target", NULL, "there is a CHAP user for the target, and no secret" },
		{ "alice", "@alice1", NULL, "@alice1", "the same secret is used in both directions" },
		{ "alice", "@nobody", NULL, NULL, "" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		begin();
		if (bad[i].secret)
			accounts_add(&accounts, ACCOUNT_SECRET, argument(bad[i].secret));
		if (bad[i].mutual_user)
			accounts_add(&accounts, ACCOUNT_MUTUAL_USER, argument(bad[i].mutual_user));
		if (bad[i].mutual_secret)
			accounts_add(&accounts, ACCOUNT_MUTUAL_SECRET, argument(bad[i].mutual_secret));
		CU_ASSERT_FALSE(find(bad[i].user));
		CU_ASSERT_EQUAL(strncmp(why, bad[i].says, strlen(bad[i].says)), 0);
		CU_ASSERT(*why && !strstr(why, "secret-of-"));
		CU_ASSERT_PTR_NULL(found);
	}
}

static void a_user_of_256_bytes_is_too_long(void)
{
	char name[CHAP_NAME_MAX + 2];

	begin();
	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	CU_ASSERT_FALSE(find(name));
	CU_ASSERT_STRING_EQUAL(why, "a CHAP user has a name of more than 255 bytes");
}

static void clean_up(void)
{
	begin();
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink_secret(names[i]);
	CU_ASSERT_EQUAL(rmdir(directory), 0);
}

static void there_are_files(void)
{
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(directory));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		write_secret(names[i]);
}

static const struct unit_test tests[] = {
	UNIT_TEST(there_are_files),
	UNIT_TEST(without_accounts_there_is_none),
	UNIT_TEST(each_user_has_its_own_secret_or_that_of_all),
	UNIT_TEST(a_target_may_have_to_prove_itself_to_some),
	UNIT_TEST(what_is_missing_is_named_and_no_secret_is),
	UNIT_TEST(a_user_of_256_bytes_is_too_long),
	UNIT_TEST(clean_up),
};

UNIT_MAIN("accounts", tests)
