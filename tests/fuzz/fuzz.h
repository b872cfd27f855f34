/*
 * What every fuzz_*.c has: one entry, which libFuzzer drives with what it invents, and
 * fuzz_main.c with the files of corpus/. An entry returns, or something is wrong.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What an entry has been through so far: PDUs, commands, requests, where an input has several.
 * Weak: with or without fuzz_main.c, who reads it, a program has one. */
__attribute__((weak)) unsigned long fuzz_units;

/* The input as a supply of choices. When it is used up, everything is 0. */
struct fuzz_input {
	const uint8_t *at;
	size_t left;
};

static inline uint8_t fuzz_u8(struct fuzz_input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->at++;
}

static inline uint16_t fuzz_u16(struct fuzz_input *in)
{
	uint8_t high = fuzz_u8(in);

	return (uint16_t)(high << 8 | fuzz_u8(in));
}

/* Up to "wanted" bytes in place; *len is how many there are. */
static inline const uint8_t *fuzz_bytes(struct fuzz_input *in, size_t wanted, size_t *len)
{
	const uint8_t *bytes = in->at;

	*len = wanted < in->left ? wanted : in->left;
	in->at += *len;
	in->left -= *len;
	return bytes;
}

#endif
