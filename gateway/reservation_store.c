/*
 * Reservations in a file (reservation_store.h). Loaded by lu_shared.c before the workers
 * run; saved by disk_pr_out.c on an offload thread, while no other change is under way.
 */
#include "reservation_store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crc32c.h"
#include "keys.h"

#define HEADING		"nbd-iscsi-gateway reservations 2"
#define HEADING_1	"nbd-iscsi-gateway reservations 1"	/* without names of targets */
#define HOLDER		"holder"
#define NO_HOLDER	"-"
#define FILE_MAX	(1u << 20)	/* RESERVATION_MAX of the longest lines are an eighth of it */

struct reservation_store {
	int  directory;			/* descriptor */
	char path[PATH_MAX];		/* for messages */
	char name[64], temporary[64], bad[64];	/* in the directory */
};

struct reservation_store *reservation_store_new(const char *directory, const char *unit)
{
	struct reservation_store *store = calloc(1, sizeof(*store));

	if (!store)
		return NULL;
	assert(strlen(unit) < sizeof(store->name) - sizeof ".reservations.bad");
	snprintf(store->name, sizeof(store->name), "%s.reservations", unit);
	snprintf(store->temporary, sizeof(store->temporary), "%s.reservations.new", unit);
	snprintf(store->bad, sizeof(store->bad), "%s.reservations.bad", unit);
	snprintf(store->path, sizeof(store->path), "%s/%s", directory, store->name);
	store->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store->directory >= 0 && faccessat(store->directory, ".", W_OK | X_OK, AT_EACCESS) == 0)
		return store;
	reservation_store_free(store);
	return NULL;
}

void reservation_store_free(struct reservation_store *store)
{
	int saved = errno;

	if (!store)
		return;
	if (store->directory >= 0)
		close(store->directory);
	free(store);
	errno = saved;
}

/* Loading ------------------------------------------------------------------- */

struct reading {
	struct reservations *r;
	const char *target;		/* that version 1 means; NULL: each line has one */
	char *next;			/* what has not been read of the text */
	unsigned line;
	char *why;
	size_t size;
};

