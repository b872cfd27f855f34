/* A parser of UCL by recursive descent: the tree. See ucl.h; ucl_text.c has what is below it. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "need.h"
#include "ucl_private.h"

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

static bool take_value(struct ucl_parser *p, bool in_array, struct ucl_node *node);

static bool take_members(struct ucl_parser *p, struct ucl_node *object, bool braces);

static bool take_array(struct ucl_parser *p, struct ucl_node *array)
{
	unsigned first = p->line;

	array->type = UCL_ARRAY;
	while (ucl_skip(p, true)) {
		struct ucl_node *node;

		if (ucl_take(p, ']'))
			return true;
		if (ucl_at_end(p)) {
			p->line = first;
			return ucl_fail(p, "the list that begins here does not end with ']'");
		}
		node = node_new(UCL_VALUE, p->line);
		append(array, node);
		if (!take_value(p, true, node) || !ucl_skip(p, true))
			return false;
		if (!ucl_at_end(p) && !ucl_take(p, ',') && !ucl_take(p, ';') && ucl_peek(p, 0) != ']')
			return ucl_fail(p, "expected ',' or ']' in a list");
	}
	return false;
}

static bool take_block(struct ucl_parser *p, struct ucl_node *node)
{
	bool ok;

	if (++p->depth > UCL_MAX_DEPTH)
		return ucl_fail(p, "more than %d levels of { and [", UCL_MAX_DEPTH);
	if (ucl_take(p, '[')) {
		ok = take_array(p, node);
	} else {
		ucl_advance(p);
		node->type = UCL_OBJECT;
		ok = take_members(p, node, true);
	}
	p->depth--;
	return ok;
}

static bool take_value(struct ucl_parser *p, bool in_array, struct ucl_node *node)
{
	struct ucl_text text = { NULL, 0 };
	bool ok;

	if (ucl_peek(p, 0) == '{' || ucl_peek(p, 0) == '[')
		return take_block(p, node);
	ok = ucl_take_text(p, in_array, &text);
	node->text = text.bytes;
	return ok;
}

/* After a key: are all that follow names of a section, with its '{' on the same line? */
static bool names_follow(const struct ucl_parser *before)
{
	struct ucl_parser p = *before;
	char scratch[1];

	p.why = scratch;
	p.size = sizeof(scratch);
	for (int names = 0; names <= UCL_MAX_DEPTH; names++) {
		struct ucl_text name = { NULL, 0 };
		bool is_word = ucl_peek(&p, 0) != '{' && ucl_take_key(&p, &name) && ucl_skip(&p, false);

		free(name.bytes);
		if (!is_word || ucl_peek(&p, 0) == '{')
			return ucl_peek(&p, 0) == '{';
	}
	return false;
}

/* What is not set apart by '=' or ':' may be the names of a section, or a value after all. */
static bool take_names_or_value(struct ucl_parser *p, struct ucl_node *node)
{
	bool names = names_follow(p);

	while (names && ucl_peek(p, 0) != '{') {
		struct ucl_node *inner = node_new(UCL_VALUE, p->line);
		struct ucl_text name = { NULL, 0 };
		bool ok = ucl_take_key(p, &name) && ucl_skip(p, false);

		inner->key = name.bytes;
		node->type = UCL_OBJECT;
		append(node, inner);
		node = inner;
		if (!ok || ++p->depth > UCL_MAX_DEPTH)
			return ucl_fail(p, "more than %d levels of { and [", UCL_MAX_DEPTH);
	}
	return take_value(p, false, node);
}

/* After "key" and its '=', on whatever line the value is. */
static bool take_assigned(struct ucl_parser *p, struct ucl_node *node)
{
	if (!ucl_skip(p, true))
		return false;
	if (!ucl_at_end(p) && !strchr(";,}]", *p->at))
		return take_value(p, false, node);
	p->line = node->line;
	return ucl_fail(p, "\"%.64s\" has no value", node->key);
}

static bool take_member(struct ucl_parser *p, struct ucl_node *node)
{
	unsigned depth = p->depth;
	struct ucl_text key = { NULL, 0 };
	bool ok = ucl_take_key(p, &key) && ucl_skip(p, false);

	node->key = key.bytes;
	if (!ok)
		return false;
	if (node->key[0] == '.')
		return ucl_fail(p, "%.64s: macros are not read", node->key);
	if (ucl_take(p, '=') || ucl_take(p, ':'))
		ok = take_assigned(p, node);
	else if (ucl_at_end(p) || strchr("\n;,}]", *p->at))
		ok = ucl_fail(p, "\"%.64s\" has no value", node->key);
	else
		ok = take_names_or_value(p, node);
	p->depth = depth;
	return ok;
}

/* A member ends with its line, ';' or ','; after a block, the next may follow at once. */
static bool end_member(struct ucl_parser *p, const struct ucl_node *node, bool braces)
{
	bool block = node->type != UCL_VALUE;

	if (!ucl_skip(p, false))
		return false;
	if (ucl_at_end(p) || ucl_take(p, ';') || ucl_take(p, ',') || ucl_take(p, '\n'))
		return true;
	if (braces && *p->at == '}')
		return true;
	if (block && node->type != UCL_ARRAY)
		return true;
	if (node->type == UCL_ARRAY)
		return ucl_fail(p, "\"%.64s\": something follows the list (a text with [ ] in it needs quotes)",
			    node->key);
	return ucl_fail(p, "\"%.64s\": something follows the value (one word, or quoted; several are { ... })",
		    node->key);
}

static bool take_members(struct ucl_parser *p, struct ucl_node *object, bool braces)
{
	unsigned first = p->line;

	while (ucl_skip(p, true)) {
		struct ucl_node *node;

		if (ucl_take(p, ';') || ucl_take(p, ','))
			continue;
		if (ucl_at_end(p) && !braces)
			return true;
		if (ucl_at_end(p)) {
			p->line = first;
			return ucl_fail(p, "the block that begins here does not end with '}'");
		}
		if (braces && ucl_take(p, '}'))
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
	struct ucl_parser p = { .at = text, .end = text + len, .line = 1, .why = why, .size = size };
	struct ucl_node *root = node_new(UCL_OBJECT, 1);
	bool ok;

	/* U+FEFF, by which some editors mark UTF-8. */
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		p.at += 3;
	ok = ucl_skip(&p, true);

	if (ok && ucl_take(&p, '{'))
		ok = take_members(&p, root, true) && ucl_skip(&p, true)
		     && (ucl_at_end(&p) || ucl_fail(&p, "something follows the last '}'"));
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
