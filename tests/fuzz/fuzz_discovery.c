/*
 * A hostile portal: the input is what it says, PDU by PDU, to a discovery. The first byte
 * says how honest it is at the beginning, and who we are to it.
 */
#include <assert.h>
#include <string.h>

#include "chap.h"
#include "discovery.h"
#include "fuzz_pdu.h"
#include "fuzz_world.h"
#include "pool.h"

/* Bits of the first byte. */
enum { HONEST_LOGIN = 1, DRIP = 2, ACCOUNT = 4, MUTUAL = 8 };

#define CONNECTIONS	4

static struct side {
	struct fuzz_pdus portal;
	struct loop *loop;
	uint8_t flags;
	unsigned connections;
	struct bhs request;		/* the latest */
	bool	 asked;			/* ... and it has not been answered */
	bool	 over;
	uint32_t stat_sn;
} side;

static const struct chap_secret secrets[] = { { 12, "secret alice" }, { 12, "secret store" } };
static const struct chap_user users[] = {
	{ .name = "alice", .secret = &secrets[0] },
	{ "alice", &secrets[0], &secrets[1], "storage" },
};

static void done(void *opaque, const struct discovered_target *targets, unsigned count,
		 const char *why)
{
	(void)opaque;
	assert(!side.over && (why ? !count : !count || targets));
	side.over = true;
	for (unsigned i = 0; i < count; i++) {
		assert(memchr(targets[i].name, '\0', sizeof(targets[i].name)));
		assert(targets[i].portal_count > 0);
		for (unsigned j = 0; j < targets[i].portal_count; j++)
			assert(targets[i].portals[j].portal.host[0]);
	}
}

static void got(struct fuzz_pdus *p, const struct bhs *b)
{
	(void)p;
	side.request = *b;
	side.asked = true;
}

static struct stream *connected(void)
{
	if (side.connections == CONNECTIONS)
		return NULL;
	side.connections++;
	fuzz_pdus_init(&side.portal, side.loop);
	side.portal.got = got;
	side.portal.peer.piece = side.flags & DRIP ? 11 : 0;
	return &side.portal.peer.stream;
}

static void number(struct bhs *b)
{
	b->exp_cmd_sn = side.request.cmd_sn + !side.request.immediate;
	b->max_cmd_sn = b->exp_cmd_sn + 16;
	b->stat_sn = side.stat_sn++;
}

static bool answer_login(void)
{
	static const char security[] = "TargetPortalGroupTag=1\0AuthMethod=None";
	const struct bhs *request = &side.request;
	struct bhs b = { .op = OP_LOGIN_RESPONSE, .final = request->final, .csg = request->csg,
			 .nsg = request->nsg, .isid = request->isid, .tsih = 1,
			 .itt = request->itt };

	if (!side.asked || request->op != OP_LOGIN_REQUEST || !(side.flags & HONEST_LOGIN))
		return false;
	side.asked = false;
	side.stat_sn = request->exp_stat_sn;
	number(&b);
	fuzz_pdu_say(&side.portal, &b, security, request->csg ? 0 : sizeof(security));
	return true;
}

/* Make the input's PDU one that may be listened to. */
static void help(struct fuzz_record *r)
{
	struct bhs b;

	if (r->how & PDU_RAW || bhs_decode(r->wire, &b) < 0)
		return;
	if (!(r->how & PDU_OWN_TAGS))
		b.itt = side.request.itt;
	if (!(r->how & PDU_OWN_NUMBERS))
		number(&b);
	bhs_encode(&b, r->wire);
}

static void converse(struct fuzz_input *in)
{
	struct fuzz_record record;

	while (!side.over && !side.portal.peer.closed) {
		if (answer_login())
			continue;
		if (!fuzz_record_read(in, &record))
			return;
		if (record.how & PDU_LATER)
			fuzz_skip_time(6);
		help(&record);
		fuzz_record_say(&side.portal, &record);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct iscsi_portal portal = { "h", "3260" };
	struct fuzz_input in = { data, size };
	struct initiator_conf conf;

	memset(&side, 0, sizeof(side));
	side.flags = fuzz_u8(&in);
	side.loop = fuzz_loop();
	side.portal.peer.loop = side.loop;
	side.portal.peer.closed = true;
	fuzz_connected = connected;
	initiator_conf_init(&conf);
	if (side.flags & ACCOUNT)
		conf.chap = &users[side.flags & MUTUAL ? 1 : 0];
	iscsi_discover(side.loop, NULL, &portal, &conf, done, NULL);
	fuzz_peer_run(&side.portal.peer);
	converse(&in);
	side.connections = CONNECTIONS;
	if (!side.portal.peer.closed)
		fuzz_pdus_end(&side.portal);
	for (int i = 0; i < 5 && !side.over; i++) {
		fuzz_skip_time(40);
		fuzz_peer_run(&side.portal.peer);
	}
	assert(side.over && pool_in_use(side.loop->pool) == 0);
	return 0;
}
