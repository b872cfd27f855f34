/* UTF-8 for the log and for what is printed; see utf8.h. Owns nothing. */
#include "utf8.h"

#include <string.h>

unsigned utf8_length(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	unsigned len = p[0] < 0x80 ? p[0] != 0 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2
		       : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;

	for (unsigned i = 1; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	/* No overlong forms, no surrogates, nothing beyond U+10FFFF. */
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f)
	    || (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return len;
}

bool utf8_is_control(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	return (p[0] && p[0] < 0x20) || p[0] == 0x7f || (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0);
}

void utf8_clean(char *text)
{
	while (*text) {
		unsigned len = utf8_length(text);

		if (len && !utf8_is_control(text)) {
			text += len;
			continue;
		}
		memset(text, '?', len ? len : 1);
		text += len ? len : 1;
	}
}
