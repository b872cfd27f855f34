/* Walking a section of the configuration file by the table of its keys; see conf_section.h. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf_section.h"

#define MESSAGE_LEN	800

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

static void wrong_key(struct conf *conf, const struct conf_key *keys, const struct ucl_node *node,
		      const char *what)
{
	char known[MESSAGE_LEN] = "";

	for (; keys->name; keys++)
		if (keys->form == CONF_REST)
			keys->list(known, sizeof(known));
		else if (keys->form != CONF_REFUSED)
			snprintf(known + strlen(known), sizeof(known) - strlen(known), ", %s", keys->name);
	if (!what)
		conf_list_keys(known, sizeof(known));
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
	static const char *const words[] = { "no", "yes", "false", "true", "off", "on" };

	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(node->text, words[i]) == 0) {
			*value = i & 1;
			return true;
		}
	conf_wrong(conf, node->line, "%s = %.200s: neither yes nor no", name, node->text);
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
