/*
 * A disk that forgets: memory with a volatile cache, served as an iSCSI target and over
 * NBD, that loses what was not flushed when it is told to.
 *
 *	forgetful [-i iSCSI-port] [-n NBD-port] [-p] -s MEGABYTES -P pidfile
 *
 * SIGUSR1: each block that was written and not flushed is lost, or not, by chance. iSCSI
 *	nexuses get the unit attention of a reset; NBD connections, which have no way to say
 *	so, are cut.
 * SIGUSR2: the same, and iSCSI connections are cut as well, as when the power goes.
 * -p: nexuses are told POWER ON OCCURRED (29/01) instead of DEVICE INTERNAL RESET (29/04).
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "export.h"
#include "nbd_server.h"
#include "range_lock.h"
#include "target.h"

#define GRANULE	4096u
#define TARGET	"iqn.2026-11.test:forgetful"
#define GROUP	1

struct disk {
	struct blkdev dev;
	struct blk_shared shared;
	uint64_t size;
	uint8_t *now, *stable;
	uint8_t *dirty;			/* per granule */
	unsigned forgotten;
};

static struct disk disk;
static struct loop *loop;
static struct export_instance instance;
static struct export export = { .instance = &instance };
static struct target_conf target_conf;
static struct nbd_limits nbd_limits;
static struct nbd_service nbd;
static struct target_service target;

static void die(const char *what)
{
	perror(what);
	exit(EXIT_FAILURE);
}

static void settle(uint64_t first, uint64_t end)
{
	for (uint64_t g = first / GRANULE; g * GRANULE < end; g++) {
		if (disk.dirty[g])
			memcpy(disk.stable + g * GRANULE, disk.now + g * GRANULE, GRANULE);
		disk.dirty[g] = 0;
	}
}

static void change(const struct blk_req *req)
{
	uint64_t end = req->offset + req->length;

	if (req->op == BLK_WRITE)
		memcpy(disk.now + req->offset, req->data, req->length);
	else
		memset(disk.now + req->offset, 0, req->length);
	for (uint64_t g = req->offset / GRANULE; g * GRANULE < end; g++)
		disk.dirty[g] = 1;
	if (req->flags & BLK_FUA)
		settle(req->offset, end);
}

static void submit(struct blkdev *dev, struct blk_req *req)
{
	switch (req->op) {
	case BLK_READ:
		memcpy(req->data, disk.now + req->offset, req->length);
		break;
	case BLK_WRITE:
	case BLK_ZERO:
	case BLK_TRIM:
		change(req);
		break;
	case BLK_FLUSH:
		settle(0, disk.size);
		break;
	case BLK_CACHE:
	case BLK_STATUS:
		break;
	}
	blk_complete_later(dev, req);
}

static const struct blk_ops ops = { .name = "forgetful", .submit = submit };

static void open_disk(uint64_t size)
{
	disk.size = size;
	disk.now = calloc(1, size);
	disk.stable = calloc(1, size);
	disk.dirty = calloc(1, size / GRANULE);
	disk.shared.ranges = range_lock_new();
	if (!disk.now || !disk.stable || !disk.dirty || !disk.shared.ranges)
		die("memory");
	blk_init(&disk.dev, &ops, loop, &disk.shared);
	disk.dev.info = (struct blk_info){
		.size = size, .min_block = 1, .preferred_block = GRANULE,
		.max_data = 1u << 20, .max_trim = 1u << 20, .max_zero = 1u << 20,
		.can_flush = true, .can_fua = true, .can_trim = true, .can_zero = true,
		.trim_zeroes = true, .description = "forgetful",
	};
}

static void forget(void)
{
	for (uint64_t g = 0; g < disk.size / GRANULE; g++) {
		if (!disk.dirty[g] || rand() % 2)
			continue;
		memcpy(disk.now + g * GRANULE, disk.stable + g * GRANULE, GRANULE);
		disk.dirty[g] = 0;
		disk.forgotten++;
	}
	disk.dev.info.losses++;
	disk.dev.info.generation++;
	nbd_server_abort(&nbd);
	nbd.shutting_down = false;	/* and come again */
}

/* -p: between the target and the logical unit, which has one kind of reset to tell of ------- */

static const struct scsi_lu_ops *unit_ops;
static void (*target_done)(struct scsi_task *);	/* the same for every task of the target */

static void power_on_done(struct scsi_task *task)
{
	struct sense sense;

	if (sense_parse(task->sense, task->sense_len, &sense) &&
	    sense.reason == SENSE_INTERNAL_RESET)
		lu_fail(task, SENSE_POWER_ON);
	task->done = target_done;
	target_done(task);
}

static void power_on_submit(struct scsi_lu *lu, struct scsi_task *task)
{
	target_done = task->done;
	task->done = power_on_done;
	unit_ops->submit(lu, task);
}

static void tell_of_power_on(struct scsi_lu *lu)
{
	static struct scsi_lu_ops power_on_ops;

	unit_ops = lu->ops;
	power_on_ops = *unit_ops;
	power_on_ops.submit = power_on_submit;
	lu->ops = &power_on_ops;
}

