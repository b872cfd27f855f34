/*
 * A sanitize operation on its way over the device: see disk_sanitize.h.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "disk_sanitize.h"
#include "log.h"
#include "pool.h"

/* What is written between two flushes where it is unmapped afterwards. */
#define STRETCH		(64u << 20)

/* It is in no hurry, and others want the device and the network: over all its passes it takes so
 * many turns, more on a large unit and fewer on a small one, and rests between them. */
#define TURNS		64u
#define SHORTEST_TURN	(1u << 20)
#define LONGEST_TURN	(256u << 20)
#define REST_SECONDS	0.1

/* Of PROGRESS INDICATION, SPC-4 §4.5.2.4.4. */
#define PROGRESS_WHOLE	0x10000u

void disk_sanitize_invert(uint8_t *buffer)
{
	for (size_t i = 0; i < DISK_CHUNK; i++)
		buffer[i] = (uint8_t)~buffer[i];
}

void disk_sanitize_free(struct sanitize *s)
{
	struct pool *pool = s->disk->lu.loop->pool;

	pool_put(pool, s->buffer, DISK_CHUNK);
	pool_put(pool, s, sizeof(*s));
}

static void end(struct sanitize *s, int error)
{
	struct disk_lu *disk = s->disk;
	struct lu_shared *shared = disk_shared(disk);
	struct scsi_task *task = s->op ? s->op->task : NULL;

	if (s->locked)
		range_unlock(disk->dev->shared->ranges, &s->range);
	if (error)
		log_error("LUN %u of %s: to sanitize it has failed: %s%s%s", shared->conf.lun,
			  shared->conf.target_name, strerror(error), s->req.why[0] ? ": " : "",
			  s->req.why);
	atomic_store(&shared->sanitize, !error	       ? SANITIZE_NONE :
					s->restricted ? SANITIZE_FAILED_RESTRICTED :
							SANITIZE_FAILED);
	disk->sanitize = NULL;
	disk_sanitize_free(s);
	if (task && error)
		disk_refuse(disk, task, SENSE_SANITIZE_FAILED);
	else if (task)
		disk_good(disk, task);
	loop_defer(disk->lu.loop, &disk->turn);	/* who closes the unit waits for this */
}

static void request_done(struct blk_req *req)
{
	struct sanitize *s = container_of(req, struct sanitize, req);

	s->requesting = false;
	if (s->locked)
		range_unlock(s->disk->dev->shared->ranges, &s->range);
	s->locked = false;
	if (req->error || s->stopped)
		end(s, req->error ? req->error : ECANCELED);
	else
		s->next(s);
}

static void submit(struct sanitize *s)
{
	s->requesting = true;
	blk_submit(s->disk->dev, &s->req);
}

static void range_locked(struct range *range)
{
	struct sanitize *s = container_of(range, struct sanitize, range);

	s->locked = true;
	if (s->stopped)
		end(s, ECANCELED);
	else
		submit(s);
}

/* Change [first, end) of the device, after all that was on its way there before. */
static void change(struct sanitize *s, enum blk_op what, uint64_t first, uint64_t end_at,
		   void (*next)(struct sanitize *))
{
	s->req.op = what;
	s->req.flags = BLK_LOCKED;
	s->req.offset = s->range.first = first;
	s->req.length = end_at - first;
	s->range.end = end_at;
	s->req.data = what == BLK_WRITE ? s->buffer : NULL;
	s->next = next;
	if (range_lock(s->disk->dev->shared->ranges, &s->range))
		range_locked(&s->range);
}

static void flush(struct sanitize *s, void (*next)(struct sanitize *))
{
	s->req.op = BLK_FLUSH;
	s->req.flags = 0;
	s->next = next;
	submit(s);
}

void disk_sanitize_note_progress(const struct sanitize *s)
{
	uint64_t part = s->at / (s->disk->dev->info.size / PROGRESS_WHOLE + 1);
	uint64_t all = (s->pass * PROGRESS_WHOLE + part) / s->passes;

	atomic_store(&disk_shared(s->disk)->sanitized,
		     all < PROGRESS_WHOLE ? (unsigned)all : PROGRESS_WHOLE - 1);
}

