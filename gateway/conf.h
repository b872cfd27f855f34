/*
 * What the gateway is to serve, as the command line and the configuration file say it:
 * data, constant once parsed, but for what the gateway fills in as it opens things.
 *
 * Both lead to the same: a command line without --config is one portal group and one
 * target, open to all, with a LUN and an NBD export for every DEVICE.
 */
#ifndef CONF_H
#define CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "access.h"
#include "accounts.h"
#include "address.h"
#include "device.h"
#include "disk_lu.h"
#include "export.h"
#include "initiator.h"
#include "keys.h"
#include "nbd_exports.h"
#include "nbd_server.h"
#include "target.h"
#include "tls.h"

struct ucl_node;

/* How a device at the far end of a network is reached. The configuration has one, from which each
 * device begins. */
struct conf_reach {
	struct initiator_conf initiator; /* iscsi://; its outage_timeout is that of nbd://, too */
	bool	 has_write_log;		/* else as device_keep_writes() says */
	uint64_t write_log;		/* bytes */
	unsigned connections;		/* to an NBD server, at most; 0: one per thread */
	const char *tls_certificates, *tls_psk;	/* of nbds://, as nbd_blk.h has them; NULL = not given */
};

/* One block device or far unit, however many LUNs and NBD exports show it. */
struct conf_device {
	char *key;			/* what it is called; the same device after a reload has the same */
	char *uri;
	enum device_kind kind;
	struct conf_reach reach;
	struct chap_account *account;	/* of its own, or gateway_device.c's; NULL: not read yet */
	bool  read_only;
	bool  shared;			/* others write to it, too */
	struct disk_lu_conf lu;		/* as a logical unit of ours; of its first LUN, and block_len */
	struct export *export;		/* what LUNs and NBD exports refer to; made with the conf_device */
	bool  adopted;			/* ... and taken from, or by, another configuration (gateway_device.c) */
	unsigned line;			/* in the file; 0: not from there */
	unsigned views, writers;	/* LUNs and NBD exports that show it, and those that may write */
};

/* Where to listen. */
struct conf_listener {
	struct address address;
	uint16_t group;			/* tag of the portal group; 0: for NBD clients */
	const char *name;		/* ... and its name, for sockets that systemd passes; NULL for NBD */
	struct nbd_export *export;	/* NBD: for this one alone; NULL: for all that have none of their own */
	unsigned line;			/* in the file; 0: not from there */
};

/* TLS of the NBD listeners, in nbdkit's terms. */
struct conf_tls {
	enum tls_mode mode;
	const char *certificates, *psk;	/* NULL = not given */
	bool verify_peer;
	const char **allow;		/* distinguished names */
	unsigned allow_count;
	struct tls *credentials;	/* made of these; NULL with TLS_OFF */
	const char **only;		/* exports that exist only over TLS, by name */
	unsigned only_count;
};

/* DEVICE arguments, as given. */
struct conf_argument {
	char *name;			/* NAME, or "lun" and its position */
	const char *uri;		/* in argv */
};

/* --discover: nothing is served. */
struct conf_discover {
	const char *portal;		/* [user@]host[:port]; NULL: no discovery */
	bool luns, json;
};

/* An option of the command line; the file is read when all are known. */
struct conf_given {
	int value;			/* its row in the table */
	const char *argument;		/* in argv */
};

struct conf {
	struct conf_given *given;
	unsigned given_count;
	const char *file;		/* --config; NULL: none */
	bool	 check;			/* --check-config: that was all */
	const char *import, *secrets_dir; /* --import: that was all; NULL: not given */
	struct ucl_node *tree;		/* ... what is in it; texts below may point there */
	struct conf_argument *arguments;
	unsigned argument_count;

	/* What is served. */
	struct conf_listener *listeners;
	unsigned listener_count;
	unsigned line;			/* of what is being read */
	struct conf_device *devices;
	unsigned device_count;
	struct access *access;		/* one hold; its groups lack the portals yet */
	struct nbd_exports *nbd_exports; /* one hold */

	/* Options. */
	char	 target[ISCSI_NAME_MAX + 1];
	bool	 read_only;
	unsigned block_size;		/* bytes of a logical block: 512 or 4096 */
	unsigned threads;		/* > 0 */
	unsigned debug;			/* log_areas() to be traced */
	const char *pidfile, *run;	/* NULL = none */
	const char *state_dir;		/* what outlives the process is kept there; NULL = nowhere */
	bool	 single;		/* one NBD client, on stdin and stdout */
	struct nbd_limits nbd_limits;
	struct target_conf target_limits; /* of all targets */
	const char **shared;		/* devices that others write, too, by name */
	unsigned shared_count;
	struct conf_tls tls;
	struct conf_reach reach;	/* of devices that do not say otherwise */
	struct accounts accounts;	/* ... of iscsi:// */
	struct conf_discover discover;

	/* What is wrong, a line each, in the order of the file: "FILE:LINE: ..." */
	struct conf_error *errors;
	unsigned error_count;
};

struct conf_error {
	unsigned line;			/* 0: not in the file */
	char *text;
};

enum conf_verdict {
	CONF_RUN,		/* go on: serve, or conf->import, or conf->discover */
	CONF_DONE,		/* --help, --version or --check-config was all: exit 0 */
	CONF_WRONG,		/* conf->errors say what: exit 2 */
};

/*
 * Parse the command line, and the file that it names. Reads files (blocking), and opens no
 * device. conf is to be conf_free()d whatever the verdict. argv must outlive it. For a reload, do it again.
 */
enum conf_verdict conf_parse(struct conf *conf, int argc, char **argv);

void conf_free(struct conf *conf);

#define CONF_PLACE_LEN	4200

/* "FILE:LINE: ", or "" for line 0; returns "place". */
const char *conf_place(const struct conf *conf, unsigned line, char place[CONF_PLACE_LEN]);

/* ---- for the files of conf_*.c only */

/* Note what is wrong. line: of the file, or 0. */
void conf_wrong(struct conf *conf, unsigned line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * The option of that name as a key of the file; value is a UCL_VALUE or a list of them. False:
 * there is no such. What is wrong with the value is noted.
 */
bool conf_take_key(struct conf *conf, const struct ucl_node *node);

/* Append the names of the options that are keys, ", " before each. */
void conf_list_keys(char *text, size_t size);

/* Is that the name of an option which a device may have a value of its own for? And as above. */
bool conf_is_device_key(const char *name);
void conf_list_device_keys(char *text, size_t size);

/* Take such a key, a node of any type. What is wrong with it is noted. */
void conf_take_device_key(struct conf *conf, struct conf_device *device,
			  const struct ucl_node *node);

/* A device of that URI, with an export of its own. */
struct conf_device *conf_add_device(struct conf *conf, const char *key, const char *uri);

void conf_free_device(struct conf_device *device);

/* "line" of it is conf->line. */
struct conf_listener *conf_add_listener(struct conf *conf, const struct address *address,
					uint16_t group, const char *name);

/* conf_file.c: read conf->file and take it all. What is wrong is noted. */
void conf_read_file(struct conf *conf);

#endif
