/*
 * An account by which we log in: what a user configures of CHAP, checked, and owned in
 * one place. struct chap_user, which the exchange reads, points into it.
 */
#ifndef CHAP_ACCOUNT_H
#define CHAP_ACCOUNT_H

#include <stdbool.h>
#include <stddef.h>

#include "chap.h"

#define CHAP_NAME_MAX	255	/* bytes, RFC 7143 §12.1.3 has no less */

struct chap_account {
	/* The configuration's; all empty: no account */
	char name[CHAP_NAME_MAX + 1];		/* by which the target knows us */
	char mutual_name[CHAP_NAME_MAX + 1];	/* that the target has to have; "": any */
	struct chap_secret secret, mutual_secret;
	/* chap_account_complete()'s */
	struct chap_user user;
};

/*
 * All that there is has been set: does it make an account? *user gets it, which lies in
 * the account, or NULL if nothing was set. False, with a one-line reason.
 */
bool chap_account_complete(struct chap_account *account, const struct chap_user **user, char *why,
			   size_t size);

/* Overwrite the secrets; every account ends with this. */
void chap_account_wipe(struct chap_account *account);

#endif
