/* Parameter data of any target: every decoder on the same bytes. */
#include <assert.h>
#include <string.h>

#include "fuzz.h"
#include "scsi_data.h"

static void inquiry(const uint8_t *wire, size_t len)
{
	uint8_t again[INQUIRY_LEN];
	struct inquiry inq;

	if (!inquiry_decode(wire, len, &inq))
		return;
	assert(strlen(inq.vendor) < sizeof(inq.vendor) && strlen(inq.product) < sizeof(inq.product)
	       && strlen(inq.revision) < sizeof(inq.revision));
	assert(inquiry_encode(&inq, again) == INQUIRY_LEN);
}

static void serial(const uint8_t *wire, size_t len, size_t text_size)
{
	char text[256];

	if (vpd_serial_decode(wire, len, text, text_size + 1))
		assert(strlen(text) <= text_size);
}

static void designators(const uint8_t *wire, size_t len)
{
	struct designator d;
	size_t at = 0;

	while (designator_next(wire, len, &at, &d)) {
		assert(d.value >= wire && d.value + d.len <= wire + len && at <= len);
		for (unsigned i = 0; i < d.len; i++)
			assert(&d.value[i] < wire + len);
	}
}

static void pages(const uint8_t *wire, size_t len)
{
	static const enum vpd_page all[] = {
		VPD_SUPPORTED, VPD_SERIAL, VPD_DEVICE_ID, VPD_EXTENDED_INQUIRY, VPD_MODE_POLICY,
		VPD_SCSI_PORTS, VPD_BLOCK_LIMITS, VPD_BLOCK_CHARACTERISTICS, VPD_PROVISIONING,
	};
	struct block_characteristics bc;
	struct block_limits bl;
	struct provisioning p;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		int payload = vpd_payload(wire, len, all[i]);

		assert(payload < 0 || VPD_HEADER_LEN + (size_t)payload <= len);
		vpd_supported(wire, len, all[i]);
	}
	block_limits_decode(wire, len, &bl);
	block_characteristics_decode(wire, len, &bc);
	provisioning_decode(wire, len, &p);
}

static void capacities(const uint8_t *wire, size_t len)
{
	struct capacity c;

	if (capacity_10_decode(wire, len, &c))
		assert(c.block_len && c.last_lba <= UINT32_MAX);
	if (capacity_16_decode(wire, len, &c))
		assert(c.block_len);
}

static void lists(const uint8_t *wire, size_t len)
{
	uint32_t count = lba_status_count(wire, len);
	struct unmap_range range;
	struct lba_status status;
	int ranges;

	for (uint32_t i = 0; i < count; i++)
		lba_status_decode(wire, i, &status);
	ranges = unmap_count(wire, len);
	for (int i = 0; i < ranges; i++)
		unmap_decode(wire, (uint32_t)i, &range);
	count = report_luns_count(wire, len);
	for (uint32_t i = 0; i < count; i++)
		report_luns_decode(wire, i);
}

static void modes(const uint8_t *wire, size_t len, bool ten)
{
	uint8_t again[MODE_CACHING_LEN];
	struct mode_caching caching;
	struct mode_header header;

	mode_header_decode(wire, len, ten, &header);
	if (mode_caching_find(wire, len, ten, &caching))
		assert(mode_caching_encode(&caching, again) == MODE_CACHING_LEN);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	size_t text_size = fuzz_u8(&in);

	inquiry(in.at, in.left);
	serial(in.at, in.left, text_size);
	designators(in.at, in.left);
	pages(in.at, in.left);
	capacities(in.at, in.left);
	lists(in.at, in.left);
	modes(in.at, in.left, false);
	modes(in.at, in.left, true);
	return 0;
}
