#include "reserve_bed.h"

#include <string.h>

#include "field.h"
#include "transport_id.h"
#include "unit.h"

struct disk_bed bed, other;
struct command c, probe;

void run(struct command *command)
{
	command_start(command);
	while (!command->ended)
		disk_bed_settle(command->bed);
}

void run_by(struct command *command, struct disk_bed *where, const struct nexus *nexus,
	    const struct cdb *cdb)
{
	command_init(command, where, cdb);
	command->task.nexus = nexus;
	run(command);
}

bool conflicted(const struct command *command)
{
	return command->task.status == STATUS_RESERVATION_CONFLICT && !command->task.sense_len;
}

bool hears(struct disk_bed *where, const struct nexus *nexus, uint32_t reason)
{
	run_by(&probe, where, nexus, &(struct cdb){ .id = CDB_TEST_UNIT_READY });
	return reason == SENSE_NONE ? is_good(&probe) : failed_with(&probe, reason);
}

void out_init(struct disk_bed *where, const struct nexus *nexus, enum cdb_id action,
	      const struct out *out)
{
	const struct cdb cdb = { .id = action, .type = out->type, .param_len = LIST_LEN };

	command_init(&c, where, &cdb);
	c.task.nexus = nexus;
	memset(c.data, 0, LIST_LEN);
	put_be64(c.data, out->key);
	put_be64(c.data + 8, out->action_key);
	c.data[20] = out->flags;
}

void start_reserved(uint8_t type)
{
	disk_bed_init(&bed, 1);
	GOOD_OUT(&bed.a, REGISTER, .action_key = 1);
	GOOD_OUT(&bed.b, REGISTER, .action_key = 2);
	GOOD_OUT(&bed.a, RESERVE, .key = 1, .type = type);
}

void read_in(enum cdb_id action, uint32_t alloc_len)
{
	memset(probe.data, 0xa5, 512);
	run_by(&probe, &bed, &bed.a, &(struct cdb){ .id = action, .alloc_len = alloc_len });
}

bool has_key_by(const struct nexus *nexus, uint16_t port, uint64_t key)
{
	struct transport_id id;
	size_t end, len;

	IN(READ_FULL_STATUS);
	end = 8 + get_be32(probe.data + 4);
	for (size_t at = 8; at < end; at += 24 + len) {
		len = get_be32(probe.data + at + 20);
		transport_id_decode(probe.data + at + 24, len, &id);
		if (!strcmp(id.name, nexus->initiator_name) &&
		    !memcmp(id.isid, nexus->isid, 6) &&
		    get_be16(probe.data + at + 18) == port)
			return get_be64(probe.data + at) == key;
	}
	return !key;
}

bool has_key(const struct nexus *nexus, uint64_t key)
{
	return has_key_by(nexus, nexus->tpgt, key);
}
