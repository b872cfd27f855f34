/*
 * What the command line asks for: plain data, constant once parsed.
 */
#ifndef CONF_H
#define CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "accounts.h"
#include "address.h"
#include "initiator.h"
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

/* --discover: nothing is served. */
struct conf_discover {
	const char *portal;		/* [user@]host[:port]; NULL: no discovery */
	bool luns, json;
};

struct conf {
	struct address *nbd, *iscsi;	/* listeners */
	unsigned nbd_count, iscsi_count;
	struct conf_device *devices;
	unsigned device_count;
	char	 target[ISCSI_NAME_MAX + 1];
	bool	 read_only;
	unsigned block_size;		/* bytes of a logical block: 512 or 4096 */
	unsigned threads;		/* > 0 */
	const char *pidfile, *run;	/* NULL = none */
	const char *state_dir;		/* what outlives the process is kept there; NULL = nowhere */
	bool	 single;		/* one NBD client, on stdin and stdout */
	double	 handshake_timeout;	/* seconds; 0 = none */
	bool	 has_write_log;		/* else as device_keep_writes() says */
	uint64_t write_log;		/* bytes per device */
	const char **shared;		/* devices that others write, too, by name */
	unsigned shared_count;
	struct conf_tls tls;
	/* Of every iscsi:// device: */
	struct initiator_conf initiator;
	struct accounts accounts;
	struct conf_discover discover;
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
