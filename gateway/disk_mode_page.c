/*
 * Mode pages (SPC-4 §7.5, SBC-3 §6.5): what is in them; see disk_mode.h.
 */
#include "disk_mode.h"

#include <string.h>

#include "field.h"
#include "scsi_data.h"

/* The pages ------------------------------------------------------------------------ */

#define FIELD_STRUCT struct mode_page_header
static const struct field page_header[] = {
	FIELD_BIT(ps, 0, 7), FIELD_BIT(spf, 0, 6), FIELD(code, 0, 5, 6), FIELD_U8(len, 1), FIELD_END
};
#undef FIELD_STRUCT

static size_t put_header(uint8_t code, size_t whole, uint8_t *wire)
{
	const struct mode_page_header header = {
		.code = code, .len = (uint8_t)(whole - MODE_PAGE_HEADER_LEN),
	};

	memset(wire, 0, whole);
	field_encode(page_header, &header, wire);
	return whole;
}

/* 01h Read-Write Error Recovery, SBC-3 §6.5.8: the device recovers as it can, always. */
struct error_recovery {
	bool awre, arre;
};

#define FIELD_STRUCT struct error_recovery
static const struct field error_recovery[] = {
	FIELD_BIT(awre, 2, 7), FIELD_BIT(arre, 2, 6), FIELD_END
};
#undef FIELD_STRUCT

static size_t put_error_recovery(unsigned flags, uint8_t *wire)
{
	const struct error_recovery page = { .awre = true, .arre = true };
	size_t len = put_header(0x01, 12, wire);

	(void)flags;
	field_encode(error_recovery, &page, wire);
	return len;
}

static size_t put_caching(unsigned flags, uint8_t *wire)
{
	const struct mode_caching page = { .wce = flags & MODE_WCE };

	return mode_caching_encode(&page, wire);
}

/* 0Ah Control, SPC-4 §7.5.8: one task set for all nexuses, reordered at will, TAS = 0. */
struct control {
	bool	 d_sense, gltsd, swp;
	uint8_t	 queue_algorithm_modifier;
	uint16_t busy_timeout_period;	/* 100 ms; ffffh: no limit */
};

#define FIELD_STRUCT struct control
static const struct field control[] = {
	FIELD_BIT(d_sense, 2, 2), FIELD_BIT(gltsd, 2, 1), FIELD(queue_algorithm_modifier, 3, 7, 4),
	FIELD_BIT(swp, 4, 3), FIELD_U16(busy_timeout_period, 8), FIELD_END
};
#undef FIELD_STRUCT

static size_t put_control(unsigned flags, uint8_t *wire)
{
	const struct control page = {
		.d_sense = flags & MODE_D_SENSE,
		.gltsd = true,
		.queue_algorithm_modifier = 1,
		.swp = flags & MODE_SWP,
		.busy_timeout_period = 0xffff,
	};
	size_t len = put_header(0x0a, 12, wire);

	field_encode(control, &page, wire);
	return len;
}

/* 1Ch Informational Exceptions Control, SPC-4 §7.5.13: there are none to report. */
struct informational_exceptions {
	bool dexcpt;
};

#define FIELD_STRUCT struct informational_exceptions
static const struct field informational_exceptions[] = { FIELD_BIT(dexcpt, 2, 3), FIELD_END };
#undef FIELD_STRUCT

static size_t put_informational_exceptions(unsigned flags, uint8_t *wire)
{
	const struct informational_exceptions page = { .dexcpt = true };
	size_t len = put_header(0x1c, 12, wire);

	(void)flags;
	field_encode(informational_exceptions, &page, wire);
	return len;
}

const struct mode_page mode_pages[] = {
	{ 0x01, put_error_recovery },
	{ 0x08, put_caching },
	{ 0x0a, put_control },
	{ 0x1c, put_informational_exceptions },
};
const size_t mode_page_count = sizeof(mode_pages) / sizeof(mode_pages[0]);

const struct mode_page *mode_page_find(uint8_t code)
{
	for (size_t i = 0; i < mode_page_count; i++)
		if (mode_pages[i].code == code)
			return &mode_pages[i];
	return NULL;
}

void mode_page_header_decode(const uint8_t wire[MODE_PAGE_HEADER_LEN],
			     struct mode_page_header *header)
{
	field_decode(page_header, wire, MODE_PAGE_HEADER_LEN, header);
}

/* Their flags ---------------------------------------------------------------------- */

static const enum mode_flag all_flags[] = { MODE_WCE, MODE_D_SENSE, MODE_SWP };
#define FLAG_COUNT	(sizeof(all_flags) / sizeof(all_flags[0]))

/* Without a cache there is none to switch on. */
static unsigned changeable_flags(const struct disk_lu *disk)
{
	return MODE_D_SENSE | MODE_SWP | (disk->dev->info.can_flush ? MODE_WCE : 0);
}

static unsigned flags_of(const struct disk_lu *disk, uint8_t pc)
{
	unsigned flags = pc == PC_DEFAULT ? MODE_DEFAULTS : atomic_load(&disk_shared(disk)->mode);

	return flags & changeable_flags(disk);
}

/* The bits of a page that "flags" switch on; all else is zero. */
static void mask_of(const struct mode_page *page, unsigned flags, uint8_t *wire)
{
	uint8_t off[MODE_PAGE_ROOM];
	size_t len = page->put(flags, wire);

	page->put(0, off);
	for (size_t i = 0; i < len; i++)
		wire[i] ^= off[i];
}

size_t mode_page_put(const struct disk_lu *disk, const struct mode_page *page, uint8_t pc,
		     uint8_t *wire)
{
	uint8_t mask[MODE_PAGE_ROOM];
	size_t len;

	if (pc != PC_CHANGEABLE)
		return page->put(flags_of(disk, pc), wire);
	mask_of(page, changeable_flags(disk), mask);
	len = page->put(0, wire);
	memcpy(wire + MODE_PAGE_HEADER_LEN, mask + MODE_PAGE_HEADER_LEN, len - MODE_PAGE_HEADER_LEN);
	return len;
}

bool mode_page_may_be(const struct disk_lu *disk, const struct mode_page *page,
		      const uint8_t *wire, uint16_t *byte, uint8_t *bit)
{
	uint8_t current[MODE_PAGE_ROOM], changeable[MODE_PAGE_ROOM], changed[MODE_PAGE_ROOM];
	size_t len = page->put(flags_of(disk, PC_CURRENT), current);

	mask_of(page, changeable_flags(disk), changeable);
	for (size_t i = MODE_PAGE_HEADER_LEN; i < len; i++)
		changed[i] = wire[i] ^ current[i];
	memset(changed, 0, MODE_PAGE_HEADER_LEN);
	return !field_unclaimed(changeable, changed, len, byte, bit);
}

unsigned mode_page_flags(const struct disk_lu *disk, const struct mode_page *page,
			 const uint8_t *wire, unsigned flags)
{
	uint8_t mask[MODE_PAGE_ROOM];
	size_t len = page->put(0, mask);

	for (size_t f = 0; f < FLAG_COUNT; f++) {
		if (!(changeable_flags(disk) & all_flags[f]))
			continue;
		mask_of(page, all_flags[f], mask);
		for (size_t i = 0; i < len; i++) {
			if (mask[i] & wire[i])
				flags |= all_flags[f];
			else if (mask[i])
				flags &= ~(unsigned)all_flags[f];
		}
	}
	return flags;
}
