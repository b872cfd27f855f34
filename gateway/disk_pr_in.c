/*
 * PERSISTENT RESERVE IN (SPC-4 §6.15): the registrations and the reservation, as they are
 * at the moment, under the mutex of the unit's shared state.
 */
#include <string.h>

#include "disk_private.h"
#include "field.h"
#include "pool.h"
#include "transport_id.h"

/* The start of all but the capabilities. */
struct header {
	uint32_t generation;
	uint32_t additional_len;	/* of what follows, however much of it is cut off */
};

#define FIELD_STRUCT struct header
static const struct field header[] = {
	FIELD_U32(generation, 0), FIELD_U32(additional_len, 4), FIELD_END
};
#undef FIELD_STRUCT
#define HEADER_LEN	8

#define KEY_LEN		8

/* READ RESERVATION, §6.15.3 */
struct reservation_descriptor {
	uint64_t key;			/* 0 where all registrants hold it */
	uint8_t	 scope, type;
};

#define FIELD_STRUCT struct reservation_descriptor
static const struct field reservation_descriptor[] = {
	FIELD_U64(key, 0), FIELD(scope, 13, 7, 4), FIELD(type, 13, 3, 4), FIELD_END
};
#undef FIELD_STRUCT
#define RESERVATION_DESCRIPTOR_LEN	16

/* READ FULL STATUS, §6.15.5: up to the TransportID */
struct full_status {
	uint64_t key;
	bool	 all_tg_pt, r_holder;
	uint8_t	 scope, type;		/* of the reservation, where it holds it */
	uint16_t port;
	uint32_t additional_len;
};

#define FIELD_STRUCT struct full_status
static const struct field full_status[] = {
	FIELD_U64(key, 0), FIELD_BIT(all_tg_pt, 12, 1), FIELD_BIT(r_holder, 12, 0),
	FIELD(scope, 13, 7, 4), FIELD(type, 13, 3, 4), FIELD_U16(port, 18),
	FIELD_U32(additional_len, 20), FIELD_END
};
#undef FIELD_STRUCT
#define FULL_STATUS_LEN	24

#define FULL_STATUS_ROOM \
	(HEADER_LEN + RESERVATION_MAX * (FULL_STATUS_LEN + (size_t)TRANSPORT_ID_MAX_LEN))

/* What each action writes behind the header; returns the new end. Under the mutex. */
typedef size_t put_data(const struct lu_shared *shared, uint8_t *wire, size_t at);

static size_t put_keys(const struct lu_shared *shared, uint8_t *wire, size_t at)
{
	const struct reservations *r = shared->reservations;

	for (unsigned i = 0; i < r->count; i++, at += KEY_LEN)
		put_be64(wire + at, r->registrations[i].key);
	return at;
}

static size_t put_reservation(const struct lu_shared *shared, uint8_t *wire, size_t at)
{
	const struct reservations *r = shared->reservations;
	struct reservation_descriptor d = { .type = r->type };

	if (!r->type)
		return at;
	for (unsigned i = 0; i < r->count; i++)
		if (r->registrations[i].holder)
			d.key = r->registrations[i].key;
	memset(wire + at, 0, RESERVATION_DESCRIPTOR_LEN);
	field_encode(reservation_descriptor, &d, wire + at);
	return at + RESERVATION_DESCRIPTOR_LEN;
}

static size_t put_full_status(const struct lu_shared *shared, uint8_t *wire, size_t at)
{
	const struct reservations *r = shared->reservations;

	for (unsigned i = 0; i < r->count; i++) {
		const struct registration *registration = &r->registrations[i];
		const struct registrant *who = &registration->who;
		bool holds = r->type && reservation_holds(r, registration);
		struct full_status status = {
			.key = registration->key, .port = lu_ports_id(&shared->ports, &who->port),
			.r_holder = holds, .type = holds ? r->type : 0,
		};

		status.additional_len = (uint32_t)
			transport_id_encode(who->name, who->isid, wire + at + FULL_STATUS_LEN);
		memset(wire + at, 0, FULL_STATUS_LEN);
		field_encode(full_status, &status, wire + at);
		at += FULL_STATUS_LEN + status.additional_len;
	}
	return at;
}

