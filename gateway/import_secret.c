/* CHAP accounts of a saveconfig.json, whose secrets become files; see import_private.h. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "import_private.h"
#include "log.h"
#include "need.h"

struct import_secret {
	char name[IMPORT_NAME_LEN + 16];	/* of the file */
	const char *text;
};

static void write_secret(struct import *im, const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	size_t len = strlen(text);
	bool ok = fd >= 0 && write(fd, text, len) == (ssize_t)len && write(fd, "\n", 1) == 1;

	if (fd >= 0 && close(fd) < 0)
		ok = false;
	if (!ok)
		log_error("%s: %s", path, strerror(errno));
	im->failed |= !ok;
}

static const struct import_secret *find_secret(const struct import *im, const char *name)
{
	for (unsigned i = 0; i < im->secret_count; i++)
		if (strcmp(im->secrets[i].name, name) == 0)
			return &im->secrets[i];
	return NULL;
}

/* The file of this user's secret: another one for each secret that users of this name have. */
static void secret_path(struct import *im, const char *user, const char *text, char path[IMPORT_PATH_LEN])
{
	char plain[IMPORT_NAME_LEN], name[IMPORT_NAME_LEN + 16];
	const struct import_secret *known;
	unsigned number = 1;

	import_plain_name(user, plain);
	snprintf(name, sizeof(name), "%s", plain);
	while ((known = find_secret(im, name)) != NULL && strcmp(known->text, text) != 0)
		snprintf(name, sizeof(name), "%s-%u", plain, ++number);
	snprintf(path, IMPORT_PATH_LEN, "%.3000s/%s", im->secrets_dir, name);
	if (known)
		return;
	im->secrets = need_more(im->secrets, im->secret_count, sizeof(*im->secrets));
	snprintf(im->secrets[im->secret_count].name, sizeof(name), "%s", name);
	im->secrets[im->secret_count++].text = text;
	if (im->write)
		write_secret(im, path, text);
	else
		log_warning("write the secret of user \"%s\" to %s (mode 0600), or let --secrets-dir=DIR do "
			    "it", user, path);
}

bool import_print_chap(struct import *im, const struct ucl_node *object, const char *prefix)
{
	char key[64], path[IMPORT_PATH_LEN];
	const char *user, *mutual_user, *mutual_secret;

#define KEY(name)	(snprintf(key, sizeof(key), "%s%s", prefix, name), import_text(object, key))
	user = KEY("userid");
	if (!*user)
		return false;
	secret_path(im, user, KEY("password"), path);
	mutual_user = KEY("mutual_userid");
	mutual_secret = KEY("mutual_password");
#undef KEY
	printf("\t%s {\n", *mutual_user ? "chap-mutual" : "chap");
	import_print_key("\t\t", "user", user);
	import_print_key("\t\t", "secret-file", path);
	if (*mutual_user) {
		secret_path(im, mutual_user, mutual_secret, path);
		import_print_key("\t\t", "mutual-user", mutual_user);
		import_print_key("\t\t", "mutual-secret-file", path);
	}
	puts("\t}");
	return true;
}
