/* nbd-iscsi-gateway: the command line, and off it goes. */
#include "config.h"

#include <stdio.h>

#include "conf.h"
#include "discover.h"
#include "gateway.h"
#include "log.h"

#define EXIT_USAGE	2

/* One write per line: lines of several threads do not mix. */
static void to_stderr(enum log_level level, const char *line)
{
	(void)level;
	fprintf(stderr, "nbd-iscsi-gateway: %s\n", line);
}

int main(int argc, char **argv)
{
	struct conf conf;
	char why[1024];
	int status = 0;

	log_set_sink(to_stderr);
	switch (conf_parse(&conf, argc, argv, why, sizeof(why))) {
	case CONF_RUN:
		status = conf.discover.portal ? discover_run(&conf) : gateway_run(&conf);
		break;
	case CONF_DONE:
		break;
	case CONF_WRONG:
		log_error("%s", why);
		status = EXIT_USAGE;
		break;
	}
	conf_free(&conf);
	return status;
}
