/*
 * A file of reservations that somebody has been at. The input is its text, to which we
 * put the line that ends it: the checksum is against accidents, not against people.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crc32c.h"
#include "fuzz.h"
#include "reservation_store.h"

/* Bits of the first byte. */
enum { OWN_END = 1 };

#define UNIT		"fuzz"
#define TARGET		"iqn.2001-04.com.example:disk"
#define FILE_NAME	UNIT ".reservations"

static char directory[64];

/* Nothing here is to survive a power failure. */
int fsync(int fd)
{
	(void)fd;
	return 0;
}

static void clean_up(void)
{
	static const char *const names[] = { FILE_NAME, FILE_NAME ".bad", FILE_NAME ".new" };
	char path[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
		unlink(path);
	}
	rmdir(directory);
}

static void make_directory(void)
{
	if (directory[0])
		return;
	/* In memory, where that is possible: there are thousands of files to be written. */
	strcpy(directory, access("/dev/shm", W_OK) == 0 ? "/dev/shm/fuzz-XXXXXX" : "/tmp/fuzz-XXXXXX");
	if (!mkdtemp(directory))
		abort();
	atexit(clean_up);
}

static void write_file(struct fuzz_input *in, bool own_end)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/" FILE_NAME, directory);
	f = fopen(path, "w");
	if (!f)
		abort();
	fwrite(in->at, 1, in->left, f);
	if (!own_end)
		fprintf(f, "end 0x%08x\n", crc32c(0, in->at, in->left));
	fclose(f);
}

static void judge(const struct reservations *r)
{
	assert(r->count <= RESERVATION_MAX);
	assert(!r->type || (r->count && reservation_type_valid(r->type)));
	for (unsigned i = 0; i < r->count; i++)
		assert(r->registrations[i].key);
}

/* What was loaded comes back as it was. */
static void save_and_load(struct reservation_store *store, const struct reservations *r)
{
	static struct reservations again;
	char why[256];

	assert(reservation_store_save(store, r));
	assert(reservation_store_load(store, TARGET, &again, why, sizeof(why)));
	if (!r->aptpl) {
		assert(!again.count);
		return;
	}
	assert(again.count == r->count && again.type == r->type);
	assert(!memcmp(again.registrations, r->registrations,
		       r->count * sizeof(r->registrations[0])));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct reservations r;
	struct fuzz_input in = { data, size };
	uint8_t flags = fuzz_u8(&in);
	struct reservation_store *store;
	char why[256] = "";

	make_directory();
	write_file(&in, flags & OWN_END);
	store = reservation_store_new(directory, UNIT);
	if (!store)
		abort();
	memset(&r, 0, sizeof(r));
	if (reservation_store_load(store, TARGET, &r, why, sizeof(why))) {
		judge(&r);
		save_and_load(store, &r);
	} else {
		assert(why[0] && !r.count && !r.type);
	}
	reservation_store_free(store);
	return 0;
}
