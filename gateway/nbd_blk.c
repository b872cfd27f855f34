/*
 * An NBD export as a block device: opening, closing, and what the export is.
 *
 * Called by whoever serves the device, through blk.c. Owns the link and the copy of
 * the URI; requests are blk.c's.
 */
#include "nbd_blk.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "nbd_blk_private.h"

/* What proto.md ("Size constraints") says of servers that do not tell, and what qemu enforces. */
#define PREFERRED_BLOCK	4096
#define MAX_PAYLOAD	(32u << 20)

/* The most that fits the 32 bits of a request's length and is a multiple of any minimum block. */
#define MAX_LENGTH	(UINT64_C(0x100000000) - 65536)

static void learn_blocks(struct nbd_handle *h, struct blk_info *info)
{
	int64_t min = nbd_get_block_size(h, LIBNBD_SIZE_MINIMUM);
	int64_t preferred = nbd_get_block_size(h, LIBNBD_SIZE_PREFERRED);
	int64_t max = nbd_get_block_size(h, LIBNBD_SIZE_MAXIMUM);

	/* libnbd has checked that they are powers of 2, in order and within bounds. */
	info->min_block = min > 0 ? (uint32_t)min : 1;
	info->preferred_block = preferred > 0 ? (uint32_t)preferred : PREFERRED_BLOCK;
	info->max_data = max > 0 && max < MAX_PAYLOAD ? (uint32_t)max : MAX_PAYLOAD;
	info->max_data &= ~(info->min_block - 1);
	info->max_trim = info->max_zero = info->max_extent = MAX_LENGTH;
	assert(info->min_block <= info->preferred_block && info->max_data >= info->min_block);
}

static void learn_abilities(struct nbd_handle *h, bool read_only, struct blk_info *info)
{
	info->read_only = read_only || nbd_is_read_only(h) > 0;
	info->rotational = nbd_is_rotational(h) > 0;
	info->can_flush = nbd_can_flush(h) > 0;
	info->can_fua = nbd_can_fua(h) > 0;
	info->can_trim = nbd_can_trim(h) > 0;
	info->can_zero = nbd_can_zero(h) > 0;
	info->can_fast_zero = nbd_can_fast_zero(h) > 0;
	info->can_cache = nbd_can_cache(h) > 0;
	info->can_extents = nbd_can_meta_context(h, LIBNBD_CONTEXT_BASE_ALLOCATION) > 0;
	info->one_instance = nbd_can_multi_conn(h) <= 0;
}

static void learn_description(struct nbd_handle *h, struct blk_info *info)
{
	char *text = nbd_get_export_description(h);

	snprintf(info->description, sizeof(info->description), "%s", text ? text : "");
	free(text);
}

bool nbd_blk_learn(struct nbd_handle *h, bool read_only, struct blk_info *info, char *why,
		   size_t size)
{
	int64_t bytes = nbd_get_size(h);

	/* A size of 2^63 and beyond comes out negative. */
	if (bytes < 0) {
		snprintf(why, size, "the export is larger than can be served");
		return false;
	}
	memset(info, 0, sizeof(*info));
	learn_blocks(h, info);
	/* What is behind the last whole block cannot be reached. */
	info->size = (uint64_t)bytes & ~(uint64_t)(info->min_block - 1);
	learn_abilities(h, read_only, info);
	learn_description(h, info);
	return true;
}

static void release(struct nbd_blk *nb)
{
	assert(list_empty(&nb->in_flight) && list_empty(&nb->waiting));
	nbd_blk_recover_stop(nb);
	loop_call_cancel(&nb->settle);
	if (nb->link)
		nbd_link_close(nb->link);
	free(nb->uri);
	free(nb->tls_certificates);
	free(nb->tls_psk);
	free(nb->name);
	free(nb);
}

static void left_log(struct log_member *member)
{
	struct nbd_blk *nb = container_of(member, struct nbd_blk, member);
	void (*closed)(void *) = nb->closed;
	void *opaque = nb->opaque;

	release(nb);
	closed(opaque);
}

