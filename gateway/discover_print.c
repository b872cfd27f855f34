/*
 * What --discover prints: columns that are as wide as what is in them, or JSON. Names
 * come from targets: whatever is not printable in them does not reach a terminal, nor
 * make JSON of it that is none.
 */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "discover.h"
#include "utf8.h"
#include "need.h"

#define MAX_COLUMNS	7
#define GAP		2		/* between columns */

/* Tables ---------------------------------------------------------------------- */

struct table {
	unsigned columns, cells;
	char **cell;			/* row by row */
};

static void put(struct table *table, const char *text)
{
	char *copy = need(strdup(text));

	utf8_clean(copy);
	table->cell = need_more(table->cell, table->cells, sizeof(*table->cell));
	table->cell[table->cells++] = copy;
}

static void put_row(struct table *table, const char *const *cells)
{
	for (unsigned i = 0; i < table->columns; i++)
		put(table, cells[i]);
}

/* The last column has no padding after it. */
static void print_table(struct table *table, FILE *to)
{
	size_t width[MAX_COLUMNS] = { 0 };

	for (unsigned i = 0; i < table->cells; i++) {
		size_t *w = &width[i % table->columns], len = strlen(table->cell[i]);

		*w = len > *w ? len : *w;
	}
	for (unsigned i = 0; i < table->cells; i++) {
		unsigned column = i % table->columns;

		if (column + 1 < table->columns)
			fprintf(to, "%-*s", (int)width[column] + GAP, table->cell[i]);
		else
			fprintf(to, "%s\n", table->cell[i]);
		free(table->cell[i]);
	}
	free(table->cell);
}

/* "16 MiB", "1.5 TiB": as few digits as say it. */
static void format_size(uint64_t bytes, char *text, size_t size)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double n = (double)bytes;
	unsigned unit = 0;

	for (; n >= 1024; unit++)
		n /= 1024;
	snprintf(text, size, "%.4g %s", n, units[unit]);
}

static void print_targets(const struct discover *d, FILE *to)
{
	struct table table = { .columns = 3 };

	put_row(&table, (const char *const[]){ "TARGET", "PORTAL", "TPGT" });
	for (unsigned i = 0; i < d->count; i++)
		for (unsigned j = 0; j < d->targets[i].portal_count; j++) {
			const struct discovered_portal *portal = &d->targets[i].portals[j];
			char address[ISCSI_PORTAL_TEXT], tag[8];

			snprintf(tag, sizeof(tag), "%u", portal->tag);
			put_row(&table, (const char *const[]){
				j ? "" : d->targets[i].name,
				iscsi_portal_format(&portal->portal, address), tag });
		}
	print_table(&table, to);
}

static void put_lun(struct table *table, const char *target, const struct found_lun *lun)
{
	const struct scsi_identity *id = &lun->identity;
	char number[8], size[24];

	snprintf(number, sizeof(number), "%u", lun->lun);
	format_size(lun->size, size, sizeof(size));
	if (*lun->why)
		put_row(table, (const char *const[]){ target, number, "-", "-", "-", "-", lun->why });
	else
		put_row(table, (const char *const[]){ target, number, size, id->vendor, id->product,
						      *id->serial ? id->serial : "-", id->name });
}

static void print_luns(const struct discover *d, FILE *to)
{
	struct table table = { .columns = 7 };

	put_row(&table, (const char *const[]){ "TARGET", "LUN", "SIZE", "VENDOR", "PRODUCT", "SERIAL",
					       "NAME" });
	for (unsigned i = 0; i < d->count; i++)
		for (unsigned j = 0; j < d->targets[i].lun_count; j++)
			put_lun(&table, j ? "" : d->targets[i].name, &d->targets[i].luns[j]);
	print_table(&table, to);
}

void discover_print_table(const struct discover *d, FILE *to)
{
	print_targets(d, to);
	if (!d->conf->discover.luns)
		return;
	fputc('\n', to);
	print_luns(d, to);
}

/* JSON (RFC 8259) ------------------------------------------------------------- */

/* The control characters that utf8_is_control() knows have codes of a byte. */
static void json_control(FILE *to, const char *text, unsigned len)
{
	fprintf(to, "\\u%04x", (unsigned)(unsigned char)text[len - 1]);
}

static void json_string(FILE *to, const char *text)
{
	fputc('"', to);
	while (*text) {
		unsigned len = utf8_length(text);

		if (!len)
			fputs("\\ufffd", to);
		else if (*text == '"' || *text == '\\')
			fprintf(to, "\\%c", *text);
		else if (utf8_is_control(text))
			json_control(to, text, len);
		else
			fwrite(text, 1, len, to);
		text += len ? len : 1;
	}
	fputc('"', to);
}

static void json_member(FILE *to, const char *name, const char *text)
{
	fprintf(to, ", \"%s\": ", name);
	json_string(to, text);
}

static void json_lun(const struct found_lun *lun, FILE *to)
{
	fprintf(to, "{ \"lun\": %u", lun->lun);
	if (*lun->why) {
		json_member(to, "error", lun->why);
	} else {
		fprintf(to, ", \"size\": %" PRIu64 ", \"block_size\": %" PRIu32, lun->size,
			lun->block_len);
		json_member(to, "vendor", lun->identity.vendor);
		json_member(to, "product", lun->identity.product);
		json_member(to, "revision", lun->identity.revision);
		json_member(to, "serial", lun->identity.serial);
		json_member(to, "name", lun->identity.name);
	}
	fputs(" }", to);
}

static void json_luns(const struct found_target *target, FILE *to)
{
	if (*target->why) {
		fputs(",\n      \"error\": ", to);
		json_string(to, target->why);
		return;
	}
	fputs(",\n      \"luns\": [", to);
	for (unsigned i = 0; i < target->lun_count; i++) {
		fputs(i ? ",\n        " : "\n        ", to);
		json_lun(&target->luns[i], to);
	}
	fputs(target->lun_count ? "\n      ]" : "]", to);
}

static void json_target(const struct discover *d, const struct found_target *target, FILE *to)
{
	fputs("{\n      \"name\": ", to);
	json_string(to, target->name);
	fputs(",\n      \"portals\": [", to);
	for (unsigned i = 0; i < target->portal_count; i++) {
		const struct discovered_portal *portal = &target->portals[i];

		fputs(i ? ",\n        { \"host\": " : "\n        { \"host\": ", to);
		json_string(to, portal->portal.host);
		fprintf(to, ", \"port\": %s, \"tpgt\": %u }", portal->portal.port, portal->tag);
	}
	fputs("\n      ]", to);
	if (d->conf->discover.luns)
		json_luns(target, to);
	fputs("\n    }", to);
}

void discover_print_json(const struct discover *d, FILE *to)
{
	fputs("{\n  \"targets\": [", to);
	for (unsigned i = 0; i < d->count; i++) {
		fputs(i ? ",\n    " : "\n    ", to);
		json_target(d, &d->targets[i], to);
	}
	fputs(d->count ? "\n  ]\n}\n" : "]\n}\n", to);
}
