/*
 * The write log, second half: the barrier that all instances of a device come to when
 * its cache may have been lost.
 *
 *	IDLE	 writes are acknowledged, logged, and forgotten as flushes end
 *	HOLDING	 every member is told to hold, and says when it is quiet. When all are, one
 *		 that has a connection is chosen, and it is
 *	WRITING	 alone. What is kept goes out in order (side by side where it does not overlap);
 *		 then all resume. If the connection goes meanwhile: HOLDING again.
 *
 * While the phase is WRITING nobody appends, so the ring is read without the mutex.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "log.h"
#include "write_log_private.h"

static struct log_member *member_of(struct list *node)
{
	return container_of(node, struct log_member, node);
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
	write_log_trim(log, UINT64_MAX);
	write_log_add_debt(log);
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

/* A write that fails is lost, and owed. What comes behind it is written all the same: it may have
 * been written over by what came before, and be persistent, if it was FUA. */
static bool stops(const struct write_log *log)
{
	return log->interrupted || !log->left;
}

void write_log_writer_turn(struct loop_call *call)
{
	struct write_log *log = container_of(call, struct write_log, go_on);

	while (log->busy < WINDOW && !stops(log)) {
		struct entry *entry;

		log->left -= write_log_pass_gap(log, &log->at);
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
