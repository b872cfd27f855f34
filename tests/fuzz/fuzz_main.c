/*
 * main() of a fuzz_*.c that no fuzzer drives: each file given, and each file in a
 * directory given, is one input. With no argument, "make check": fuzz_NAME replays
 * $srcdir/fuzz/corpus/NAME. Says how many there were; none is a failure.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz.h"

#define INPUT_MAX	(1u << 20)

static unsigned replayed;

static void give_up(const char *path)
{
	fprintf(stderr, "%s: %s\n", path, strerror(errno));
	exit(99);
}

static void replay_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *room = malloc(INPUT_MAX), *exact;
	size_t size;

	if (!f || !room)
		give_up(path);
	size = fread(room, 1, INPUT_MAX, f);
	if (ferror(f))
		give_up(path);
	fclose(f);
	/* No byte more than there is, so that a sanitizer sees what reads beyond it. */
	exact = malloc(size ? size : 1);
	if (!exact)
		give_up(path);
	memcpy(exact, room, size);
	free(room);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
	replayed++;
}

static int is_input(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void replay(const char *path)
{
	struct dirent **entries;
	struct stat st;
	int count;

	if (stat(path, &st) < 0)
		give_up(path);
	if (!S_ISDIR(st.st_mode)) {
		replay_file(path);
		return;
	}
	count = scandir(path, &entries, is_input, alphasort);
	if (count < 0)
		give_up(path);
	for (int i = 0; i < count; i++) {
		char file[4096];

		snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
		replay_file(file);
		free(entries[i]);
	}
	free(entries);
}

/* fuzz_NAME: the corpus of that name. */
static void replay_corpus(const char *program)
{
	const char *srcdir = getenv("srcdir"), *slash = strrchr(program, '/');
	const char *name = strstr(slash ? slash : program, "fuzz_");
	char path[4096];

	if (!name) {
		fprintf(stderr, "usage: %s FILE|DIRECTORY...\n", program);
		exit(99);
	}
	snprintf(path, sizeof path, "%s/fuzz/corpus/%s", srcdir ? srcdir : ".",
		 name + strlen("fuzz_"));
	replay(path);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		replay(argv[i]);
	if (argc < 2)
		replay_corpus(argv[0]);
	printf("%u inputs replayed\n", replayed);
	return replayed ? 0 : 99;
}
