/*
 * The block waist: a device of bytes that is read, written, flushed, trimmed,
 * zeroed, cached and asked for its allocation.
 *
 * scsi_blk (CDBs to a logical unit), nbd_blk, file_blk and mem_blk are block
 * devices; the NBD server, the nbdkit plugin and disk_lu drive them. The contract
 * is the one at the top of lu.h.
 *
 * Executors are plain: they see requests that are in range, aligned to min_block,
 * no longer than their limits, and with flags they said they can do. Everything
 * else is made here, once (blk.c, blk_split.c, blk_rmw.c): splitting, FUA as
 * flush, zeroes as writes, unaligned edges as read-modify-write under the range
 * lock (and by compare-and-write, where the device has it, against its other hosts),
 * concurrent flushes folded into one.
 */
#ifndef BLK_H
#define BLK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "list.h"
#include "loop.h"

struct blkdev;
struct range_lock;
struct range_writer;
struct write_log;

enum blk_op { BLK_READ, BLK_WRITE, BLK_FLUSH, BLK_TRIM, BLK_ZERO, BLK_CACHE, BLK_STATUS };

static inline bool blk_modifies(enum blk_op op)
{
	return op == BLK_WRITE || op == BLK_TRIM || op == BLK_ZERO;
}

/* Flags of a request. */
enum {
	BLK_FUA = 1 << 0,	/* WRITE, TRIM, ZERO: persistent before done() */
	BLK_NO_HOLE = 1 << 1,	/* ZERO: the range stays allocated */
	BLK_FAST = 1 << 2,	/* ZERO: ENOTSUP at once unless it is faster than writing */
	BLK_REQ_ONE = 1 << 3,	/* STATUS: one extent is enough */
	/* WRITE, TRIM, ZERO: the submitter holds the range, rounded out to min_block, in
	 * shared->ranges (COMPARE AND WRITE: exclusively), and it is not taken again.
	 * Executors need not look at it. */
	BLK_LOCKED = 1 << 4,
	/* WRITE, with BLK_LOCKED, of at most max_compare_write bytes: data is twice the length, what
	 * must be there and then what is written, in one step that other hosts of the device cannot
	 * come between. EILSEQ: something else is there, or it is not known whether it was written;
	 * read again. ENOTSUP: the device cannot, after all. */
	BLK_COMPARE = 1 << 5,
	BLK_OWN = 1 << 6,	/* the write log's, within an executor: see write_log.h */
	/* WRITE, of at most max_atomic bytes, on block borders: all or nothing of it is there, whatever
	 * happens, and no READ by anyone sees a part. ENOTSUP: the device promises no such thing. */
	BLK_ATOMIC = 1 << 7,
};

/* State of an extent: NBD's base:allocation bits, and SBC-3's provisioning status beside them. */
enum {
	BLK_HOLE = 1 << 0,	/* not allocated */
	BLK_ZEROES = 1 << 1,	/* reads as zeroes */
};
enum blk_provisioning { BLK_MAPPED, BLK_DEALLOCATED, BLK_ANCHORED };

struct blk_extent {
	uint64_t length;	/* bytes, > 0; an executor's: a multiple of min_block */
	uint32_t flags;		/* BLK_HOLE, BLK_ZEROES */
	uint32_t provisioning;	/* enum blk_provisioning, as the device told it */
};

#define BLK_WHY_LEN	120

struct blk_req {
	/* Set by the submitter, constant until done(): */
	enum blk_op op;
	uint32_t flags;
	uint64_t offset;		/* bytes */
	uint64_t length;		/* bytes, > 0 but for FLUSH; READ and WRITE: at most BLK_MAX_DATA */
	uint8_t	*data;			/* READ and WRITE: lent until done() */
	struct blk_extent *extents;	/* STATUS: room for extent_room, lent until done() */
	uint32_t extent_room;
	void   (*done)(struct blk_req *);

