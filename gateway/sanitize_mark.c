/*
 * The mark of a sanitize operation (sanitize_mark.h). Read by lu_shared.c before the workers
 * run; set and cleared by disk_sanitize.c on an offload thread, by the one operation there is.
 */
#include "sanitize_mark.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RESTRICTED	"nbd-iscsi-gateway sanitize restricted\n"
#define UNRESTRICTED	"nbd-iscsi-gateway sanitize unrestricted\n"

struct sanitize_mark {
	int  directory;			/* descriptor */
	char name[32];			/* in it */
};

struct sanitize_mark *sanitize_mark_new(const char *directory, const char *unit)
{
	struct sanitize_mark *mark = calloc(1, sizeof(*mark));

	if (!mark)
		return NULL;
	snprintf(mark->name, sizeof(mark->name), "%s.sanitize", unit);
	mark->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (mark->directory >= 0)
		return mark;
	free(mark);
	return NULL;
}

void sanitize_mark_free(struct sanitize_mark *mark)
{
	if (!mark)
		return;
	close(mark->directory);
	free(mark);
}

bool sanitize_mark_is_set(const struct sanitize_mark *mark, bool *restricted)
{
	int fd = openat(mark->directory, mark->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char text[sizeof(UNRESTRICTED)] = "";
	ssize_t len;

	if (fd < 0 && errno == ENOENT)
		return false;
	len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	*restricted = len < 0 || strcmp(text, UNRESTRICTED) != 0;
	if (fd >= 0)
		close(fd);
	return true;
}

bool sanitize_mark_set(const struct sanitize_mark *mark, bool restricted)
{
	const char *text = restricted ? RESTRICTED : UNRESTRICTED;
	ssize_t len = (ssize_t)strlen(text);
	int fd = openat(mark->directory, mark->name,
			O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool good = fd >= 0 && write(fd, text, (size_t)len) == len && fsync(fd) == 0;

	if (fd >= 0 && close(fd) < 0)
		good = false;
	return good && fsync(mark->directory) == 0;
}

bool sanitize_mark_clear(const struct sanitize_mark *mark)
{
	return (unlinkat(mark->directory, mark->name, 0) == 0 || errno == ENOENT) &&
	       fsync(mark->directory) == 0;
}
