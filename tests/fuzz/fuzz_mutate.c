/* See fuzz_mutate.h. */
#include "fuzz_mutate.h"

#include <string.h>

#define CHANGES_MAX	6	/* to one input */

/* splitmix64 */
static uint64_t throw_dice(struct fuzz_dice *dice)
{
	uint64_t z = dice->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* 0 .. n - 1; 0 of nothing */
static size_t below(struct fuzz_dice *dice, size_t n)
{
	return n ? (size_t)(throw_dice(dice) % n) : 0;
}

static void flip_bit(struct fuzz_dice *dice, struct fuzz_bytes *m)
{
	if (m->len)
		m->data[below(dice, m->len)] ^= (uint8_t)(1u << below(dice, 8));
}

static void replace_byte(struct fuzz_dice *dice, struct fuzz_bytes *m)
{
	if (m->len)
		m->data[below(dice, m->len)] = (uint8_t)throw_dice(dice);
}

/* A number that is at the end of some range, in one, two, four or eight bytes. */
static void put_limit(struct fuzz_dice *dice, struct fuzz_bytes *m)
{
	static const uint64_t limits[] = {
		0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x10000, 0xffffff,
		0x7fffffff, 0x80000000, 0xffffffff, UINT64_MAX >> 1, UINT64_MAX,
	};
	uint64_t limit = limits[below(dice, sizeof(limits) / sizeof(limits[0]))];
	size_t width = (size_t)1 << below(dice, 4), at;

	if (m->len < width)
		return;
	at = below(dice, m->len - width + 1);
	for (size_t i = 0; i < width; i++)
		m->data[at + i] = (uint8_t)(limit >> 8 * (width - 1 - i));
}

static void cut_out(struct fuzz_dice *dice, struct fuzz_bytes *m)
{
	size_t at = below(dice, m->len), len = below(dice, m->len - at);

	memmove(m->data + at, m->data + at + len, m->len - at - len);
	m->len -= len;
}

static void cut_off(struct fuzz_dice *dice, struct fuzz_bytes *m)
{
	m->len = below(dice, m->len);
}

/* Room for "len" bytes at "at", where that is possible. */
static size_t make_room(struct fuzz_bytes *m, size_t at, size_t len)
{
	if (len > FUZZ_MUTANT_MAX - m->len)
		len = FUZZ_MUTANT_MAX - m->len;
	memmove(m->data + at + len, m->data + at, m->len - at);
	m->len += len;
	return len;
}

static void repeat(struct fuzz_dice *dice, struct fuzz_bytes *m)
{
	size_t at = below(dice, m->len), len = below(dice, m->len - at);

	len = make_room(m, at, len);
	memmove(m->data + at, m->data + at + len, len);
}

static void put_noise(struct fuzz_dice *dice, struct fuzz_bytes *m)
{
	size_t at = below(dice, m->len + 1), len = make_room(m, at, below(dice, 64));

	for (size_t i = 0; i < len; i++)
		m->data[at + i] = (uint8_t)throw_dice(dice);
}

/* Go on as another input does. */
static void cross(struct fuzz_dice *dice, const struct fuzz_corpus *corpus, struct fuzz_bytes *m)
{
	const struct fuzz_bytes *other = &corpus->inputs[below(dice, corpus->count)];
	size_t from = below(dice, other->len), at = below(dice, m->len + 1);
	size_t len = other->len - from;

	if (len > FUZZ_MUTANT_MAX - at)
		len = FUZZ_MUTANT_MAX - at;
	memcpy(m->data + at, other->data + from, len);
	m->len = at + len;
}

static void change(struct fuzz_dice *dice, const struct fuzz_corpus *corpus,
		   struct fuzz_bytes *mutant)
{
	static void (*const changes[])(struct fuzz_dice *, struct fuzz_bytes *) = {
		flip_bit, flip_bit, replace_byte, replace_byte, put_limit, put_limit,
		cut_out, cut_off, repeat, put_noise,
	};
	size_t which = below(dice, sizeof(changes) / sizeof(changes[0]) + 1);

	if (which < sizeof(changes) / sizeof(changes[0]))
		changes[which](dice, mutant);
	else
		cross(dice, corpus, mutant);
}

void fuzz_mutate(struct fuzz_dice *dice, const struct fuzz_corpus *corpus,
		 struct fuzz_bytes *mutant)
{
	const struct fuzz_bytes *parent = &corpus->inputs[below(dice, corpus->count)];

	mutant->len = parent->len < FUZZ_MUTANT_MAX ? parent->len : FUZZ_MUTANT_MAX;
	memcpy(mutant->data, parent->data, mutant->len);
	for (size_t changes = 1 + below(dice, CHANGES_MAX); changes; changes--)
		change(dice, corpus, mutant);
}
