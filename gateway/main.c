/* nbd-iscsi-gateway: the command line, and off it goes. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "discover.h"
#include "gateway.h"
#include "import.h"
#include "log.h"

#define EXIT_USAGE	2

/* One write per line: lines of several threads do not mix. */
static void to_stderr(enum log_level level, const char *line)
{
	(void)level;
	fprintf(stderr, "nbd-iscsi-gateway: %s\n", line);
}

/* As compilers do it, so that editors find the place. */
static void print_errors(const struct conf *conf)
{
	for (unsigned i = 0; i < conf->error_count; i++)
		if (conf->errors[i].line)
			fprintf(stderr, "%s\n", conf->errors[i].text);
		else
			log_error("%s", conf->errors[i].text);
}

int main(int argc, char **argv)
{
	struct conf conf;
	int status = 0;

	log_set_sink(to_stderr);
	switch (conf_parse(&conf, argc, argv)) {
	case CONF_RUN:
		log_set_areas(conf.debug);
		if (conf.import)
			status = import_run(conf.import, conf.secrets_dir);
		else if (conf.discover.portal)
			status = discover_run(&conf);
		else
			status = gateway_run(&conf, argc, argv);
		break;
	case CONF_DONE:
		if (fflush(stdout) == 0 && !ferror(stdout))
			break;
		log_error("standard output: %s", strerror(errno));
		status = EXIT_FAILURE;
		break;
	case CONF_WRONG:
		print_errors(&conf);
		status = EXIT_USAGE;
		break;
	}
	conf_free(&conf);
	return status;
}
