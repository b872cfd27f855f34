#include "reload_bed.h"

#include <stdatomic.h>

#include "unit.h"

struct rig rig;
struct peer peer;
struct rig_lu *disk, *passed;

struct access *other;
struct access_auth_group *everybody;
struct access_portal_group *group;
struct access_target *target;

void begin(void)
{
	rig_init(&rig);
	rig.conf.logout_timeout = 0.05;
	rig_start(&rig);
	disk = &rig.lu[0][0];
	passed = &rig.lu[1][0];
	peer_connect(&peer, &rig, 0);
}

void finish(void)
{
	peer_disconnect(&peer);
	rig_stop(&rig);
}

void begin_change(void)
{
	other = access_new();
	OK(access_add_auth_group(other, "everybody", ACCESS_OPEN, &everybody));
	OK(access_add_portal_group(other, "rig", RIG_GROUP, everybody, &group));
	OK(access_add_target(other, RIG_TARGET, everybody, &target));
	OK(access_add_entrance(target, group, NULL));
}

void map(unsigned lun, unsigned export, bool read_only)
{
	OK(access_add_lun(target->maps[0], lun, &rig.export[export], read_only));
}

unsigned change(void)
{
	rig.follows = 0;
	rig_follow(&rig, other);
	access_drop(other);
	return rig.follows;
}

bool old_rules_are_forgotten(void)
{
	return atomic_load(&rig.access->holders) == 1;
}

void submit_read(uint32_t itt, unsigned lun)
{
	struct bhs b = peer_read(itt, 512, 1);

	b.lun = lun_encode((uint16_t)lun);
	peer_send_numbered(&peer, &b, NULL);
	rig_turn(&rig);
}

void expect_data(uint32_t itt)
{
	struct bhs want = { .op = OP_DATA_IN, .final = true, .has_status = true, .itt = itt,
			    .ttt = ISCSI_NO_TAG };

	peer_expect(&peer, &want, rig_pattern(), 512);
}
