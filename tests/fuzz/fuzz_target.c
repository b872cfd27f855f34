/*
 * A whole iSCSI session: the input is what an initiator says, PDU by PDU, to a target with
 * a disk in memory, by one connection or two. The first byte says how far we take it by
 * the hand.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "disk_lu.h"
#include "fuzz_pdu.h"
#include "mem_blk.h"
#include "pool.h"
#include "range_lock.h"
#include "target.h"

/* Bits of the first byte. */
enum {
	LOGGED_IN = 1,		/* the input begins in full feature phase */
	DISCOVERY = 2, HEADER_DIGEST = 4, DATA_DIGEST = 8, DRIP = 16, LONG_BLOCKS = 32,
	SHUTDOWN = 64, UNSOLICITED = 128,	/* InitialR2T=No */
};

#define DISK_LEN	(256u << 10)
#define INITIATOR	"InitiatorName=iqn.2001-04.com.example:fuzz"
#define TARGET		"iqn.2001-04.com.example:disk"

#define ENDS		2
#define JOINS		4	/* of the second connection, which may come back */

/* A connection, by CID - 1. */
struct end {
	struct fuzz_pdus pdus;
	struct bed *bed;
	bool	 open;
	uint32_t stat_sn;	/* what the target said last */
};

struct bed {
	struct mem *mem;
	struct blk_shared blk_shared;
	struct lu_shared *lu_shared;
	struct lu_directory directory;
	struct export_instance instance;
	struct export export;
	struct access *access;
	struct target_conf conf;
	struct target_shared *shared;
	struct target_service service;
	struct end ends[ENDS];
	unsigned joins;
	uint32_t cmd_sn;		/* what the target expects */
	uint16_t tsih;
	struct bhs r2t;			/* the latest; also a Text Response that goes on */
};

static void nothing(void *opaque)
{
	(void)opaque;
}

static void nobody_asked(struct target_service *service)
{
	assert(list_empty(&service->connections));
}

static void nobody_waited(struct target_service *service)
{
	(void)service;
}

/* Every name is the disk's. */
static struct scsi_lu *find(const struct lu_directory *directory, const struct nexus *nexus,
			    uint64_t naa, bool *read_only)
{
	(void)nexus;
	(void)naa;
	*read_only = false;
	return container_of(directory, struct bed, directory)->instance.lu;
}

/* One target for everybody, as that of a command line. */
static void serve(struct bed *b)
{
	struct access_auth_group *everybody;
	struct access_portal_group *group;
	struct access_target *target;

	b->access = access_new();
	if (!b->access || access_add_auth_group(b->access, "all", ACCESS_OPEN, &everybody)
	    || access_add_portal_group(b->access, "all", 1, everybody, &group)
	    || access_add_portal(group, "0.0.0.0:3260") || access_add_portal(group, "[::1]:860")
	    || access_add_target(b->access, TARGET, everybody, &target)
	    || access_add_entrance(target, group, NULL)
	    || access_add_lun(target->maps[0], 0, &b->export, false))
		abort();
}

static void bed_init(struct bed *b, struct loop *loop, uint8_t flags)
{
	struct disk_lu_conf lu_conf = {
		.target_name = TARGET, .serial = "fuzz",
		.block_len = flags & LONG_BLOCKS ? 4096 : 512,
	};

	memset(b, 0, sizeof(*b));
	b->mem = mem_new(DISK_LEN);
	b->directory.find = find;
	b->blk_shared.ranges = range_lock_new();
	b->lu_shared = lu_shared_new(&lu_conf);
	target_conf_init(&b->conf);
	b->conf.params.header_digest = b->conf.params.data_digest = DIGEST_CRC32C;
	b->shared = target_shared_new();
	if (!b->mem || !b->blk_shared.ranges || !b->lu_shared || !b->shared)
		abort();
	b->instance.blk = mem_blk_open(b->mem, loop, &b->blk_shared);
	b->instance.lu = disk_lu_open(b->instance.blk, b->lu_shared, &b->directory);
	b->export = (struct export) { .instance = &b->instance };
	serve(b);
	b->service = (struct target_service) {
		.loop = loop, .conf = &b->conf, .shared = b->shared, .idle = nobody_asked,
		.follows = nobody_waited,
	};
	target_service_init(&b->service);
	target_follow(&b->service, b->access);
}

static void bed_exit(struct bed *b)
{
	struct fuzz_peer *peer = &b->ends[0].pdus.peer;

	assert(list_empty(&b->service.connections) && list_empty(&b->service.sessions));
	lu_close(b->instance.lu, nothing, NULL);
	fuzz_peer_run(peer);
	blk_close(b->instance.blk, nothing, NULL);
	fuzz_peer_run(peer);
	assert(pool_in_use(b->service.loop->pool) == 0);
	target_service_exit(&b->service);
	access_drop(b->access);
	target_shared_free(b->shared);
	lu_shared_free(b->lu_shared);
	range_lock_free(b->blk_shared.ranges);
	mem_free(b->mem);
}

/* Keep what an initiator must know to be understood. */
static void got(struct fuzz_pdus *p, const struct bhs *b)
{
	struct end *end = container_of(p, struct end, pdus);
	struct bed *bed = end->bed;

	bed->cmd_sn = b->exp_cmd_sn;
	if (b->op != OP_R2T && (b->op != OP_DATA_IN || b->has_status))
		end->stat_sn = b->stat_sn;
	if (b->op == OP_LOGIN_RESPONSE && b->tsih)
		bed->tsih = b->tsih;
	if (b->op == OP_R2T || b->op == OP_TEXT_RESPONSE)
		bed->r2t = *b;
}

