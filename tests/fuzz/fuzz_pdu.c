/* See fuzz_pdu.h. */
#include "fuzz_pdu.h"

#include <assert.h>
#include <string.h>

#include "crc32c.h"
#include "field.h"

static bool is_login(const uint8_t *wire)
{
	uint8_t op = wire[0] & 0x3f;

	return op == OP_LOGIN_REQUEST || op == OP_LOGIN_RESPONSE;
}

/* A header has been heard: how much follows it? */
static void heard_header(struct fuzz_pdus *p)
{
	bool digests = !is_login(p->header);
	struct bhs b;

	assert(bhs_decode(p->header, &b) == 0);	/* the end under test knows what it sends */
	p->have = 0;
	p->skip = b.ahs_words * 4u + (digests && p->header_digest ? DIGEST_LEN : 0);
	if (b.data_len)
		p->skip += b.data_len + bhs_pad(b.data_len)
			   + (digests && p->data_digest ? DIGEST_LEN : 0);
	p->got(p, &b);
}

static void hear(struct fuzz_peer *peer, const uint8_t *bytes, size_t len)
{
	struct fuzz_pdus *p = container_of(peer, struct fuzz_pdus, peer);

	while (len) {
		size_t wanted = p->skip ? p->skip : BHS_LEN - p->have;
		size_t n = len < wanted ? len : wanted;

		if (p->skip) {
			p->skip -= n;
		} else {
			memcpy(p->header + p->have, bytes, n);
			p->have += n;
			if (p->have == BHS_LEN)
				heard_header(p);
		}
		bytes += n;
		len -= n;
	}
}

void fuzz_pdus_init(struct fuzz_pdus *p, struct loop *loop)
{
	memset(p, 0, sizeof(*p));
	fuzz_peer_init(&p->peer, loop);
	p->peer.heard = hear;
}

bool fuzz_record_read(struct fuzz_input *in, struct fuzz_record *r)
{
	const uint8_t *header;
	size_t len;

	if (!in->left)
		return false;
	fuzz_units++;
	memset(r, 0, sizeof(*r));
	r->how = fuzz_u8(in);
	if (!(r->how & PDU_RAW)) {
		header = fuzz_bytes(in, BHS_LEN, &len);
		memcpy(r->wire, header, len);
	}
	len = fuzz_u16(in);
	r->data = fuzz_bytes(in, len, &r->len);
	return true;
}

static size_t put_digest(uint8_t *at, uint32_t crc)
{
	for (int i = 0; i < DIGEST_LEN; i++)
		at[i] = (uint8_t)(crc >> 8 * i);
	return DIGEST_LEN;
}

/* The PDU as it goes over the wire. All that is not the header is data here, so an AHS may be
 * in its beginning. */
static size_t assemble(const struct fuzz_pdus *p, const struct fuzz_record *r, uint8_t *to)
{
	bool digests = !is_login(r->wire);
	uint32_t spoil = r->how & PDU_BAD_DIGEST ? 1 : 0;
	size_t at = BHS_LEN, ahs = r->wire[4] * 4u;

	memcpy(to, r->wire, BHS_LEN);
	ahs = ahs < r->len ? ahs : r->len;
	if (ahs)
		memcpy(to + at, r->data, ahs);
	at += ahs;
	if (digests && p->header_digest)
		at += put_digest(to + at, crc32c(0, to, BHS_LEN + ahs));
	if (r->len > ahs) {
		size_t len = r->len - ahs, pad = bhs_pad((uint32_t)len);

		memcpy(to + at, r->data + ahs, len);
		memset(to + at + len, 0, pad);
		if (digests && p->data_digest)
			put_digest(to + at + len + pad, crc32c(0, to + at, len + pad) ^ spoil);
		at += len + pad + (digests && p->data_digest ? DIGEST_LEN : 0);
	}
	return at;
}

static void flush(struct fuzz_pdus *p)
{
	size_t len = p->batch_len;

	p->batch_len = 0;
	fuzz_peer_say(&p->peer, p->batch, len);
	/* What the other end does not take is lost: it does not listen just now. */
	p->peer.left = 0;
}

static void set_length(struct fuzz_record *r)
{
	size_t ahs = r->wire[4] * 4u, len = r->len > ahs ? r->len - ahs : 0;

	r->wire[5] = (uint8_t)(len >> 16);
	put_be16(r->wire + 6, (uint16_t)len);
}

void fuzz_record_say(struct fuzz_pdus *p, struct fuzz_record *r)
{
	size_t room = BHS_LEN + r->len + 3 + 2 * DIGEST_LEN;

	if (room > sizeof(p->batch))
		return;
	if (room > sizeof(p->batch) - p->batch_len)
		flush(p);
	if (!(r->how & (PDU_RAW | PDU_OWN_LENGTH)))
		set_length(r);
	if (!(r->how & PDU_RAW)) {
		p->batch_len += assemble(p, r, p->batch + p->batch_len);
	} else if (r->len) {
		memcpy(p->batch + p->batch_len, r->data, r->len);
		p->batch_len += r->len;
	}
	if (!(r->how & PDU_TOGETHER))
		flush(p);
}

void fuzz_pdus_end(struct fuzz_pdus *p)
{
	flush(p);
	fuzz_peer_end(&p->peer);
}

void fuzz_pdu_say(struct fuzz_pdus *p, struct bhs *b, const void *data, uint32_t len)
{
	struct fuzz_record r = { .data = data, .len = len };

	b->data_len = len;
	bhs_encode(b, r.wire);
	fuzz_record_say(p, &r);
}
