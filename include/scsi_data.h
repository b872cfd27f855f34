/*
 * Parameter data that one side builds and the other reads: INQUIRY and its VPD
 * pages, READ CAPACITY, LBA status, UNMAP lists, LUN lists (SPC-4, SBC-3). One
 * field table per format serves both.
 *
 * Encoders write the whole structure, which must have room for the named maximum
 * length, and return its length: cutting it to an allocation length is the caller's
 * business. Decoders take what came, however short: absent bytes read as zero, and
 * false means that it cannot be this kind of data. Pure functions on memory.
 */
#ifndef SCSI_DATA_H
#define SCSI_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Standard INQUIRY data, SPC-4 §6.6.2. Strings are without padding, NUL-terminated. */
#define INQUIRY_LEN	96
struct inquiry {
	uint8_t qualifier, device_type;
	bool	removable;
	uint8_t version;		/* 5 = SPC-3, 6 = SPC-4 */
	bool	norm_aca, hi_sup;
	uint8_t response_data_format;
	uint8_t additional_length;	/* filled in by the encoder */
	bool	sccs;
	uint8_t tpgs;
	bool	third_party_copy, protect;
	bool	multi_port, cmd_que;
	char	vendor[9], product[17], revision[5];
	uint16_t version_descriptor[8];
};
size_t inquiry_encode(const struct inquiry *inq, uint8_t wire[INQUIRY_LEN]);
bool inquiry_decode(const uint8_t *wire, size_t len, struct inquiry *inq);

/* Every VPD page starts alike: qualifier and type, page code, length of what follows. */
#define VPD_HEADER_LEN	4
enum vpd_page {
	VPD_SUPPORTED = 0x00, VPD_SERIAL = 0x80, VPD_DEVICE_ID = 0x83, VPD_EXTENDED_INQUIRY = 0x86,
	VPD_MODE_POLICY = 0x87, VPD_SCSI_PORTS = 0x88, VPD_THIRD_PARTY_COPY = 0x8f,
	VPD_BLOCK_LIMITS = 0xb0, VPD_BLOCK_CHARACTERISTICS = 0xb1, VPD_PROVISIONING = 0xb2,
};
/* Write the header for "len" bytes that follow it; returns VPD_HEADER_LEN + len. */
size_t vpd_header(uint8_t *wire, uint8_t qualifier_and_type, enum vpd_page page, size_t len);
/* Is wire[len] this page? Then the count of bytes after the header that are really there,
 * else -1. */
int vpd_payload(const uint8_t *wire, size_t len, enum vpd_page page);

/* 00h: does the list name the page? */
bool vpd_supported(const uint8_t *wire, size_t len, enum vpd_page page);

/* 80h: the serial number, trimmed and printable, into text[size]. */
bool vpd_serial_decode(const uint8_t *wire, size_t len, char *text, size_t size);

#define PROTOCOL_ISCSI	5	/* PROTOCOL IDENTIFIER, SPC-4 §7.6.1 */

/* 83h designation descriptors, SPC-4 §7.8.6.2. */
enum designator_type {
	DESIGNATOR_VENDOR, DESIGNATOR_T10, DESIGNATOR_EUI64, DESIGNATOR_NAA,
	DESIGNATOR_RELATIVE_PORT, DESIGNATOR_PORT_GROUP, DESIGNATOR_LU_GROUP,
	DESIGNATOR_MD5, DESIGNATOR_SCSI_NAME,
};
struct designator {
	uint8_t protocol, code_set;	/* code set: 1 binary, 2 ASCII, 3 UTF-8 */
	bool	piv;
	uint8_t association;		/* 0 logical unit, 1 target port, 2 target device */
	uint8_t type;			/* enum designator_type */
	uint8_t len;			/* of what follows */
	const uint8_t *value;		/* in the caller's memory */
};
/* Append at wire[at]; returns the new end. Room: 4 + len. */
size_t designator_encode(const struct designator *d, uint8_t *wire, size_t at);
/* Walk the payload of page 83h (wire = the whole page): *at starts at 0. False at the end. */
bool designator_next(const uint8_t *wire, size_t len, size_t *at, struct designator *d);

#define PROTOCOL_ISCSI	5	/* PROTOCOL IDENTIFIER, SPC-4 §7.6.1 */