	/* Set by the executor before done(): */
	/* 0 or a positive errno. ENOTSUP only for BLK_FAST, BLK_COMPARE and BLK_ATOMIC, or from an executor whose
	 * info no longer says that it can: then blk.c emulates, and the submitter does not see it. */
	int	 error;
	bool	 has_error_offset;	/* does the device know where? Then: */
	uint64_t error_offset;		/* absolute, within the request; data before it is good for a READ */
	char	 why[BLK_WHY_LEN];	/* what a person reads, "" if there is no more than the errno */
	uint32_t extent_count;		/* STATUS: >= 1 on success; the first starts at offset; may be short of length,
					 * and the last may go beyond it */

	/* The executor's, from submit to done: */
	struct list node;
	void	*priv;

	/* blk.c's: */
	struct blk_split *split;	/* what the request was cut into, if it was */
	bool	 handed;		/* the executor has it */
	bool	 counted;		/* ... and it holds no range, by range_writer_begin() */
};

#define BLK_MAX_DATA	(64u << 20)

/* What a WRITE writes: behind what it compares with, if it does. */
static inline const uint8_t *blk_written(const struct blk_req *req)
{
	return req->data + (req->flags & BLK_COMPARE ? req->length : 0);
}

/* What a device is and can. The owner of the blkdev updates it on its own loop; readers look each time. */
struct blk_info {
	uint64_t size;			/* bytes, a multiple of min_block */
	uint32_t min_block;		/* power of 2; requests that executors see are multiples of it */
	uint32_t preferred_block;	/* power of 2, >= min_block */
	uint32_t max_data;		/* bytes of one READ or WRITE; this and the next: >= min_block */
	uint32_t max_compare_write;	/* bytes of one WRITE with BLK_COMPARE; 0: there is no such */
	uint32_t max_atomic;		/* bytes of one WRITE with BLK_ATOMIC, <= max_data; 0: there is no such */
	uint64_t max_trim, max_zero, max_extent; /* bytes of one TRIM, ZERO, (CACHE and STATUS); UINT64_MAX = any */
	bool read_only;
	bool rotational;
	bool can_flush;			/* false: there is no volatile cache to flush; FLUSH succeeds */
	bool can_fua;			/* else blk.c flushes */
	bool can_trim;			/* else TRIM is a successful nothing */
	bool can_zero;			/* else blk.c writes zeroes */
	bool can_fast_zero;
	bool trim_zeroes;		/* trimmed bytes read as zeroes (LBPRZ) */
	bool can_cache;
	bool can_extents;		/* else STATUS is one allocated extent */
	/* No second instance may be opened: other workers go through this one (mail_blk.h). Where
	 * there are several, a flush on any covers what was written through every other. */
	bool one_instance;
	char description[128];		/* what a person reads: "LIO-ORG disk0 4.0, NAA 6001405…"; "" if nothing */
	char identity[72];		/* stable and unique, if the device has such: serial or NAA; "" if not */
	unsigned losses;		/* how often it may have lost writes that it had acknowledged */
	unsigned generation;		/* grows with every change of this structure */
};

/* Is the device to be reached now? */
enum blk_presence {
	BLK_PRESENT,
	BLK_AWAY,		/* no: requests wait */
	BLK_GONE,		/* ... nor for so long that they fail */
};

/* Somebody who wants to know the device as it is now. */
struct blk_look {
	void (*seen)(struct blk_look *);
	struct list node;		/* blk.c's; list_init()ed by the owner */
};

struct blk_ops {
	const char *name;
	void (*submit)(struct blkdev *, struct blk_req *);
	/* Advice; may be NULL. done() still comes, once, and not within this call. */
	void (*abort)(struct blkdev *, struct blk_req *);
	/* NULL: always present. Any thread. */
	enum blk_presence (*presence)(const struct blkdev *);
	/* Find out whether the device has changed, bring info up to date, and call blk_seen(), once, in
	 * any case. One at a time. NULL where info is never behind. */
	void (*look)(struct blkdev *);
	/* No request is in flight. Frees the device, then calls closed(): at once or later. */
	void (*close)(struct blkdev *, void (*closed)(void *), void *opaque);
};

