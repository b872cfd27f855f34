/*
 * The file in which registrations outlive the process: what is saved is loaded, what is
 * damaged is recognised. And the TransportIDs that name who is registered.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crc32c.h"
#include "reservation_store.h"
#include "transport_id.h"
#include "unit.h"

#define UNIT	"3000000000000001"
#define TARGET	"iqn.2026-11.test:first"

static char directory[] = "/tmp/test_reservation_store.XXXXXX";
static char file[128], bad[160], temporary[160], why[256];
static struct reservation_store *store;
static struct reservations saved, loaded;

static void open_store(void)
{
	if (!*file) {
		CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(directory));
		snprintf(file, sizeof(file), "%s/" UNIT ".reservations", directory);
		snprintf(bad, sizeof(bad), "%s.bad", file);
		snprintf(temporary, sizeof(temporary), "%s.new", file);
	}
	store = reservation_store_new(directory, UNIT);
	CU_ASSERT_PTR_NOT_NULL_FATAL(store);
	memset(&loaded, 0xa5, sizeof(loaded));
	*why = '\0';
}

static void close_store(void)
{
	reservation_store_free(store);
	unlink(file);
	unlink(bad);
	unlink(temporary);
}

static bool load(void)
{
	return reservation_store_load(store, TARGET, &loaded, why, sizeof(why));
}

static void fill(struct reservations *r, unsigned count, uint8_t type, unsigned holder)
{
	memset(r, 0, sizeof(*r));
	r->aptpl = true;
	r->type = type;
	r->count = count;
	for (unsigned i = 0; i < count; i++) {
		struct registration *registration = &r->registrations[i];

		registration->key = UINT64_MAX - i;
		registration->holder = type && !reservation_is_all_registrants(type) &&
				       i == holder;
		registration->who.port.tag = (uint16_t)(UINT16_MAX - i);
		memset(registration->who.port.target, 'y', i % 3 ? 223 : 40);
		memcpy(registration->who.port.target, "iqn.2026-11.", 12);
		memset(registration->who.isid, (int)i, sizeof(registration->who.isid));
		memset(registration->who.name, 'x', i % 2 ? 223 : 40);
		memcpy(registration->who.name, "iqn.2026-11.", 12);
	}
}

static bool same(const struct reservations *a, const struct reservations *b)
{
	return a->aptpl == b->aptpl && a->type == b->type && a->count == b->count &&
	       !memcmp(a->registrations, b->registrations, a->count * sizeof(a->registrations[0]));
}

static bool exists(const char *path)
{
	return access(path, F_OK) == 0;
}

static void rewrite(const char *text, size_t len)
{
	FILE *f = fopen(file, "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_EQUAL(fwrite(text, 1, len, f), len);
	fclose(f);
}

static size_t slurp(char *text, size_t room)
{
	FILE *f = fopen(file, "r");
	size_t len;

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	len = fread(text, 1, room, f);
	fclose(f);
	return len;
}

/* The store ----------------------------------------------------------------- */

static void nothing_saved_is_no_registrations(void)
{
	open_store();
	CU_ASSERT(load());
	CU_ASSERT(loaded.count == 0 && loaded.type == RESERVATION_NONE && !loaded.aptpl);
	close_store();
}

