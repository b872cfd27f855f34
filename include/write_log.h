/*
 * What a device has acknowledged and may still lose: the account of writes since the
 * last flush, and, within a bound, the writes themselves.
 *
 * scsi_blk and nbd_blk keep one for each device whose cache is volatile; it is shared
 * by the device's instances on all workers. When the device may have lost its cache
 * (its connection ended, or it says that it was reset), every instance stops, one of
 * them writes again in order what is kept, and only then does anything newer go on. If
 * not everything was kept, or writing fails, then there is a debt: one flush, or FUA
 * write, fails, so that whoever relies on what was written is told.
 *
 * Each logged write costs a copy of its data; nothing is allocated. What is kept is
 * given up when a flush succeeds that was sent after the write had been acknowledged.
 * When half of the room is taken, the log has the device flushed on its own account.
 */
#ifndef WRITE_LOG_H
#define WRITE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "blk.h"
#include "list.h"
#include "loop.h"

struct write_log;
struct log_member;

/* What the log asks of an instance; on the instance's loop, perhaps within a call to the log. */
struct log_member_ops {
	/* Hand out nothing but the log's own requests from now on (member->held says so, too), and
	 * call write_log_quiet() as soon as nothing is under way. May come again meanwhile. */
	void (*hold)(struct log_member *member);
	void (*resume)(struct log_member *member);
	/*
	 * A request of the log's own (BLK_OWN): ahead of all others, and not kept for later: without
	 * a connection it ends with ENOTCONN, and write_log_suspect() has been called by then.
	 * Ends in req->done(), from anywhere on the loop, with ECANCELED if the instance closes; it
	 * is not blk.c's, nor to be logged.
	 */
	void (*submit)(struct log_member *member, struct blk_req *req);
};

/* An instance's membership, embedded in it. */
struct log_member {
	/* Set by the instance: */
	const struct log_member_ops *ops;
	struct loop *loop;
	const char *name;		/* of the device, for messages */
	/* Its own thread reads: */
	bool held;
	/* write_log.c's: */
	struct write_log *log;
	struct list node;
	struct loop_msg msg;
	bool posted;
	bool quiet, ready;
	void (*left)(struct log_member *member);
};

/*
 * "size" bytes of writes are kept, with what it takes to list them; 0: none, only the
 * account. NULL without memory. Free it after the last member has left.
 */
struct write_log *write_log_new(uint64_t size);
void write_log_free(struct write_log *log);

/* An instance begins and ends, on its loop. left() comes when the log does not know it any more,
 * perhaps within the call; it must have no request of the log's own by then. */
void write_log_join(struct write_log *log, struct log_member *member);
void write_log_leave(struct log_member *member, void (*left)(struct log_member *member));

/* Does it keep writes, and not only the account? */
bool write_log_keeps(const struct write_log *log);

/* The account; any thread ------------------------------------------------- */

/* A WRITE, ZERO or TRIM has been acknowledged: before its done(), on the member's loop. */
void write_log_ack(struct log_member *member, const struct blk_req *req);

/* Before a flush is sent: what it will cover. After it has succeeded: it does. */
uint64_t write_log_mark(const struct write_log *log);
void write_log_flushed(struct write_log *log, uint64_t mark);

/* A flush or FUA write has succeeded: is it the one that has to fail for what was lost? Once. */
bool write_log_collect(struct write_log *log);

/* How often acknowledged writes may have been lost so far. */
unsigned write_log_losses(const struct write_log *log);

/*
 * All of the above, for a request of a front end that the device has answered well; "mark" is
 * that of the time when it was sent. False: acknowledged writes may be lost, and it is this
 * flush or FUA write that has to fail, which blk_fail(EIO, "loss") has been told.
 */
bool write_log_answered(struct log_member *member, struct blk_req *req, uint64_t mark,
			const char *loss);

/* Loss and recovery; on the member's loop ---------------------------------- */

/* The cache may have been lost: the member is held on return, unless nothing is at stake. */
void write_log_suspect(struct log_member *member);

/* Something acknowledged is lost for certain: there is a debt. */
void write_log_owe(struct log_member *member);

/* Nothing is under way at a member that is held; "ready": it could write now. May be called again,
 * and at any time: where nobody is held, it means nothing. */
void write_log_quiet(struct log_member *member, bool ready);

#endif