static void clear_mark(struct offload_job *job)
{
	struct sanitize *s = container_of(job, struct sanitize, marking);

	s->mark_error = sanitize_mark_clear(disk_shared(s->disk)->mark) ? 0 : errno;
}

static void mark_cleared(struct offload_job *job)
{
	struct sanitize *s = container_of(job, struct sanitize, marking);

	end(s, s->mark_error);
}

static void finished(struct sanitize *s)
{
	struct lu_shared *shared = disk_shared(s->disk);

	if (!shared->mark) {
		end(s, 0);
		return;
	}
	s->marking.work = clear_mark;
	s->marking.done = mark_cleared;
	offload_run(shared->conf.offload, s->disk->lu.loop, &s->marking);
}

static void pass_flushed(struct sanitize *s)
{
	if (++s->pass == s->passes) {
		finished(s);
		return;
	}
	if (s->inverts)
		disk_sanitize_invert(s->buffer);
	s->at = 0;
	disk_sanitize_run(s);
}

static void stretch_unmapped(struct sanitize *s)
{
	s->first = s->at;
	if (s->at < s->disk->dev->info.size)
		disk_sanitize_run(s);
	else
		flush(s, finished);
}

static void stretch_flushed(struct sanitize *s)
{
	change(s, disk_unmaps_with_zeroes(s->disk) ? BLK_ZERO : BLK_TRIM, s->first, s->at,
	       stretch_unmapped);
}

static void rest(struct sanitize *s)
{
	ev_timer_set(&s->rest, REST_SECONDS, 0);
	ev_timer_start(s->disk->lu.loop->ev, &s->rest);
}

static void written(struct sanitize *s)
{
	uint64_t size = s->disk->dev->info.size, turn = size / TURNS * s->passes, before = s->at;

	turn = turn < SHORTEST_TURN ? SHORTEST_TURN : turn > LONGEST_TURN ? LONGEST_TURN : turn;
	s->at += s->req.length;
	disk_sanitize_note_progress(s);
	if (s->at / turn == before / turn || s->at >= size)
		disk_sanitize_run(s);
	else
		rest(s);
}

static void on_rested(struct ev_loop *ev, struct ev_timer *timer, int events)
{
	struct sanitize *s = container_of(timer, struct sanitize, rest);

	(void)ev;
	(void)events;
	disk_sanitize_run(s);
}

void disk_sanitize_run(struct sanitize *s)
{
	uint64_t size = s->disk->dev->info.size, left = size - s->at;

	if (s->at > size)
		end(s, ENOSPC);		/* it has shrunk: what there is of the rest is out of reach */
	else if (left && (!s->erases || s->at - s->first < STRETCH))
		change(s, BLK_WRITE, s->at, s->at + (left < DISK_CHUNK ? left : DISK_CHUNK),
		       written);
	else
		flush(s, s->erases ? stretch_flushed : pass_flushed);
}

void disk_sanitize_leave(struct disk_op *op)
{
	assert(op->waits && op->disk->sanitize->op == op);
	op->disk->sanitize->op = NULL;
}

void disk_sanitize_stop(struct disk_lu *disk)
{
	struct sanitize *s = disk->sanitize;

	if (!s)
		return;
	s->stopped = true;
	if (s->requesting) {
		blk_abort(disk->dev, &s->req);
	} else if (ev_is_active(&s->rest)) {
		ev_timer_stop(disk->lu.loop->ev, &s->rest);
		end(s, ECANCELED);
	}
}

void disk_sanitize_init(struct sanitize *s, struct disk_lu *disk)
{
	s->disk = disk;
	list_init(&s->req.node);
	list_init(&s->range.node);
	s->req.done = request_done;
	s->range.exclusive = true;
	s->range.locked = range_locked;
	s->range.loop = disk->lu.loop;
	ev_timer_init(&s->rest, on_rested, REST_SECONDS, 0);
}
