/*
 * The commands that wait for their turn, and how many of them the unit may have at once:
 * all that it takes, until it says that it has too many.
 */
#include <errno.h>
#include <limits.h>

#include "scsi_blk_private.h"

/* A depth that is no limit any more. */
#define DEPTH_FULLY_GROWN 1024

/* Halve at once, grow one by one. What was sent before the last cut says nothing new. */
void scsi_queue_shrink(struct scsi_blk *sb)
{
	if (sb->running >= sb->depth)
		return;
	sb->depth = sb->running > 2 ? sb->running / 2 : 1;
	sb->since_grown = 0;
}

void scsi_queue_grow(struct scsi_blk *sb)
{
	if (sb->depth == UINT_MAX || ++sb->since_grown < sb->depth)
		return;
	sb->since_grown = 0;
	if (++sb->depth > DEPTH_FULLY_GROWN)
		sb->depth = UINT_MAX;
}

void scsi_pump(struct scsi_blk *sb)
{
	/* Nothing was under way when the path ended, so nothing has told of it. */
	if (sb->lu->losses != sb->lu_losses)
		scsi_path_lost(sb);
	while (!sb->lost && sb->running < sb->depth) {
		struct list *node = list_pop(&sb->urgent);
		struct scsi_io *io;

		if (!node && !sb->member.held)
			node = list_pop(&sb->queue);
		if (!node)
			return;
		io = container_of(node, struct scsi_io, node);
		io->state = SCSI_IO_RUNNING;
		io->resets = sb->resets;
		sb->running++;
		lu_submit(sb->lu, &io->task);
	}
}

void scsi_io_send(struct scsi_io *io)
{
	struct scsi_blk *sb = io->job->sb;
	bool own = scsi_is_own(io->job);

	if (sb->lost && own) {
		scsi_io_fail(io, ENOTCONN, NULL, SCSI_LOST_TEXT);
		return;
	}
	if (sb->given_up) {
		scsi_io_fail(io, EIO, NULL, SCSI_LOST_TEXT);
		return;
	}
	io->state = SCSI_IO_QUEUED;
	list_add_tail(own ? &sb->urgent : &sb->queue, &io->node);
	scsi_pump(sb);
}

static void on_timer(struct ev_loop *ev, ev_timer *timer, int events)
{
	(void)ev;
	(void)events;
	scsi_io_send(timer->data);
}

void scsi_io_send_later(struct scsi_io *io, double delay)
{
	io->state = SCSI_IO_WAITING;
	ev_timer_init(&io->timer, on_timer, delay, 0.);
	io->timer.data = io;
	ev_timer_start(io->job->sb->dev.loop->ev, &io->timer);
}