static bool wrong(struct reading *in, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static bool wrong(struct reading *in, const char *fmt, ...)
{
	va_list args;
	int len = in->line ? snprintf(in->why, in->size, "line %u: ", in->line) : 0;

	va_start(args, fmt);
	if ((size_t)len < in->size)
		vsnprintf(in->why + len, in->size - (size_t)len, fmt, args);
	va_end(args);
	return false;
}

/* Cut off the last line, and see that it says of the others what they are. */
static bool take_end(struct reading *in)
{
	size_t len = strlen(in->next);
	uint32_t crc;
	char *end;
	int whole = 0;

	if (len == 0 || in->next[len - 1] != '\n')
		return wrong(in, "it is cut off: there is no last line");
	in->next[len - 1] = '\0';
	end = strrchr(in->next, '\n');
	if (!end || sscanf(end + 1, "end 0x%8" SCNx32 "%n", &crc, &whole) != 1 || end[1 + whole])
		return wrong(in, "it is cut off: the last line is not its end");
	if (crc != crc32c(0, in->next, (size_t)(end + 1 - in->next)))
		return wrong(in, "it has been changed: its checksum is wrong");
	end[1] = '\0';
	return true;
}

static char *take_line(struct reading *in)
{
	char *line = in->next, *end = strchr(line, '\n');

	if (!end)
		return NULL;
	*end = '\0';
	in->next = end + 1;
	in->line++;
	return line;
}

static bool take_type(struct reading *in, const char *line)
{
	unsigned type;
	int whole = 0;

	if (sscanf(line, "type %2u%n", &type, &whole) != 1 || line[whole])
		return wrong(in, "\"type\" and a number are expected");
	if (type && !reservation_type_valid((uint8_t)type))
		return wrong(in, "%u is no type of reservation", type);
	in->r->type = (uint8_t)type;
	return true;
}

/* All words of a line, or all but the last. */
static bool split(struct reading *in, const char *line, struct registration *registration,
		  uint64_t *isid, char holder[sizeof(HOLDER)])
{
	struct registrant *who = &registration->who;
	int count, whole = 0;

	if (in->target) {
		snprintf(who->port.target, sizeof(who->port.target), "%s", in->target);
		count = 1 + sscanf(line, "registration 0x%16" SCNx64 " %5" SCNu16 " 0x%12" SCNx64
				   " %6s %223s%n", &registration->key, &who->port.tag, isid, holder,
				   who->name, &whole);
	} else {
		count = sscanf(line, "registration 0x%16" SCNx64 " %5" SCNu16 " 0x%12" SCNx64
			       " %6s %223s %223s%n", &registration->key, &who->port.tag, isid,
			       holder, who->name, who->port.target, &whole);
	}
	return count == 6 && !line[whole];
}

static bool take_registration(struct reading *in, const char *line)
{
	struct registration *registration = &in->r->registrations[in->r->count];
	struct registrant *who = &registration->who;
	char holder[sizeof(HOLDER)];
	uint64_t isid;

	if (in->r->count == RESERVATION_MAX)
		return wrong(in, "there are more than %d registrations", RESERVATION_MAX);
	memset(registration, 0, sizeof(*registration));
	if (!split(in, line, registration, &isid, holder))
		return wrong(in, "it is no registration");
	if (!registration->key || !iscsi_name_valid(who->name) || !iscsi_name_valid(who->port.target))
		return wrong(in, "the key is 0, or a name is no iSCSI name");
	for (int i = 0; i < 6; i++)
		who->isid[i] = (uint8_t)(isid >> (40 - 8 * i));
	registration->holder = !strcmp(holder, HOLDER);
	if (!registration->holder && strcmp(holder, NO_HOLDER) != 0)
		return wrong(in, "neither \"" HOLDER "\" nor \"" NO_HOLDER "\"");
	in->r->count++;
	return true;
}

/* One holder where there is to be one, else none; and nobody twice is left to the checksum. */
static bool is_consistent(struct reading *in)
{
	const struct reservations *r = in->r;
	unsigned holders = 0;
	bool single = r->type && !reservation_is_all_registrants(r->type);

	for (unsigned i = 0; i < r->count; i++)
		holders += r->registrations[i].holder;
	if (holders != single || (r->type && !r->count))
		return wrong(in, "type %u with %u holders and %u registrations", r->type, holders,
			     r->count);
	return true;
}

static bool parse(struct reading *in)
{
	char *line;

	if (!take_end(in))
		return false;
	line = take_line(in);
	if (line && !strcmp(line, HEADING))
		in->target = NULL;
	else if (!line || strcmp(line, HEADING_1) != 0)
		return wrong(in, "the heading is not \"" HEADING "\"");
	line = take_line(in);
	if (!take_type(in, line ? line : ""))
		return false;
	while ((line = take_line(in)))
		if (!take_registration(in, line))
			return false;
	in->line = 0;
	in->r->aptpl = true;
	return is_consistent(in);
}

/* All of the file, with a NUL behind it; NULL with errno, ENOENT when there is none. */
static char *read_file(const struct reservation_store *store)
{
	int fd = openat(store->directory, store->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char *text = fd < 0 ? NULL : calloc(1, FILE_MAX + 1);
	size_t len = 0;
	ssize_t n = -1;

	if (text)
		while (len < FILE_MAX && (n = read(fd, text + len, FILE_MAX - len)) > 0)
			len += (size_t)n;
	if (text && n != 0) {
		if (n > 0)
			errno = EFBIG;
		free(text);
		text = NULL;
	}
	if (fd >= 0)
		close(fd);
	return text;
}

static void forget(struct reservations *r)
{
	r->type = RESERVATION_NONE;
	r->aptpl = false;
	r->count = 0;
}

bool reservation_store_load(struct reservation_store *store, const char *target,
			    struct reservations *r, char *why, size_t size)
{
	char problem[160] = "";
	struct reading in = { .r = r, .target = target, .why = problem, .size = sizeof(problem) };
	char *text = read_file(store);
	bool good;

	forget(r);
	if (!text && errno == ENOENT)
		return true;
	in.next = text;
	good = text ? parse(&in) : wrong(&in, "%s", strerror(errno));
	free(text);
	if (good)
		return true;
	forget(r);
	snprintf(why, size, "%s: %s", store->path, problem);
	renameat(store->directory, store->name, store->directory, store->bad);
	return false;
}

/* Saving -------------------------------------------------------------------- */

static void print(FILE *out, const struct reservations *r)
{
	fprintf(out, HEADING "\ntype %u\n", r->type);
	for (unsigned i = 0; i < r->count; i++) {
		const struct registration *registration = &r->registrations[i];
		const uint8_t *isid = registration->who.isid;

		fprintf(out, "registration 0x%016" PRIx64 " %u 0x%02x%02x%02x%02x%02x%02x %s %s %s\n",
			registration->key, registration->who.port.tag,
			isid[0], isid[1], isid[2], isid[3], isid[4], isid[5],
			registration->holder ? HOLDER : NO_HOLDER, registration->who.name,
			registration->who.port.target);
	}
}

/* The text of the file; NULL with errno. */
static char *format(const struct reservations *r, size_t *len)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, len);

	if (!out)
		return NULL;
	print(out, r);
	if (fflush(out) == 0)
		fprintf(out, "end 0x%08" PRIx32 "\n", crc32c(0, text, *len));
	if (ferror(out) | fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

static bool write_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n < 0)
			return false;
		text += n;
		len -= (size_t)n;
	}
	return true;
}

/* O_TRUNC: what a killed process left half written is overwritten. */
static bool write_temporary(const struct reservation_store *store, const char *text, size_t len)
{
	int fd = openat(store->directory, store->temporary,
			O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool good = fd >= 0 && write_all(fd, text, len) && fsync(fd) == 0;

	if (fd >= 0 && close(fd) < 0)
		good = false;
	return good;
}

static bool replace(const struct reservation_store *store, const struct reservations *r)
{
	size_t len;
	char *text = format(r, &len);
	bool good = text && write_temporary(store, text, len) &&
		    renameat(store->directory, store->temporary,
			     store->directory, store->name) == 0;

	free(text);
	return good;
}

static bool remove_file(const struct reservation_store *store)
{
	return unlinkat(store->directory, store->name, 0) == 0 || errno == ENOENT;
}

bool reservation_store_save(struct reservation_store *store, const struct reservations *r)
{
	/* The directory last: only then is the new name, or its absence, on the medium. */
	return (r->aptpl ? replace(store, r) : remove_file(store)) && fsync(store->directory) == 0;
}
