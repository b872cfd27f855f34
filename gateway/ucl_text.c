/* UCL's characters and texts; see ucl_private.h. */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "need.h"
#include "ucl_private.h"

bool ucl_fail(struct ucl_parser *p, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(p->why, p->size, fmt, args);
	va_end(args);
	return false;
}

/* Characters ------------------------------------------------------------- */

bool ucl_at_end(const struct ucl_parser *p)
{
	return p->at == p->end;
}

char ucl_peek(const struct ucl_parser *p, size_t ahead)
{
	return (size_t)(p->end - p->at) > ahead ? p->at[ahead] : '\0';
}

void ucl_advance(struct ucl_parser *p)
{
	if (*p->at == '\n')
		p->line++;
	p->at++;
}

bool ucl_take(struct ucl_parser *p, char c)
{
	if (ucl_at_end(p) || *p->at != c)
		return false;
	ucl_advance(p);
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static void skip_line(struct ucl_parser *p)
{
	while (!ucl_at_end(p) && *p->at != '\n')
		ucl_advance(p);
}

/* UCL's comments nest. */
static bool skip_long_comment(struct ucl_parser *p)
{
	unsigned nested = 0, first = p->line;

	do {
		if (ucl_at_end(p)) {
			p->line = first;
			return ucl_fail(p, "the comment that begins here does not end");
		}
		if (ucl_peek(p, 0) == '/' && ucl_peek(p, 1) == '*') {
			nested++;
			ucl_advance(p);
		} else if (ucl_peek(p, 0) == '*' && ucl_peek(p, 1) == '/') {
			nested--;
			ucl_advance(p);
		}
		ucl_advance(p);
	} while (nested);
	return true;
}

/* Blanks and comments; line ends, too, where "lines" says so. */
bool ucl_skip(struct ucl_parser *p, bool lines)
{
	while (!ucl_at_end(p)) {
		char c = *p->at;

		if (is_blank(c) || (lines && c == '\n'))
			ucl_advance(p);
		else if (c == '#')
			skip_line(p);
		else if (c == '/' && ucl_peek(p, 1) == '*') {
			if (!skip_long_comment(p))
				return false;
		} else
			break;
	}
	return true;
}

/* Texts ------------------------------------------------------------------ */

static void add(struct ucl_text *text, char c)
{
	/* Doubled at each power of two. */
	if ((text->len & (text->len - 1)) == 0)
		text->bytes = need(realloc(text->bytes, text->len ? 2 * text->len + 1 : 2));
	text->bytes[text->len++] = c;
	text->bytes[text->len] = '\0';
}

static void add_utf8(struct ucl_text *text, unsigned code)
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
static bool take_unicode(struct ucl_parser *p, struct ucl_text *text)
{
	unsigned code = 0;

	for (int i = 0; i < 4; i++) {
		char c = ucl_peek(p, 0);
		const char *digits = "0123456789abcdef", *digit = c ? strchr(digits, c | 0x20) : NULL;

		if (!digit)
			return ucl_fail(p, "\\u needs four hexadecimal digits");
		code = code << 4 | (unsigned)(digit - digits);
		ucl_advance(p);
	}
	if (code == 0 || (code >= 0xd800 && code < 0xe000))
		return ucl_fail(p, "\\u%04x is not a character here", code);
	add_utf8(text, code);
	return true;
}

static bool take_escape(struct ucl_parser *p, struct ucl_text *text)
{
	static const char letters[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
	char c = ucl_peek(p, 0);
	const char *letter = c ? strchr(letters, c) : NULL;

	if (c == 'u') {
		ucl_advance(p);
		return take_unicode(p, text);
	}
	if (!letter)
		return ucl_fail(p, "unknown escape \\%c", c >= ' ' && c < 0x7f ? c : '?');
	ucl_advance(p);
	add(text, means[letter - letters]);
	return true;
}

static bool take_quoted(struct ucl_parser *p, char quote, struct ucl_text *text)
{
	ucl_advance(p);
	while (!ucl_at_end(p) && *p->at != quote && *p->at != '\n') {
		char c = *p->at;

		ucl_advance(p);
		if (c == '\0')
			return ucl_fail(p, "a NUL byte in a text");
		if (c != '\\' || quote == '\'')
			add(text, c);
		else if (!take_escape(p, text))
			return false;
	}
	if (!ucl_take(p, quote))
		return ucl_fail(p, "the text that begins with %c does not end on its line", quote);
	return true;
}

/* <<WORD, lines, WORD alone in a line; the last line end is not part of it. */
static bool take_lines(struct ucl_parser *p, struct ucl_text *text)
{
	const char *word = p->at + 2;
	unsigned first = p->line;
	size_t len;

	skip_line(p);
	len = (size_t)(p->at - word);
	while (!ucl_at_end(p)) {
		const char *line;

		ucl_advance(p);
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
	return ucl_fail(p, "the lines that begin here do not end with %.*s", (int)(len < 64 ? len : 64), word);
}

/* Words end where the value, the list or the block around them does. */
static bool ends_bare_value(const struct ucl_parser *p, bool in_array)
{
	char c = *p->at;

	if (c == '#')
		return is_blank(p->at[-1]);
	if (c == '/' && ucl_peek(p, 1) == '*')
		return is_blank(p->at[-1]);
	return c == '\n' || c == ';' || c == ',' || c == '}' || (in_array && c == ']');
}

static bool take_bare_value(struct ucl_parser *p, bool in_array, struct ucl_text *text)
{
	while (!ucl_at_end(p) && !ends_bare_value(p, in_array)) {
		if (*p->at == '\0')
			return ucl_fail(p, "a NUL byte in a text");
		add(text, *p->at);
		ucl_advance(p);
	}
	while (text->len && is_blank(text->bytes[text->len - 1]))
		text->bytes[--text->len] = '\0';
	return text->len || ucl_fail(p, "a value is missing");
}

bool ucl_take_text(struct ucl_parser *p, bool in_array, struct ucl_text *text)
{
	char c = ucl_peek(p, 0);

	if (c == '"' || c == '\'') {
		if (!take_quoted(p, c, text))
			return false;
	} else if (c == '<' && ucl_peek(p, 1) == '<') {
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
static bool ends_word(const struct ucl_parser *p)
{
	char next = ucl_peek(p, 1);

	if (*p->at == ':')
		return is_blank(next) || next == '\n' || next == '"' || next == '\'' || next == '['
		       || next == '{';
	return is_blank(*p->at) || strchr("\n={}[];,\"'#", *p->at);	/* NUL as well */
}

bool ucl_take_key(struct ucl_parser *p, struct ucl_text *text)
{
	char c = ucl_peek(p, 0);

	if (c == '"' || c == '\'') {
		if (!take_quoted(p, c, text))
			return false;
		return text->len || ucl_fail(p, "a key is empty");
	}
	while (!ucl_at_end(p) && !ends_word(p)) {
		add(text, *p->at);
		ucl_advance(p);
	}
	if (text->len)
		return true;
	return c >= ' ' && c < 0x7f ? ucl_fail(p, "expected a key, not '%c'", c) : ucl_fail(p, "expected a key");
}
