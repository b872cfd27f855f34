/* See scripted_target.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "cdb.h"
#include "crc32c.h"
#include "field.h"
#include "log.h"
#include "offload.h"
#include "scripted_target.h"
#include "scsi_data.h"
#include "unit.h"

#define PATIENCE	20	/* seconds that a script waits for bytes: none that works waits so long */

void check(struct run *run, bool ok, int line, const char *what)
{
	if (!ok && !*run->failed)
		snprintf(run->failed, sizeof(run->failed), "line %d: %s", line, what);
}

/* The initiator's side: on the loop. */

static void closed(void *opaque)
{
	struct run *run = opaque;

	loop_stop(run->loop);
}

void close_unit(struct run *run)
{
	lu_close(run->lu, closed, run);
}

static void order_done(struct scsi_task *task)
{
	struct order_state *state = container_of(task, struct order_state, task);
	struct run *run = state->run;

	state->times_done++;
	if (++run->done < run->order_count)
		return;
	if (run->finished)
		run->finished(run);
	else
		close_unit(run);
}

static void submit_order(struct run *run, unsigned i)
{
	struct order_state *state = &run->state[i];
	const struct order *order = &run->orders[i];
	struct cdb cdb = {
		.id = order->direction == CDB_DATA_OUT ? CDB_WRITE_16 : CDB_READ_16, .lba = i,
		.blocks = 1,
	};

	state->run = run;
	for (uint32_t n = 0; n < order->len; n++)
		state->data[n] = order->direction == CDB_DATA_OUT ? pattern(n) : 0xee;
	state->task = (struct scsi_task) {
		.wire = state->wire, .wire_len = (uint16_t)cdb_encode(&cdb, state->wire), .cdb = cdb,
		.direction = order->direction, .data = state->data, .data_len = order->len,
		.attribute = TASK_SIMPLE, .done = order_done,
	};
	lu_submit(run->lu, &state->task);
}

static void opened(void *opaque, struct scsi_lu *lu, const char *why)
{
	struct run *run = opaque;

	if (!lu) {
		snprintf(run->why, sizeof(run->why), "%s", why);
		loop_stop(run->loop);
		return;
	}
	run->lu = lu;
	run->block_len = lu->block_len;
	for (unsigned i = 0; i < run->order_count; i++)
		submit_order(run, i);
	if (run->submitted)
		run->submitted(run);
	if (!run->order_count && !run->submitted)
		close_unit(run);
}

void add_order(struct run *run, enum cdb_direction direction, uint32_t len)
{
	run->orders[run->order_count++] = (struct order) { direction, len };
}

void once_more(struct run *run)
{
	if (run->rounds++) {
		close_unit(run);
		return;
	}
	run->done = 0;
	for (unsigned i = 0; i < run->order_count; i++) {
		run->state[i].first_status = run->state[i].task.status;
		run->state[i].times_done = 0;
		lu_submit(run->lu, &run->state[i].task);
	}
}

/* Lost sessions are what these tests are about: no line for each. */
static void silence(enum log_level level, const char *line)
{
	(void)level;
	(void)line;
}

static void *script_thread(void *opaque)
{
	struct run *run = opaque;

	run->script(run);
	return NULL;
}

void add_portal(struct run *run)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	struct timeval patience = { .tv_sec = PATIENCE };
	struct iscsi_portal *portal = &run->url.portals[run->portal_count];
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (run->portal_count == MAX_PORTALS
	    || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 4) < 0
	    || getsockname(fd, (struct sockaddr *)&address, &len) < 0)
		abort();
	run->listeners[run->portal_count] = fd;
	run->ports[run->portal_count] = ntohs(address.sin_port);
	snprintf(portal->host, sizeof(portal->host), "127.0.0.1");
	snprintf(portal->port, sizeof(portal->port), "%u", run->ports[run->portal_count]);
	run->url.portal_count = ++run->portal_count;
}

void run_init(struct run *run, void (*script)(struct run *))
{
	log_set_sink(silence);
	memset(run, 0, sizeof(*run));
	run->script = script;
	run->fd = -1;
	run->keys = "";
	run->url = (struct iscsi_url) { .target = TARGET_NAME, .lun = 3, .has_lun = true };
	initiator_conf_init(&run->conf);
	run->conf.noop_interval = 0;
	run->conf.login_timeout = run->conf.outage_timeout = PATIENCE;
	add_portal(run);
}

