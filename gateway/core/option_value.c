/*
 * How the values of options are read; see option_value.h.
 *
 * Called while a configuration is read. Owns nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "keys.h"
#include "option_value.h"

bool option_value_number(const char *text, uint32_t least, uint32_t most, uint32_t *number,
			 char *why, size_t size)
{
	uint32_t n;

	if (!keys_number(text, &n) || n < least || n > most) {
		snprintf(why, size, "not a number from %u to %u", least, most);
		return false;
	}
	*number = n;
	return true;
}

bool option_value_bool(const char *text, bool *value, char *why, size_t size)
{
	static const char *const words[] = { "no", "yes", "false", "true", "off", "on", "0", "1" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasecmp(text, words[i]) == 0) {
			*value = i & 1;
			return true;
		}
	snprintf(why, size, "neither yes nor no");
	return false;
}

bool option_value_seconds(const char *text, double least, double most, double *seconds, char *why,
			  size_t size)
{
	char *end;
	double number = strtod(text, &end);

	/* As it is written, "nan" is in no range. */
	if (end == text || *end || !(number >= least && number <= most)) {
		snprintf(why, size, "not a number of seconds from %g to %g", least, most);
		return false;
	}
	*seconds = number;
	return true;
}
