/* UCL: what is understood, on which line, and what each error of syntax is called. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ucl.h"
#include "unit.h"

static void print(FILE *out, const struct ucl_node *node)
{
	if (node->key)
		fprintf(out, "%s@%u=", node->key, node->line);
	if (node->type == UCL_VALUE) {
		fprintf(out, "'%s'", node->text);
		return;
	}
	fputc(node->type == UCL_ARRAY ? '[' : '{', out);
	for (const struct ucl_node *child = node->first; child; child = child->next) {
		print(out, child);
		if (child->next)
			fputc(' ', out);
	}
	fputc(node->type == UCL_ARRAY ? ']' : '}', out);
}

static void good_texts_become_trees(void)
{
	static const struct { const char *text, *tree; } good[] = {
		{ "", "{}" },
		{ "# nothing\n/* nor /* here */ */\n", "{}" },
		{ "a = 1\nb: 2;c 3, d=4", "{a@1='1' b@2='2' c@2='3' d@2='4'}" },
		{ "a { b = 1 }\nc { }", "{a@1={b@1='1'} c@2={}}" },
		{ "a b \"c d\" {\n e 1 }", "{a@1={b@1={c d@1={e@2='1'}}}}" },
		{ "target iqn.2012-06.com.example:t0 {\n\tlun 0 { device = file:/x } }",
		  "{target@1={iqn.2012-06.com.example:t0@1={lun@2={0@2={device@2='file:/x'}}}}}" },
		{ "map { iqn.2012-06.com.example:t0 { a b } }",
		  "{map@1={iqn.2012-06.com.example:t0@1={a@1='b'}}}" },
		{ "a = [1, \"2\", [3],\n {b=4},]", "{a@1=['1' '2' ['3'] {b@2='4'}]}" },
		{ "{\"a\": {\"b\": [], \"c\": \"\"}, \"d\": true}", "{a@1={b@1=[] c@1=''} d@1='true'}" },
		{ "a = \"\\\"\\\\\\n\\u00e9\\u20ac\"", "{a@1='\"\\\n\xc3\xa9\xe2\x82\xac'}" },
		{ "a = 'b\\n'", "{a@1='b\\n'}" },
		{ "a = <<END\none\n two\nEND\nb = 1", "{a@1='one\n two' b@5='1'}" },
		{ "a = b c  # comment\nd = e#f", "{a@1='b c' d@2='e#f'}" },
		{ "a = nbd+unix:///x?socket=/s&a=[1]; b = 1", "{a@1='nbd+unix:///x?socket=/s&a=[1]' b@1='1'}" },
		{ "a = 1\na = 2", "{a@1='1' a@2='2'}" },
		{ "a =\n\"b\"", "{a@1='b'}" },
		{ "a\n{\n}", NULL },	/* as in libucl's manual: the brace is on the key's line */
		{ "a = 1\r\nb = 2\r\n", "{a@1='1' b@2='2'}" },
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		char why[200] = "", tree[500] = "";
		unsigned line = 0;
		struct ucl_node *root = ucl_parse(good[i].text, strlen(good[i].text), &line, why, sizeof(why));

		if (root) {
			FILE *out = fmemopen(tree, sizeof(tree), "w");

			print(out, root);
			fclose(out);
			ucl_free(root);
		}
		if (!good[i].tree) {
			CU_ASSERT_PTR_NULL(root);
			continue;
		}
		CU_ASSERT_STRING_EQUAL(tree, good[i].tree);
		if (strcmp(tree, good[i].tree) != 0)
			printf("\n%s\n-> %s %u: %s\n", good[i].text, tree, line, why);
	}
}

