/* A URL, from a command line, a configuration or a target's redirection. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "initiator.h"

static void judge(const struct iscsi_portal *portal)
{
	assert(memchr(portal->host, '\0', sizeof(portal->host)) && portal->host[0]);
	assert(atoi(portal->port) > 0 && atoi(portal->port) <= 65535);
}

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
		assert(url.portal_count > 0 && url.portal_count <= ISCSI_PORTALS_MAX);
		for (unsigned i = 0; i < url.portal_count; i++)
			judge(&url.portals[i]);
		assert(memchr(url.user, '\0', sizeof(url.user)));
		assert(url.lun <= 16383 && (url.has_lun || !url.lun));
		assert(memchr(url.target, '\0', sizeof(url.target)));
	}
	free(text);
	return 0;
}