/* What the log has under way ends with the link. */
static void close_device(struct blkdev *dev, void (*closed)(void *), void *opaque)
{
	struct nbd_blk *nb = container_of(dev, struct nbd_blk, dev);

	nb->closed = closed;
	nb->opaque = opaque;
	nb->state = NBD_BLK_CLOSED;
	nbd_blk_recover_stop(nb);
	if (nb->link) {
		nbd_link_close(nb->link);
		nb->link = NULL;
	}
	write_log_leave(&nb->member, left_log);
}

static enum blk_presence presence(const struct blkdev *dev)
{
	const struct nbd_blk *nb = container_of(dev, struct nbd_blk, dev);

	return (enum blk_presence)atomic_load_explicit(&nb->presence, memory_order_relaxed);
}

static const struct blk_ops nbd_blk_ops = {
	.name = "nbd",
	.submit = nbd_blk_submit,
	.abort = nbd_blk_abort,
	.presence = presence,
	.close = close_device,
};

static void fail_opening(struct nbd_blk *nb, const char *why)
{
	char text[NBD_BLK_WHY_LEN];

	snprintf(text, sizeof(text), "%s", why);	/* why may be the link's */
	nb->opened(nb->opaque, NULL, text);
	release(nb);
}

static void first_opened(void *opaque, const char *why)
{
	struct nbd_blk *nb = opaque;

	if (why) {
		fail_opening(nb, why);
		return;
	}
	if (!nbd_blk_learn(nbd_link_handle(nb->link), nb->read_only, &nb->dev.info, nb->why,
			   sizeof(nb->why))) {
		fail_opening(nb, nb->why);
		return;
	}
	nb->name = nbd_get_canonical_export_name(nbd_link_handle(nb->link));
	nb->state = NBD_BLK_UP;
	nbd_blk_log_join(nb);
	nb->opened(nb->opaque, &nb->dev, NULL);
}

void nbd_blk_open_link(struct nbd_blk *nb, const struct nbd_link_events *events)
{
	struct nbd_link_conf conf = {
		.uri = nb->uri, .timeout = nb->connect_timeout,
		.tls_certificates = nb->tls_certificates, .tls_psk = nb->tls_psk,
	};

	assert(!nb->link);
	nb->link = nbd_link_open(nb->dev.loop, nb->offload, &conf, events, nb);
}

/* NULL stays NULL. False without memory. */
static bool copy(char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;
	return *to || !from;
}

static struct nbd_blk *new_device(struct loop *loop, struct offload *offload,
				  const struct nbd_blk_conf *conf, struct blk_shared *shared)
{
	struct nbd_blk *nb = calloc(1, sizeof(*nb));

	if (!nb)
		return NULL;
	blk_init(&nb->dev, &nbd_blk_ops, loop, shared);
	nb->offload = offload;
	nb->read_only = conf->read_only;
	nb->connect_timeout = conf->connect_timeout;
	nb->outage_timeout = conf->outage_timeout;
	nb->state = NBD_BLK_DOWN;
	atomic_init(&nb->presence, BLK_PRESENT);
	nbd_blk_requests_init(nb);
	nbd_blk_recover_init(nb);
	if (copy(&nb->uri, conf->uri) && copy(&nb->tls_certificates, conf->tls_certificates) &&
	    copy(&nb->tls_psk, conf->tls_psk))
		return nb;
	release(nb);
	return NULL;
}

void nbd_blk_tune(struct blkdev *dev, double outage_timeout)
{
	assert(dev->ops == &nbd_blk_ops);
	container_of(dev, struct nbd_blk, dev)->outage_timeout = outage_timeout;
}

void nbd_blk_open(struct loop *loop, struct offload *offload, const struct nbd_blk_conf *conf,
		  struct blk_shared *shared, blk_opened *opened, void *opaque)
{
	static const struct nbd_link_events events = {
		.opened = first_opened, .lost = nbd_blk_lose
	};
	struct nbd_blk *nb = new_device(loop, offload, conf, shared);

	assert(loop_is_mine(loop) && shared->log);
	if (nb) {
		nb->opened = opened;
		nb->opaque = opaque;
		nbd_blk_open_link(nb, &events);
		if (nb->link)
			return;
	}
	if (nb)
		release(nb);
	/* The one case that is told within the call: there is no memory to put it off with. */
	opened(opaque, NULL, "out of memory");
}