static void every_error_of_syntax_has_its_line(void)
{
	static const struct { const char *text; unsigned line; const char *says; } bad[] = {
		{ "a = 1\nb", 2, "\"b\" has no value" },
		{ "a = 1\nb =\n", 2, "\"b\" has no value" },
		{ "a = ; b", 1, "\"a\" has no value" },
		{ "a {\n b = 1\n", 1, "the block that begins here does not end with '}'" },
		{ "\na = [1,\n2", 2, "the list that begins here does not end with ']'" },
		{ "a = \"b\nc = 1", 1, "the text that begins with \" does not end on its line" },
		{ "a = 'b", 1, "the text that begins with ' does not end on its line" },
		{ "a = <<END\nb\n", 1, "the lines that begin here do not end with END" },
		{ "a = 1\n}\n", 2, "expected a key, not '}'" },
		{ "= 1", 1, "expected a key, not '='" },
		{ "\"\" = 1", 1, "a key is empty" },
		{ "/* a\n b", 1, "the comment that begins here does not end" },
		{ "a = \"\\q\"", 1, "unknown escape \\q" },
		{ "a = \"\\ud800\"", 1, "\\ud800 is not a character here" },
		{ "a = \"\\u0000\"", 1, "\\u0000 is not a character here" },
		{ "a = \"\\u12\"", 1, "\\u needs four hexadecimal digits" },
		{ "a = \"b\" c", 1, "\"a\": something follows the value" },
		{ "listen = [::]:3260", 1,
		  "\"listen\": something follows the list (a text with [ ] in it needs quotes)" },
		{ "a = [\"1\" 2]", 1, "expected ',' or ']' in a list" },
		{ ".include \"/etc/passwd\"", 1, ".include: macros are not read" },
		{ "{ a = 1 } b = 2", 1, "something follows the last '}'" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char why[200] = "";
		unsigned line = 0;
		struct ucl_node *root = ucl_parse(bad[i].text, strlen(bad[i].text), &line, why, sizeof(why));

		CU_ASSERT_PTR_NULL(root);
		CU_ASSERT_EQUAL(line, bad[i].line);
		CU_ASSERT_PTR_NOT_NULL(strstr(why, bad[i].says));
		if (!strstr(why, bad[i].says) || line != bad[i].line)
			printf("\n%s\n-> %u: %s\n", bad[i].text, line, why);
		ucl_free(root);
	}
}

static void nesting_is_bounded(void)
{
	static const char *const units[] = { "a{", "[", "a ", "/*", "{" };

	for (size_t u = 0; u < sizeof(units) / sizeof(units[0]); u++) {
		size_t len = strlen(units[u]), count = 200000;
		char *text = malloc(len * count + 3);
		char why[200] = "";
		unsigned line;
		struct ucl_node *root;

		memcpy(text, "a=", 2);
		for (size_t i = 0; i < count; i++)
			memcpy(text + 2 + i * len, units[u], len);
		root = ucl_parse(text, 2 + len * count, &line, why, sizeof(why));
		CU_ASSERT_EQUAL(!root, why[0] != '\0');
		ucl_free(root);
		free(text);
	}
}

/* Whatever the bytes, there is a tree or a reason; the sanitizers watch. */
static void any_bytes_are_survived(void)
{
	static const char *const pieces[] = {
		"a", "{", "}", "[", "]", "=", ":", ";", ",", "\n", " ", "\"", "'", "<<E\n", "\\u00e9", "#",
		"/*", "*/", "\\", "iqn.x:y", "\0",
	};
	unsigned seed = 1;

	for (int round = 0; round < 100000; round++) {
		char text[128], why[200] = "";
		size_t len = 0;
		unsigned line;
		struct ucl_node *root;

		while (len < 100) {
			const char *piece;

			seed = seed * 1103515245 + 12345;
			piece = pieces[(seed >> 16) % (sizeof(pieces) / sizeof(pieces[0]))];
			memcpy(text + len, piece, *piece ? strlen(piece) : 1);
			len += *piece ? strlen(piece) : 1;
			if ((seed >> 8) % 24 == 0)
				break;
		}
		root = ucl_parse(text, len, &line, why, sizeof(why));
		CU_ASSERT_EQUAL(!root, why[0] != '\0');
		ucl_free(root);
	}
}

static const struct unit_test tests[] = {
	UNIT_TEST(good_texts_become_trees),
	UNIT_TEST(every_error_of_syntax_has_its_line),
	UNIT_TEST(nesting_is_bounded),
	UNIT_TEST(any_bytes_are_survived),
};

UNIT_MAIN("ucl", tests)
