/* CHAP accounts of the command line; see accounts.h. */
#include "config.h"

#include "accounts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "need.h"

/* USER= is there when a '=' comes before any '/': paths may have more of them. */
static struct account_said parse(const char *argument)
{
	size_t len = strcspn(argument, "=/");

	if (argument[len] == '=')
		return (struct account_said){ argument, len, argument + len + 1 };
	return (struct account_said){ argument, 0, argument };
}

void accounts_add(struct accounts *accounts, enum account_item item, const char *argument)
{
	unsigned *count = &accounts->count[item];
	struct account_said *said = need_more(accounts->said[item], *count, sizeof(*said));

	said[(*count)++] = parse(argument);
	accounts->said[item] = said;
}

/* What was said of this user, or of all; the last word counts. NULL: nothing. */
static const char *find(const struct accounts *accounts, enum account_item item, const char *user)
{
	const char *of_all = NULL, *of_user = NULL;

	for (unsigned i = 0; i < accounts->count[item]; i++) {
		const struct account_said *said = &accounts->said[item][i];

		if (!said->user_len)
			of_all = said->value;
		else if (said->user_len == strlen(user)
			 && memcmp(said->user, user, said->user_len) == 0)
			of_user = said->value;
	}
	return of_user ? of_user : of_all;
}

static bool load(const char *path, struct chap_secret *secret, char *why, size_t size)
{
	return !path || chap_secret_load(path, secret, why, size);
}

static bool copy_name(const char *name, char to[CHAP_NAME_MAX + 1], char *why, size_t size)
{
	if (strlen(name) <= CHAP_NAME_MAX) {
		strcpy(to, name);
		return true;
	}
	snprintf(why, size, "a CHAP user has a name of more than %d bytes", CHAP_NAME_MAX);
	return false;
}

bool accounts_find(const struct accounts *accounts, const char *user, struct chap_account *account,
		   const struct chap_user **found, char *why, size_t size)
{
	const char *mutual;

	*found = NULL;
	memset(account, 0, sizeof(*account));
	if (!*user)
		user = accounts->user ? accounts->user : "";
	mutual = find(accounts, ACCOUNT_MUTUAL_USER, user);
	return copy_name(user, account->name, why, size)
	       && copy_name(mutual ? mutual : "", account->mutual_name, why, size)
	       && load(find(accounts, ACCOUNT_SECRET, user), &account->secret, why, size)
	       && load(find(accounts, ACCOUNT_MUTUAL_SECRET, user), &account->mutual_secret, why, size)
	       && chap_account_complete(account, found, why, size);
}

void accounts_free(struct accounts *accounts)
{
	for (unsigned i = 0; i < ACCOUNT_ITEMS; i++)
		free(accounts->said[i]);
}
