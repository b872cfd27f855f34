/* CHAP secrets: which files are taken, refused or warned of, and that nothing quotes them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "chap.h"
#include "log.h"
#include "unit.h"

static char directory[] = "/tmp/test_chap_secret.XXXXXX";
static char path[200], why[300], logged[600];

static void keep_log(enum log_level level, const char *line)
{
	CU_ASSERT_EQUAL(level, LOG_LEVEL_WARNING);
	snprintf(logged + strlen(logged), sizeof(logged) - strlen(logged), "%s\n", line);
}

/* Load what a file of that mode and content gives; the file is gone afterwards. */
static bool load(struct chap_secret *secret, const char *bytes, size_t len, mode_t mode)
{
	FILE *f;
	bool ok;

	snprintf(path, sizeof(path), "%s/secret", directory);
	f = fopen(path, "w");
	if (!f || fwrite(bytes, 1, len, f) != len || fclose(f) || chmod(path, mode) < 0)
		abort();
	*logged = *why = '\0';
	ok = chap_secret_load(path, secret, why, sizeof(why));
	unlink(path);
	return ok;
}

static bool is(const struct chap_secret *secret, const char *text)
{
	return secret->len == strlen(text) && memcmp(secret->bytes, text, secret->len) == 0;
}

static void a_secret_is_the_line_of_its_file(void)
{
	struct chap_secret secret;

	CU_ASSERT(load(&secret, "twelve bytes", 12, 0600));
	CU_ASSERT(is(&secret, "twelve bytes"));
	CU_ASSERT(load(&secret, "twelve bytes\n", 13, 0600));
	CU_ASSERT(is(&secret, "twelve bytes"));
	CU_ASSERT(load(&secret, "twelve bytes\r\n", 14, 0640));
	CU_ASSERT(is(&secret, "twelve bytes"));
	CU_ASSERT(load(&secret, " twelve bytes \r", 15, 0600));
	CU_ASSERT(is(&secret, " twelve bytes \r"));
	CU_ASSERT_STRING_EQUAL(logged, "");
	chap_secret_wipe(&secret);
	CU_ASSERT_EQUAL(secret.len, 0);
	for (size_t i = 0; i < sizeof(secret.bytes); i++)
		CU_ASSERT_EQUAL(secret.bytes[i], 0);
}

static void a_file_that_is_no_secret_is_refused_without_quoting_it(void)
{
	static char xs[300];
	static const struct { const char *bytes; size_t len; const char *why; } cases[] = {
		{ "", 0, "the secret is empty" },
		{ "\n", 1, "the secret is empty" },
		{ "\r\n", 2, "the secret is empty" },
		{ "hunter2\nhunter3\n", 16, "more than one line" },
		{ "hunter2\n\n", 9, "more than one line" },
		{ "hun\0ter2", 8, "more than one line" },
		{ xs, 256, "the secret is longer than 255 bytes" },
		{ xs, 257, "the secret is longer than 255 bytes" },
		{ xs, 300, "the secret is longer than 255 bytes" },
	};
	struct chap_secret secret;

	memset(xs, 'x', sizeof(xs));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char expected[300];

		CU_ASSERT_FALSE(load(&secret, cases[i].bytes, cases[i].len, 0600));
		snprintf(expected, sizeof(expected), "%s: %s", path, cases[i].why);
		CU_ASSERT_STRING_EQUAL(why, expected);
		CU_ASSERT_EQUAL(secret.len, 0);
	}
	CU_ASSERT(load(&secret, xs, 255, 0600));
	xs[255] = '\n';
	CU_ASSERT(load(&secret, xs, 256, 0600));
	CU_ASSERT_EQUAL(secret.len, 255);
}

static void a_file_that_is_not_there_is_named(void)
{
	struct chap_secret secret;
	static char far[5000];

	CU_ASSERT_FALSE(chap_secret_load("/nowhere/secret", &secret, why, sizeof(why)));
	CU_ASSERT_STRING_EQUAL(why, "/nowhere/secret: No such file or directory");
	CU_ASSERT_FALSE(chap_secret_load("/tmp", &secret, why, sizeof(why)));
	CU_ASSERT_STRING_EQUAL(why, "/tmp: Is a directory");
	memset(far, 'a', sizeof(far) - 1);
	CU_ASSERT_FALSE(chap_secret_load(far, &secret, why, sizeof(why)));
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "File name too long"));
}

static void secrets_that_are_easily_learnt_are_warned_of(void)
{
	struct chap_secret secret;

	CU_ASSERT(load(&secret, "twelve bytes\n", 13, 0604));
	CU_ASSERT_PTR_NOT_NULL(strstr(logged, "every user of this host can read this secret"));
	CU_ASSERT_PTR_NULL(strstr(logged, "guessed"));
	CU_ASSERT_PTR_NULL(strstr(logged, "twelve"));
	CU_ASSERT(load(&secret, "sesame", 6, 0600));
	CU_ASSERT_PTR_NOT_NULL(strstr(logged, "less than 12 bytes is easily guessed"));
	CU_ASSERT_PTR_NULL(strstr(logged, "sesame"));
	CU_ASSERT(is(&secret, "sesame"));
}

static void a_credential_comes_from_the_directory_of_systemd(void)
{
	static const char *const bad[] = { "credential:", "credential:..", "credential:.",
					   "credential:../passwd", "credential:/etc/passwd" };
	struct chap_secret secret;
	FILE *f;

	unsetenv("CREDENTIALS_DIRECTORY");
	CU_ASSERT_FALSE(chap_secret_load("credential:chap", &secret, why, sizeof(why)));
	CU_ASSERT_STRING_EQUAL(why, "credential:chap: CREDENTIALS_DIRECTORY is not set");
	setenv("CREDENTIALS_DIRECTORY", directory, 1);
	CU_ASSERT_FALSE(chap_secret_load("credential:chap", &secret, why, sizeof(why)));
	CU_ASSERT_STRING_EQUAL(why, "credential:chap: No such file or directory");
	snprintf(path, sizeof(path), "%s/chap", directory);
	f = fopen(path, "w");
	if (!f || fputs("from a credential\n", f) < 0 || fclose(f) || chmod(path, 0400) < 0)
		abort();
	CU_ASSERT(chap_secret_load("credential:chap", &secret, why, sizeof(why)));
	CU_ASSERT(is(&secret, "from a credential"));
	unlink(path);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CU_ASSERT_FALSE(chap_secret_load(bad[i], &secret, why, sizeof(why)));
		CU_ASSERT_PTR_NOT_NULL(strstr(why, "not the name of a credential"));
	}
}

static const struct unit_test tests[] = {
	UNIT_TEST(a_secret_is_the_line_of_its_file),
	UNIT_TEST(a_file_that_is_no_secret_is_refused_without_quoting_it),
	UNIT_TEST(a_file_that_is_not_there_is_named),
	UNIT_TEST(secrets_that_are_easily_learnt_are_warned_of),
	UNIT_TEST(a_credential_comes_from_the_directory_of_systemd),
};

int main(void)
{
	int rc;

	log_set_sink(keep_log);
	if (!mkdtemp(directory))
		return 99;
	rc = unit_main("chap_secret", tests, sizeof(tests) / sizeof(tests[0]));
	rmdir(directory);
	return rc;
}
