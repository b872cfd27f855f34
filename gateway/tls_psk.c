/*
 * Pre-shared keys of TLS clients: a file with a line user:hexkey for each, as psktool(1) writes it.
 *
 * It is read with each client that comes by a key, so that keys can be added at any time. What
 * was in it when the credentials were made is known by hashes: who has come by a key that has
 * gone since is not let in by them.
 */
#include "config.h"

#include <gnutls/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "need.h"
#include "tls_private.h"

/* A line of the file; both are gnutls_malloc()ed. */
struct entry {
	gnutls_datum_t user, key;
};

static void wipe(struct entry *e)
{
	if (e->key.data)
		gnutls_memset(e->key.data, 0, e->key.size);
	gnutls_free(e->user.data);
	gnutls_free(e->key.data);
	*e = (struct entry){ 0 };
}

static bool from_hex(char *text, size_t len, gnutls_datum_t *bytes)
{
	const gnutls_datum_t hex = { (unsigned char *)text, (unsigned)len };

	return gnutls_hex_decode2(&hex, bytes) >= 0;
}

/* A name with other bytes than letters is in hexadecimal, behind a '#'. */
static bool take_user(char *text, size_t len, gnutls_datum_t *user)
{
	if (text[0] == '#')
		return from_hex(text + 1, len - 1, user);
	user->data = gnutls_malloc(len + 1);
	if (!user->data)
		return false;
	memcpy(user->data, text, len);
	user->size = (unsigned)len;
	return true;
}

/* False: it is no such line. */
static bool parse(char *line, struct entry *e)
{
	size_t len = strcspn(line, ":");
	char *key = line + len + 1;

	*e = (struct entry){ 0 };
	if (line[len] && take_user(line, len, &e->user) &&
	    from_hex(key, strcspn(key, " \r\n"), &e->key))
		return true;
	wipe(e);
	return false;
}

static bool identify(const struct entry *e, struct tls_key_id *id)
{
	return gnutls_hmac_fast(GNUTLS_MAC_SHA256, e->key.data, e->key.size, e->user.data,
				e->user.size, id->bytes) >= 0;
}

/* Call each() for the lines until it says that it has what it wants. False: why is in errno. */
static bool read_file(const char *path, bool (*each)(struct entry *, void *), void *opaque)
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t room = 0;
	struct entry e;
	bool done = false;

	if (!file)
		return false;
	while (!done && getline(&line, &room, file) > 0) {
		if (!parse(line, &e))
			continue;
		done = each(&e, opaque);
		wipe(&e);
	}
	if (line)
		gnutls_memset(line, 0, room);
	free(line);
	fclose(file);
	return true;
}

/* A client that comes ------------------------------------------------------------ */

struct search {
	const gnutls_datum_t *user;
	gnutls_datum_t *key;
	struct tls_client *client;
};

static bool is_wanted(struct entry *e, void *opaque)
{
	struct search *s = opaque;

	if (e->user.size != s->user->size || memcmp(e->user.data, s->user->data, e->user.size) != 0)
		return false;
	s->client->has_key = identify(e, &s->client->key);
	if (s->client->has_key) {
		*s->key = e->key;
		e->key = (gnutls_datum_t){ 0 };
	}
	return true;
}

/* GnuTLS asks for a user's key, once per user that the client says it is. 1: there is no such user,
 * which GnuTLS does not let the client find out. */
static int find(gnutls_session_t session, const gnutls_datum_t *user, gnutls_datum_t *key)
{
	struct tls_client *client = gnutls_session_get_ptr(session);
	struct search search = { user, key, client };

	client->has_key = false;
	if (!read_file(client->tls->psk_file, is_wanted, &search))
		return -1;
	return client->has_key ? 0 : 1;
}

/* Credentials -------------------------------------------------------------------- */

static bool add(struct entry *e, void *opaque)
{
	struct tls *tls = opaque;

	tls->keys = need_more(tls->keys, tls->key_count, sizeof(*tls->keys));
	if (identify(e, &tls->keys[tls->key_count]))
		tls->key_count++;
	return false;
}

bool tls_psk_load(struct tls *tls, const char *file, char *why, size_t size)
{
	int rc;

	tls->psk_file = strdup(file);
	if (!tls->psk_file || !read_file(file, add, tls)) {
		snprintf(why, size, "%s: %m", file);
		return false;
	}
	rc = gnutls_psk_allocate_server_credentials(&tls->psk);
	if (rc < 0) {
		snprintf(why, size, "%s: %s", file, gnutls_strerror(rc));
		return false;
	}
	gnutls_psk_set_server_credentials_function2(tls->psk, find);
	return true;
}

void tls_psk_free(struct tls *tls)
{
	if (tls->psk)
		gnutls_psk_free_server_credentials(tls->psk);
	free(tls->keys);
	free(tls->psk_file);
}

bool tls_psk_has(const struct tls *tls, const struct tls_key_id *key)
{
	for (unsigned i = 0; i < tls->key_count; i++)
		if (memcmp(tls->keys[i].bytes, key->bytes, sizeof(key->bytes)) == 0)
			return true;
	return false;
}
