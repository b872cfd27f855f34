/*
 * What is behind an export, as the whole process sees it: the parsed URI and what
 * the workers' instances share. Made by the main thread, constant while workers run.
 */
#ifndef DEVICE_H
#define DEVICE_H

#include <stdbool.h>
#include <stddef.h>

#include "blk.h"
#include "chap_account.h"
#include "disk_lu.h"
#include "file_blk.h"
#include "initiator.h"
#include "mem_blk.h"

enum device_kind { DEVICE_MEM, DEVICE_FILE, DEVICE_NBD, DEVICE_ISCSI };

struct device {
	enum device_kind kind;
	const char *uri;		/* as given to device_new(), whose caller keeps it */
	bool read_only;
	struct mem *mem;		/* DEVICE_MEM */
	struct file *file;		/* DEVICE_FILE */
	struct iscsi_url url;		/* DEVICE_ISCSI */
	struct initiator_conf initiator; /* ... but for the ISID, which is each session's own. DEVICE_NBD:
					  * its outage_timeout */
	struct chap_account account;	/* DEVICE_ISCSI: that it logs in by */
	/* DEVICE_NBD: */
	unsigned connections;		/* at most; 0: one per worker */
	char *tls_certificates, *tls_psk; /* as nbd_blk.h has them; NULL: not given */
	struct blk_shared shared;
	struct lu_shared *lu_shared;	/* where it is served as a logical unit of ours */
};

/*
 * Parse "uri" and open what can be opened without a worker (a file, memory;
 * blocking). NULL with a one-line reason that does not repeat the URI.
 */
struct device *device_new(const char *uri, bool read_only, char *why, size_t size);

/* What a DEVICE URI is for; a guess, if it is none. */
enum device_kind device_uri_kind(const char *uri);

/* Is it a DEVICE URI, as far as can be told without opening it? False: why, likewise. */
bool device_uri_check(const char *uri, char *why, size_t size);

/* After every instance has been closed. */
void device_free(struct device *device);

/*
 * Keep at most "bytes" of acknowledged writes until they are flushed, to write them again
 * after an outage; 0: none. Without this call it is 64 MiB for an NBD export, and none for
 * a LUN, which other hosts are likely to write as well. Before any instance is open.
 * False without memory.
 */
bool device_keep_writes(struct device *device, uint64_t bytes);

/* "10M", "1T", "512": bytes > 0 (powers of 1024). False when it is no size. */
bool device_size_parse(const char *text, uint64_t *bytes);

#endif
