/*
 * NBD commands through libnbd: where TLS or extended headers are in use, which nbd_pipe does
 * not speak.
 *
 * libnbd calls back under its handle's lock, sometimes within the call that submits a command:
 * so a callback only takes note. A command's last word is the .free of its completion callback,
 * which alone comes in every case: answered, connection dead, handle closed.
 */
#include <errno.h>
#include <string.h>

#include "nbd_blk_private.h"

static int on_completion(void *opaque, int *error)
{
	struct nbd_blk_command *cmd = opaque;

	cmd->answered = true;
	cmd->error = *error;
	return 1;		/* libnbd may forget the command */
}

static void on_free(void *opaque)
{
	struct nbd_blk_command *cmd = opaque;
	struct nbd_blk *nb = cmd->nb;

	/* A command that was refused at once is for nbd_blk_issue_to_libnbd(), which has the reason. */
	if (cmd == nb->issuing && !cmd->answered)
		return;
	if (cmd == nb->issuing)
		nb->issuing = NULL;
	nbd_blk_finish(cmd);
}

static int on_chunk(void *opaque, const void *data, size_t count, uint64_t offset,
		    unsigned status, int *error)
{
	(void)data;
	(void)error;
	if (status == LIBNBD_READ_ERROR)
		nbd_blk_note_failure(opaque, offset);
	else
		nbd_blk_note_data(opaque, offset, count);
	return 0;
}

static int on_extents(void *opaque, const char *context, uint64_t offset, uint32_t *entries,
		      size_t count, int *error)
{
	(void)offset;
	if (strcmp(context, LIBNBD_CONTEXT_BASE_ALLOCATION) != 0)
		return 0;
	for (size_t i = 0; i + 1 < count; i += 2) {
		if (!nbd_blk_note_extent(opaque, entries[i], entries[i + 1])) {
			*error = EIO;
			return -1;
		}
	}
	return 0;
}

/* libnbd's cookie, or -1. */
static int64_t call_libnbd(struct nbd_blk_command *cmd)
{
	const struct blk_req *req = cmd->req;
	struct nbd_handle *h = nbd_link_handle(cmd->nb->link);
	nbd_chunk_callback chunk = { .callback = on_chunk, .user_data = cmd };
	nbd_extent_callback extents = { .callback = on_extents, .user_data = cmd };
	nbd_completion_callback done = {
		.callback = on_completion, .user_data = cmd, .free = on_free
	};
	uint32_t flags = nbd_blk_command_flags(req);

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

void nbd_blk_issue_to_libnbd(struct nbd_blk_command *cmd)
{
	struct nbd_blk *nb = cmd->nb;
	int64_t cookie;

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
		nbd_blk_finish(cmd);
	}
	nb->issuing = NULL;
	nbd_link_kick(nb->link);
}