void execute(struct run *run)
{
	run->loop = loop_new();
	run->offload = offload_new(1);
	if (!run->loop || !run->offload
	    || pthread_create(&run->thread, NULL, script_thread, run) != 0)
		abort();
	if (run->instead)
		run->instead(run);
	else
		iscsi_lu_open(run->loop, run->offload, &run->url, &run->conf, opened, run);
	loop_run(run->loop);
	pthread_join(run->thread, NULL);
	hang_up(run);
	for (run->portal = 0; run->portal < run->portal_count; run->portal++)
		close_listener(run);
	offload_free(run->offload);
	loop_free(run->loop);
	if (*run->failed)
		fprintf(stderr, "\nscript: %s (open: %s)\n", run->failed, run->why);
	CU_ASSERT_STRING_EQUAL(run->failed, "");
	for (unsigned i = 0; i < run->order_count && !*run->why; i++)
		CU_ASSERT_EQUAL(run->state[i].times_done, 1);
}

/* The target's side: on the script's thread. */

void accept_initiator(struct run *run)
{
	struct timeval patience = { .tv_sec = PATIENCE };

	/* A socket with a timeout is not waited for again of itself, when the process has been stopped. */
	do
		run->fd = accept(run->listeners[run->portal], NULL, NULL);
	while (run->fd < 0 && errno == EINTR);
	CHECK(run, run->fd >= 0);
	setsockopt(run->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(run->fd, IPPROTO_TCP, TCP_NODELAY, &(int) { 1 }, sizeof(int));
	run->header_digest = run->data_digest = false;
	run->stat_sn = 100;
}

void hang_up(struct run *run)
{
	if (run->fd >= 0)
		close(run->fd);
	run->fd = -1;
}

void shutdown_target(struct run *run)
{
	shutdown(run->fd, SHUT_WR);
}

void close_listener(struct run *run)
{
	if (run->listeners[run->portal] >= 0)
		close(run->listeners[run->portal]);
	run->listeners[run->portal] = -1;
}

/* The end of the stream is a message, too; silence is not. */
static bool receive(struct run *run, void *to, size_t len)
{
	size_t got = 0;

	while (got < len) {
		ssize_t n = recv(run->fd, (uint8_t *)to + got, len - got, 0);

		CHECK(run, n >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK));
		if (n > 0)
			got += (size_t)n;
		else if (n == 0 || errno != EINTR)
			return false;
	}
	return true;
}

static bool digest_right(struct run *run, uint32_t crc)
{
	uint8_t wire[4];

	return receive(run, wire, 4)
	       && crc == (wire[0] | (uint32_t)wire[1] << 8 | (uint32_t)wire[2] << 16
			  | (uint32_t)wire[3] << 24);
}

bool take(struct run *run)
{
	uint8_t wire[BHS_LEN], pad[3];
	uint32_t len;

	if (!receive(run, wire, sizeof(wire)))
		return false;
	CHECK(run, bhs_decode(wire, &run->got) == 0);
	CHECK(run, !run->got.ahs_words && run->got.data_len <= DATA_ROOM);
	if (run->header_digest)
		CHECK(run, digest_right(run, crc32c(0, wire, sizeof(wire))));
	len = run->got.data_len;
	if (len > DATA_ROOM || !receive(run, run->data, len) || !receive(run, pad, bhs_pad(len)))
		return false;
	if (run->data_digest && len)
		CHECK(run, digest_right(run, crc32c(crc32c(0, run->data, len), pad, bhs_pad(len))));
	if (!run->got.immediate && run->got.op != OP_DATA_OUT) {
		CHECK(run, run->got.cmd_sn == run->exp_cmd_sn);
		run->exp_cmd_sn++;
	}
	return true;
}

void expect(struct run *run, uint8_t op)
{
	memset(&run->got, 0, sizeof(run->got));
	CHECK(run, take(run));
	if (run->got.op != op && !*run->failed)
		snprintf(run->failed, sizeof(run->failed), "%s where %s was due",
			 bhs_op_name(run->got.op), bhs_op_name(op));
}

void give_raw(struct run *run, const void *bytes, size_t len)
{
	/* The initiator may have gone already, where it should: the script will see. */
	if (send(run->fd, bytes, len, MSG_NOSIGNAL) < 0)
		return;
}

static void give_digest(struct run *run, uint32_t crc)
{
	uint8_t wire[4] = {
		(uint8_t)crc, (uint8_t)(crc >> 8), (uint8_t)(crc >> 16), (uint8_t)(crc >> 24),
	};

	give_raw(run, wire, sizeof(wire));
}

