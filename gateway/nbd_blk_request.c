/*
 * Block requests to libnbd commands, and their answers back.
 *
 * libnbd calls back under its handle's lock, sometimes within the call that submits a
 * command: so a callback only takes note, and the end of a request is left to
 * blk_complete_later(). A command's last word is the .free of its completion callback,
 * which alone comes in every case: answered, connection dead, handle closed.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "nbd_blk_private.h"
#include "pool.h"

/* libnbd finds the command of a reply by walking a list: beyond this, more in flight costs
 * more than it gains. */
#define MAX_IN_FLIGHT	128

/* A request that libnbd has; from the loop's pool. */
struct nbd_command {
	struct nbd_blk *nb;
	struct blk_req *req;
	bool	 answered;
	int	 error;			/* if answered: 0 or errno */
	bool	 overtaken;		/* a later request on the same bytes has been answered */
	uint64_t received;		/* READ: bytes */
	uint64_t good_until;		/* READ: all before this device offset has come */
	bool	 bad_known;		/* READ: does the server say where it failed? Then: */
	uint64_t bad_at;
};

static bool modifies(const struct blk_req *req)
{
	return req->op == BLK_WRITE || req->op == BLK_TRIM || req->op == BLK_ZERO;
}

static bool overlap(const struct blk_req *a, const struct blk_req *b)
{
	return a->offset < b->offset + b->length && b->offset < a->offset + a->length;
}

/*
 * Were one of the older requests sent again after a reconnection, it would undo this
 * newer one, whose answer its submitter has seen. Answers mostly come in order, so
 * that there is hardly anything to look at before the request itself.
 */
static void overtake(struct nbd_blk *nb, const struct blk_req *newer)
{
	list_for_each(node, &nb->in_flight) {
		const struct blk_req *older = container_of(node, struct blk_req, node);

		if (older == newer)
			return;
		if (modifies(older) && overlap(older, newer))
			((struct nbd_command *)older->priv)->overtaken = true;
	}
}

/* Of the errors of a read, the first counts; what is before it must have come whole. */
static void locate_error(const struct nbd_command *cmd)
{
	struct blk_req *req = cmd->req;

	if (req->op != BLK_READ || !cmd->bad_known)
		return;
	req->has_error_offset = true;
	req->error_offset = cmd->bad_at < cmd->good_until ? cmd->bad_at : cmd->good_until;
}

static void set_outcome(const struct nbd_command *cmd)
{
	struct blk_req *req = cmd->req;

	if (cmd->error == ENOTSUP && !(req->flags & BLK_FAST)) {
		blk_fail(req, EIO, "the server does not support what it offered");
	} else if (cmd->error) {
		blk_fail(req, cmd->error, NULL);
		locate_error(cmd);
	} else if (req->op == BLK_READ && cmd->received != req->length) {
		blk_fail(req, EIO, "the server left out parts of the data");
	} else if (req->op == BLK_STATUS && req->extent_count == 0) {
		blk_fail(req, EIO, "the server described no extent");
	}
}

/* The connection ended before the answer: put the request back in front of those that wait. */
static void put_back(struct nbd_command *cmd)
{
	struct blk_req *req = cmd->req;

	req->priv = NULL;
	req->extent_count = 0;
	list_add_head(&cmd->nb->waiting, &req->node);
}

/* No request must go to this link any more; what is to be done about it cannot be done here. */
static void distrust_link(struct nbd_blk *nb, bool shutdown)
{
	if (shutdown) {
		nb->state = NBD_BLK_LEAVING;
	} else {
		nb->state = NBD_BLK_SHAKEN;
		nbd_link_suspect(nb->link);
	}
}

