/*
 * SendTargets (RFC 7143 Appendix C): which targets an initiator hears of, and by which
 * addresses it can reach them.
 *
 * A discovery session hears of the targets of the portal group that it came to, as far as
 * the group's discovery filter lets it: by default, those to which it may log in. Of each
 * it hears all portal groups where that holds, so that it finds every path.
 */
#include <string.h>
#include <strings.h>

#include "stream.h"
#include "target_conn.h"
#include "target_session.h"
#include "target_text.h"

/* By this entrance, to this initiator. A filter does what those before it do, too. */
static bool is_told(const struct target_conn *c, const struct access_entrance *entrance)
{
	const struct target_session *s = c->session;
	union target_address address;

	switch (s->place.group->filter) {
	case ACCESS_FILTER_AUTH:
		if (!access_admits_user(entrance->auth, s->user))
			return false;
		/* fall through */
	case ACCESS_FILTER_NAME:
		if (!access_admits_name(entrance->auth, s->nexus.initiator_name))
			return false;
		/* fall through */
	case ACCESS_FILTER_PORTAL:
		return access_admits_address(entrance->auth,
					     target_portal_from(c->conn.stream->fd, &address));
	case ACCESS_FILTER_NONE:
		break;
	}
	return true;
}

static bool is_visible(const struct target_conn *c, const struct access_target *target)
{
	const struct access_entrance *here =
		access_find_entrance(target, c->session->place.group->tag);

	return here && (target == c->session->place.target || is_told(c, here));
}

static void tell(const struct target_conn *c, const struct access_target *target,
		 struct key_text *out)
{
	keys_put(out, key_row(KEY_TARGET_NAME)->name, target->name);
	for (unsigned i = 0; i < target->entrance_count; i++)
		if (target->entrances[i].group == c->session->place.group
		    || is_told(c, &target->entrances[i]))
			target_portal_put(target->entrances[i].group, c->conn.stream->fd, out);
}

/* May the session ask for that: All in a discovery session, nothing in a normal one, or a name? */
static bool may_ask(const struct target_session *s, const char *which)
{
	if (strcmp(which, "All") == 0)
		return s->discovery;
	return *which ? iscsi_name_valid(which) : !s->discovery;
}

/* In a normal session there is one target, however it is asked for. */
static bool is_meant(const struct target_session *s, const struct access_target *target,
		     const char *which)
{
	if (!s->discovery && target != s->place.target)
		return false;
	return !*which || strcmp(which, "All") == 0 || strcasecmp(which, target->name) == 0;
}

void target_send_targets(const struct target_conn *c, const char *which, struct key_text *out)
{
	const struct target_session *s = c->session;

	if (!may_ask(s, which)) {
		keys_put(out, key_row(KEY_SEND_TARGETS)->name, "Reject");
		return;
	}
	for (unsigned i = 0; i < s->access->target_count; i++) {
		const struct access_target *target = s->access->targets[i];

		if (is_meant(s, target, which) && is_visible(c, target))
			tell(c, target, out);
	}
}

size_t target_send_targets_room(const struct target_conn *c)
{
	const struct target_session *s = c->session;
	size_t room = 0;

	for (unsigned i = 0; i < s->access->target_count; i++) {
		const struct access_target *target = s->access->targets[i];

		if (!is_meant(s, target, "") || !is_visible(c, target))
			continue;
		room += sizeof("TargetName=") + strlen(target->name);
		for (unsigned e = 0; e < target->entrance_count; e++)
			room += target_portal_room(target->entrances[e].group);
	}
	return room;
}
