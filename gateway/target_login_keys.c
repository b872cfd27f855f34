/*
 * What the text of a login says (RFC 7143 §6.2, §6.3, §13): who is there, what for,
 * and the keys to negotiate.
 *
 * Called by target_login.c with whole texts. Changes only the login's state.
 */
#include <ctype.h>
#include <string.h>

#include "log.h"
#include "stream.h"
#include "target_conn.h"
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

static enum login_status take_operational(struct target_login *l, const struct key_pair *pair)
{
	switch (negotiation_take(&l->negotiation, pair, &l->text.out)) {
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

static bool is_chap(enum key_id id)
{
	return id >= KEY_CHAP_A && id <= KEY_CHAP_R;
}

static enum login_status take_security(struct target_login *l, const struct key_pair *pair)
{
	if (l->stage != STAGE_SECURITY)
		return LOGIN_INITIATOR_ERROR;
	if (pair->id == KEY_AUTH_METHOD)
		l->auth_methods = pair->value;
	else if (l->proving)
		chap_take(&l->chap, pair);
	else
		return LOGIN_INITIATOR_ERROR;
	return LOGIN_OK;
}

static bool is_identity(enum key_id id)
{
	return id == KEY_INITIATOR_NAME || id == KEY_TARGET_NAME || id == KEY_SESSION_TYPE;
}

static bool is_name(const char *value, const char *known)
{
	char name[ISCSI_NAME_MAX + 1];

	return take_name(name, value) && strcmp(name, known) == 0;
}

/*
 * libiscsi, and with it QEMU, has to be let in where it has offered CHAP,None and None was chosen:
 * it begins the operational stage with the names once more. §6.2 is against another value, and
 * against haggling a second time; this is neither.
 */
static bool is_the_same_again(const struct target_login *l, const struct key_pair *pair)
{
	const struct target_login_result *r = &l->result;

	if (!l->identified || l->stage != STAGE_OPERATIONAL)
		return false;
	if (pair->id == KEY_SESSION_TYPE)
		return strcmp(pair->value, r->discovery ? "Discovery" : "Normal") == 0;
	return (pair->id == KEY_INITIATOR_NAME && is_name(pair->value, r->nexus.initiator_name)) ||
	       (pair->id == KEY_TARGET_NAME && is_name(pair->value, r->nexus.target_name));
}

static enum login_status take_pair(struct target_login *l, const struct key_pair *pair)
{
	uint64_t bit;

	if (pair->id < KEY_NEGOTIATED || pair->id == KEY_OF_MARK_INT || pair->id == KEY_IF_MARK_INT
	    || pair->id == KEY_NOT_UNDERSTOOD)
		return take_operational(l, pair);
	/* CHAP_I and CHAP_C may come from both sides; chap.c knows when. */
	if (is_chap(pair->id))
		return take_security(l, pair);
	if (is_the_same_again(l, pair))
		return LOGIN_OK;
	bit = UINT64_C(1) << pair->id;
	if (l->seen & bit || (l->identified && is_identity(pair->id)))
		return LOGIN_INITIATOR_ERROR;
	l->seen |= bit;
	if (pair->id == KEY_AUTH_METHOD)
		return take_security(l, pair);
	return take_declaration(l, pair);
}

/* Where the login leads to, by the rules that were in force when it began. */
static enum login_status find_place(struct target_conn *c)
{
	struct target_login *l = c->login;
	struct target_login_result *r = &l->result;

	return target_place_find(l->access, c->group, &r->nexus, r->discovery, c->conn.stream->fd,
				 &r->place, &l->redirect_to);
}

/* The first text is complete: do we know who it is and what for? */
static enum login_status identify(struct target_conn *c)
{
	struct target_login *l = c->login;
	enum login_status status;

	if (!*l->result.nexus.initiator_name || (!l->result.discovery && !l->named_target))
		return LOGIN_MISSING_PARAMETER;
	if (l->result.discovery)
		*l->result.nexus.target_name = '\0';
	status = find_place(c);
	/* RFC 7143 §6.3: whoever begins beyond the security stage will not authenticate. */
	if (!status && l->stage != STAGE_SECURITY && !target_login_is_proved(l))
		status = LOGIN_AUTHENTICATION_FAILURE;
	return status;
}

bool target_login_is_proved(const struct target_login *l)
{
	return l->result.place.auth->auth == ACCESS_OPEN || l->chap.state == CHAP_OVER;
}

/* The keys of one CHAP step are taken. */
static enum login_status prove(struct target_conn *c)
{
	struct target_login *l = c->login;

	if (chap_step(&l->chap, &l->text.out) != CHAP_FAILED)
		return LOGIN_OK;
	if (target_conn_is_news(c))
		log_warning("iSCSI %s: %s: authentication failed: %s", c->peer,
			    l->result.nexus.initiator_name, l->chap.why);
	return LOGIN_AUTHENTICATION_FAILURE;
}

/* Security stage: agree on how the initiator is to prove who it is, or let it go on with that. */
static enum login_status authenticate(struct target_conn *c)
{
	struct target_login *l = c->login;
	const struct access_auth_group *auth = l->result.place.auth;
	const char *method = auth->auth == ACCESS_OPEN ? "None" : "CHAP";

	if (l->proving)
		return prove(c);
	if (l->auth_methods) {
		if (!lists(l->auth_methods, method))
			return LOGIN_AUTHENTICATION_FAILURE;
		l->auth_methods = NULL;
		keys_put(&l->text.out, key_row(KEY_AUTH_METHOD)->name, method);
		l->proving = auth->auth == ACCESS_CHAP;
		if (l->proving)
			chap_target(&l->chap, auth->users, auth->user_count, CHAP_ALL);
		return LOGIN_OK;
	}
	/* It wants to go on without. */
	return l->request.final && !target_login_is_proved(l) ? LOGIN_AUTHENTICATION_FAILURE
							      : LOGIN_OK;
}

/* RFC 7143 §13.9: the portal group is told in the first response. */
static void greet(struct target_conn *c)
{
	struct target_login *l = c->login;
	const struct access_target *target = l->result.place.target;

	l->identified = true;
	if (!target)
		return;
	if (target->alias)
		keys_put(&l->text.out, key_row(KEY_TARGET_ALIAS)->name, target->alias);
	keys_put_number(&l->text.out, KEY_TARGET_PORTAL_GROUP_TAG, l->result.place.group->tag);
}

/* All keys of the step are taken: what do they come to? */
static enum login_status conclude_step(struct target_conn *c)
{
	struct target_login *l = c->login;
	enum login_status status = l->identified ? LOGIN_OK : identify(c);

	if (!status && l->stage == STAGE_SECURITY)
		status = authenticate(c);
	if (status)
		return status;
	if (!l->identified)
		greet(c);
	if (l->stage == STAGE_OPERATIONAL && !l->declared) {
		negotiation_declare(&l->negotiation, &l->text.out);
		l->declared = true;
	}
	return LOGIN_OK;
}

enum login_status target_login_take(struct target_conn *c, const char *text, size_t len)
{
	struct target_login *l = c->login;
	enum login_status status;
	struct key_pair pair;
	const char *why;
	size_t at = 0;
	int more;

	while ((more = keys_next(text, len, &at, &pair, &why)) > 0) {
		if (!is_chap(pair.id))
			log_trace(iscsi_debug_login, "iSCSI %s: %.*s=%.200s", c->peer,
				  (int)pair.name_len, pair.name, pair.value);
		status = take_pair(l, &pair);
		if (status) {
			log_trace(iscsi_debug_login, "iSCSI %s: refused for that", c->peer);
			return status;
		}
	}
	if (more == 0)
		return conclude_step(c);
	log_trace(iscsi_debug_login, "iSCSI %s: %s", c->peer, why);
	return LOGIN_INITIATOR_ERROR;
}