/* SPC-2 §5.5.1: where RESERVE(6) or (10) is in force, these commands conflict for everybody. */
static bool put_all(struct lu_shared *shared, put_data *put, uint8_t *wire, size_t *len)
{
	const struct reservations *r;
	struct header h;
	bool in_force;

	pthread_mutex_lock(&shared->mutex);
	r = shared->reservations;
	in_force = r->reserver;
	if (!in_force) {
		*len = put(shared, wire, HEADER_LEN);
		h.generation = r->generation;
		h.additional_len = (uint32_t)(*len - HEADER_LEN);
		field_encode(header, &h, wire);
	}
	pthread_mutex_unlock(&shared->mutex);
	return !in_force;
}

static void report(struct disk_lu *disk, struct scsi_task *task, put_data *put)
{
	struct pool *pool = disk->lu.loop->pool;
	uint8_t *wire = pool_get(pool, FULL_STATUS_ROOM);
	size_t len;

	if (!wire) {
		task->status = STATUS_TASK_SET_FULL;
		disk_finish(disk, task);
		return;
	}
	if (put_all(disk_shared(disk), put, wire, &len))
		disk_reply(disk, task, wire, len, task->cdb.alloc_len);
	else
		disk_conflict(disk, task);
	pool_put(pool, wire, FULL_STATUS_ROOM);
}

void disk_pr_in_read_keys(struct disk_lu *disk, struct scsi_task *task)
{
	report(disk, task, put_keys);
}

void disk_pr_in_read_reservation(struct disk_lu *disk, struct scsi_task *task)
{
	report(disk, task, put_reservation);
}

void disk_pr_in_read_full_status(struct disk_lu *disk, struct scsi_task *task)
{
	report(disk, task, put_full_status);
}

/* REPORT CAPABILITIES, §6.15.4 */
struct capabilities {
	uint16_t len;
	bool	 crh, sip_c, atp_c, ptpl_c;
	bool	 tmv;
	uint8_t	 allow_commands;
	bool	 ptpl_a;
	bool	 wr_ex_ar, ex_ac_ro, wr_ex_ro, ex_ac, wr_ex, ex_ac_ar;
};

#define FIELD_STRUCT struct capabilities
static const struct field capabilities[] = {
	FIELD_U16(len, 0), FIELD_BIT(crh, 2, 4), FIELD_BIT(sip_c, 2, 3), FIELD_BIT(atp_c, 2, 2),
	FIELD_BIT(ptpl_c, 2, 0), FIELD_BIT(tmv, 3, 7), FIELD(allow_commands, 3, 6, 3),
	FIELD_BIT(ptpl_a, 3, 0), FIELD_BIT(wr_ex_ar, 4, 7), FIELD_BIT(ex_ac_ro, 4, 6),
	FIELD_BIT(wr_ex_ro, 4, 5), FIELD_BIT(ex_ac, 4, 3), FIELD_BIT(wr_ex, 4, 1),
	FIELD_BIT(ex_ac_ar, 5, 0), FIELD_END
};
#undef FIELD_STRUCT
#define CAPABILITIES_LEN	8

/* TEST UNIT READY passes every persistent reservation; MODE SENSE, REPORT SUPPORTED OPERATION
 * CODES and their like (ACCESS_READ) pass those that exclude writers only. */
#define ALLOWS_READY_AND_SENSE	3

void disk_pr_in_report_capabilities(struct disk_lu *disk, struct scsi_task *task)
{
	struct lu_shared *shared = disk_shared(disk);
	uint8_t wire[CAPABILITIES_LEN] = { 0 };
	struct capabilities c = {
		.len = CAPABILITIES_LEN,
		.crh = true, .sip_c = true, .atp_c = true, .ptpl_c = shared->store,
		.tmv = true, .allow_commands = ALLOWS_READY_AND_SENSE,
		.wr_ex_ar = true, .ex_ac_ro = true, .wr_ex_ro = true, .ex_ac = true,
		.wr_ex = true, .ex_ac_ar = true,
	};
	bool in_force;

	pthread_mutex_lock(&shared->mutex);
	in_force = shared->reservations->reserver;
	c.ptpl_a = shared->reservations->aptpl;
	pthread_mutex_unlock(&shared->mutex);
	if (in_force) {
		disk_conflict(disk, task);
		return;
	}
	field_encode(capabilities, &c, wire);
	disk_reply(disk, task, wire, CAPABILITIES_LEN, task->cdb.alloc_len);
}
