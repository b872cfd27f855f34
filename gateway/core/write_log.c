/*
 * The write log (write_log.h): a ring of entries, the account, and the barrier that all
 * instances of a device come to when its cache may have been lost.
 *
 *	IDLE	 writes are acknowledged, logged, and forgotten as flushes end
 *	HOLDING	 every member is told to hold, and says when it is quiet. When all are, one
 *		 that has a connection is chosen, and it is
 *	WRITING	 alone. What is kept goes out in order (side by side where it does not overlap);
 *		 then all resume. If the connection goes meanwhile: HOLDING again.
 *
 * A mutex guards everything but the copying of data. Space in the ring is taken in the
 * order of acknowledgement, under the mutex, and filled without it; what is not filled
 * yet is not given up either, whatever a flush has covered. While the phase is WRITING
 * nobody appends, so the ring is read without the mutex.
 */
#include "write_log.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "log.h"

#define WINDOW	16	/* writes under way at once */

/* In the ring, followed by the data of a WRITE; both aligned for copying. */
struct entry {
	_Alignas(64) uint64_t seq; /* 0: nothing; the next entry is at the start of the ring */
	uint64_t offset, length; /* of the request, bytes */
	uint32_t span;		/* bytes to the next entry */
	uint16_t op, flags;
	atomic_bool filled;
};

#define ALIGNMENT	sizeof(struct entry)

enum phase { IDLE, HOLDING, WRITING };

struct rewrite {
	struct blk_req req;
	struct write_log *log;
	bool busy;
};

struct write_log {
	pthread_mutex_t mutex;
	struct list members;

	atomic_ullong acked;	/* writes that were acknowledged; the seq of the latest */
	atomic_ullong flushed;	/* those up to here are safe, or accounted for */
	uint64_t missing;	/* the latest that the ring does not have */
	atomic_bool debt;
	atomic_uint losses;

	uint8_t *ring;
	uint64_t size, head, tail, used; /* head: the oldest entry */

	bool flushing;		/* on our own account: "flush" belongs to the flusher's thread */
	struct log_member *flusher;
	struct loop_call flush_soon;
	struct rewrite flush;
	uint64_t flush_mark;

	enum phase phase;
	bool again;		/* suspected while writing */
	struct log_member *writer;

	/* The writer's thread only: */
	struct rewrite rewrites[WINDOW];
	unsigned busy;
	uint64_t at, left;	/* where in the ring, and how much of it there still is */
	uint64_t written, bytes;
	bool interrupted;
	int error;
	struct loop_call go_on;
};

static void writer_turn(struct loop_call *call);
static void flush_now(struct loop_call *call);

struct write_log *write_log_new(uint64_t size)
{
	struct write_log *log = calloc(1, sizeof(*log));

