/*
 * Block requests to NBD commands, and what is made of their answers: the commands go through
 * the link's pipe (nbd_blk_pipe.c), or through libnbd where the link has none
 * (nbd_blk_libnbd.c). Either may tell of the end of a command within the call that submits
 * it, so the end of its request is left to blk_complete_later().
 */
#include <assert.h>
#include <errno.h>

#include "nbd_blk_private.h"
#include "pool.h"

/* libnbd finds the command of a reply by walking a list: beyond this, more in flight costs
 * more than it gains. */
#define MAX_IN_FLIGHT	127

_Static_assert(MAX_IN_FLIGHT + 1 <= NBD_PIPE_CALLS,
	       "a place in the pipe for each, and for a flush of the write log's");

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
		if (blk_modifies(older->op) && overlap(older, newer))
			((struct nbd_blk_command *)older->priv)->overtaken = true;
	}
}

/* Of the errors of a read, the first counts; what is before it must have come whole. */
static void locate_error(const struct nbd_blk_command *cmd)
{
	struct blk_req *req = cmd->req;

	if (req->op != BLK_READ || !cmd->bad_known)
		return;
	req->has_error_offset = true;
	req->error_offset = cmd->bad_at < cmd->good_until ? cmd->bad_at : cmd->good_until;
}

static void set_outcome(const struct nbd_blk_command *cmd)
{
	struct blk_req *req = cmd->req;

	if (cmd->error == ENOTSUP && !(req->flags & BLK_FAST)) {
		blk_fail(req, EIO, "the server does not support what it offered");
	} else if (cmd->error) {
		blk_fail(req, cmd->error, NULL);
		locate_error(cmd);
	} else if (req->op == BLK_READ && cmd->good_until != req->offset + req->length) {
		blk_fail(req, EIO, "the server left out parts of the data");
	} else if (req->op == BLK_STATUS && req->extent_count == 0) {
		blk_fail(req, EIO, "the server described no extent");
	}
}

/* The connection ended before the answer: put the request back in front of those that wait. */
static void put_back(struct nbd_blk_command *cmd)
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

/* The log's own requests are not blk.c's. */
static void end(struct nbd_blk *nb, struct blk_req *req)
{
	if (req->flags & BLK_OWN)
		req->done(req);
	else
		blk_complete_later(&nb->dev, req);
}

/* A command is over. */
void nbd_blk_finish(struct nbd_blk_command *cmd)
{
	struct nbd_blk *nb = cmd->nb;
	struct blk_req *req = cmd->req;
	bool lost = !cmd->answered || cmd->error == ENOTCONN || cmd->error == ESHUTDOWN;
	bool own = req->flags & BLK_OWN;

	if (!lost && !cmd->error && blk_modifies(req->op))
		overtake(nb, req);
	list_del(&req->node);
	nb->in_flight_count--;
	if (lost && !cmd->overtaken && !own) {
		put_back(cmd);
	} else {
		if (lost)
			blk_fail(req, ENOTCONN, "connection lost, and the outcome with it");
		else
			set_outcome(cmd);
		if (!req->error)
			nbd_blk_log_account(nb, req, cmd->mark);
		end(nb, req);
	}
	if (lost && nb->state == NBD_BLK_UP)
		distrust_link(nb, cmd->answered && cmd->error == ESHUTDOWN);
	if (!list_empty(&nb->waiting) || nb->state == NBD_BLK_LEAVING)
		loop_defer(nb->dev.loop, &nb->settle);
	pool_put(nb->dev.loop->pool, cmd, sizeof(*cmd));
	nbd_blk_log_look(nb);
}

/* Does what came ahead begin where we are now? */
static bool catch_up(struct nbd_blk_command *cmd)
{
	for (unsigned i = 0; i < cmd->ahead_count; i++) {
		if (cmd->ahead[i].from != cmd->good_until)
			continue;
		cmd->good_until = cmd->ahead[i].until;
		cmd->ahead[i] = cmd->ahead[--cmd->ahead_count];
		return true;
	}
	return false;
}

