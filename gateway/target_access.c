/*
 * What a session has of a snapshot of access rules (access.h), its logical units most of all,
 * and what becomes of it when another snapshot comes into force.
 *
 * Called at the end of login, by target_follow(), and for every command. A session holds the
 * snapshot that it goes by; of the one before it keeps hold as long as it uses a unit that it
 * has lost.
 */
#include <assert.h>

#include "device.h"
#include "disk_lu.h"
#include "stream.h"
#include "target_conn.h"
#include "target_private.h"
#include "target_session.h"
#include "target_task.h"
#include "target_tmf.h"

void target_session_settle_in(struct target_session *s, const struct target_place *place,
			      const struct chap_user *user)
{
	assert(!s->access);
	s->access = access_hold(s->service->access);
	s->place = *place;
	s->user = access_find_user(place->auth, user);
	if (place->target)
		s->map = access_map_of(place->target, place->group, s->nexus.initiator_name);
}

/* ---- its logical units */

static struct scsi_lu *unit_of(const struct target_session *s, const struct access_lun *lun,
			       bool *read_only)
{
	if (read_only)
		*read_only = lun->read_only || lun->export->read_only;
	return target_instance(s->service, lun->export);
}

struct scsi_lu *target_session_lu(const struct target_session *s, uint64_t wire_lun, bool *read_only)
{
	int number = lun_decode(wire_lun);
	const struct access_lun *lun =
		number < 0 || !s->map ? NULL : access_find_lun(s->map, (unsigned)number);

	return lun ? unit_of(s, lun, read_only) : NULL;
}

struct scsi_lu *target_session_lu_by_naa(const struct target_session *s, uint64_t naa,
					 bool *read_only)
{
	for (unsigned i = 0; s->map && i < s->map->count; i++) {
		const struct access_lun *lun = &s->map->luns[i];
		const struct lu_shared *shared = lun->export->device->lu_shared;

		if (shared && lu_shared_naa(shared) == naa)
			return unit_of(s, lun, read_only);
	}
	return NULL;
}

/* Is the unit of that LUN in the map, too? By the same number, most likely. */
static bool has_unit(const struct access_map *map, const struct access_lun *like)
{
	const struct access_lun *found = access_find_lun(map, like->number);

	if (found && found->export == like->export)
		return true;
	for (unsigned i = 0; i < map->count; i++)
		if (map->luns[i].export == like->export)
			return true;
	return false;
}

/* For each unit of this map that the other map has, or has not. */
static void each_lu(const struct target_session *s, const struct access_map *map,
		    const struct access_map *other, bool in_other,
		    void (*tell)(struct scsi_lu *, const struct nexus *))
{
	for (unsigned i = 0; i < map->count; i++) {
		struct scsi_lu *lu = target_instance(s->service, map->luns[i].export);

		if (lu && has_unit(other, &map->luns[i]) == in_other)
			tell(lu, &s->nexus);
	}
}

void target_session_each_lu(const struct target_session *s,
			    void (*tell)(struct scsi_lu *, const struct nexus *))
{
	each_lu(s, s->map, s->map, true, tell);
}

/* ---- another snapshot is in force */

/* Does every number of this map stand for the same in the other? */
static bool is_within(const struct access_map *map, const struct access_map *other)
{
	for (unsigned i = 0; i < map->count; i++) {
		const struct access_lun *found = access_find_lun(other, map->luns[i].number);

		if (!found || found->export != map->luns[i].export)
			return false;
	}
	return true;
}

static void say_luns_changed(struct scsi_lu *lu, const struct nexus *nexus)
{
	lu_tell(lu, nexus, SENSE_LUNS_CHANGED, true);
}

/* LUNs that the session may now write to, or no longer. False: there are none. */
static bool say_protection_changed(struct target_session *s, const struct access_map *old)
{
	bool changed = false;

	for (unsigned i = 0; i < s->map->count; i++) {
		const struct access_lun *lun = &s->map->luns[i];
		const struct access_lun *was = access_find_lun(old, lun->number);
		struct scsi_lu *lu = target_instance(s->service, lun->export);

		if (!lu || !was || was->export != lun->export || was->read_only == lun->read_only)
			continue;
		lu_tell(lu, &s->nexus, SENSE_MODE_PARAMETERS_CHANGED, true);
		changed = true;
	}
	return changed;
}

/* Has the session lost what the task works at? If anything is lost, a copy may have lost its
 * other end, or the right to write there. */