static void what_is_saved_is_loaded(void)
{
	static const struct {
		unsigned count, holder;
		uint8_t type;
	} cases[] = {
		{ 0, 0, 0 }, { 1, 0, 0 }, { 1, 0, 1 }, { 7, 3, 6 }, { 7, 0, 8 },
		{ RESERVATION_MAX, RESERVATION_MAX - 1, 5 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		open_store();
		fill(&saved, cases[i].count, cases[i].type, cases[i].holder);
		CU_ASSERT(reservation_store_save(store, &saved));
		CU_ASSERT(!exists(temporary));
		CU_ASSERT(load());
		CU_ASSERT(same(&saved, &loaded));
		close_store();
	}
}

static void only_the_owner_may_read_the_file(void)
{
	struct stat st;

	open_store();
	fill(&saved, 2, 1, 0);
	CU_ASSERT(reservation_store_save(store, &saved));
	CU_ASSERT_EQUAL(stat(file, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
	close_store();
}

static void without_aptpl_nothing_stays(void)
{
	open_store();
	fill(&saved, 2, 1, 0);
	CU_ASSERT(reservation_store_save(store, &saved));
	saved.aptpl = false;
	CU_ASSERT(reservation_store_save(store, &saved));
	CU_ASSERT(!exists(file));
	CU_ASSERT(reservation_store_save(store, &saved));	/* there was no file any more */
	CU_ASSERT(load());
	CU_ASSERT_EQUAL(loaded.count, 0);
	close_store();
}

static void what_a_killed_process_left_half_written_is_not_looked_at(void)
{
	int fd;

	open_store();
	fill(&saved, 3, 5, 1);
	CU_ASSERT(reservation_store_save(store, &saved));
	fd = open(temporary, O_WRONLY | O_CREAT, 0600);
	CU_ASSERT_EQUAL(write(fd, "nbd-is", 6), 6);
	close(fd);
	CU_ASSERT(load());
	CU_ASSERT(same(&saved, &loaded));
	CU_ASSERT(reservation_store_save(store, &saved));
	CU_ASSERT(load());
	CU_ASSERT(same(&saved, &loaded));
	close_store();
}

static void a_file_cut_off_anywhere_is_recognised_and_set_aside(void)
{
	static char text[4096];
	size_t len;

	open_store();
	fill(&saved, 3, 5, 1);
	CU_ASSERT(reservation_store_save(store, &saved));
	len = slurp(text, sizeof(text));
	for (size_t cut = 0; cut < len; cut++) {
		rewrite(text, cut);
		CU_ASSERT(!load());
		CU_ASSERT(loaded.count == 0 && !loaded.type && !loaded.aptpl);
		CU_ASSERT_PTR_NOT_NULL(strstr(why, "it is cut off"));
		CU_ASSERT_EQUAL(strncmp(why, file, strlen(file)), 0);
		CU_ASSERT(!exists(file) && exists(bad));
	}
	CU_ASSERT(load());
	close_store();
}

static void a_changed_byte_is_recognised(void)
{
	static char text[4096];
	size_t len;

	open_store();
	fill(&saved, 3, 5, 1);
	CU_ASSERT(reservation_store_save(store, &saved));
	len = slurp(text, sizeof(text));
	for (size_t i = 0; i < len; i++) {
		text[i] ^= 1;
		rewrite(text, len);
		CU_ASSERT(!load());
		CU_ASSERT_EQUAL(loaded.count, 0);
		text[i] ^= 1;
	}
	rewrite(text, len);
	CU_ASSERT(load());
	CU_ASSERT(same(&saved, &loaded));
	close_store();
}

/* Saved by a version that knows more, or by hand: the sum is right, the contents are not. */
static void contents_that_make_no_sense_are_named_with_their_line(void)
{
	open_store();
	fill(&saved, 2, 1, 0);
	saved.registrations[1].holder = true;
	CU_ASSERT(reservation_store_save(store, &saved));
	CU_ASSERT(!load());
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "type 1 with 2 holders"));
	fill(&saved, 2, 1, 0);
	saved.type = 2;
	CU_ASSERT(reservation_store_save(store, &saved));
	CU_ASSERT(!load());
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "line 2: 2 is no type"));
	fill(&saved, 2, 1, 0);
	saved.registrations[1].key = 0;
	CU_ASSERT(reservation_store_save(store, &saved));
	CU_ASSERT(!load());
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "line 4: "));
	close_store();
}