/* Signals ------------------------------------------------------------------------------ */

static void on_reset(struct ev_loop *ev, ev_signal *w, int events)
{
	(void)ev, (void)w, (void)events;
	forget();
}

static void on_power_loss(struct ev_loop *ev, ev_signal *w, int events)
{
	(void)ev, (void)w, (void)events;
	forget();
	target_abort(&target);
	target.shutting_down = false;
}

static void on_end(struct ev_loop *ev, ev_signal *w, int events)
{
	(void)ev, (void)w, (void)events;
	printf("forgetful: %u blocks forgotten in %u times\n", disk.forgotten, disk.dev.info.losses);
	fflush(stdout);
	_exit(EXIT_SUCCESS);
}

static void on_client(struct ev_loop *ev, ev_io *w, int events)
{
	static const int on = 1;
	int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC);
	struct stream *stream;

	(void)ev, (void)events;
	if (fd < 0)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	stream = stream_socket(fd);
	if (!stream)
		die("stream");
	if (w->data == &nbd)
		nbd_server_start(&nbd, stream, 0);
	else
		target_start(&target, stream, GROUP);
}

static void listen_at(ev_io *w, const char *port, void *service)
{
	struct sockaddr_in at = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	static const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 64) < 0)
		die("listen");
	ev_io_init(w, on_client, fd, EV_READ);
	w->data = service;
	ev_io_start(loop->ev, w);
}

static void target_idle(struct target_service *service)
{
	(void)service;
}

static struct nbd_exports *nbd_exports(void)
{
	struct nbd_exports *exports = nbd_exports_new();
	struct nbd_export *added;

	if (!exports || nbd_exports_add(exports, "disk", &export, &added))
		die("exports");
	return exports;
}

static struct access *everybody(void)
{
	struct access *access = access_new();
	struct access_auth_group *all;
	struct access_portal_group *group;
	struct access_target *served;

	if (!access || access_add_auth_group(access, "all", ACCESS_OPEN, &all) ||
	    access_add_portal_group(access, "all", GROUP, all, &group) ||
	    access_add_target(access, TARGET, all, &served) ||
	    access_add_entrance(served, group, NULL) ||
	    access_add_lun(served->maps[0], 0, &export, false))
		die("access");
	return access;
}

static void open_services(void)
{
	static struct disk_lu_conf lu = { .target_name = TARGET, .block_len = 512 };
	struct lu_shared *shared = lu_shared_new(&lu);

	if (!shared)
		die("lu_shared");
	instance.blk = &disk.dev;
	instance.lu = disk_lu_open(&disk.dev, shared, NULL);
	nbd_limits_init(&nbd_limits);
	nbd = (struct nbd_service){ .loop = loop, .limits = &nbd_limits };
	list_init(&nbd.connections);
	nbd_server_follow(&nbd, nbd_exports());
	target_conf_init(&target_conf);
	target = (struct target_service){
		.loop = loop, .conf = &target_conf, .shared = target_shared_new(),
		.idle = target_idle, .follows = target_idle,
	};
	if (!instance.lu || !target.shared)
		die("target");
	target_service_init(&target);
	target_follow(&target, everybody());
}

static void on_signal(ev_signal *w, int number, void (*run)(struct ev_loop *, ev_signal *, int))
{
	ev_signal_init(w, run, number);
	ev_signal_start(loop->ev, w);
}

int main(int argc, char **argv)
{
	static ev_io nbd_listener, iscsi_listener;
	static ev_signal reset, power_loss, end;
	const char *nbd_port = NULL, *iscsi_port = NULL, *pidfile = NULL;
	bool power_on = false;
	uint64_t size = 64;
	FILE *file;
	int option;

	while ((option = getopt(argc, argv, "i:n:ps:P:")) != -1)
		switch (option) {
		case 'i': iscsi_port = optarg; break;
		case 'n': nbd_port = optarg; break;
		case 'p': power_on = true; break;
		case 's': size = strtoull(optarg, NULL, 10); break;
		case 'P': pidfile = optarg; break;
		default: return 2;
		}
	signal(SIGPIPE, SIG_IGN);
	loop = loop_new();
	if (!loop || !pidfile || !size)
		die("usage");
	open_disk(size << 20);
	open_services();
	if (power_on)
		tell_of_power_on(instance.lu);
	if (nbd_port)
		listen_at(&nbd_listener, nbd_port, &nbd);
	if (iscsi_port)
		listen_at(&iscsi_listener, iscsi_port, &target);
	on_signal(&reset, SIGUSR1, on_reset);
	on_signal(&power_loss, SIGUSR2, on_power_loss);
	on_signal(&end, SIGTERM, on_end);
	file = fopen(pidfile, "w");
	if (!file || fprintf(file, "%d\n", (int)getpid()) < 0 || fclose(file) != 0)
		die(pidfile);
	loop_run(loop);
	return EXIT_SUCCESS;
}
