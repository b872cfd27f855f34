/* Between chap.c (the exchange) and chap_algorithm.c (the algorithms that it can use). */
#ifndef CHAP_PRIVATE_H
#define CHAP_PRIVATE_H

#include "chap.h"

#define CHAP_RESPONSE_MAX	32		/* bytes, of all the algorithms */
#define CHAP_LIST_LEN		sizeof("8,7,6,5")

/* Bytes of a response. */
size_t chap_response_len(enum chap_algorithm algorithm);

/* RFC 1994 §4.1: the digest of identifier, secret and challenge, chap_response_len() bytes. False:
 * the algorithm is not available here. */
bool chap_response(enum chap_algorithm algorithm, uint8_t identifier,
		   const struct chap_secret *secret, const uint8_t *challenge,
		   size_t challenge_len, uint8_t response[CHAP_RESPONSE_MAX]);

/* A CHAP_A of these CHAP_BIT()s, at least one, the best first. */
void chap_algorithm_list(unsigned algorithms, char list[CHAP_LIST_LEN]);

/* One number of a CHAP_A, "len" characters; 0 if it is none that we know. */
enum chap_algorithm chap_algorithm_parse(const char *text, size_t len);

/* The first of a CHAP_A that is among these CHAP_BIT()s (RFC 7143 §6.2.1), or 0. */
enum chap_algorithm chap_algorithm_choose(const char *list, unsigned algorithms);

#endif
