/* A URL, from a command line, a configuration or a target's redirection. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "initiator.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	size_t why_size = fuzz_u8(&in) + 1u, len = in.left;
	char *text = malloc(len + 1), why[256] = "";
	struct iscsi_url url;

	if (!text)
		abort();
	memcpy(text, in.at, len);
	text[len] = '\0';
	if (!iscsi_url_parse(text, &url, why, why_size)) {
		assert(strlen(why) < why_size && (why[0] || why_size == 1));
	} else {
		assert(url.host[0] && atoi(url.port) > 0 && atoi(url.port) <= 65535);
		assert(memchr(url.user, '\0', sizeof url.user));
		assert(memchr(url.host, '\0', sizeof url.host));
		assert(url.lun <= 16383 && (url.has_lun || !url.lun));
		assert(memchr(url.target, '\0', sizeof url.target));
	}
	free(text);
	return 0;
}