void give(struct run *run, const struct bhs *bhs, const void *data)
{
	static const uint8_t zeroes[3];
	uint8_t wire[BHS_LEN];
	uint32_t len = bhs->data_len, pad = bhs_pad(len);

	bhs_encode(bhs, wire);
	give_raw(run, wire, sizeof(wire));
	if (run->header_digest)
		give_digest(run, crc32c(0, wire, sizeof(wire)));
	if (!len)
		return;
	give_raw(run, data, len);
	give_raw(run, zeroes, pad);
	if (run->data_digest)
		give_digest(run, crc32c(crc32c(0, data, len), zeroes, pad));
}

struct bhs answer(struct run *run, uint8_t op)
{
	return (struct bhs) {
		.op = op, .itt = run->got.itt, .ttt = ISCSI_NO_TAG, .final = true,
		.stat_sn = run->stat_sn, .exp_cmd_sn = run->exp_cmd_sn,
		.max_cmd_sn = run->window ? run->first_cmd_sn + run->window - 1 : run->exp_cmd_sn + 31,
	};
}

void give_status(struct run *run, uint8_t status)
{
	struct bhs bhs = answer(run, OP_SCSI_RESPONSE);

	bhs.status = status;
	run->stat_sn++;
	give(run, &bhs, NULL);
}

void give_data(struct run *run, uint32_t itt, const void *data, uint32_t len, bool with_status)
{
	struct bhs bhs = answer(run, OP_DATA_IN);

	bhs.itt = itt;
	bhs.data_len = len;
	bhs.has_status = with_status;
	run->stat_sn += with_status;
	give(run, &bhs, data);
}

bool said(struct run *run, const char *pair)
{
	for (size_t at = 0; at < run->got.data_len; at += strlen((char *)run->data + at) + 1)
		if (strcmp((char *)run->data + at, pair) == 0)
			return true;
	return false;
}

struct bhs login_answer(struct run *run, uint8_t csg, uint8_t nsg)
{
	struct bhs bhs = answer(run, OP_LOGIN_RESPONSE);

	bhs.csg = csg;
	bhs.nsg = nsg;
	bhs.final = nsg != 0;
	bhs.isid = run->got.isid;
	bhs.tsih = nsg == 3;
	run->stat_sn++;
	return bhs;
}

void give_text(struct run *run, struct bhs bhs, const char *text, size_t len)
{
	bhs.data_len = (uint32_t)len;
	give(run, &bhs, text);
}

static void expect_stage(struct run *run, uint8_t stage)
{
	CHECK(run, run->got.csg == stage && run->got.final && run->got.tsih == 0);
	CHECK(run, run->got.cmd_sn == run->exp_cmd_sn);
}

void operational_stage(struct run *run)
{
	expect(run, OP_LOGIN_REQUEST);
	expect_stage(run, 1);
	give_text(run, login_answer(run, 1, 3), run->keys, run->keys_len);
}

void login_stages(struct run *run)
{
	static const char none[] = "AuthMethod=None";

	accept_initiator(run);
	expect(run, OP_LOGIN_REQUEST);
	run->exp_cmd_sn = run->first_cmd_sn = run->got.cmd_sn;
	expect_stage(run, 0);
	give_text(run, login_answer(run, 0, 1), none, sizeof(none));
	operational_stage(run);
}

void serve_probe(struct run *run)
{
	uint8_t inquiry[36] = { 0, 0, 6, 2, 31 }, capacity[32] = { 0 };

	expect(run, OP_SCSI_COMMAND);
	CHECK(run, run->got.cdb[0] == 0x12 && run->got.read && run->got.lun == lun_encode(3));
	give_data(run, run->got.itt, inquiry, sizeof(inquiry), true);
	expect(run, OP_SCSI_COMMAND);
	CHECK(run, run->got.cdb[0] == 0x9e);
	put_be32(capacity + 8, 4096);
	give_data(run, run->got.itt, capacity, sizeof(capacity), true);
}

void login(struct run *run)
{
	login_stages(run);
	serve_probe(run);
}

void serve_logout(struct run *run)
{
	struct bhs bhs;

	expect(run, OP_LOGOUT_REQUEST);
	CHECK(run, run->got.reason == 0);
	bhs = answer(run, OP_LOGOUT_RESPONSE);
	run->stat_sn++;
	give(run, &bhs, NULL);
	CHECK(run, !take(run));
	hang_up(run);
}