static void connect_end(struct bed *b, unsigned i, bool drip)
{
	struct end *end = &b->ends[i];

	fuzz_pdus_init(&end->pdus, b->service.loop);
	end->pdus.got = got;
	end->pdus.peer.piece = drip ? 13 : 0;
	end->bed = b;
	end->open = true;
	target_start(&b->service, &end->pdus.peer.stream, 1);
}

static void log_in(struct bed *b, unsigned i, uint8_t flags)
{
	static const char *const yes_no[] = { "HeaderDigest=None", "HeaderDigest=CRC32C",
					      "DataDigest=None", "DataDigest=CRC32C" };
	struct bhs login = { .op = OP_LOGIN_REQUEST, .immediate = true, .final = true, .csg = 1,
			     .nsg = 3, .isid = UINT64_C(0x800000010000), .itt = 1,
			     .tsih = i ? b->tsih : 0, .cid = (uint16_t)(i + 1), .cmd_sn = 1 };
	char text[500];
	struct key_text out = { .text = text, .room = sizeof(text) };
	const char *pairs[] = {
		INITIATOR, flags & DISCOVERY ? "SessionType=Discovery" : "TargetName=" TARGET,
		yes_no[flags & HEADER_DIGEST ? 1 : 0], yes_no[flags & DATA_DIGEST ? 3 : 2],
		flags & UNSOLICITED ? "InitialR2T=No" : "InitialR2T=Yes",
		"MaxOutstandingR2T=4", "MaxConnections=2",
	};
	struct fuzz_pdus *p = &b->ends[i].pdus;

	for (size_t j = 0; j < sizeof(pairs) / sizeof(pairs[0]); j++) {
		memcpy(text + out.len, pairs[j], strlen(pairs[j]) + 1);
		out.len += strlen(pairs[j]) + 1;
	}
	p->header_digest = flags & HEADER_DIGEST;
	p->data_digest = flags & DATA_DIGEST;
	fuzz_pdu_say(p, &login, text, (uint32_t)out.len);
}

/* The first command learns of a unit attention and nothing else: not to be every input's. */
static void clear_attention(struct bed *b)
{
	struct bhs test = { .op = OP_SCSI_COMMAND, .final = true, .itt = 2 };

	test.cmd_sn = b->cmd_sn;
	fuzz_pdu_say(&b->ends[0].pdus, &test, NULL, 0);
}

/* Where the PDU goes: by the second connection, if it asks for that and there can be one. */
static struct end *choose(struct bed *b, const struct fuzz_record *r, uint8_t flags)
{
	struct end *second = &b->ends[1];

	if (!(r->how & PDU_ELSEWHERE) || !(flags & LOGGED_IN))
		return &b->ends[0];
	if ((!second->open || second->pdus.peer.closed) && b->joins < JOINS) {
		b->joins++;
		connect_end(b, 1, flags & DRIP);
		log_in(b, 1, flags);
	}
	return second->open ? second : &b->ends[0];
}

static bool is_over(const struct bed *b)
{
	for (unsigned i = 0; i < ENDS; i++)
		if (b->ends[i].open && !b->ends[i].pdus.peer.closed)
			return false;
	return true;
}

/* Make the input's PDU one that the target may listen to. */
static void help(struct end *end, struct fuzz_record *r)
{
	struct bed *bed = end->bed;
	struct bhs b;

	if (r->how & PDU_RAW || (r->how & PDU_OWN_NUMBERS && r->how & PDU_OWN_TAGS)
	    || bhs_decode(r->wire, &b) < 0)
		return;
	if (!(r->how & PDU_OWN_NUMBERS)) {
		b.cmd_sn = b.immediate ? bed->cmd_sn : bed->cmd_sn++;
		b.exp_stat_sn = end->stat_sn + 1;
	}
	if (!(r->how & PDU_OWN_TAGS) && b.op == OP_DATA_OUT) {
		b.itt = bed->r2t.itt;
		b.ttt = bed->r2t.ttt;
		b.lun = bed->r2t.lun;
		b.offset += bed->r2t.offset;
	} else if (!(r->how & PDU_OWN_TAGS) && b.op == OP_TEXT_REQUEST) {
		b.ttt = bed->r2t.op == OP_TEXT_RESPONSE ? bed->r2t.ttt : ISCSI_NO_TAG;
	}
	bhs_encode(&b, r->wire);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct bed bed;
	struct fuzz_input in = { data, size };
	uint8_t flags = fuzz_u8(&in);
	struct fuzz_record record;

	bed_init(&bed, fuzz_loop(), flags);
	connect_end(&bed, 0, false);
	if (flags & LOGGED_IN) {
		log_in(&bed, 0, flags);
		assert(!list_empty(&bed.service.sessions));
	}
	if (flags & LOGGED_IN && !(flags & DISCOVERY))
		clear_attention(&bed);
	bed.ends[0].pdus.peer.piece = flags & DRIP ? 13 : 0;
	while (!is_over(&bed) && fuzz_record_read(&in, &record)) {
		struct end *end = choose(&bed, &record, flags);

		help(end, &record);
		fuzz_record_say(&end->pdus, &record);
	}
	if (flags & SHUTDOWN)
		target_shutdown(&bed.service);
	for (unsigned i = 0; i < ENDS; i++)
		if (bed.ends[i].open)
			fuzz_pdus_end(&bed.ends[i].pdus);
	bed_exit(&bed);
	return 0;
}
