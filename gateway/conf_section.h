/*
 * Sections of the configuration file, described by tables of their keys. A key that
 * has a single value is kept as its node, for the section's owner to judge when all is
 * there: so every message knows its line.
 */
#ifndef CONF_SECTION_H
#define CONF_SECTION_H

#include <stdbool.h>
#include <stddef.h>

#include "conf.h"
#include "ucl.h"

enum conf_form {
	CONF_ONE,	/* key = value, once: the node goes to owner + offset */
	CONF_EACH,	/* key = value, key = [value, value]: take() each value */
	CONF_BLOCK,	/* key { ... }: take() the object */
	CONF_NAMED,	/* key NAME { ... }: take() the object, whose key is NAME */
	CONF_ANY,	/* take() whatever it is */
	CONF_REFUSED,	/* not here; hint says what instead */
	CONF_REST,	/* what has() knows: the section's owner looks for it there */
};

struct conf_key {
	const char *name;
	enum conf_form form;
	size_t offset;
	void (*take)(struct conf *conf, void *owner, const struct ucl_node *node);
	const char *hint;
	bool (*has)(const char *name);
	void (*list)(char *text, size_t size);	/* append their names, ", " before each */
};

#define CONF_KEY_ONE(name, type, member)	{ name, CONF_ONE, offsetof(type, member), NULL, NULL, NULL, NULL }
#define CONF_KEY_EACH(name, take)		{ name, CONF_EACH, 0, take, NULL, NULL, NULL }
#define CONF_KEY_BLOCK(name, take)		{ name, CONF_BLOCK, 0, take, NULL, NULL, NULL }
#define CONF_KEY_NAMED(name, take)		{ name, CONF_NAMED, 0, take, NULL, NULL, NULL }
#define CONF_KEY_ANY(name, take)		{ name, CONF_ANY, 0, take, NULL, NULL, NULL }
#define CONF_KEY_REFUSED(name, hint)		{ name, CONF_REFUSED, 0, NULL, hint, NULL, NULL }
#define CONF_KEY_REST(has, list)		{ "", CONF_REST, 0, NULL, NULL, has, list }
#define CONF_KEY_END				{ NULL, CONF_ONE, 0, NULL, NULL, NULL, NULL }

/*
 * Take what is in "section", in the order of keys[] (ended by CONF_KEY_END). "what" is what
 * the section is called in messages: "target", with its name if it has one; NULL is the file
 * itself, whose other keys are options, taken first.
 */
void conf_take_section(struct conf *conf, const struct conf_key *keys,
		       const struct ucl_node *section, const char *what, void *owner);

/* As option_value_bool(). False: noted. name: of the key. */
bool conf_bool(struct conf *conf, const struct ucl_node *node, const char *name, bool *value);

/* Decimal, from min to max. False: noted. */
bool conf_number(struct conf *conf, const struct ucl_node *node, const char *name, unsigned min,
		 unsigned max, unsigned *value);

#endif
