/*
 * The CHAP accounts that the command line gives for iscsi:// devices. A device has the
 * user of its URL, or else that of --chap-user; what is said of a user ("USER=...") comes
 * before what is said of all.
 */
#ifndef ACCOUNTS_H
#define ACCOUNTS_H

#include <stdbool.h>
#include <stddef.h>

#include "chap_account.h"

enum account_item { ACCOUNT_SECRET, ACCOUNT_MUTUAL_SECRET, ACCOUNT_MUTUAL_USER, ACCOUNT_ITEMS };

/* One argument, [USER=]VALUE, in argv. */
struct account_said {
	const char *user;
	size_t user_len;		/* 0: of all users */
	const char *value;
};

struct accounts {
	const char *user;		/* --chap-user; NULL = not given */
	struct account_said *said[ACCOUNT_ITEMS];
	unsigned count[ACCOUNT_ITEMS];
};

/* Take an argument, which must outlive the accounts. */
void accounts_add(struct accounts *accounts, enum account_item item, const char *argument);

/*
 * Fill in the account of this user ("": the one of --chap-user), reading its secrets from
 * their files; *found is as chap_account_complete() has it. False with a one-line reason.
 */
bool accounts_find(const struct accounts *accounts, const char *user, struct chap_account *account,
		   const struct chap_user **found, char *why, size_t size);

void accounts_free(struct accounts *accounts);

#endif
