/* What peers may have us show. */
#include <string.h>

#include "log.h"
#include "unit.h"
#include "utf8.h"

static void lengths_are_those_of_the_standard(void)
{
	static const struct {
		const char *text;
		unsigned len;
	} cases[] = {
		{ "", 0 }, { "a", 1 }, { "\x7f", 1 }, { "\x80", 0 }, { "\xbf", 0 }, { "\xc1\xbf", 0 },
		{ "\xc2\x80", 2 }, { "\xdf\xbf", 2 }, { "\xc3", 0 }, { "\xc3(", 0 }, { "\xc3\xa4x", 2 },
		{ "\xe0\x9f\xbf", 0 }, { "\xe0\xa0\x80", 3 }, { "\xed\xa0\x80", 0 }, { "\xef\xbf\xbd", 3 },
		{ "\xe2\x82", 0 }, { "\xf0\x8f\xbf\xbf", 0 }, { "\xf0\x90\x80\x80", 4 },
		{ "\xf4\x8f\xbf\xbf", 4 }, { "\xf4\x90\x80\x80", 0 }, { "\xf5\x80\x80\x80", 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CU_ASSERT_EQUAL(utf8_length(cases[i].text), cases[i].len);
}

static const struct {
	const char *text, *shown;
} texts[] = {
	{ "", "" },
	{ "iqn.2026-11.example:\xc3\xa4\xe2\x82\xac", "iqn.2026-11.example:\xc3\xa4\xe2\x82\xac" },
	{ "a\x1b[2Jb\nerror: forged\x7f", "a?[2Jb?error: forged?" },
	{ "\xc2\x9b" "2J", "??2J" },		/* CSI, as UTF-8 has it, */
	{ "\x9b" "2J\xff", "?2J?" },		/* ... and as other terminals do */
	{ "\xc2\xa0\xc2", "\xc2\xa0?" },
};

static void what_a_terminal_would_obey_is_not_shown(void)
{
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char text[64];

		strcpy(text, texts[i].text);
		utf8_clean(text);
		CU_ASSERT_STRING_EQUAL(text, texts[i].shown);
	}
}

static char logged[128];

static void keep(enum log_level level, const char *line)
{
	(void)level;
	strncpy(logged, line, sizeof(logged) - 1);
}

static void nor_does_it_get_into_the_log(void)
{
	log_set_sink(keep);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		log_info("%s", texts[i].text);
		CU_ASSERT_STRING_EQUAL(logged, texts[i].shown);
	}
	log_set_sink(NULL);
}

static const struct unit_test tests[] = {
	UNIT_TEST(lengths_are_those_of_the_standard),
	UNIT_TEST(what_a_terminal_would_obey_is_not_shown),
	UNIT_TEST(nor_does_it_get_into_the_log),
};

UNIT_MAIN("utf8", tests)