/* What the instances of one device on several workers share; the owner of the device keeps it alive. */
struct blk_shared {
	/* Read-modify-write, and COMPARE AND WRITE of SCSI hosts, against every other writer of the
	 * device; never NULL where min_block > 1 and the device is written. */
	struct range_lock *ranges;
	/* Never NULL where the device may have a volatile cache that it can lose without us. */
	struct write_log *log;
	/* What the device last said of it, to whichever instance: executors write it when they hear, and
	 * read it where they make info and in ops->look(). */
	atomic_bool write_protected;
};

/* One worker's instance of a device. Executors embed it and fill it with blk_init(). */
struct blkdev {
	const struct blk_ops *ops;
	struct loop *loop;
	struct blk_shared *shared;
	struct blk_info info;
	/* blk.c's: */
	unsigned in_flight;
	uint64_t requests, failures;	/* pieces of a request that was cut count too */
	bool	 busy;			/* inside ops->submit or abort, where nothing may end */
	struct range_writer *writer;	/* NULL until something is written without its range */
	struct list finished;		/* their blk_complete() is pending in "finish" */
	struct loop_call finish;
	struct list look_waiting;	/* blk_look.node: for the look after the running one */
	struct list look_running;
	bool	 looking;
	struct loop_call seen;
	struct list flush_waiting;	/* folded into one flush that starts when the running one ends */
	struct list flush_running;
	struct blk_req flush;		/* the one that the executor sees */
};

/* For executors, once, before the device is handed out. */
void blk_init(struct blkdev *dev, const struct blk_ops *ops, struct loop *loop,
	      struct blk_shared *shared);

/*
 * Any request within the device: any alignment, any length, any flags. The range
 * must lie within info.size (asserted); a device that cannot be written answers
 * EROFS. On the device's loop.
 */
void blk_submit(struct blkdev *dev, struct blk_req *req);

/* Make haste with a request: it may end early with ECANCELED; it ends in any case. */
void blk_abort(struct blkdev *dev, struct blk_req *req);

/* Is it there? Any thread; without an answer of the executor's own, it is. */
enum blk_presence blk_presence(const struct blkdev *dev);

/* On the device's loop, with no request in flight. It is gone when closed() comes: at once or
 * later. */
void blk_close(struct blkdev *dev, void (*closed)(void *), void *opaque);

/*
 * Look at the device itself, since some do not tell when they grow: seen() comes when
 * info says what it was after this call, or nothing can be known (the path is lost).
 * Not within the call; never after blk_look_cancel(), which is harmless at any time.
 */
void blk_look(struct blkdev *dev, struct blk_look *look);
void blk_look_cancel(struct blk_look *look);

/* For executors: the end of ops->look(), also within it. */
void blk_seen(struct blkdev *dev);

/*
 * Why a request does not fit the device as it is now, else 0: EROFS, ENOSPC (WRITE
 * and ZERO beyond the end), EINVAL (others beyond the end), ENOTSUP (BLK_FAST where
 * nothing is fast, BLK_COMPARE where nothing compares, BLK_ATOMIC beyond max_atomic).
 */
int blk_refusal(const struct blkdev *dev, const struct blk_req *req);

/* For executors, the only way to end a request that they have. Never within submit or abort. */
void blk_complete(struct blkdev *dev, struct blk_req *req);

/* The same from within submit or abort: it ends once they have returned, in a batch with others. */
void blk_complete_later(struct blkdev *dev, struct blk_req *req);

/* For executors: set error and why (printf-like; fmt NULL = no text) without completing. */
void blk_fail(struct blk_req *req, int error, const char *fmt, ...)
#ifdef __GNUC__
	__attribute__((format(printf, 3, 4)))
#endif
	;

/* Append an extent, joined with the last one if they are alike. False when there is no room
 * (under BLK_REQ_ONE: for a second one). */
bool blk_add_extent(struct blk_req *req, uint64_t length, uint32_t flags, uint32_t provisioning);

/* How an asynchronous open ends: dev, or NULL and why (valid during the call). On the loop, never inside open. */
typedef void blk_opened(void *opaque, struct blkdev *dev, const char *why);

#endif
