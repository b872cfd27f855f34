/*
 * main() of a fuzz_*.c that no fuzzer drives: each file given, and each file in a
 * directory given, is one input. With no argument, "make check": fuzz_NAME replays
 * $srcdir/fuzz/corpus/NAME, and then as many mutations of it as $MUTATIONS says, the
 * same ones every time. A mutation that ends the process is left in fuzz_NAME.input.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "fuzz_mutate.h"

#define INPUT_MAX	(1u << 20)
#define MUTATIONS	"3000"		/* PDUs, commands ... (fuzz_units), of "make check" */

static struct fuzz_corpus corpus;

static void give_up(const char *path)
{
	fprintf(stderr, "%s: %s\n", path, strerror(errno));
	exit(99);
}

static void *or_die(void *memory)
{
	if (!memory)
		give_up("memory");
	return memory;
}

static void run(const uint8_t *data, size_t size)
{
	unsigned long before = fuzz_units;
	/* No byte more than there is, so that a sanitizer sees what reads beyond it. */
	uint8_t *exact = or_die(malloc(size ? size : 1));

	if (size)
		memcpy(exact, data, size);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
	fuzz_units += fuzz_units == before;
}

/* Collecting --------------------------------------------------------------- */

static void add_file(const char *path)
{
	uint8_t *room = or_die(malloc(INPUT_MAX));
	FILE *f = fopen(path, "rb");
	size_t size;

	if (!f)
		give_up(path);
	size = fread(room, 1, INPUT_MAX, f);
	if (ferror(f))
		give_up(path);
	fclose(f);
	corpus.inputs = or_die(realloc(corpus.inputs, (corpus.count + 1) * sizeof(*corpus.inputs)));
	corpus.inputs[corpus.count++] = (struct fuzz_bytes){ or_die(realloc(room, size + 1)), size };
}

static int is_input(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void add(const char *path)
{
	struct dirent **entries;
	struct stat st;
	int count;

	if (stat(path, &st) < 0)
		give_up(path);
	if (!S_ISDIR(st.st_mode)) {
		add_file(path);
		return;
	}
	count = scandir(path, &entries, is_input, alphasort);
	if (count < 0)
		give_up(path);
	for (int i = 0; i < count; i++) {
		char file[4096];

		snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);
		add_file(file);
		free(entries[i]);
	}
	free(entries);
}

/* fuzz_NAME: the corpus of that name. */
static void add_corpus(const char *program)
{
	const char *srcdir = getenv("srcdir"), *slash = strrchr(program, '/');
	const char *name = strstr(slash ? slash : program, "fuzz_");
	char path[4096];

	if (!name) {
		fprintf(stderr, "usage: %s FILE|DIRECTORY...\n", program);
		exit(99);
	}
	snprintf(path, sizeof(path), "%s/fuzz/corpus/%s", srcdir ? srcdir : ".",
		 name + strlen("fuzz_"));
	add(path);
}

static void discard(void)
{
	for (size_t i = 0; i < corpus.count; i++)
		free(corpus.inputs[i].data);
	free(corpus.inputs);
}

/* Running ------------------------------------------------------------------ */

/* What runs now is on file, for whoever wants to know what it was that ended the process. */
static void keep(int fd, const struct fuzz_bytes *input)
{
	if (ftruncate(fd, (off_t)input->len) < 0 ||
	    pwrite(fd, input->data, input->len, 0) != (ssize_t)input->len)
		give_up("mutation");
}

static void mutate(const char *program)
{
	const char *wanted = getenv("MUTATIONS");
	unsigned long units = strtoul(wanted ? wanted : MUTATIONS, NULL, 10), inputs = 0;
	static uint8_t room[FUZZ_MUTANT_MAX];
	struct fuzz_bytes mutant = { .data = room };
	struct fuzz_dice dice = { .state = 1 };
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s.input", program);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		give_up(path);
	for (fuzz_units = 0; fuzz_units < units; inputs++) {
		fuzz_mutate(&dice, &corpus, &mutant);
		keep(fd, &mutant);
		run(mutant.data, mutant.len);
	}
	close(fd);
	unlink(path);
	printf("%lu units in %lu mutations\n", fuzz_units, inputs);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		add(argv[i]);
	if (argc < 2)
		add_corpus(argv[0]);
	for (size_t i = 0; i < corpus.count; i++)
		run(corpus.inputs[i].data, corpus.inputs[i].len);
	printf("%zu inputs replayed\n", corpus.count);
	if (argc < 2 && corpus.count)
		mutate(argv[0]);
	discard();
	return corpus.count ? 0 : 99;
}
