/* Walking a section of the configuration file by the table of its keys; see conf_section.h. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf_section.h"
#include "option_value.h"

#define MESSAGE_LEN	1600
#define KEY_LEN		40	/* longer ones are like none of ours */

static void take_one(struct conf *conf, const struct conf_key *key, const struct ucl_node *node,
		     void *owner)
{
	const struct ucl_node **kept = (const struct ucl_node **)(void *)((char *)owner + key->offset);

	if (node->type != UCL_VALUE)
		conf_wrong(conf, node->line, "\"%s\" needs one value", key->name);
	else if (*kept)
		conf_wrong(conf, node->line, "\"%s\" is given twice, first in line %u", key->name,
			   (*kept)->line);
	else
		*kept = node;
}

static void take_each(struct conf *conf, const struct conf_key *key, const struct ucl_node *node,
		      void *owner)
{
	if (node->type == UCL_ARRAY)
		for (const struct ucl_node *value = node->first; value; value = value->next)
			take_each(conf, key, value, owner);
	else if (node->type == UCL_VALUE)
		key->take(conf, owner, node);
	else
		conf_wrong(conf, node->line, "\"%s\" needs a value, not a block", key->name);
}

/* In JSON, several blocks of one key are a list. */
static void take_block(struct conf *conf, const struct conf_key *key, const struct ucl_node *node,
		       void *owner)
{
	if (node->type == UCL_ARRAY)
		for (const struct ucl_node *block = node->first; block; block = block->next)
			take_block(conf, key, block, owner);
	else if (node->type == UCL_OBJECT)
		key->take(conf, owner, node);
	else
		conf_wrong(conf, node->line, "\"%s\" needs a block: %s { ... }", key->name, key->name);
}

static void take_named(struct conf *conf, const struct conf_key *key, const struct ucl_node *node,
		       void *owner)
{
	if (node->type == UCL_ARRAY) {	/* of JSON: one key, several of these */
		for (const struct ucl_node *one = node->first; one; one = one->next)
			take_named(conf, key, one, owner);
		return;
	}
	if (node->type != UCL_OBJECT || !node->first)
		conf_wrong(conf, node->line, "\"%s\" needs a name and a block: %s NAME { ... }",
			   key->name, key->name);
	for (const struct ucl_node *child = node->first; child; child = child->next)
		if (child->type == UCL_OBJECT)
			key->take(conf, owner, child);
		else
			conf_wrong(conf, child->line, "\"%s\" needs a name and a block: %s NAME { ... }",
				   key->name, key->name);
}

static void take(struct conf *conf, const struct conf_key *key, const struct ucl_node *node,
		 void *owner)
{
	switch (key->form) {
	case CONF_ONE:
		take_one(conf, key, node, owner);
		break;
	case CONF_EACH:
		take_each(conf, key, node, owner);
		break;
	case CONF_BLOCK:
		take_block(conf, key, node, owner);
		break;
	case CONF_NAMED:
		take_named(conf, key, node, owner);
		break;
	case CONF_ANY:
		key->take(conf, owner, node);
		break;
	case CONF_REFUSED:
		conf_wrong(conf, node->line, "\"%s\": %s", key->name, key->hint);
		break;
	case CONF_REST:
		break;
	}
}

static bool is_known(const struct conf_key *keys, const char *name)
{
	for (; keys->name; keys++)
		if (strcmp(keys->name, name) == 0 || (keys->has && keys->has(name)))
			return true;
	return false;
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* How many letters are wrong, missing, too many, or change places with the next. */
static unsigned distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	unsigned d[KEY_LEN + 1][KEY_LEN + 1];

	for (unsigned i = 0; i <= a_len; i++)
		for (unsigned j = 0; j <= b_len; j++) {
			if (i == 0 || j == 0) {
				d[i][j] = i + j;
				continue;
			}
			d[i][j] = least(least(d[i - 1][j], d[i][j - 1]) + 1,
					d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
		}
	return d[a_len][b_len];
}

/* The name, among those of "known" (", NAME, NAME"), that may be meant; NULL: none is like it. */
static const char *nearest(const char *name, const char *known, size_t *len)
{
	size_t name_len = strlen(name);
	unsigned best = least((unsigned)name_len / 3, 2) + 1;
	const char *found = NULL;

	if (name_len > KEY_LEN)
		return NULL;
	for (const char *next; *known; known = next) {
		size_t known_len = strcspn(known += 2, ",");
		unsigned wrong = known_len > KEY_LEN ? best : distance(name, name_len, known, known_len);

		next = known + known_len;
		if (wrong >= best)
			continue;
		best = wrong;
		*len = known_len;
		found = known;
	}
	return found;
}

static void wrong_key(struct conf *conf, const struct conf_key *keys, const struct ucl_node *node,
		      const char *what)
{
	char known[MESSAGE_LEN] = "";
	const char *meant;
	size_t len = 0;

	for (; keys->name; keys++)
		if (keys->form == CONF_REST)
			keys->list(known, sizeof(known));
		else if (keys->form != CONF_REFUSED)
			snprintf(known + strlen(known), sizeof(known) - strlen(known), ", %s", keys->name);
	if (!what)
		conf_list_keys(known, sizeof(known));
	meant = nearest(node->key, known, &len);
	if (meant)
		conf_wrong(conf, node->line, "unknown key \"%.100s\"%s%s: is %.*s meant?", node->key,
			   what ? " in " : "", what ? what : "", (int)len, meant);
	else
		conf_wrong(conf, node->line, "unknown key \"%.100s\"%s%s; there are:%s", node->key,
			   what ? " in " : "", what ? what : "", known + 1);
}

void conf_take_section(struct conf *conf, const struct conf_key *keys,
		       const struct ucl_node *section, const char *what, void *owner)
{
	for (const struct ucl_node *node = section->first; node; node = node->next)
		if (!is_known(keys, node->key) && (what || !conf_take_key(conf, node)))
			wrong_key(conf, keys, node, what);
	for (const struct conf_key *key = keys; key->name; key++)
		for (const struct ucl_node *node = section->first; node; node = node->next)
			if (strcmp(node->key, key->name) == 0)
				take(conf, key, node, owner);
}

bool conf_bool(struct conf *conf, const struct ucl_node *node, const char *name, bool *value)
{
	char why[64];

	if (option_value_bool(node->text, value, why, sizeof(why)))
		return true;
	conf_wrong(conf, node->line, "%s = %.200s: %s", name, node->text, why);
	return false;
}

bool conf_number(struct conf *conf, const struct ucl_node *node, const char *name, unsigned min,
		 unsigned max, unsigned *value)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(node->text, &end, 10);
	if (errno || node->text[0] < '0' || node->text[0] > '9' || *end || n < min || n > max) {
		conf_wrong(conf, node->line, "%s = %.200s: not a number from %u to %u", name, node->text,
			   min, max);
		return false;
	}
	*value = (unsigned)n;
	return true;
}