/* libnbd is through with a command. */
static void finish(struct nbd_command *cmd)
{
	struct nbd_blk *nb = cmd->nb;
	struct blk_req *req = cmd->req;
	bool lost = !cmd->answered || cmd->error == ENOTCONN || cmd->error == ESHUTDOWN;

	if (!lost && !cmd->error && modifies(req))
		overtake(nb, req);
	list_del(&req->node);
	nb->in_flight_count--;
	if (lost && !cmd->overtaken) {
		put_back(cmd);
	} else {
		if (lost)
			blk_fail(req, ENOTCONN, "connection lost, and the outcome with it");
		else
			set_outcome(cmd);
		blk_complete_later(&nb->dev, req);
	}
	if (lost && nb->state == NBD_BLK_UP)
		distrust_link(nb, cmd->answered && cmd->error == ESHUTDOWN);
	if (!list_empty(&nb->waiting) || nb->state == NBD_BLK_LEAVING)
		loop_defer(nb->dev.loop, &nb->settle);
	pool_put(nb->dev.loop->pool, cmd, sizeof(*cmd));
}

static int on_completion(void *opaque, int *error)
{
	struct nbd_command *cmd = opaque;

	cmd->answered = true;
	cmd->error = *error;
	return 1;		/* libnbd may forget the command */
}

static void on_free(void *opaque)
{
	struct nbd_command *cmd = opaque;
	struct nbd_blk *nb = cmd->nb;

	/* A command that was refused at once is issue()'s, which has the reason. */
	if (cmd == nb->issuing && !cmd->answered)
		return;
	if (cmd == nb->issuing)
		nb->issuing = NULL;
	finish(cmd);
}

static int on_chunk(void *opaque, const void *data, size_t count, uint64_t offset,
		    unsigned status, int *error)
{
	struct nbd_command *cmd = opaque;
	const struct blk_req *req = cmd->req;

	(void)data;
	(void)error;
	if (status != LIBNBD_READ_ERROR) {
		cmd->received += count;
		if (offset == cmd->good_until)
			cmd->good_until += count;
	} else if (offset - req->offset < req->length && (!cmd->bad_known || offset < cmd->bad_at)) {
		cmd->bad_known = true;
		cmd->bad_at = offset;
	}
	return 0;
}

static int on_extents(void *opaque, const char *context, uint64_t offset, uint32_t *entries,
		      size_t count, int *error)
{
	const struct nbd_command *cmd = opaque;
	struct blk_req *req = cmd->req;
	const struct blk_info *info = &cmd->nb->dev.info;

	if (strcmp(context, LIBNBD_CONTEXT_BASE_ALLOCATION) != 0)
		return 0;
	for (size_t i = 0; i + 1 < count && offset < info->size; i += 2) {
		uint64_t len = entries[i];
		uint32_t flags = (entries[i + 1] & LIBNBD_STATE_HOLE ? BLK_HOLE : 0) |
				 (entries[i + 1] & LIBNBD_STATE_ZERO ? BLK_ZEROES : 0);

		if (len == 0 || len % info->min_block) {
			*error = EIO;
			return -1;
		}
		if (len > info->size - offset)
			len = info->size - offset;
		if (!blk_add_extent(req, len, flags,
				    flags & BLK_HOLE ? BLK_DEALLOCATED : BLK_MAPPED))
			break;
		offset += len;
	}
	return 0;
}

static uint32_t command_flags(const struct blk_req *req)
{
	return (req->flags & BLK_FUA ? LIBNBD_CMD_FLAG_FUA : 0) |
	       (req->flags & BLK_NO_HOLE ? LIBNBD_CMD_FLAG_NO_HOLE : 0) |
	       (req->flags & BLK_FAST ? LIBNBD_CMD_FLAG_FAST_ZERO : 0) |
	       (req->flags & BLK_REQ_ONE ? LIBNBD_CMD_FLAG_REQ_ONE : 0);
}