static bool has_lost_unit(const struct target_task *task, bool copies)
{
	if (!task->lu || task->state == TASK_ANSWERING)
		return false;
	if (task->state == TASK_SUBMITTED && task->scsi.cdb.id == CDB_EXTENDED_COPY_LID1)
		return copies;
	return target_session_lu(task->session, task->lun, NULL) != task->lu;
}

static struct target_task *find_lost(const struct target_session *s, bool copies)
{
	list_for_each(node, &s->tasks) {
		struct target_task *task = container_of(node, struct target_task, node);

		if (!task->unmapped && has_lost_unit(task, copies))
			return task;
	}
	return NULL;
}

/* The session has another map than it had: s->old_map. */
static void change_units(struct target_session *s)
{
	const struct access_map *old = s->old_map;
	bool lost = !is_within(old, s->map);
	struct target_task *task;

	if (lost || !is_within(s->map, old)) {
		each_lu(s, s->map, old, true, say_luns_changed);
		each_lu(s, s->map, old, false, lu_attach);
		s->luns_changed = s->untold = true;
	}
	lost |= say_protection_changed(s, old);
	/* One by one, for each may be freed by that. */
	while ((task = find_lost(s, lost)))
		target_task_unmap(task);
}

static bool uses_lost_unit(const struct target_session *s)
{
	list_for_each(node, &s->tasks) {
		const struct target_task *task = container_of(node, struct target_task, node);

		if (task->unmapped && task->state == TASK_SUBMITTED)
			return true;
	}
	for (unsigned i = 0; i < s->old_map->count; i++) {
		const struct access_lun *lun = &s->old_map->luns[i];

		if (!has_unit(s->map, lun)
		    && target_tmf_uses(s, target_instance(s->service, lun->export)))
			return true;
	}
	return false;
}

void target_session_forget_lost(struct target_session *s)
{
	if (!s->old_access || (s->map && s->attached && uses_lost_unit(s)))
		return;
	if (s->map && s->attached)
		each_lu(s, s->old_map, s->map, false, lu_detach);
	access_drop(s->old_access);
	s->old_access = NULL;
	s->old_map = NULL;
	target_service_settle(s->service);
}

static void move_to(struct target_session *s, const struct target_place *place)
{
	const struct chap_user *user = s->user;

	assert(!s->old_access);
	s->old_access = s->access;
	s->old_map = s->map;
	s->access = NULL;
	target_session_settle_in(s, place, user);
	if (s->map && s->attached)
		change_units(s);
	target_session_forget_lost(s);
}

static const char *why_unwelcome(enum login_status status)
{
	if (status == LOGIN_NOT_FOUND)
		return "the target is here no more";
	if (status >> 8 == LOGIN_REDIRECT >> 8)
		return "the target has moved";
	if (status == LOGIN_SERVICE_UNAVAILABLE)
		return "the target is taken offline";
	return "it is not admitted any more";
}

static void ask_to_leave(struct target_session *s, const char *why)
{
	s->unwelcome = true;
	list_for_each(node, &s->connections) {
		struct target_conn *c = container_of(node, struct target_conn, session_node);

		if (c->phase == PHASE_FULL_FEATURE)
			target_conn_ask_logout(c, why);
		else if (c->phase == PHASE_REINSTATEMENT)
			conn_fail(&c->conn, "%s", why);
		/* One that is logging out is on its way. */
	}
}

/* What the rules in force say to those who are there. Each connection has an address of its own. */
static enum login_status judge(const struct target_session *s, struct target_place *place)
{
	const char *redirect_to;

	list_for_each(node, &s->connections) {
		const struct target_conn *c =
			container_of(node, const struct target_conn, session_node);
		enum login_status status;

		if (!target_conn_alive(c))
			continue;
		status = target_place_find(s->service->access, c->group, &s->nexus, s->discovery,
					   c->conn.stream->fd, place, &redirect_to);
		if (!status && !access_admits_user(place->auth, s->user))
			status = LOGIN_AUTHENTICATION_FAILURE;
		if (status)
			return status;
	}
	return LOGIN_OK;
}

void target_session_follow(struct target_session *s)
{
	struct target_place place;
	enum login_status status;

	if (!target_session_count(s))
		return;		/* it ends with what it has */
	status = judge(s, &place);
	if (status)
		ask_to_leave(s, why_unwelcome(status));
	else
		move_to(s, &place);
}
