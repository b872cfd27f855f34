/*
 * An NBD block device's part in the write log of its export: nothing tells a client that
 * a server has restarted but the end of the connection, so each such end may be the
 * end of the server's cache.
 *
 * Called by nbd_blk_request.c and nbd_blk_recover.c, and by write_log.c.
 */
#include "nbd_blk_private.h"

static struct nbd_blk *device_of(struct log_member *member)
{
	return container_of(member, struct nbd_blk, member);
}

void nbd_blk_log_look(struct nbd_blk *nb)
{
	if (nb->member.held && !nb->in_flight_count)
		write_log_quiet(&nb->member, nb->state == NBD_BLK_UP);
}

static void hold(struct log_member *member)
{
	nbd_blk_log_look(device_of(member));
}

static void tell_losses(struct nbd_blk *nb)
{
	unsigned losses = write_log_losses(nb->member.log);

	if (nb->dev.info.losses == losses)
		return;
	nb->dev.info.losses = losses;
	nb->dev.info.generation++;
}

static void resume(struct log_member *member)
{
	tell_losses(device_of(member));
	nbd_blk_pump(device_of(member));
}

static void submit(struct log_member *member, struct blk_req *req)
{
	nbd_blk_submit_own(device_of(member), req);
}

void nbd_blk_log_join(struct nbd_blk *nb)
{
	static const struct log_member_ops ops = {
		.hold = hold, .resume = resume, .submit = submit
	};

	nb->member.ops = &ops;
	nb->member.loop = nb->dev.loop;
	nb->member.name = nb->uri;
	nb->dev.info.losses = write_log_losses(nb->dev.shared->log);
	write_log_join(nb->dev.shared->log, &nb->member);
}

void nbd_blk_log_account(struct nbd_blk *nb, struct blk_req *req, uint64_t mark)
{
	if (!nb->dev.info.can_flush || req->flags & BLK_OWN)
		return;
	if (!write_log_answered(&nb->member, req, mark,
				"the server may have lost acknowledged writes"))
		tell_losses(nb);
}
