/*
 * What the text of a login says (RFC 7143 §6.2, §6.3, §13): who is there, what for,
 * and the keys to negotiate.
 *
 * Called by target_login.c with whole texts. Changes only the login's state.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "log.h"
#include "target_login.h"

static bool lists(const char *list, const char *value)
{
	size_t value_len = strlen(value);

	for (;; list++) {
		size_t len = strcspn(list, ",");

		if (len == value_len && memcmp(list, value, len) == 0)
			return true;
		list += len;
		if (!*list)
			return false;
	}
}

/* RFC 7143 §4.2.7.2: names compare in lower case, so that is how we keep them. */
static bool take_name(char name[224], const char *value)
{
	size_t len = strlen(value);

	if (len > ISCSI_NAME_MAX)
		return false;
	for (size_t i = 0; i <= len; i++)
		name[i] = (char)tolower((unsigned char)value[i]);
	return iscsi_name_valid(name);
}

static enum login_status take_session_type(struct target_login *l, const char *value)
{
	l->result.discovery = strcmp(value, "Discovery") == 0;
	return l->result.discovery || strcmp(value, "Normal") == 0 ? LOGIN_OK : LOGIN_SESSION_TYPE;
}

static enum login_status take_auth_method(struct target_login *l, const char *value)
{
	if (l->stage != STAGE_SECURITY)
		return LOGIN_INITIATOR_ERROR;
	if (!lists(value, "None"))
		return LOGIN_AUTHENTICATION_FAILURE;
	keys_put(&l->out, key_row(KEY_AUTH_METHOD)->name, "None");
	return LOGIN_OK;
}

static enum login_status take_operational(struct target_login *l, const struct key_pair *pair)
{
	switch (negotiation_take(&l->negotiation, pair, &l->out)) {
	case NEGOTIATED:
		return LOGIN_OK;
	case NEGOTIATION_REJECTED:
	case NEGOTIATION_BROKEN:
		break;
	}
	return LOGIN_INITIATOR_ERROR;
}

/* A key that says something rather than negotiating. */
static enum login_status take_declaration(struct target_login *l, const struct key_pair *pair)
{
	switch (pair->id) {
	case KEY_INITIATOR_NAME:
		return take_name(l->result.nexus.initiator_name, pair->value)
		       ? LOGIN_OK : LOGIN_INITIATOR_ERROR;
	case KEY_TARGET_NAME:
		l->named_target = true;
		return take_name(l->result.nexus.target_name, pair->value)
		       ? LOGIN_OK : LOGIN_NOT_FOUND;
	case KEY_SESSION_TYPE:
		return take_session_type(l, pair->value);
	case KEY_INITIATOR_ALIAS:
		return LOGIN_OK;
	default:
		return LOGIN_INITIATOR_ERROR;	/* not for an initiator, or not for login */
	}
}

static bool is_identity(enum key_id id)
{
	return id == KEY_INITIATOR_NAME || id == KEY_TARGET_NAME || id == KEY_SESSION_TYPE;
}

static enum login_status take_pair(struct target_login *l, const struct key_pair *pair)
{
	uint64_t bit;

	if (pair->id < KEY_NEGOTIATED || pair->id == KEY_OF_MARK_INT || pair->id == KEY_IF_MARK_INT
	    || pair->id == KEY_NOT_UNDERSTOOD)
		return take_operational(l, pair);
	bit = UINT64_C(1) << pair->id;
	if (l->seen & bit || (l->identified && is_identity(pair->id)))
		return LOGIN_INITIATOR_ERROR;
	l->seen |= bit;
	if (pair->id == KEY_AUTH_METHOD)
		return take_auth_method(l, pair->value);
	return take_declaration(l, pair);
}

/* A connection for a session that exists (RFC 7143 §6.3.3): each has one at most. */
static enum login_status refuse_to_join(const struct target_conn *c)
{
	const struct target_login *l = c->login;

	return target_shared_has(c->service->shared, l->request.tsih, &l->result.nexus)
	       ? LOGIN_TOO_MANY_CONNECTIONS : LOGIN_NO_SESSION;
}

/* The first text is complete: do we know who it is and what for? */
static enum login_status identify(struct target_conn *c)
{
	const struct target_conf *conf = c->service->conf;
	struct target_login *l = c->login;

	if (!*l->result.nexus.initiator_name || (!l->result.discovery && !l->named_target))
		return LOGIN_MISSING_PARAMETER;
	if (!l->result.discovery && strcasecmp(l->result.nexus.target_name, conf->name) != 0)
		return LOGIN_NOT_FOUND;
	if (l->request.tsih)
		return refuse_to_join(c);
	/* RFC 7143 §13.9: the portal group is told in the first response. */
	if (!l->result.discovery) {
		if (*conf->alias)
			keys_put(&l->out, key_row(KEY_TARGET_ALIAS)->name, conf->alias);
		keys_put_number(&l->out, KEY_TARGET_PORTAL_GROUP_TAG, conf->tpgt);
	}
	l->identified = true;
	return LOGIN_OK;
}

enum login_status target_login_take(struct target_conn *c, const char *text, size_t len)
{
	struct target_login *l = c->login;
	enum login_status status = LOGIN_OK;
	struct key_pair pair;
	const char *why;
	size_t at = 0;
	int more;

	while ((more = keys_next(text, len, &at, &pair, &why)) > 0) {
		if (pair.id < KEY_CHAP_A || pair.id > KEY_CHAP_R)
			log_trace(iscsi_debug_login, "iSCSI %s: %.*s=%.200s", c->peer,
				  (int)pair.name_len, pair.name, pair.value);
		status = take_pair(l, &pair);
		if (status) {
			log_trace(iscsi_debug_login, "iSCSI %s: refused for that", c->peer);
			return status;
		}
	}
	if (more < 0) {
		log_trace(iscsi_debug_login, "iSCSI %s: %s", c->peer, why);
		return LOGIN_INITIATOR_ERROR;
	}
	if (!l->identified)
		status = identify(c);
	if (!status && l->stage == STAGE_OPERATIONAL && !l->declared) {
		negotiation_declare(&l->negotiation, &l->out);
		l->declared = true;
	}
	return status;
}
