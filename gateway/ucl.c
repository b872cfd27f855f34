/* A parser of UCL by recursive descent; see ucl.h. */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ucl.h"

struct parser {
	const char *at, *end;
	unsigned line;
	unsigned depth;
	char *why;
	size_t size;
};

static bool fail(struct parser *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static bool fail(struct parser *p, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(p->why, p->size, fmt, args);
	va_end(args);
	return false;
}

static void *need(void *memory)
{
	if (!memory)
		abort();	/* a configuration does not fit into memory */
	return memory;
}

static struct ucl_node *node_new(enum ucl_type type, unsigned line)
{
	struct ucl_node *node = need(calloc(1, sizeof(*node)));

	node->type = type;
	node->line = line;
	return node;
}

static void append(struct ucl_node *parent, struct ucl_node *child)
{
	if (parent->last)
		parent->last->next = child;
	else
		parent->first = child;
	parent->last = child;
}

/* Characters ------------------------------------------------------------- */

static bool at_end(const struct parser *p)
{
	return p->at == p->end;
}

static char peek(const struct parser *p, size_t ahead)
{
	return (size_t)(p->end - p->at) > ahead ? p->at[ahead] : '\0';
}

static void advance(struct parser *p)
{
	if (*p->at == '\n')
		p->line++;
	p->at++;
}

static bool take(struct parser *p, char c)
{
	if (at_end(p) || *p->at != c)
		return false;
	advance(p);
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static void skip_line(struct parser *p)
{
	while (!at_end(p) && *p->at != '\n')
		advance(p);
}

/* UCL's comments nest. */
static bool skip_long_comment(struct parser *p)
{
	unsigned nested = 0, first = p->line;

	do {
		if (at_end(p)) {
			p->line = first;
			return fail(p, "the comment that begins here does not end");
		}
		if (peek(p, 0) == '/' && peek(p, 1) == '*') {
			nested++;
			advance(p);
		} else if (peek(p, 0) == '*' && peek(p, 1) == '/') {
			nested--;
			advance(p);
		}
		advance(p);
	} while (nested);
	return true;
}

/* Blanks and comments; line ends, too, where "lines" says so. */
static bool skip(struct parser *p, bool lines)
{
	while (!at_end(p)) {
		char c = *p->at;

		if (is_blank(c) || (lines && c == '\n'))
			advance(p);
		else if (c == '#')
			skip_line(p);
		else if (c == '/' && peek(p, 1) == '*') {
			if (!skip_long_comment(p))
				return false;
		} else
			break;
	}
	return true;
}

/* Texts ------------------------------------------------------------------ */

struct text {
	char *bytes;
	size_t len;
};

static void add(struct text *text, char c)
{
	/* Doubled at each power of two. */
	if ((text->len & (text->len - 1)) == 0)
		text->bytes = need(realloc(text->bytes, text->len ? 2 * text->len + 1 : 2));
	text->bytes[text->len++] = c;
	text->bytes[text->len] = '\0';
}

static void add_utf8(struct text *text, unsigned code)
{
	if (code < 0x80) {
		add(text, (char)code);
	} else if (code < 0x800) {
		add(text, (char)(0xc0 | code >> 6));
		add(text, (char)(0x80 | (code & 0x3f)));
	} else {
		add(text, (char)(0xe0 | code >> 12));
		add(text, (char)(0x80 | (code >> 6 & 0x3f)));
		add(text, (char)(0x80 | (code & 0x3f)));
	}
}

/* The four digits of \uXXXX. What lies beyond them (surrogates) and NUL is no text of ours. */
static bool take_unicode(struct parser *p, struct text *text)
{
	unsigned code = 0;

	for (int i = 0; i < 4; i++) {
		char c = peek(p, 0);
		const char *digits = "0123456789abcdef", *digit = c ? strchr(digits, c | 0x20) : NULL;

		if (!digit)
			return fail(p, "\\u needs four hexadecimal digits");
		code = code << 4 | (unsigned)(digit - digits);
		advance(p);
	}
	if (code == 0 || (code >= 0xd800 && code < 0xe000))
		return fail(p, "\\u%04x is not a character here", code);
	add_utf8(text, code);
	return true;
}

static bool take_escape(struct parser *p, struct text *text)
{
	static const char letters[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
	char c = peek(p, 0);
	const char *letter = c ? strchr(letters, c) : NULL;

	if (c == 'u') {
		advance(p);
		return take_unicode(p, text);
	}
	if (!letter)
		return fail(p, "unknown escape \\%c", c >= ' ' && c < 0x7f ? c : '?');
	advance(p);
	add(text, means[letter - letters]);
	return true;
}

static bool take_quoted(struct parser *p, char quote, struct text *text)
{
	advance(p);
	while (!at_end(p) && *p->at != quote && *p->at != '\n') {
		char c = *p->at;

		advance(p);
		if (c == '\0')
			return fail(p, "a NUL byte in a text");
		if (c != '\\' || quote == '\'')
			add(text, c);
		else if (!take_escape(p, text))
			return false;
	}
	if (!take(p, quote))
		return fail(p, "the text that begins with %c does not end on its line", quote);
	return true;
}

/* <<WORD, lines, WORD alone in a line; the last line end is not part of it. */
static bool take_lines(struct parser *p, struct text *text)
{
	const char *word = p->at + 2;
	unsigned first = p->line;
	size_t len;

	skip_line(p);
	len = (size_t)(p->at - word);
	while (!at_end(p)) {
		const char *line;

		advance(p);
		line = p->at;
		skip_line(p);
		if ((size_t)(p->at - line) == len && memcmp(line, word, len) == 0) {
			if (text->len)
				text->bytes[--text->len] = '\0';
			return true;
		}
		for (; line < p->at; line++)
			add(text, *line);
		add(text, '\n');
	}
	p->line = first;
	return fail(p, "the lines that begin here do not end with %.*s", (int)(len < 64 ? len : 64), word);
}

/* Words end where the value, the list or the block around them does. */
static bool ends_bare_value(const struct parser *p, bool in_array)
{
	char c = *p->at;

	if (c == '#')
		return is_blank(p->at[-1]);
	if (c == '/' && peek(p, 1) == '*')
		return is_blank(p->at[-1]);
	return c == '\n' || c == ';' || c == ',' || c == '}' || (in_array && c == ']');
}

static bool take_bare_value(struct parser *p, bool in_array, struct text *text)
{
	while (!at_end(p) && !ends_bare_value(p, in_array)) {
		if (*p->at == '\0')
			return fail(p, "a NUL byte in a text");
		add(text, *p->at);
		advance(p);
	}
	while (text->len && is_blank(text->bytes[text->len - 1]))
		text->bytes[--text->len] = '\0';
	return text->len || fail(p, "a value is missing");
}

static bool take_text(struct parser *p, bool in_array, struct text *text)
{
	char c = peek(p, 0);

	if (c == '"' || c == '\'') {
		if (!take_quoted(p, c, text))
			return false;
	} else if (c == '<' && peek(p, 1) == '<') {
		if (!take_lines(p, text))
			return false;
	} else if (!take_bare_value(p, in_array, text)) {
		return false;
	}
	if (!text->bytes)
		text->bytes = need(strdup(""));
	return true;
}

/* ':' is part of a word (of an IQN, for one) unless the word is JSON's key and ends with it. */
static bool ends_word(const struct parser *p)
{
	char next = peek(p, 1);

	if (*p->at == ':')
		return is_blank(next) || next == '\n' || next == '"' || next == '\'' || next == '['
		       || next == '{';
	return is_blank(*p->at) || strchr("\n={}[];,\"'#", *p->at);	/* NUL as well */
}

static bool take_key(struct parser *p, struct text *text)
{
	char c = peek(p, 0);

	if (c == '"' || c == '\'') {
		if (!take_quoted(p, c, text))
			return false;
		return text->len || fail(p, "a key is empty");
	}
	while (!at_end(p) && !ends_word(p)) {
		add(text, *p->at);
		advance(p);
	}
	if (text->len)
		return true;
	return c >= ' ' && c < 0x7f ? fail(p, "expected a key, not '%c'", c) : fail(p, "expected a key");
}

/* The tree --------------------------------------------------------------- */

static bool take_value(struct parser *p, bool in_array, struct ucl_node *node);

static bool take_members(struct parser *p, struct ucl_node *object, bool braces);

static bool take_array(struct parser *p, struct ucl_node *array)
{
	unsigned first = p->line;

	array->type = UCL_ARRAY;
	while (skip(p, true)) {
		struct ucl_node *node;

		if (take(p, ']'))
			return true;
		if (at_end(p)) {
			p->line = first;
			return fail(p, "the list that begins here does not end with ']'");
		}
		node = node_new(UCL_VALUE, p->line);
		append(array, node);
		if (!take_value(p, true, node) || !skip(p, true))
			return false;
		if (!at_end(p) && !take(p, ',') && !take(p, ';') && peek(p, 0) != ']')
			return fail(p, "expected ',' or ']' in a list");
	}
	return false;
}

static bool take_block(struct parser *p, struct ucl_node *node)
{
	bool ok;

	if (++p->depth > UCL_MAX_DEPTH)
		return fail(p, "more than %d levels of { and [", UCL_MAX_DEPTH);
	if (take(p, '[')) {
		ok = take_array(p, node);
	} else {
		advance(p);
		node->type = UCL_OBJECT;
		ok = take_members(p, node, true);
	}
	p->depth--;
	return ok;
}

static bool take_value(struct parser *p, bool in_array, struct ucl_node *node)
{
	struct text text = { NULL, 0 };
	bool ok;

	if (peek(p, 0) == '{' || peek(p, 0) == '[')
		return take_block(p, node);
	ok = take_text(p, in_array, &text);
	node->text = text.bytes;
	return ok;
}

/* After a key: are all that follow names of a section, with its '{' on the same line? */
static bool names_follow(const struct parser *before)
{
	struct parser p = *before;
	char scratch[1];

	p.why = scratch;
	p.size = sizeof(scratch);
	for (int names = 0; names <= UCL_MAX_DEPTH; names++) {
		struct text name = { NULL, 0 };
		bool is_word = peek(&p, 0) != '{' && take_key(&p, &name) && skip(&p, false);

		free(name.bytes);
		if (!is_word || peek(&p, 0) == '{')
			return peek(&p, 0) == '{';
	}
	return false;
}

/* What is not set apart by '=' or ':' may be the names of a section, or a value after all. */
static bool take_names_or_value(struct parser *p, struct ucl_node *node)
{
	bool names = names_follow(p);

	while (names && peek(p, 0) != '{') {
		struct ucl_node *inner = node_new(UCL_VALUE, p->line);
		struct text name = { NULL, 0 };
		bool ok = take_key(p, &name) && skip(p, false);

		inner->key = name.bytes;
		node->type = UCL_OBJECT;
		append(node, inner);
		node = inner;
		if (!ok || ++p->depth > UCL_MAX_DEPTH)
			return fail(p, "more than %d levels of { and [", UCL_MAX_DEPTH);
	}
	return take_value(p, false, node);
}

/* After "key" and its '=', on whatever line the value is. */
static bool take_assigned(struct parser *p, struct ucl_node *node)
{
	if (!skip(p, true))
		return false;
	if (!at_end(p) && !strchr(";,}]", *p->at))
		return take_value(p, false, node);
	p->line = node->line;
	return fail(p, "\"%.64s\" has no value", node->key);
}

static bool take_member(struct parser *p, struct ucl_node *node)
{
	unsigned depth = p->depth;
	struct text key = { NULL, 0 };
	bool ok = take_key(p, &key) && skip(p, false);

	node->key = key.bytes;
	if (!ok)
		return false;
	if (node->key[0] == '.')
		return fail(p, "%.64s: macros are not read", node->key);
	if (take(p, '=') || take(p, ':'))
		ok = take_assigned(p, node);
	else if (at_end(p) || strchr("\n;,}]", *p->at))
		ok = fail(p, "\"%.64s\" has no value", node->key);
	else
		ok = take_names_or_value(p, node);
	p->depth = depth;
	return ok;
}

/* A member ends with its line, ';' or ','; after a block, the next may follow at once. */
static bool end_member(struct parser *p, const struct ucl_node *node, bool braces)
{
	bool block = node->type != UCL_VALUE;

	if (!skip(p, false))
		return false;
	if (at_end(p) || take(p, ';') || take(p, ',') || take(p, '\n'))
		return true;
	if (braces && *p->at == '}')
		return true;
	if (block && node->type != UCL_ARRAY)
		return true;
	if (node->type == UCL_ARRAY)
		return fail(p, "\"%.64s\": something follows the list (a text with [ ] in it needs quotes)",
			    node->key);
	return fail(p, "\"%.64s\": something follows the value (one word, or quoted; several are { ... })",
		    node->key);
}

static bool take_members(struct parser *p, struct ucl_node *object, bool braces)
{
	unsigned first = p->line;

	while (skip(p, true)) {
		struct ucl_node *node;

		if (take(p, ';') || take(p, ','))
			continue;
		if (at_end(p) && !braces)
			return true;
		if (at_end(p)) {
			p->line = first;
			return fail(p, "the block that begins here does not end with '}'");
		}
		if (braces && take(p, '}'))
			return true;
		node = node_new(UCL_VALUE, p->line);
		append(object, node);
		if (!take_member(p, node) || !end_member(p, node, braces))
			return false;
	}
	return false;
}

struct ucl_node *ucl_parse(const char *text, size_t len, unsigned *line, char *why, size_t size)
{
	struct parser p = { .at = text, .end = text + len, .line = 1, .why = why, .size = size };
	struct ucl_node *root = node_new(UCL_OBJECT, 1);
	bool ok = skip(&p, true);

	if (ok && take(&p, '{'))
		ok = take_members(&p, root, true) && skip(&p, true)
		     && (at_end(&p) || fail(&p, "something follows the last '}'"));
	else if (ok)
		ok = take_members(&p, root, false);
	if (ok)
		return root;
	*line = p.line;
	ucl_free(root);
	return NULL;
}

void ucl_free(struct ucl_node *node)
{
	while (node && node->first) {
		struct ucl_node *child = node->first;

		node->first = child->next;
		ucl_free(child);
	}
	if (node) {
		free(node->key);
		free(node->text);
		free(node);
	}
}

const struct ucl_node *ucl_find(const struct ucl_node *object, const char *key)
{
	for (const struct ucl_node *node = object ? object->first : NULL; node; node = node->next)
		if (node->key && strcmp(node->key, key) == 0)
			return node;
	return NULL;
}
