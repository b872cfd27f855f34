/*
 * CHAP secrets: how they come in (a file, or a credential of systemd's), and how they
 * go. Nothing here ever writes a secret anywhere.
 *
 * Called by the configuration of both roles. Owns nothing: the memory is the caller's.
 */
#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "chap.h"
#include "log.h"

#define CREDENTIAL	"credential:"
#define NEWLINE_MAX	2	/* a file made elsewhere may end in CR LF */

void chap_secret_wipe(struct chap_secret *secret)
{
	gnutls_memset(secret, 0, sizeof(*secret));
}

/* The file that "path" means. False with the reason. */
static bool find_file(const char *path, char file[PATH_MAX], char *why, size_t size)
{
	const char *directory = getenv("CREDENTIALS_DIRECTORY"), *name = path;
	int len;

	if (strncmp(path, CREDENTIAL, strlen(CREDENTIAL)) != 0) {
		len = snprintf(file, PATH_MAX, "%s", path);
	} else {
		name += strlen(CREDENTIAL);
		if (!directory) {
			snprintf(why, size, "%s: CREDENTIALS_DIRECTORY is not set", path);
			return false;
		}
		/* systemd's credentials have plain names: nothing leads out of the directory. */
		if (!*name || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
			snprintf(why, size, "%s: not the name of a credential", path);
			return false;
		}
		len = snprintf(file, PATH_MAX, "%s/%s", directory, name);
	}
	if (len < PATH_MAX)
		return true;
	snprintf(why, size, "%.64s...: %s", path, strerror(ENAMETOOLONG));
	return false;
}

/* All of the file, but at most "room" bytes; -1 with errno. It may be a pipe. */
static ssize_t read_all(int fd, uint8_t *bytes, size_t room)
{
	size_t len = 0;

	while (len < room) {
		ssize_t n = read(fd, bytes + len, room - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

static size_t without_newline(const uint8_t *bytes, size_t len)
{
	if (!len || bytes[len - 1] != '\n')
		return len;
	len--;
	return len && bytes[len - 1] == '\r' ? len - 1 : len;
}

/* Take the secret out of what was read; NULL, or what is wrong with it. */
static const char *take(struct chap_secret *secret, const uint8_t *bytes, size_t len)
{
	len = without_newline(bytes, len);
	if (!len)
		return "the secret is empty";
	/* Somebody's list of secrets, or no text at all: not what the peer has, in any case. */
	if (memchr(bytes, '\n', len) || memchr(bytes, '\0', len))
		return "more than one line";
	if (len > CHAP_SECRET_MAX)
		return "the secret is longer than 255 bytes";
	memcpy(secret->bytes, bytes, len);
	secret->len = len;
	return NULL;
}

/* NULL, or what is wrong; "mode" becomes that of the file. */
static const char *read_secret(const char *file, struct chap_secret *secret, mode_t *mode)
{
	uint8_t bytes[CHAP_SECRET_MAX + NEWLINE_MAX + 1];	/* one too many tells that it is too long */
	const char *wrong = NULL;
	struct stat st = { 0 };
	ssize_t len;
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return strerror(errno);
	len = fstat(fd, &st) < 0 ? -1 : read_all(fd, bytes, sizeof(bytes));
	if (len < 0)
		wrong = strerror(errno);
	else
		wrong = take(secret, bytes, (size_t)len);
	*mode = st.st_mode;
	gnutls_memset(bytes, 0, sizeof(bytes));
	close(fd);
	return wrong;
}

/*
 * A short secret is accepted: whether IPsec makes up for it (RFC 7143 §9.2.1) cannot be
 * seen from here, and the targets and initiators that ours are to talk with, or replace,
 * take what they are given.
 */
static void warn(const char *path, const struct chap_secret *secret, mode_t mode)
{
	if (mode & S_IROTH)
		log_warning("%s: every user of this host can read this secret", path);
	if (secret->len < CHAP_SECRET_ADVISED)
		log_warning("%s: a CHAP secret of less than %d bytes is easily guessed", path,
			    CHAP_SECRET_ADVISED);
}

bool chap_secret_load(const char *path, struct chap_secret *secret, char *why, size_t size)
{
	char file[PATH_MAX];
	const char *wrong;
	mode_t mode = 0;

	secret->len = 0;
	if (!find_file(path, file, why, size))
		return false;
	wrong = read_secret(file, secret, &mode);
	if (wrong) {
		snprintf(why, size, "%s: %s", path, wrong);
		return false;
	}
	warn(path, secret, mode);
	return true;
}

bool chap_secret_same(const struct chap_secret *a, const struct chap_secret *b)
{
	return a->len == b->len && gnutls_memcmp(a->bytes, b->bytes, a->len) == 0;
}
