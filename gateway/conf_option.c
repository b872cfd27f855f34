/* The table of options; see conf_option.h. */
#include "config.h"

#include <assert.h>
#include <string.h>

#include "conf_limit.h"
#include "conf_option.h"
#include "initiator_option.h"

/* In the order of --help. */
static const struct conf_option options[] = {
	{ "nbd", "ADDR", "listen for NBD clients (may be repeated)", 'n', REPEATS },
	{ "iscsi", "ADDR", "listen for iSCSI initiators (default port 3260; may be repeated)",
	  'i', NO_KEY },
	{ "target", "IQN", "iSCSI target name (default: from the host name)", 't', NO_KEY },
	{ "config", "FILE", "targets, exports and access rules: nbd-iscsi-gateway.conf(5)", 'c', NO_KEY },
	{ "check-config", NULL, "only say what is wrong with that file", OPTION_CHECK_CONFIG, NO_KEY },
	{ "read-only", NULL, "no writes on any side", 'r', 0 },
	{ "threads", "N", "worker threads (default: CPUs available)", 'T', 0 },
	{ "write-log", "SIZE", "keep so much that is not flushed, to write it again after an outage"
	  " (64M for nbd://, 0 for iscsi://)", OPTION_WRITE_LOG, ADVANCED | OF_ISCSI | OF_NBD },
	{ "connections", "N", "to one NBD server, at most (default: one per thread)", OPTION_CONNECTIONS,
	  ADVANCED | OF_NBD },
	{ "device-tls-certificates", "DIR", "with ca-cert.pem, client-cert.pem, client-key.pem, for "
	  "nbds:// devices", OPTION_DEVICE_TLS_CERTIFICATES, ADVANCED | OF_NBD },
	{ "device-tls-psk", "FILE", "... or a pre-shared key, user:hexkey", OPTION_DEVICE_TLS_PSK,
	  ADVANCED | OF_NBD },
	{ "shared", "NAME", "others write this device, too: nothing is written again (may be repeated)",
	  OPTION_SHARED, ADVANCED | NO_KEY },
	{ "block-size", "BYTES", "logical blocks of the iSCSI units, where they are ours to choose: "
	  "512 or 4096 (512)", OPTION_BLOCK_SIZE, ADVANCED },
	{ "pidfile", "FILE", "write the process id once every listener accepts", 'P', 0 },
	{ "run", "CMD", "serve while CMD runs: it sees $uri, $nbd_uri, $iscsi_uri",
	  OPTION_RUN, NO_KEY },
	{ "discover", "HOST[:PORT]", "list the iSCSI targets there, and serve nothing",
	  OPTION_DISCOVER, NO_KEY },
	{ "luns", NULL, "with --discover: and their logical units", OPTION_LUNS, ADVANCED | NO_KEY },
	{ "json", NULL, "with --discover: in JSON", OPTION_JSON, ADVANCED | NO_KEY },
	{ "single", NULL, "serve one NBD client on stdin and stdout", 's', ADVANCED | NO_KEY },
	{ "state-dir", "DIR", "keep reservations (APTPL) there, and what is half sanitized "
	  "(default: $STATE_DIRECTORY)", OPTION_STATE_DIR, ADVANCED },
	{ "import", "FILE", "print an LIO target's saveconfig.json as a file for --config",
	  OPTION_IMPORT, ADVANCED | NO_KEY },
	{ "secrets-dir", "DIR", "... and write its CHAP secrets to files there",
	  OPTION_SECRETS_DIR, ADVANCED | NO_KEY },
	{ "tls", "MODE", "TLS of NBD clients: off, on (as they like) or require", OPTION_TLS, ADVANCED },
	{ "tls-certificates", "DIR", "with ca-cert.pem, server-cert.pem, server-key.pem",
	  OPTION_TLS_CERTIFICATES, ADVANCED },
	{ "tls-psk", "FILE", "pre-shared keys, a user:hexkey per line", OPTION_TLS_PSK, ADVANCED },
	{ "tls-verify-peer", NULL, "only clients with a certificate of our CA",
	  OPTION_TLS_VERIFY_PEER, ADVANCED },
	{ "tls-allow", "DN", "... and of this distinguished name (may be repeated)",
	  OPTION_TLS_ALLOW, ADVANCED | REPEATS },
	{ "tls-only", "NAME", "with --tls=on: this export needs TLS (may be repeated)",
	  OPTION_TLS_ONLY, ADVANCED | NO_KEY },
	{ "chap-user", "NAME", "CHAP user of iscsi:// devices without user@", OPTION_CHAP_USER, ADVANCED },
	{ "chap-secret", "[USER=]FILE", "with the secret, or credential:NAME (may be repeated)",
	  OPTION_CHAP_SECRET, ADVANCED | REPEATS },
	{ "mutual-user", "[USER=]NAME", "that the target has to have (default: any)",
	  OPTION_MUTUAL_USER, ADVANCED | REPEATS },
	{ "mutual-secret", "[USER=]FILE", "by which the target has to prove itself (default: need not)",
	  OPTION_MUTUAL_SECRET, ADVANCED | REPEATS },
	{ "verbose", NULL, "trace everything to stderr", 'v', 0 },
	{ "debug", "AREA[,..]", "trace some areas only: iscsi.pdu, scsi.cdb, nbd.req, …",
	  OPTION_DEBUG, REPEATS },
	{ "version", NULL, "print the version", 'V', NO_KEY },
	{ "help", NULL, "print this; --help-all: with TLS, CHAP and rarer options", 'h', NO_KEY },
	{ "help-all", NULL, "print this", OPTION_HELP_ALL, ADVANCED | NO_KEY },
};
#define OWN_COUNT (sizeof(options) / sizeof(options[0]))

/* The options of sessions, as rows of ours. */
static struct conf_option initiator_row(const struct initiator_option *option, size_t i)
{
	/* NBD servers go away as well. */
	bool nbd = strcmp(option->name, "outage-timeout") == 0;

	return (struct conf_option){
		option->name, option->argument, option->help, OPTION_INITIATOR + (int)i,
		ADVANCED | OF_ISCSI | (nbd ? OF_NBD : 0),
	};
}

/* The limits of what is served, likewise. */
static struct conf_option limit_row(const struct conf_limit *limit, size_t i)
{
	return (struct conf_option){
		limit->name, limit->argument, limit->help, OPTION_LIMIT + (int)i, ADVANCED,
	};
}

/* Where the rows of sessions begin. */
static size_t initiator_start(void)
{
	size_t count;

	conf_limits(&count);
	return OWN_COUNT + count;
}

size_t conf_option_count(void)
{
	size_t count;

	initiator_options(&count);
	return initiator_start() + count;
}

/* Of our table, behind it the limits, and behind them those of sessions. */
struct conf_option conf_option_at(size_t i)
{
	size_t count, start = initiator_start();

	if (i < OWN_COUNT)
		return options[i];
	if (i < start)
		return limit_row(&conf_limits(&count)[i - OWN_COUNT], i - OWN_COUNT);
	return initiator_row(&initiator_options(&count)[i - start], i - start);
}

const char *conf_option_name(int value)
{
	size_t i = 0;

	while (conf_option_at(i).value != value) {
		i++;
		assert(i < conf_option_count());
	}
	return conf_option_at(i).name;
}
