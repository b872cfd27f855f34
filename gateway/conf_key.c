/*
 * Options as keys of the file: of its outermost level, and of devices. By the table of
 * conf_option.h.
 */
#include "config.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "conf_option.h"
#include "conf_section.h"
#include "ucl.h"

static bool find_key(const char *name, struct conf_option *row)
{
	for (size_t i = 0; i < conf_option_count(); i++) {
		*row = conf_option_at(i);
		if (!(row->flags & NO_KEY) && strcmp(row->name, name) == 0)
			return true;
	}
	return false;
}

static void take_key_value(struct conf *conf, const struct conf_option *row,
			   const struct ucl_node *value)
{
	char why[400];
	bool on = true;

	conf->line = value->line;
	if (value->type != UCL_VALUE)
		conf_wrong(conf, value->line, "\"%s\" needs a value, not a block", row->name);
	else if (!row->argument && !conf_bool(conf, value, row->name, &on))
		return;
	else if (on && !conf_option_take(conf, row->value, value->text, why, sizeof(why)))
		conf_wrong(conf, value->line, "%s = %.200s: %s", row->name, value->text, why);
}

/* Of two, which one is meant? */
static bool says_it_once(struct conf *conf, const struct ucl_node *node)
{
	const struct ucl_node *first = ucl_find(conf->tree, node->key);
	bool once = first == node && (node->type != UCL_ARRAY || node->first == node->last);

	if (first != node)
		conf_wrong(conf, node->line, "\"%s\" is given twice, first in line %u", node->key,
			   first->line);
	else if (!once)
		conf_wrong(conf, node->line, "\"%s\" needs one value", node->key);
	return once;
}

bool conf_take_key(struct conf *conf, const struct ucl_node *node)
{
	struct conf_option row;

	if (!find_key(node->key, &row))
		return false;
	if (conf_is_given(conf, row.value) ||	/* the command line outdoes it */
	    (!(row.flags & REPEATS) && !says_it_once(conf, node)))
		return true;
	if (node->type != UCL_ARRAY)
		take_key_value(conf, &row, node);
	else
		for (const struct ucl_node *value = node->first; value; value = value->next)
			take_key_value(conf, &row, value);
	return true;
}

void conf_list_keys(char *text, size_t size)
{
	for (size_t i = 0; i < conf_option_count(); i++) {
		struct conf_option row = conf_option_at(i);

		if (!(row.flags & NO_KEY))
			snprintf(text + strlen(text), size - strlen(text), ", %s", row.name);
	}
}

/* Of devices -------------------------------------------------------------- */

static bool find_device_key(const char *name, struct conf_option *row)
{
	return find_key(name, row) && (row->flags & OF_DEVICE);
}

bool conf_is_device_key(const char *name)
{
	struct conf_option row;

	return find_device_key(name, &row);
}

void conf_list_device_keys(char *text, size_t size)
{
	for (size_t i = 0; i < conf_option_count(); i++) {
		struct conf_option row = conf_option_at(i);

		if (row.flags & OF_DEVICE)
			snprintf(text + strlen(text), size - strlen(text), ", %s", row.name);
	}
}

void conf_take_device_key(struct conf *conf, struct conf_device *device,
			  const struct ucl_node *node)
{
	struct conf_option row;
	char why[400];
	bool known = find_device_key(node->key, &row);
	unsigned kind = device->kind == DEVICE_ISCSI ? OF_ISCSI : device->kind == DEVICE_NBD ? OF_NBD : 0;

	assert(known);
	(void)known;
	if (node->type != UCL_VALUE)
		conf_wrong(conf, node->line, "\"%s\" needs one value", row.name);
	else if (!(row.flags & kind))
		conf_wrong(conf, node->line, "%s = %.200s: that is for %s devices", row.name, node->text,
			   (row.flags & OF_DEVICE) == OF_DEVICE ? "iscsi:// and nbd://" :
			   row.flags & OF_ISCSI ? "iscsi://" : "nbd://");
	else if (!conf_option_reach(&device->reach, row.value, node->text, why, sizeof(why)))
		conf_wrong(conf, node->line, "%s = %.200s: %s", row.name, node->text, why);
}
