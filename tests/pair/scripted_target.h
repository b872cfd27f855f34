/*
 * An iSCSI target that follows a script, for tests of the initiator: a thread with
 * blocking sockets says and expects PDU after PDU, while the test's own thread runs
 * the loop of a real initiator that has connected to it over loopback.
 *
 * A script fails by CHECK(), which keeps the first failure and goes on; the test
 * sees it when the run is over. Every wait is bounded.
 */
#ifndef SCRIPTED_TARGET_H
#define SCRIPTED_TARGET_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bhs.h"
#include "initiator.h"
#include "loop.h"
#include "lu.h"

#define MAX_ORDERS	8
#define MAX_PORTALS	3
#define DATA_ROOM	(64u << 10)
#define TARGET_NAME	"iqn.2001-04.com.example:disk"

struct run;

/* A command that the initiator is to carry out. */
struct order {
	enum cdb_direction direction;
	uint32_t len;
};

struct order_state {
	struct scsi_task task;
	uint8_t wire[16];
	uint8_t data[DATA_ROOM];
	struct run *run;
	unsigned times_done;
	uint8_t first_status;			/* of the task's first outcome; see once_more() */
};

struct run {
	/* The test's: */
	void (*script)(struct run *);		/* on its own thread */
	struct initiator_conf conf;
	struct iscsi_url url;			/* of LUN 3, by all portals */
	/* On the loop, instead of opening the unit, which the orders are for; it ends the loop. */
	void (*instead)(struct run *);
	struct order orders[MAX_ORDERS];
	unsigned order_count;
	void (*submitted)(struct run *);	/* on the loop, after the orders; may be NULL */
	void (*finished)(struct run *);		/* on the loop, when all are done; NULL: close */

	/* The outcome: */
	char why[256];				/* of the open that failed, "" when it did not */
	struct order_state state[MAX_ORDERS];
	uint32_t block_len;
	char failed[200];			/* of the script, "" when all went well */

	/* The connection that the script has: */
	int listeners[MAX_PORTALS], fd;
	uint16_t ports[MAX_PORTALS];
	unsigned portal_count;
	unsigned portal;			/* where the script accepts */
	bool header_digest, data_digest;
	uint32_t stat_sn, exp_cmd_sn;
	uint32_t first_cmd_sn, window;		/* commands let in since the login; 0 = any number */
	struct bhs got;				/* what take() took last */
	uint8_t data[DATA_ROOM];		/* and its payload */
	const char *keys;			/* SET_KEYS() */
	unsigned keys_len;

	/* scripted_target.c's: */
	pthread_t thread;
	struct loop *loop;
	struct offload *offload;
	struct scsi_lu *lu;
	unsigned done, rounds;
};

#define CHECK(run, condition) check((run), (condition), __LINE__, #condition)
void check(struct run *run, bool ok, int line, const char *what);

/* Defaults: conf with short timeouts. "run" may be used for one execute() after it. */
void run_init(struct run *run, void (*script)(struct run *));
/* Open, submit the orders, wait for them, close. Asserts (CUnit) that the script was content. */
void execute(struct run *run);
void close_unit(struct run *run);
/* One more portal; its number is run->portal_count - 1. */
void add_portal(struct run *run);
void add_order(struct run *run, enum cdb_direction direction, uint32_t len);
/* The operational answers of login(), pairs separated by NUL. */
#define SET_KEYS(run, text)	((run)->keys = (text), (run)->keys_len = sizeof(text))
/* For finished(): the same orders again, and close after that. */
void once_more(struct run *run);

/* For scripts: */
void accept_initiator(struct run *run);
void hang_up(struct run *run);
void shutdown_target(struct run *run);		/* say no more; take() still works */
void close_listener(struct run *run);		/* at run->portal */
bool take(struct run *run);			/* one PDU; false at the end of the stream */
void expect(struct run *run, uint8_t op);	/* take one of this kind */
void give(struct run *run, const struct bhs *bhs, const void *data);
void give_raw(struct run *run, const void *bytes, size_t len);
/* A response to what was taken last, with the numbers filled in. */
struct bhs answer(struct run *run, uint8_t op);
void give_status(struct run *run, uint8_t status);
void give_data(struct run *run, uint32_t itt, const void *data, uint32_t len, bool with_status);

/* Is "key=value" among the pairs of what was taken? */
bool said(struct run *run, const char *pair);
/* A Login Response to what was taken, from one stage to another (0: stay), and with text. */
struct bhs login_answer(struct run *run, uint8_t csg, uint8_t nsg);
void give_text(struct run *run, struct bhs bhs, const char *text, size_t len);

/* accept, both stages of the login (run->keys as the operational answers), and the probe. */
void login(struct run *run);
void login_stages(struct run *run);
void operational_stage(struct run *run);	/* the second of them, to full feature phase */
void serve_probe(struct run *run);
/* Answer the logout that ends a run, and the end of the stream behind it. */
void serve_logout(struct run *run);

/* The n-th byte of every pattern that is written or read. */
static inline uint8_t pattern(uint32_t n)
{
	return (uint8_t)(n ^ n >> 8);
}

#endif
