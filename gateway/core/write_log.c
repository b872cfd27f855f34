/*
 * The write log (write_log.h), first half: a ring of entries, and the account.
 *
 * A mutex guards everything but the copying of data. Space in the ring is taken in the
 * order of acknowledgement, under the mutex, and filled without it; what is not filled
 * yet is not given up either, whatever a flush has covered.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "log.h"
#include "write_log_private.h"

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
	loop_call_init(&log->go_on, write_log_writer_turn);
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

/* The ring ------------------------------------------------------------------ */

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

uint64_t write_log_pass_gap(const struct write_log *log, uint64_t *at)
{
	uint64_t rest = log->size - *at;

	if (rest && entry_at(log, *at)->seq)
		return 0;
	*at = 0;
	return rest;
}

void write_log_trim(struct write_log *log, uint64_t mark)
{
	while (log->used) {
		struct entry *entry;

		log->used -= write_log_pass_gap(log, &log->head);
		entry = entry_at(log, log->head);
		if (entry->seq > mark || !atomic_load_explicit(&entry->filled, memory_order_acquire))
			return;
		log->head += entry->span;
		log->used -= entry->span;
	}
	log->head = log->tail = 0;	/* the pages that were used last are the warmest */
}

/* The account ---------------------------------------------------------------- */

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
	write_log_trim(log, mark);
	pthread_mutex_unlock(&log->mutex);
}

bool write_log_collect(struct write_log *log)
{
	return atomic_load_explicit(&log->debt, memory_order_relaxed) &&
	       atomic_exchange(&log->debt, false);
}

bool write_log_answered(struct log_member *member, struct blk_req *req, uint64_t mark,
			const char *loss)
{
	bool flush = req->op == BLK_FLUSH;

	if (blk_modifies(req->op))
		write_log_ack(member, req);
	else if (flush)
		write_log_flushed(member->log, mark);
	if (!(flush || req->flags & BLK_FUA) || !write_log_collect(member->log))
		return true;
	blk_fail(req, EIO, "%s", loss);
	return false;
}

unsigned write_log_losses(const struct write_log *log)
{
	return atomic_load(&log->losses);
}

void write_log_add_debt(struct write_log *log)
{
	atomic_store(&log->debt, true);
	atomic_fetch_add(&log->losses, 1);
}

void write_log_owe(struct log_member *member)
{
	write_log_add_debt(member->log);
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
		write_log_add_debt(log);
	pthread_mutex_lock(&log->mutex);
	log->flushing = false;
	pthread_mutex_unlock(&log->mutex);
}
