/*
 * LOG SENSE (SPC-4 §6.8, §7.3): which pages there are, provisioning, temperature. Neither
 * our device's space nor its temperature is known to us: the pages say so, in the ways
 * that the standards have for it.
 */
#include <assert.h>
#include <string.h>

#include "disk_private.h"
#include "field.h"

enum { LOG_SUPPORTED = 0x00, LOG_PROVISIONING = 0x0c, LOG_TEMPERATURE = 0x0d };
#define LOG_ROOM	32	/* the longest page */

struct log_header {
	bool	 ds;		/* it is never saved */
	uint8_t	 page;
	uint16_t len;		/* of what follows */
};

#define FIELD_STRUCT struct log_header
static const struct field log_header[] = {
	FIELD_BIT(ds, 0, 7), FIELD(page, 0, 5, 6), FIELD_U16(len, 2), FIELD_END
};
#undef FIELD_STRUCT
#define LOG_HEADER_LEN	4

/* A parameter of a page that is a list of them (SPC-4 §7.3.2.2). */
struct log_parameter {
	uint16_t code;
	uint8_t	 format_and_linking;
	uint8_t	 len;		/* of what follows */
	uint8_t	 temperature;	/* the one kind there is */
};

#define FIELD_STRUCT struct log_parameter
static const struct field log_parameter[] = {
	FIELD_U16(code, 0), FIELD(format_and_linking, 2, 1, 2), FIELD_U8(len, 3),
	FIELD_U8(temperature, 5), FIELD_END
};
#undef FIELD_STRUCT
#define LOG_PARAMETER_HEADER_LEN	4
#define TEMPERATURE_PARAMETER_LEN	6
#define BINARY_LIST			3

static size_t put_supported(const struct disk_lu *disk, uint16_t from, uint8_t *wire);

/* SPC-4 §7.3.21: the temperature, and that at which the unit was to be kept. */
static size_t put_temperature(const struct disk_lu *disk, uint16_t from, uint8_t *wire)
{
	size_t len = 0;

	(void)disk;
	for (uint16_t code = from; code <= 1; code++) {
		const struct log_parameter parameter = {
			.code = code,
			.format_and_linking = BINARY_LIST,
			.len = TEMPERATURE_PARAMETER_LEN - LOG_PARAMETER_HEADER_LEN,
			.temperature = 0xff,	/* cannot be told */
		};

		field_encode(log_parameter, &parameter, wire + len);
		len += TEMPERATURE_PARAMETER_LEN;
	}
	return len;
}

/* Ascending, as page 00h lists them. */
static const struct log_page {
	uint8_t code;
	uint16_t last;		/* parameter code */
	/* The parameters with codes "from" and up; returns their length. NULL: there are none. */
	size_t (*put)(const struct disk_lu *disk, uint16_t from, uint8_t *wire);
} pages[] = {
	{ LOG_SUPPORTED, 0, put_supported },
	{ LOG_PROVISIONING, 0, NULL },	/* SBC-3 §6.4.4: each count may be left out */
	{ LOG_TEMPERATURE, 1, put_temperature },
};
#define PAGE_COUNT	(sizeof(pages) / sizeof(pages[0]))

static bool is_there(const struct disk_lu *disk, const struct log_page *page)
{
	return page->code != LOG_PROVISIONING || disk->dev->info.can_trim;
}

static size_t put_supported(const struct disk_lu *disk, uint16_t from, uint8_t *wire)
{
	size_t len = 0;

	(void)from;
	for (size_t i = 0; i < PAGE_COUNT; i++)
		if (is_there(disk, &pages[i]))
			wire[len++] = pages[i].code;
	return len;
}

static const struct log_page *page_find(const struct disk_lu *disk, uint8_t code)
{
	for (size_t i = 0; i < PAGE_COUNT; i++)
		if (pages[i].code == code && is_there(disk, &pages[i]))
			return &pages[i];
	return NULL;
}

/* All parameters are lists, of which there is one kind of values whatever PC asks for. */
void disk_log_sense(struct disk_lu *disk, struct scsi_task *task)
{
	const struct cdb *cdb = &task->cdb;
	const struct log_page *page = page_find(disk, cdb->page);
	uint8_t wire[LOG_ROOM] = { 0 };
	struct log_header header;

	if (cdb->sp) {
		disk_refuse_field(disk, task, sp);	/* there is nowhere to save to */
		return;
	}
	if (!page) {
		disk_refuse_field(disk, task, page);
		return;
	}
	if (cdb->subpage) {
		disk_refuse_field(disk, task, subpage);
		return;
	}
	if (cdb->parameter_pointer > page->last) {
		disk_refuse_field(disk, task, parameter_pointer);
		return;
	}
	header = (struct log_header){ .ds = page->code != LOG_SUPPORTED, .page = page->code };
	if (page->put)
		header.len = (uint16_t)page->put(disk, cdb->parameter_pointer,
						 wire + LOG_HEADER_LEN);
	assert(LOG_HEADER_LEN + (size_t)header.len <= sizeof(wire));
	field_encode(log_header, &header, wire);
	disk_reply(disk, task, wire, LOG_HEADER_LEN + (size_t)header.len, cdb->alloc_len);
}