/* libnbd's cookie, or -1. */
static int64_t call_libnbd(struct nbd_command *cmd)
{
	const struct blk_req *req = cmd->req;
	struct nbd_handle *h = nbd_link_handle(cmd->nb->link);
	nbd_chunk_callback chunk = { .callback = on_chunk, .user_data = cmd };
	nbd_extent_callback extents = { .callback = on_extents, .user_data = cmd };
	nbd_completion_callback done = {
		.callback = on_completion, .user_data = cmd, .free = on_free
	};
	uint32_t flags = command_flags(req);

	switch (req->op) {
	case BLK_READ:
		return nbd_aio_pread_structured(h, req->data, req->length, req->offset, chunk,
						done, 0);
	case BLK_WRITE:
		return nbd_aio_pwrite(h, req->data, req->length, req->offset, done, flags);
	case BLK_FLUSH:
		return nbd_aio_flush(h, done, 0);
	case BLK_TRIM:
		return nbd_aio_trim(h, req->length, req->offset, done, flags);
	case BLK_ZERO:
		return nbd_aio_zero(h, req->length, req->offset, done, flags);
	case BLK_CACHE:
		return nbd_aio_cache(h, req->length, req->offset, done, 0);
	case BLK_STATUS:
		return nbd_aio_block_status(h, req->length, req->offset, extents, done, flags);
	}
	return -1;
}

/* Hand a request to libnbd. It may be answered, and the command gone, before this returns. */
static void issue(struct nbd_blk *nb, struct blk_req *req)
{
	struct nbd_command *cmd = pool_zalloc(nb->dev.loop->pool, sizeof(*cmd));
	int64_t cookie;

	assert(nb->state == NBD_BLK_UP && !nb->issuing);
	if (!cmd) {
		blk_fail(req, ENOMEM, NULL);
		blk_complete_later(&nb->dev, req);
		return;
	}
	cmd->nb = nb;
	cmd->req = req;
	cmd->good_until = req->offset;
	req->priv = cmd;
	list_add_tail(&nb->in_flight, &req->node);
	nb->in_flight_count++;
	nb->issuing = cmd;
	cookie = call_libnbd(cmd);
	/* Sending may find the connection dead: then the call fails as well, for a command
	 * that has ended and is gone. */
	if (cookie < 0 && nb->issuing) {
		/* Refused: what it is asked to do, or that it is not connected any more. */
		cmd->error = nbd_get_errno();
		cmd->answered = nbd_aio_is_ready(nbd_link_handle(nb->link)) > 0 ||
				nbd_aio_is_processing(nbd_link_handle(nb->link)) > 0;
		if (cmd->answered && !cmd->error)
			cmd->error = EIO;
		finish(cmd);
	}
	nb->issuing = NULL;
	nbd_link_kick(nb->link);
}

void nbd_blk_pump(struct nbd_blk *nb)
{
	while (nb->state == NBD_BLK_UP && nb->in_flight_count < MAX_IN_FLIGHT &&
	       !list_empty(&nb->waiting))
		issue(nb, container_of(list_pop(&nb->waiting), struct blk_req, node));
}

static void on_settle(struct loop_call *call)
{
	struct nbd_blk *nb = container_of(call, struct nbd_blk, settle);

	if (nb->state == NBD_BLK_LEAVING)
		nbd_blk_lose(nb, "the server is shutting down");
	else
		nbd_blk_pump(nb);
}

static void fail_disconnected(struct nbd_blk *nb, struct blk_req *req)
{
	blk_fail(req, ENOTCONN, "not connected: %s", nb->why);
	blk_complete_later(&nb->dev, req);
}

void nbd_blk_fail_waiting(struct nbd_blk *nb)
{
	struct list *node;

	while ((node = list_pop(&nb->waiting)))
		fail_disconnected(nb, container_of(node, struct blk_req, node));
}

void nbd_blk_submit(struct blkdev *dev, struct blk_req *req)
{
	struct nbd_blk *nb = container_of(dev, struct nbd_blk, dev);

	req->priv = NULL;
	if (nb->state == NBD_BLK_GIVEN_UP) {
		fail_disconnected(nb, req);
		return;
	}
	list_add_tail(&nb->waiting, &req->node);
	nbd_blk_pump(nb);
}

/* What libnbd has cannot be called back; what waits can. */
void nbd_blk_abort(struct blkdev *dev, struct blk_req *req)
{
	if (req->priv)
		return;
	list_del(&req->node);
	blk_fail(req, ECANCELED, NULL);
	blk_complete_later(dev, req);
}

void nbd_blk_requests_init(struct nbd_blk *nb)
{
	list_init(&nb->in_flight);
	list_init(&nb->waiting);
	loop_call_init(&nb->settle, on_settle);
}
