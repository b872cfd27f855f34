/*
 * What those can make us hold who have not logged in yet: so many logins per worker, of
 * which the oldest makes room for the newest, and in all workers together so much memory
 * for long text. A login of the usual size needs no share of that memory, so that who uses
 * it up keeps nobody out.
 *
 * Called in a connection's life at its beginning, when it wants to hold text, and when it
 * has logged in or ended.
 */

#include "target_conn.h"
#include "target_private.h"
#include "target_shared.h"

/* A login takes milliseconds. Who is pushed out by so many others at a time tries again. */
#define LOGINS_MAX	1000

/*
 * Logins with more than SHORT_TEXT at a time: each may hold a whole data segment, and the
 * text of those before it, KEYS_TEXT_MAX + TARGET_TEXT_MAX (RFC 7143 §6.2).
 */
#define SHORT_TEXT	1024
#define LONG_TEXTS_MAX	400

void target_guard_enter(struct target_conn *c)
{
	struct target_service *service = c->service;
	struct target_conn *oldest;

	list_add_tail(&service->logins, &c->login_node);
	if (++service->login_count <= LOGINS_MAX)
		return;
	oldest = container_of(service->logins.next, struct target_conn, login_node);
	target_guard_leave(oldest);
	conn_fail(&oldest->conn, "%u newer logins are under way", LOGINS_MAX);
}

void target_guard_leave(struct target_conn *c)
{
	if (!list_empty(&c->login_node)) {
		list_del(&c->login_node);
		c->service->login_count--;
	}
	if (c->holds_long_text)
		atomic_fetch_sub(target_shared_long_texts(c->service->shared), 1);
	c->holds_long_text = false;
}

bool target_guard_text(struct target_conn *c, size_t len)
{
	atomic_uint *long_texts = target_shared_long_texts(c->service->shared);

	if (len <= SHORT_TEXT || c->holds_long_text)
		return true;
	if (atomic_fetch_add(long_texts, 1) >= LONG_TEXTS_MAX) {
		atomic_fetch_sub(long_texts, 1);
		return false;
	}
	c->holds_long_text = true;
	return true;
}