	if (!log)
		return NULL;
	log->size = size - size % ALIGNMENT;
	if (log->size) {
		log->ring = mmap(NULL, log->size, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (log->ring == MAP_FAILED) {
			free(log);
			return NULL;
		}
		madvise(log->ring, log->size, MADV_DONTDUMP);
	}
	pthread_mutex_init(&log->mutex, NULL);
	list_init(&log->members);
	loop_call_init(&log->go_on, writer_turn);
	loop_call_init(&log->flush_soon, flush_now);
	return log;
}

void write_log_free(struct write_log *log)
{
	if (!log)
		return;
	assert(list_empty(&log->members));
	if (log->size)
		munmap(log->ring, log->size);
	pthread_mutex_destroy(&log->mutex);
	free(log);
}

bool write_log_keeps(const struct write_log *log)
{
	return log->size > 0;
}

static struct log_member *member_of(struct list *node)
{
	return container_of(node, struct log_member, node);
}

/* The ring ------------------------------------------------------------------ */

static struct entry *entry_at(const struct write_log *log, uint64_t at)
{
	return (struct entry *)(void *)(log->ring + at);
}

static uint64_t span_of(const struct blk_req *req)
{
	uint64_t span = sizeof(struct entry) + (req->op == BLK_WRITE ? req->length : 0);

	return (span + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* Room for an entry in one piece; NULL if there is none. */
static struct entry *take_room(struct write_log *log, uint64_t span)
{
	uint64_t rest = log->size - log->tail;
	uint64_t needed = span > rest ? rest + span : span;
	struct entry *entry;

	if (needed > log->size - log->used)
		return NULL;
	if (span > rest) {
		if (rest)
			entry_at(log, log->tail)->seq = 0;
		log->tail = 0;
	}
	entry = entry_at(log, log->tail);
	entry->span = (uint32_t)span;
	log->tail += span;
	log->used += needed;
	return entry;
}

/* From one entry to the next: "at" and how many bytes were passed, a gap at the end included. */
static uint64_t pass_gap(const struct write_log *log, uint64_t *at)
{
	uint64_t rest = log->size - *at;

	if (rest && entry_at(log, *at)->seq)
		return 0;
	*at = 0;
	return rest;
}

/* Give up the oldest entries as far as they are covered. */
static void trim(struct write_log *log, uint64_t mark)
{
	while (log->used) {
		struct entry *entry;

		log->used -= pass_gap(log, &log->head);
		entry = entry_at(log, log->head);
		if (entry->seq > mark || !atomic_load_explicit(&entry->filled, memory_order_acquire))
			return;
		log->head += entry->span;
		log->used -= entry->span;
	}
	log->head = log->tail = 0;	/* the pages that were used last are the warmest */
}

/* The account ---------------------------------------------------------------- */

static bool at_stake(const struct write_log *log)
{
	return atomic_load(&log->acked) > atomic_load(&log->flushed);
}

static void own_flush_done(struct blk_req *req);

/* Half full: better a flush that nobody asked for than writes that are not kept. */
static bool wants_flush(struct write_log *log, struct log_member *member)
{
	if (log->flushing || log->phase != IDLE ||
	    (log->used <= log->size / 2 && log->missing <= atomic_load(&log->flushed)))
		return false;
	log->flushing = true;
	log->flusher = member;
	return true;
}

/* Not from where a write ends: that may be a library's callback. */
static void flush_now(struct loop_call *call)
{
	struct write_log *log = container_of(call, struct write_log, flush_soon);

	log->flush_mark = atomic_load(&log->acked);
	log->flush.log = log;
	log->flush.req = (struct blk_req){
		.op = BLK_FLUSH, .flags = BLK_OWN, .done = own_flush_done
	};
	log->flusher->ops->submit(log->flusher, &log->flush.req);
}

static void keep(struct log_member *member, const struct blk_req *req)
{
	struct write_log *log = member->log;
	struct entry *entry;
	uint64_t seq;
	bool flush;

	pthread_mutex_lock(&log->mutex);
	seq = atomic_load(&log->acked) + 1;
	entry = take_room(log, span_of(req));
	if (entry) {
		entry->seq = seq;
		entry->offset = req->offset;
		entry->length = req->length;
		entry->op = (uint16_t)req->op;
		entry->flags = (uint16_t)(req->flags & BLK_NO_HOLE);
		atomic_store_explicit(&entry->filled, false, memory_order_relaxed);
	} else {
		log->missing = seq;
	}
	atomic_store(&log->acked, seq);
	flush = wants_flush(log, member);
	pthread_mutex_unlock(&log->mutex);

	if (entry) {
		if (req->op == BLK_WRITE)
			memcpy(entry + 1, blk_written(req), req->length);
		atomic_store_explicit(&entry->filled, true, memory_order_release);
	}
	if (flush)
		loop_defer(member->loop, &log->flush_soon);
}

void write_log_ack(struct log_member *member, const struct blk_req *req)
{
	struct write_log *log = member->log;

	/* What is persistent is only of interest for what it must not be overwritten with. */
	if (req->flags & BLK_FUA && !(log->size && at_stake(log)))
		return;
	if (log->size)
		keep(member, req);
	else
		atomic_fetch_add(&log->acked, 1);
}

uint64_t write_log_mark(const struct write_log *log)
{
	return atomic_load(&log->acked);
}

void write_log_flushed(struct write_log *log, uint64_t mark)
{
	if (mark <= atomic_load(&log->flushed))
		return;
	pthread_mutex_lock(&log->mutex);
	if (mark > atomic_load(&log->flushed))
		atomic_store(&log->flushed, mark);
	trim(log, mark);
	pthread_mutex_unlock(&log->mutex);
}

bool write_log_collect(struct write_log *log)
{
	return atomic_load_explicit(&log->debt, memory_order_relaxed) &&
	       atomic_exchange(&log->debt, false);
}

unsigned write_log_losses(const struct write_log *log)
{
	return atomic_load(&log->losses);
}

static void owe(struct write_log *log)
{
	atomic_store(&log->debt, true);
	atomic_fetch_add(&log->losses, 1);
}

void write_log_owe(struct log_member *member)
{
	owe(member->log);
	log_warning("%s: acknowledged writes are lost: the next flush will fail", member->name);
}

/* Our own flush has taken an error that was for whoever flushes next. */
static void own_flush_done(struct blk_req *req)
{
	struct rewrite *flush = container_of(req, struct rewrite, req);
	struct write_log *log = flush->log;

	if (!req->error)
		write_log_flushed(log, log->flush_mark);
	else if (req->error != ENOTCONN && req->error != ECANCELED)
		owe(log);
	pthread_mutex_lock(&log->mutex);
	log->flushing = false;
	pthread_mutex_unlock(&log->mutex);
}

/* The barrier ----------------------------------------------------------------- */

static void post(struct log_member *member)
{
	if (member->posted)
		return;
	member->posted = true;
	loop_post(member->loop, &member->msg);
}

static void post_all_but(struct write_log *log, const struct log_member *self)
{
	list_for_each(node, &log->members)
		if (member_of(node) != self)
			post(member_of(node));
}

/* Once all are quiet, one that is ready writes. */
static void look_around(struct write_log *log)
{
	struct log_member *ready = NULL;

	if (log->phase != HOLDING)
		return;
	list_for_each(node, &log->members) {
		if (!member_of(node)->quiet)
			return;
		if (member_of(node)->ready)
			ready = member_of(node);
	}
	if (!ready)
		return;
	log->phase = WRITING;
	log->again = false;
	log->writer = ready;
	post(ready);
}

void write_log_suspect(struct log_member *member)
{
	struct write_log *log = member->log;

	pthread_mutex_lock(&log->mutex);
	/* With nothing at stake here, there may still be an acknowledgement on its way to another
	 * member, that it will only account for once it comes to the barrier. */
	if (log->phase == IDLE && !at_stake(log) && member->node.next == member->node.prev) {
		pthread_mutex_unlock(&log->mutex);
		return;
	}
	if (log->phase == IDLE) {
		log->phase = HOLDING;
		list_for_each(node, &log->members)
			member_of(node)->quiet = member_of(node)->ready = false;
		post_all_but(log, member);
	}
	log->again = true;
	member->quiet = member->ready = false;
	pthread_mutex_unlock(&log->mutex);
	member->held = true;
	member->ops->hold(member);
}

void write_log_quiet(struct log_member *member, bool ready)
{
	struct write_log *log = member->log;

	if (!member->held)
		return;
	pthread_mutex_lock(&log->mutex);
	member->quiet = true;
	member->ready = ready;
	look_around(log);
	pthread_mutex_unlock(&log->mutex);
}

static void go_on(struct log_member *member)
{
	if (!member->held)
		return;
	member->held = false;
	member->ops->resume(member);
}

/* Writing again ---------------------------------------------------------------- */

/* All is accounted for: written again, or owed. */
static void close_account(struct write_log *log, const char *name)
{
	if (!at_stake(log))
		return;
	if (log->missing <= atomic_load(&log->flushed) && !log->error && log->size) {
		log_info("%s: %" PRIu64 " unflushed writes (%" PRIu64 " bytes) were written again", name,
			 log->written, log->bytes);
		return;
	}
	atomic_store(&log->flushed, atomic_load(&log->acked));
	trim(log, UINT64_MAX);
	owe(log);
	if (log->error)
		log_error("%s: unflushed writes could not be written again (%s) and may be lost: "
			  "the next flush will fail", name, strerror(log->error));
	else
		log_error("%s: unflushed writes may be lost: the next flush will fail", name);
}

static void writer_ends(struct write_log *log)
{
	struct log_member *self = log->writer;
	bool interrupted;

	loop_call_cancel(&log->go_on);	/* it may be somebody else's from here on */
	pthread_mutex_lock(&log->mutex);
	interrupted = log->again || log->interrupted;
	log->writer = NULL;
	if (interrupted) {
		if (log->interrupted)
			self->ready = false;
		log->phase = HOLDING;
		look_around(log);
	} else {
		close_account(log, self->name);
		log->phase = IDLE;
		post_all_but(log, self);
	}
	pthread_mutex_unlock(&log->mutex);
	if (!interrupted)
		go_on(self);
}

static void rewritten(struct blk_req *req)
{
	struct rewrite *rewrite = container_of(req, struct rewrite, req);
	struct write_log *log = rewrite->log;

	rewrite->busy = false;
	log->busy--;
	if (req->error == ENOTCONN || req->error == ECANCELED)
		log->interrupted = true;
	else if (req->error && !log->error)
		log->error = req->error;
	loop_defer(log->writer->loop, &log->go_on);
}

static struct rewrite *idle_rewrite(struct write_log *log)
{
	unsigned i = 0;

	while (log->rewrites[i].busy)
		i++;
	assert(i < WINDOW);
	return &log->rewrites[i];
}

/* Would the entry overtake one that is still under way? */
static bool must_wait(const struct write_log *log, const struct entry *entry)
{
	for (unsigned i = 0; i < WINDOW; i++) {
		const struct blk_req *req = &log->rewrites[i].req;

		if (log->rewrites[i].busy && req->offset < entry->offset + entry->length &&
		    entry->offset < req->offset + req->length)
			return true;
	}
	return false;
}

static void write_entry(struct write_log *log, struct entry *entry)
{
	struct rewrite *rewrite = idle_rewrite(log);

	rewrite->log = log;
	rewrite->busy = true;
	rewrite->req = (struct blk_req){
		.op = (enum blk_op)entry->op, .flags = BLK_OWN | entry->flags,
		.offset = entry->offset, .length = entry->length,
		.data = entry->op == BLK_WRITE ? (uint8_t *)(entry + 1) : NULL, .done = rewritten,
	};
	log->busy++;
	log->written++;
	log->bytes += entry->length;
	log->writer->ops->submit(log->writer, &rewrite->req);
}

static bool stops(const struct write_log *log)
{
	return log->interrupted || log->error || !log->left;
}

static void writer_turn(struct loop_call *call)
{
	struct write_log *log = container_of(call, struct write_log, go_on);

	while (log->busy < WINDOW && !stops(log)) {
		struct entry *entry;

		log->left -= pass_gap(log, &log->at);
		entry = entry_at(log, log->at);
		if (must_wait(log, entry))
			return;
		log->at += entry->span;
		log->left -= entry->span;
		write_entry(log, entry);
	}
	if (!log->busy && stops(log))
		writer_ends(log);
}

/* What is not all there is not written in part: it might undo what is missing. */
static void writer_begins(struct write_log *log)
{
	log->at = log->head;
	log->left = log->missing > atomic_load(&log->flushed) ? 0 : log->used;
	log->written = log->bytes = 0;
	log->interrupted = false;
	log->error = 0;
	assert(!log->busy);
	loop_defer(log->writer->loop, &log->go_on);
}

/* Members ------------------------------------------------------------------------ */

static void on_message(struct loop_msg *msg)
{
	struct log_member *member = container_of(msg, struct log_member, msg);
	struct write_log *log = member->log;
	enum phase phase;
	bool writes;

	pthread_mutex_lock(&log->mutex);
	member->posted = false;
	phase = log->phase;
	writes = phase == WRITING && log->writer == member;
	pthread_mutex_unlock(&log->mutex);
	if (member->left) {
		member->left(member);
	} else if (writes) {
		writer_begins(log);
	} else if (phase == IDLE) {
		go_on(member);
	} else {
		member->held = true;
		member->ops->hold(member);
	}
}

void write_log_join(struct write_log *log, struct log_member *member)
{
	member->log = log;
	member->msg.run = on_message;
	member->posted = false;
	member->quiet = member->ready = false;
	member->left = NULL;
	pthread_mutex_lock(&log->mutex);
	list_add_tail(&log->members, &member->node);
	member->held = log->phase != IDLE;
	if (member->held)
		post(member);
	pthread_mutex_unlock(&log->mutex);
}

void write_log_leave(struct log_member *member, void (*left)(struct log_member *member))
{
	struct write_log *log = member->log;
	bool posted;

	pthread_mutex_lock(&log->mutex);
	list_del(&member->node);
	if (log->writer == member) {
		/* Somebody else has to do it. */
		assert(!log->busy);
		loop_call_cancel(&log->go_on);
		log->writer = NULL;
		log->phase = HOLDING;
	}
	if (log->flushing && log->flusher == member) {
		loop_call_cancel(&log->flush_soon);
		log->flushing = false;
	}
	look_around(log);
	posted = member->posted;
	member->left = left;
	pthread_mutex_unlock(&log->mutex);
	if (!posted)
		left(member);
}