/* As version 1 of the file has it: no target is named, and there was one per unit. */
static void a_file_without_targets_means_the_first(void)
{
	static const char lines[] = "nbd-iscsi-gateway reservations 1\ntype 5\n"
		"registration 0x00000000000000ab 2 0x00023d000001 holder iqn.2026-11.test:a\n"
		"registration 0x00000000000000cd 1 0x00023d000002 - iqn.2026-11.test:b\n";
	char text[sizeof(lines) + 32];
	int len = snprintf(text, sizeof(text), "%send 0x%08x\n", lines,
			   (unsigned)crc32c(0, lines, strlen(lines)));
	const struct registration *r = loaded.registrations;

	open_store();
	rewrite(text, (size_t)len);
	CU_ASSERT(load());
	CU_ASSERT(loaded.count == 2 && loaded.type == 5 && loaded.aptpl);
	CU_ASSERT(r[0].key == 0xab && r[0].who.port.tag == 2 && r[0].holder);
	CU_ASSERT_STRING_EQUAL(r[0].who.port.target, TARGET);
	CU_ASSERT_STRING_EQUAL(r[1].who.port.target, TARGET);
	CU_ASSERT_STRING_EQUAL(r[1].who.name, "iqn.2026-11.test:b");
	/* Saved again, it names them. */
	saved = loaded;
	CU_ASSERT(reservation_store_save(store, &saved));
	CU_ASSERT(load() && same(&saved, &loaded));
	len = (int)slurp(text, sizeof(text));
	CU_ASSERT_EQUAL(strncmp(text, "nbd-iscsi-gateway reservations 2\n", 33), 0);
	close_store();
}

static void a_directory_that_is_none_is_refused_at_once(void)
{
	errno = 0;
	CU_ASSERT_PTR_NULL(reservation_store_new("/nonexistent/state", UNIT));
	CU_ASSERT_EQUAL(errno, ENOENT);
}

static void a_save_that_fails_says_so_and_leaves_what_was(void)
{
	open_store();
	fill(&saved, 1, 1, 0);
	CU_ASSERT(reservation_store_save(store, &saved));
	CU_ASSERT_EQUAL(mkdir(temporary, 0700), 0);	/* in the way, also for root */
	fill(&saved, 2, 0, 0);
	CU_ASSERT(!reservation_store_save(store, &saved));
	CU_ASSERT_NOT_EQUAL(errno, 0);
	rmdir(temporary);
	CU_ASSERT(load());
	CU_ASSERT_EQUAL(loaded.count, 1);
	close_store();
	rmdir(directory);
}

/* TransportIDs -------------------------------------------------------------- */

static const uint8_t isid[6] = { 0x00, 0x02, 0x3d, 0xab, 0x00, 0x01 };

static void a_port_is_written_as_spc_says(void)
{
	static const char text[] = "iqn.2026-11.test:a,i,0x00023dab0001";
	uint8_t wire[TRANSPORT_ID_MAX_LEN];

	CU_ASSERT_EQUAL(transport_id_encode("iqn.2026-11.test:a", isid, wire), 4 + 36);
	CU_ASSERT_EQUAL(wire[0], 0x45);
	CU_ASSERT_EQUAL(wire[2] << 8 | wire[3], 36);
	CU_ASSERT_EQUAL(memcmp(wire + 4, text, sizeof(text)), 0);
}

static void what_is_written_is_read_with_names_of_every_length(void)
{
	char name[224] = "iqn.2026-11.a";
	uint8_t wire[TRANSPORT_ID_MAX_LEN];
	struct transport_id id;

	for (size_t len = strlen(name); len <= 223; name[len++] = 'z', name[len] = '\0') {
		size_t whole = transport_id_encode(name, isid, wire);

		CU_ASSERT(whole % 4 == 0 && whole <= sizeof(wire) && whole >= 24);
		CU_ASSERT_EQUAL(transport_id_decode(wire, sizeof(wire), &id), whole);
		CU_ASSERT(id.is_port && !strcmp(id.name, name));
		CU_ASSERT_EQUAL(memcmp(id.isid, isid, sizeof(isid)), 0);
		for (size_t cut = 0; cut < whole; cut++)
			CU_ASSERT_EQUAL(transport_id_decode(wire, cut, &id), 0);
		if (len == 223)
			break;
	}
}