/* B0h block limits, SBC-3 §6.6.4. In blocks but for the counts. */
#define VPD_BLOCK_LIMITS_LEN 64
struct block_limits {
	bool	 wsnz;
	uint8_t	 max_compare_and_write;
	uint16_t transfer_granularity;
	uint32_t max_transfer, optimal_transfer, max_prefetch;
	uint32_t max_unmap_blocks, max_unmap_descriptors;
	uint32_t unmap_granularity, unmap_alignment;
	bool	 ugavalid;
	uint64_t max_write_same;
	uint32_t max_atomic;		/* SBC-4; 0 = there is no WRITE ATOMIC */
	uint32_t atomic_alignment, atomic_granularity;
	uint32_t max_atomic_with_boundary, max_atomic_boundary;
};
size_t block_limits_encode(const struct block_limits *bl, uint8_t type,
			   uint8_t wire[VPD_BLOCK_LIMITS_LEN]);
bool block_limits_decode(const uint8_t *wire, size_t len, struct block_limits *bl);

/* B1h block device characteristics, SBC-3 §6.6.3 */
#define VPD_BLOCK_CHARACTERISTICS_LEN 64
struct block_characteristics {
	uint16_t rotation_rate;		/* 0 not reported, 1 solid state, >= 0x401 rpm */
	uint8_t	 product_type, form_factor;
	uint8_t	 wabereq, wacereq;	/* reads after an erasure: 0 not specified, 1 are good */
	bool	 fuab, vbuls;
};
size_t block_characteristics_encode(const struct block_characteristics *bc, uint8_t type,
				    uint8_t wire[VPD_BLOCK_CHARACTERISTICS_LEN]);
bool block_characteristics_decode(const uint8_t *wire, size_t len,
				  struct block_characteristics *bc);

/* B2h logical block provisioning, SBC-3 §6.6.7 */
#define VPD_PROVISIONING_LEN 8
struct provisioning {
	uint8_t threshold_exponent;
	bool	lbpu, lbpws, lbpws10, anc_sup, dp;
	uint8_t lbprz;			/* three bits: xx1b zeroes, 010b provisioning pattern */
	uint8_t type;			/* 0 not reported, 1 resource, 2 thin */
};
size_t provisioning_encode(const struct provisioning *p, uint8_t type,
			   uint8_t wire[VPD_PROVISIONING_LEN]);
bool provisioning_decode(const uint8_t *wire, size_t len, struct provisioning *p);

/* READ CAPACITY(10) and (16), SBC-3 §5.15, §5.16 */
#define CAPACITY_10_LEN	8
#define CAPACITY_16_LEN	32
struct capacity {
	uint64_t last_lba;
	uint32_t block_len;		/* bytes */
	bool	 prot_en;
	uint8_t	 p_type, p_i_exponent;
	uint8_t	 lbppbe;		/* physical block = block_len << lbppbe */
	bool	 lbpme, lbprz;
	uint16_t lowest_aligned_lba;
};
/* (10): a last_lba beyond 32 bits becomes ffffffffh. */
size_t capacity_10_encode(const struct capacity *c, uint8_t wire[CAPACITY_10_LEN]);
size_t capacity_16_encode(const struct capacity *c, uint8_t wire[CAPACITY_16_LEN]);
/* False also for a block length of 0. */
bool capacity_10_decode(const uint8_t *wire, size_t len, struct capacity *c);
bool capacity_16_decode(const uint8_t *wire, size_t len, struct capacity *c);

/* GET LBA STATUS, SBC-3 §5.3 */
#define LBA_STATUS_HEADER_LEN		8
#define LBA_STATUS_DESCRIPTOR_LEN	16
struct lba_status {
	uint64_t lba;
	uint32_t blocks;
	uint8_t	 status;		/* 0 mapped or unknown, 1 deallocated, 2 anchored */
};
void lba_status_header(uint8_t *wire, uint32_t descriptors);
void lba_status_encode(const struct lba_status *s, uint8_t wire[LBA_STATUS_DESCRIPTOR_LEN]);
/* How many whole descriptors wire[len] really holds (never what its header merely claims). */
uint32_t lba_status_count(const uint8_t *wire, size_t len);
void lba_status_decode(const uint8_t *wire, uint32_t index, struct lba_status *s);

/* UNMAP parameter list, SBC-3 §5.28 */
#define UNMAP_HEADER_LEN	8
#define UNMAP_DESCRIPTOR_LEN	16
#define UNMAP_MAX_DESCRIPTORS	4095	/* what the 16 bit lengths of a list can say */
struct unmap_range {
	uint64_t lba;
	uint32_t blocks;
};
/* Header for "count" <= UNMAP_MAX_DESCRIPTORS; returns the length of the whole list. */
size_t unmap_header(uint8_t *wire, uint32_t count);
void unmap_encode(const struct unmap_range *r, uint8_t wire[UNMAP_DESCRIPTOR_LEN]);
/* Whole descriptors that wire[len] holds and announces, -1 when the list is shorter than
 * its header. */
