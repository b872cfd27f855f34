/*
 * NBD commands through the link's pipe, which is how all go that nobody has to encrypt.
 */
#include <assert.h>

#include "nbd_blk_private.h"

static struct nbd_blk_command *command_of(struct nbd_pipe_call *call)
{
	return container_of(call, struct nbd_blk_command, call);
}

static void pipe_chunk(struct nbd_pipe_call *call, uint64_t offset, uint64_t length)
{
	nbd_blk_note_data(command_of(call), offset, length);
}

static bool pipe_extent(struct nbd_pipe_call *call, uint32_t length, uint32_t flags)
{
	return nbd_blk_note_extent(command_of(call), length, flags);
}

static void pipe_failed_at(struct nbd_pipe_call *call, uint64_t offset)
{
	nbd_blk_note_failure(command_of(call), offset);
}

static void pipe_ended(struct nbd_pipe_call *call, bool answered, int error)
{
	struct nbd_blk_command *cmd = command_of(call);

	cmd->answered = answered;
	cmd->error = error;
	nbd_blk_finish(cmd);
}

void nbd_blk_issue_to_pipe(struct nbd_blk_command *cmd, struct nbd_pipe *pipe)
{
	static const struct nbd_pipe_events events = {
		.chunk = pipe_chunk, .extent = pipe_extent, .failed_at = pipe_failed_at,
		.ended = pipe_ended,
	};
	static const enum nbd_cmd commands[] = {
		[BLK_READ] = NBD_CMD_READ, [BLK_WRITE] = NBD_CMD_WRITE,
		[BLK_FLUSH] = NBD_CMD_FLUSH, [BLK_TRIM] = NBD_CMD_TRIM,
		[BLK_ZERO] = NBD_CMD_WRITE_ZEROES, [BLK_CACHE] = NBD_CMD_CACHE,
		[BLK_STATUS] = NBD_CMD_BLOCK_STATUS,
	};
	const struct blk_req *req = cmd->req;
	bool ranged = req->op != BLK_FLUSH;

	assert(!ranged || req->length <= UINT32_MAX);
	cmd->call = (struct nbd_pipe_call){
		.events = &events, .command = commands[req->op],
		.flags = (uint16_t)nbd_blk_command_flags(req), .data = req->data,
		.offset = ranged ? req->offset : 0, .length = ranged ? (uint32_t)req->length : 0,
	};
	nbd_pipe_send(pipe, &cmd->call);
}
