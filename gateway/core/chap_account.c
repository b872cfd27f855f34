/* Accounts of CHAP; see chap_account.h. */
#include "chap_account.h"

#include <stdio.h>
#include <string.h>

static const char *refusal(const struct chap_account *account)
{
	if (!account->secret.len && *account->name)
		return "there is a CHAP user, and no secret for it";
	if (!account->secret.len && (account->mutual_secret.len || *account->mutual_name))
		return "the target is to prove itself by CHAP, which needs a user and a secret of our own";
	if (!*account->name && account->secret.len)
		return "there is a CHAP secret, and no user";
	if (*account->mutual_name && !account->mutual_secret.len)
		return "there is a CHAP user for the target, and no secret";
	return NULL;
}

bool chap_account_complete(struct chap_account *account, const struct chap_user **user, char *why,
			   size_t size)
{
	const char *wrong = refusal(account);

	*user = NULL;
	if (!wrong && !account->secret.len)
		return true;
	account->user = (struct chap_user){
		.name = account->name,
		.secret = &account->secret,
		.mutual_secret = account->mutual_secret.len ? &account->mutual_secret : NULL,
		.mutual_name = *account->mutual_name ? account->mutual_name : NULL,
	};
	if (!wrong)
		wrong = chap_user_refusal(&account->user, &account->user, 1);
	if (wrong) {
		snprintf(why, size, "%s", wrong);
		return false;
	}
	*user = &account->user;
	return true;
}

void chap_account_wipe(struct chap_account *account)
{
	chap_secret_wipe(&account->secret);
	chap_secret_wipe(&account->mutual_secret);
}
