/*
 * A configuration file: its syntax, and, where that is right, all that it can say. What
 * is wrong is told by its line.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf.h"
#include "fuzz.h"
#include "log.h"
#include "ucl.h"

static char path[64];

static void no_log(enum log_level level, const char *line)
{
	(void)level;
	assert(strlen(line) < 4096);
}

static void remove_file(void)
{
	unlink(path);
}

/* In memory, where that is possible; its descriptor. */
static int open_file(void)
{
	int fd;

	if (path[0])
		return open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	log_set_sink(no_log);
	strcpy(path, access("/dev/shm", W_OK) == 0 ? "/dev/shm/fuzz-XXXXXX" : "/tmp/fuzz-XXXXXX");
	fd = mkstemp(path);
	atexit(remove_file);
	return fd;
}

static unsigned lines(const char *text, size_t len)
{
	unsigned count = 1;

	for (size_t i = 0; i < len; i++)
		count += text[i] == '\n';
	return count;
}

static void judge_tree(const struct ucl_node *node, unsigned depth, unsigned last_line)
{
	assert(depth <= UCL_MAX_DEPTH && node->line <= last_line);
	assert((node->type == UCL_VALUE) == (node->text != NULL));
	for (const struct ucl_node *child = node->first; child; child = child->next) {
		assert(!child->key == (node->type == UCL_ARRAY));
		assert(child->next || child == node->last);
		if (child->key)
			assert(ucl_find(node, child->key));
		judge_tree(child, depth + 1, last_line);
	}
}

static void read_file(unsigned last_line)
{
	char name[] = "fuzz", option[80];
	char *argv[] = { name, option, NULL };
	enum conf_verdict verdict;
	struct conf conf;

	snprintf(option, sizeof(option), "--config=%s", path);
	verdict = conf_parse(&conf, 2, argv);
	assert((verdict == CONF_WRONG) == (conf.error_count > 0));
	for (unsigned i = 0; i < conf.error_count; i++)
		assert(conf.errors[i].text[0] && conf.errors[i].line <= last_line);
	assert(verdict == CONF_WRONG || conf.access);
	conf_free(&conf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	unsigned last_line = lines(text, size), line = 0;
	char why[200] = "";
	struct ucl_node *tree = ucl_parse(text, size, &line, why, sizeof(why));
	int fd = open_file();

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	close(fd);
	assert(tree || (why[0] && line > 0 && line <= last_line));
	if (tree)
		judge_tree(tree, 0, last_line);
	ucl_free(tree);
	read_file(last_line);
	return 0;
}
