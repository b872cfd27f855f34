/* Mutations of a corpus, the same ones on every machine: what "make check" and "make soak" have of a fuzzer. */
#ifndef FUZZ_MUTATE_H
#define FUZZ_MUTATE_H

#include <stddef.h>
#include <stdint.h>

#define FUZZ_MUTANT_MAX		(64u << 10)

struct fuzz_bytes {
	uint8_t *data;
	size_t len;
};

struct fuzz_corpus {
	struct fuzz_bytes *inputs;
	size_t count;
};

/* Whose throws depend on nothing but where it began. */
struct fuzz_dice {
	uint64_t state;
};

/* Make *mutant, which has room for FUZZ_MUTANT_MAX bytes, from the corpus, which has inputs. */
void fuzz_mutate(struct fuzz_dice *dice, const struct fuzz_corpus *corpus,
		 struct fuzz_bytes *mutant);

#endif