int unmap_count(const uint8_t *wire, size_t len);
void unmap_decode(const uint8_t *wire, uint32_t index, struct unmap_range *r);

/* MODE SENSE(6) and (10) headers, SPC-4 §7.5.5: the lengths are as on the wire. */
#define MODE_HEADER_6_LEN	4
#define MODE_HEADER_10_LEN	8
#define MODE_BLOCK_DESCRIPTOR_LEN 8	/* short form, SBC-3 §6.5.2 */
struct mode_header {
	uint16_t data_len;		/* MODE DATA LENGTH: what follows this field */
	uint8_t	 medium_type;
	bool	 wp, dpofua;
	bool	 long_lba;
	uint16_t block_descriptor_len;
};
size_t mode_header_encode(const struct mode_header *h, bool ten, uint8_t *wire);
bool mode_header_decode(const uint8_t *wire, size_t len, bool ten, struct mode_header *h);
/* Mode data of another's making: say in it that the medium is write protected. */
void mode_header_protect(uint8_t *wire, size_t len, bool ten);

/* Caching mode page 08h, SBC-3 §6.5.5 */
#define MODE_CACHING_LEN 20
struct mode_caching {
	bool ps;
	bool ic, abpf, cap, disc, size, wce, mf, rcd;
	bool fsw, lbcss, dra, nv_dis;
};
size_t mode_caching_encode(const struct mode_caching *m, uint8_t wire[MODE_CACHING_LEN]);
/* Find page 08h in MODE SENSE data (either header) and read it; false when it is not there. */
bool mode_caching_find(const uint8_t *wire, size_t len, bool ten, struct mode_caching *m);

/* REPORT TARGET PORT GROUPS, SPC-4 §6.37: a header, then per group a descriptor and its ports. */
#define PORT_GROUPS_HEADER_LEN	4	/* the short one: the length of what follows */
#define PORT_GROUP_LEN		8
#define PORT_GROUP_PORT_LEN	4	/* two bytes that are obsolete, and the relative port identifier */
enum port_group_state {			/* asymmetric access states, §5.16.2.4 */
	PORT_GROUP_OPTIMIZED = 0x0, PORT_GROUP_NON_OPTIMIZED = 0x1, PORT_GROUP_STANDBY = 0x2,
	PORT_GROUP_UNAVAILABLE = 0x3, PORT_GROUP_OFFLINE = 0xe, PORT_GROUP_TRANSITION = 0xf,
};
struct port_group {
	uint8_t	 state;			/* enum port_group_state */
	bool	 pref;
	bool	 ao_sup, an_sup, s_sup, u_sup, o_sup, t_sup; /* states that there can be */
	uint16_t group;
	uint8_t	 port_count;
};
void port_group_encode(const struct port_group *g, uint8_t wire[PORT_GROUP_LEN]);
/* Walk data with the short header: *at starts at 0. False at the end of what is really there. */
bool port_group_next(const uint8_t *wire, size_t len, size_t *at, struct port_group *g);

/* REPORT SUPPORTED OPERATION CODES about one command, SPC-4 §6.35.3: this, and cdb_size bytes of
 * usage map. */
enum reporting_options {
	REPORTING_ALL = 0,
	REPORTING_OPCODE = 1,		/* one that has no service actions */
	REPORTING_SERVICE_ACTION = 2,	/* one that has */
	REPORTING_EITHER = 3,
};
enum command_support { COMMAND_NOT_SUPPORTED = 1, COMMAND_AS_STANDARD = 3 };
#define ONE_COMMAND_LEN		4
struct one_command {
	bool	 ctdp;			/* a timeouts descriptor comes last */
	uint8_t	 support;		/* enum command_support, or what the unit cannot tell now */
	uint16_t cdb_size;
};
void one_command_encode(const struct one_command *c, uint8_t wire[ONE_COMMAND_LEN]);
/* False when wire[len] is shorter than that. */
bool one_command_decode(const uint8_t *wire, size_t len, struct one_command *c);

/* REPORT LUNS, SPC-4 §6.33: LUNs as the eight bytes (lun_encode()). */
#define REPORT_LUNS_HEADER_LEN	8
size_t report_luns_encode(const uint64_t *luns, uint32_t count, uint8_t *wire);
uint32_t report_luns_count(const uint8_t *wire, size_t len);
uint64_t report_luns_decode(const uint8_t *wire, uint32_t index);

#endif
