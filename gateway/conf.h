/*
 * What the command line asks for: plain data, constant once parsed.
 */
#ifndef CONF_H
#define CONF_H

#include <stdbool.h>
#include <stddef.h>

#include "address.h"
#include "keys.h"
#include "tls.h"

/* One DEVICE argument, [NAME=]URI. */
struct conf_device {
	char *name;			/* NBD export name: NAME, or "lun" and its position */
	bool  named;			/* NAME was given */
	const char *uri;		/* in argv */
};

/* TLS of the NBD listeners, in nbdkit's terms. */
struct conf_tls {
	enum tls_mode mode;
	const char *certificates, *psk;	/* NULL = not given */
	bool verify_peer;
	const char **allow;		/* distinguished names */
	unsigned allow_count;
	const char **only;		/* exports that exist only over TLS, by name */
	unsigned only_count;
};

struct conf {
	struct address *nbd, *iscsi;	/* listeners */
	unsigned nbd_count, iscsi_count;
	struct conf_device *devices;
	unsigned device_count;
	char	 target[ISCSI_NAME_MAX + 1];
	bool	 read_only;
	unsigned threads;		/* > 0 */
	const char *pidfile, *run;	/* NULL = none */
	const char *state_dir;		/* what outlives the process is kept there; NULL = nowhere */
	bool	 single;		/* one NBD client, on stdin and stdout */
	double	 handshake_timeout;	/* seconds; 0 = none */
	struct conf_tls tls;
};

enum conf_verdict {
	CONF_RUN,		/* go on */
	CONF_DONE,		/* --help or --version was all: exit 0 */
	CONF_WRONG,		/* "why" says what, in one line: exit 2 */
};

/*
 * Parse the command line; debug areas are switched on as they are met. conf is to
 * be conf_free()d whatever the verdict. argv must outlive it.
 */
enum conf_verdict conf_parse(struct conf *conf, int argc, char **argv, char *why, size_t size);

void conf_free(struct conf *conf);

#endif