/*
 * To count bytes would not do: a server that sends one part twice and another one not at all
 * would have us pass on what the buffer held before, which is another client's data. "Each byte
 * by exactly one chunk", as the protocol has it, in whatever order.
 */
void nbd_blk_note_data(struct nbd_blk_command *cmd, uint64_t offset, uint64_t length)
{
	if (offset != cmd->good_until) {
		if (cmd->ahead_count < NBD_BLK_AHEAD) {
			cmd->ahead[cmd->ahead_count].from = offset;
			cmd->ahead[cmd->ahead_count++].until = offset + length;
		}
		return;
	}
	cmd->good_until += length;
	while (catch_up(cmd))
		;
}

void nbd_blk_note_failure(struct nbd_blk_command *cmd, uint64_t offset)
{
	const struct blk_req *req = cmd->req;

	if (offset - req->offset < req->length && (!cmd->bad_known || offset < cmd->bad_at)) {
		cmd->bad_known = true;
		cmd->bad_at = offset;
	}
}

/* The next descriptor of a block status. False: it is none that a server may send. */
bool nbd_blk_note_extent(struct nbd_blk_command *cmd, uint64_t length, uint32_t state)
{
	const struct blk_info *info = &cmd->nb->dev.info;
	uint32_t flags = (state & LIBNBD_STATE_HOLE ? BLK_HOLE : 0) |
			 (state & LIBNBD_STATE_ZERO ? BLK_ZEROES : 0);

	if (cmd->good_until == info->size)
		return true;	/* there is no use for it */
	if (length == 0 || length % info->min_block)
		return false;
	if (length > info->size - cmd->good_until)
		length = info->size - cmd->good_until;
	if (blk_add_extent(cmd->req, length, flags, flags & BLK_HOLE ? BLK_DEALLOCATED : BLK_MAPPED))
		cmd->good_until += length;
	else
		cmd->good_until = info->size;	/* nor is there room for what follows */
	return true;
}

uint32_t nbd_blk_command_flags(const struct blk_req *req)
{
	return (req->flags & BLK_FUA ? LIBNBD_CMD_FLAG_FUA : 0) |
	       (req->flags & BLK_NO_HOLE ? LIBNBD_CMD_FLAG_NO_HOLE : 0) |
	       (req->flags & BLK_FAST ? LIBNBD_CMD_FLAG_FAST_ZERO : 0) |
	       (req->flags & BLK_REQ_ONE ? LIBNBD_CMD_FLAG_REQ_ONE : 0);
}

static void issue(struct nbd_blk *nb, struct blk_req *req)
{
	struct nbd_blk_command *cmd = pool_zalloc(nb->dev.loop->pool, sizeof(*cmd));
	struct nbd_pipe *pipe = nbd_link_pipe(nb->link);

	assert(nb->state == NBD_BLK_UP && !nb->issuing);
	if (!cmd) {
		blk_fail(req, ENOMEM, NULL);
		end(nb, req);
		return;
	}
	cmd->nb = nb;
	cmd->req = req;
	cmd->good_until = req->offset;
	cmd->mark = write_log_mark(nb->member.log);
	req->priv = cmd;
	list_add_tail(&nb->in_flight, &req->node);
	nb->in_flight_count++;
	if (pipe)
		nbd_blk_issue_to_pipe(cmd, pipe);
	else
		nbd_blk_issue_to_libnbd(cmd);
}

void nbd_blk_pump(struct nbd_blk *nb)
{
	while (nb->state == NBD_BLK_UP && !nb->member.held && nb->in_flight_count < MAX_IN_FLIGHT &&
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

void nbd_blk_submit_own(struct nbd_blk *nb, struct blk_req *req)
{
	req->priv = NULL;
	if (nb->state == NBD_BLK_UP && nb->in_flight_count <= MAX_IN_FLIGHT) {
		issue(nb, req);
	} else {
		blk_fail(req, ENOTCONN, NULL);
		req->done(req);
	}
}

/* What is under way cannot be called back; what waits can. */
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