static size_t decode(uint8_t byte0, const char *text, struct transport_id *id)
{
	uint8_t wire[300] = { byte0 };
	size_t len = (strlen(text) + 4) & ~(size_t)3;

	wire[3] = (uint8_t)len;
	memcpy(wire + 4, text, strlen(text));
	return transport_id_decode(wire, 4 + len, id);
}

static void a_node_and_a_short_or_capital_isid_are_read(void)
{
	struct transport_id id;

	CU_ASSERT_EQUAL(decode(0x05, "iqn.2026-11.test:abc", &id), 28);
	CU_ASSERT(!id.is_port && !strcmp(id.name, "iqn.2026-11.test:abc"));
	CU_ASSERT_EQUAL(decode(0x45, "IQN.2026-11.Test:a,i,0xAB", &id), 32);
	CU_ASSERT(id.is_port && !strcmp(id.name, "iqn.2026-11.test:a"));
	CU_ASSERT(id.isid[5] == 0xab && id.isid[4] == 0);
}

static void what_is_no_iscsi_transport_id_is_not_read(void)
{
	static const struct {
		uint8_t byte0;
		const char *text;
	} wrong[] = {
		{ 0x00, "iqn.2026-11.test:abcd" },		/* Fibre Channel */
		{ 0x85, "iqn.2026-11.test:abcd" },		/* format 10b */
		{ 0x45, "iqn.2026-11.test:abcd" },		/* a port without an ISID */
		{ 0x05, "iqn.2026-11.test:a,i,0x1" },		/* a node with one */
		{ 0x45, "iqn.2026-11.test:a,i,0x" },
		{ 0x45, "iqn.2026-11.test:a,i,0x0123456789abc" },
		{ 0x45, "iqn.2026-11.test:a,i,0x12g4" },
		{ 0x45, "hello, world; hello,i,0x12" },
		{ 0x05, "iqn.2026-11.test a" },			/* shorter than 20 bytes, too */
		{ 0x05, "iqn.2026-11.test:a bc d" },
	};
	struct transport_id id;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		CU_ASSERT_EQUAL(decode(wrong[i].byte0, wrong[i].text, &id), 0);
}

static void a_name_without_an_end_or_too_long_is_not_read(void)
{
	uint8_t wire[4 + 512] = { 0x05, 0, 0, 24 };
	struct transport_id id;

	memcpy(wire + 4, "iqn.2026-11.test:abcdefghijklmnop", 32);
	CU_ASSERT_EQUAL(transport_id_decode(wire, sizeof(wire), &id), 0);
	memset(wire + 4 + 17, 'x', 512 - 18);
	wire[2] = 2;
	wire[3] = 0;
	CU_ASSERT_EQUAL(transport_id_decode(wire, sizeof(wire), &id), 0);
	wire[4 + 223] = '\0';
	CU_ASSERT_EQUAL(transport_id_decode(wire, sizeof(wire), &id), 4 + 512);
}

static const struct unit_test tests[] = {
	UNIT_TEST(nothing_saved_is_no_registrations),
	UNIT_TEST(what_is_saved_is_loaded),
	UNIT_TEST(only_the_owner_may_read_the_file),
	UNIT_TEST(without_aptpl_nothing_stays),
	UNIT_TEST(what_a_killed_process_left_half_written_is_not_looked_at),
	UNIT_TEST(a_file_cut_off_anywhere_is_recognised_and_set_aside),
	UNIT_TEST(a_changed_byte_is_recognised),
	UNIT_TEST(contents_that_make_no_sense_are_named_with_their_line),
	UNIT_TEST(a_file_without_targets_means_the_first),
	UNIT_TEST(a_directory_that_is_none_is_refused_at_once),
	UNIT_TEST(a_save_that_fails_says_so_and_leaves_what_was),
	UNIT_TEST(a_port_is_written_as_spc_says),
	UNIT_TEST(what_is_written_is_read_with_names_of_every_length),
	UNIT_TEST(a_node_and_a_short_or_capital_isid_are_read),
	UNIT_TEST(what_is_no_iscsi_transport_id_is_not_read),
	UNIT_TEST(a_name_without_an_end_or_too_long_is_not_read),
};

UNIT_MAIN("reservation_store", tests)
