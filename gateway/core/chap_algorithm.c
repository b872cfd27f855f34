/*
 * The algorithms of CHAP: one table of their numbers, names and digests, and what a
 * CHAP_A says of them.
 *
 * Called by chap.c for the exchange, and by what names algorithms to users. Owns nothing.
 */
#include <assert.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "chap_private.h"

/* In the order of our offer. MD5 is the one that every target knows, and comes last. */
static const struct row {
	enum chap_algorithm number;
	const char *name;
	gnutls_digest_algorithm_t digest;
	size_t len;
} rows[] = {
	{ CHAP_SHA3_256, "SHA3-256", GNUTLS_DIG_SHA3_256, 32 },
	{ CHAP_SHA256, "SHA-256", GNUTLS_DIG_SHA256, 32 },
	{ CHAP_SHA1, "SHA1", GNUTLS_DIG_SHA1, 20 },
	{ CHAP_MD5, "MD5", GNUTLS_DIG_MD5, 16 },
};

#define ROWS	(sizeof(rows) / sizeof(rows[0]))

/* NULL: a number that we do not know. */
static const struct row *find_row(uint32_t number)
{
	for (size_t i = 0; i < ROWS; i++)
		if (rows[i].number == number)
			return &rows[i];
	return NULL;
}

static const struct row *row_of(enum chap_algorithm algorithm)
{
	const struct row *row = find_row(algorithm);

	assert(row);
	return row;
}

const char *chap_algorithm_name(enum chap_algorithm algorithm)
{
	return row_of(algorithm)->name;
}

enum chap_algorithm chap_algorithm_find(const char *name, size_t len)
{
	for (size_t i = 0; i < ROWS; i++)
		if (strlen(rows[i].name) == len && strncasecmp(rows[i].name, name, len) == 0)
			return rows[i].number;
	return 0;
}

size_t chap_response_len(enum chap_algorithm algorithm)
{
	return row_of(algorithm)->len;
}

bool chap_response(enum chap_algorithm algorithm, uint8_t identifier,
		   const struct chap_secret *secret, const uint8_t *challenge,
		   size_t challenge_len, uint8_t response[CHAP_RESPONSE_MAX])
{
	const struct row *row = row_of(algorithm);
	gnutls_hash_hd_t hash;
	bool ok;

	if (gnutls_hash_init(&hash, row->digest) < 0)
		return false;
	assert(gnutls_hash_get_len(row->digest) == row->len);
	ok = gnutls_hash(hash, &identifier, 1) >= 0
	     && gnutls_hash(hash, secret->bytes, secret->len) >= 0
	     && gnutls_hash(hash, challenge, challenge_len) >= 0;
	gnutls_hash_deinit(hash, response);
	return ok;
}

void chap_algorithm_list(unsigned algorithms, char list[CHAP_LIST_LEN])
{
	size_t len = 0;

	for (size_t i = 0; i < ROWS; i++)
		if (algorithms & CHAP_BIT(rows[i].number))
			len += (size_t)snprintf(list + len, CHAP_LIST_LEN - len, "%s%u", len ? "," : "",
						(unsigned)rows[i].number);
	assert(len < CHAP_LIST_LEN);
}

enum chap_algorithm chap_algorithm_parse(const char *text, size_t len)
{
	char number[8];
	const struct row *row;
	uint32_t value;

	if (len >= sizeof(number))
		return 0;
	memcpy(number, text, len);
	number[len] = '\0';
	row = keys_number(number, &value) ? find_row(value) : NULL;
	return row ? row->number : 0;
}

enum chap_algorithm chap_algorithm_choose(const char *list, unsigned algorithms)
{
	for (;;) {
		size_t len = strcspn(list, ",");
		enum chap_algorithm algorithm = chap_algorithm_parse(list, len);

		if (algorithm && algorithms & CHAP_BIT(algorithm))
			return algorithm;
		if (!list[len])
			return 0;
		list += len + 1;
	}
}
