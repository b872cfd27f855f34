/*
 * The parameter list of PERSISTENT RESERVE OUT (SPC-4 §6.16.3, §6.16.4): it is read into a
 * request, of whose nexuses and ports some are found out here. For disk_pr_out.c.
 */
#include <assert.h>
#include <string.h>

#include "disk_pr_out.h"
#include "disk_private.h"
#include "field.h"
#include "transport_id.h"

/* What its two forms have, §6.16.3 and §6.16.4. */
struct parameters {
	uint64_t key, action_key;
	bool	 spec_i_pt, all_tg_pt, aptpl, unreg;
	uint16_t port;
	uint32_t transport_ids_len;
};

#define FIELD_STRUCT struct parameters
static const struct field basic[] = {
	FIELD_U64(key, 0), FIELD_U64(action_key, 8), FIELD_BIT(spec_i_pt, 20, 3),
	FIELD_BIT(all_tg_pt, 20, 2), FIELD_BIT(aptpl, 20, 0), FIELD_U32(transport_ids_len, 24),
	FIELD_END
};
static const struct field register_and_move[] = {
	FIELD_U64(key, 0), FIELD_U64(action_key, 8), FIELD_BIT(unreg, 17, 1),
	FIELD_BIT(aptpl, 17, 0), FIELD_U16(port, 18), FIELD_U32(transport_ids_len, 20), FIELD_END
};
#undef FIELD_STRUCT
#define PARAMETERS_LEN		24	/* with the length of the TransportID of a move, */
#define SPEC_I_PT_LEN		28	/* ... and with that of SPEC_I_PT */

/* The readers return false when the task has been finished. */

static bool wrong_length(struct pr_out *c)
{
	disk_refuse(c->op->disk, c->op->task, SENSE_PARAMETER_LIST_LENGTH);
	return false;
}

static bool wrong_field(struct pr_out *c, const struct field *table, size_t member)
{
	const struct field *f = table;

	while (f->name && f->member != member)
		f++;
	assert(f->name);
	disk_refuse_parameter(c->op->disk, c->op->task, f->byte, f->width == 1 ? f->bit : -1);
	return false;
}

static bool wrong_transport_id(struct pr_out *c, size_t at)
{
	disk_refuse_parameter(c->op->disk, c->op->task, at, -1);
	return false;
}

/* Once, and not the port by which the command came: that one is registered anyhow. False when
 * there is no room. */
static bool add_other(struct pr_out *c, const char *name, const uint8_t isid[6])
{
	const struct nexus *own = c->request.nexus;

	if (!memcmp(isid, own->isid, sizeof(own->isid)) && !strcmp(name, own->initiator_name))
		return true;
	for (unsigned i = 0; i < c->request.other_count; i++)
		if (!memcmp(isid, c->others[i].isid, sizeof(own->isid)) &&
		    !strcmp(name, c->others[i].name))
			return true;
	if (c->request.other_count == PR_MAX_OTHERS)
		return false;
	memcpy(c->others[c->request.other_count].name, name, strlen(name) + 1);
	memcpy(c->others[c->request.other_count].isid, isid, sizeof(own->isid));
	c->request.other_count++;
	return true;
}

/* All ports of a node, that is, all that are logged in. */
struct node_ports {
	struct pr_out *c;
	const char *name;
	bool any, room;
};

static void add_ports_of_instance(struct lu_instance *instance, void *opaque)
{
	struct node_ports *ports = opaque;

	for (int i = 0; i < NEXUS_BUCKETS; i++) {
		list_for_each(node, &instance->nexuses[i]) {
			const struct nexus *nexus =
				container_of(node, struct nexus_state, node)->nexus;

			if (strcmp(nexus->initiator_name, ports->name) != 0)
				continue;
			ports->any = true;
			ports->room &= add_other(ports->c, nexus->initiator_name, nexus->isid);
		}
	}
}

static bool take_transport_id(struct pr_out *c, size_t at, const struct transport_id *id)
{
	struct node_ports ports = { .c = c, .name = id->name, .room = true };

	if (id->is_port) {
		ports.room = add_other(c, id->name, id->isid);
	} else {
		lu_shared_each(disk_shared(c->op->disk), add_ports_of_instance, &ports);
		if (!ports.any)
			return wrong_transport_id(c, at);
	}
	if (ports.room)
		return true;
	disk_refuse(c->op->disk, c->op->task, SENSE_INSUFFICIENT_REGISTRATION);
	return false;
}

static bool take_transport_ids(struct pr_out *c, const struct parameters *p)
{
	const struct scsi_task *task = c->op->task;
	size_t at = SPEC_I_PT_LEN, end, len;
	struct transport_id id;

	if (task->cdb.param_len < SPEC_I_PT_LEN ||
	    p->transport_ids_len > task->cdb.param_len - SPEC_I_PT_LEN)
		return wrong_length(c);
	for (end = at + p->transport_ids_len; at < end; at += len) {
		len = transport_id_decode(task->data + at, end - at, &id);
		if (!len)
			return wrong_transport_id(c, at);
		if (!take_transport_id(c, at, &id))
			return false;
	}
	return true;
}

struct wanted_port {
	uint16_t id;
	struct lu_port port;
	bool found;
};

static void compare_port(const struct lu_port *port, uint16_t id, void *opaque)
{
	struct wanted_port *wanted = opaque;

	if (id != wanted->id)
		return;
	wanted->port = *port;
	wanted->found = true;
}

static bool find_port(const struct pr_out *c, uint16_t id, struct lu_port *port)
{
	struct wanted_port wanted = { .id = id };

	lu_shared_each_port(disk_shared(c->op->disk), c->request.nexus, compare_port, &wanted);
	*port = wanted.port;
	return wanted.found;
}

/* REGISTER AND MOVE: exactly one nexus. */
static bool take_destination(struct pr_out *c, const struct parameters *p)
{
	const struct scsi_task *task = c->op->task;
	struct registrant *to = &c->others[0];
	struct transport_id id;

	if (p->transport_ids_len > task->cdb.param_len - PARAMETERS_LEN)
		return wrong_length(c);
	if (!find_port(c, p->port, &to->port))
		return wrong_field(c, register_and_move, offsetof(struct parameters, port));
	if (!transport_id_decode(task->data + PARAMETERS_LEN, p->transport_ids_len, &id) ||
	    !id.is_port)
		return wrong_transport_id(c, PARAMETERS_LEN);
	memcpy(to->name, id.name, sizeof(to->name));
	memcpy(to->isid, id.isid, sizeof(to->isid));
	c->request.other_count = 1;
	return true;
}

/* ALL_TG_PT: those of other targets, too, since the device server is that of all of them. The
 * others come after the nexus' own. */
static void take_port(const struct lu_port *port, uint16_t id, void *opaque)
{
	struct pr_out *c = opaque;

	(void)id;
	if (!lu_port_same(port, &c->ports[0]))
		c->ports[c->request.port_count++] = *port;
}

/* SPC-4 §6.16.3: which bits are whose. APTPL, ALL_TG_PT are ignored but for registering ones. */
static bool take_flags(struct pr_out *c, const struct parameters *p, const struct field *table)
{
	enum cdb_id action = c->request.action;
	bool registers = action == CDB_PR_OUT_REGISTER || action == CDB_PR_OUT_REGISTER_AND_IGNORE;
	bool moves = action == CDB_PR_OUT_REGISTER_AND_MOVE;

	if (p->spec_i_pt && action != CDB_PR_OUT_REGISTER)
		return wrong_field(c, table, offsetof(struct parameters, spec_i_pt));
	if (p->aptpl && (registers || moves) && !disk_shared(c->op->disk)->store)
		return wrong_field(c, table, offsetof(struct parameters, aptpl));
	if (p->all_tg_pt && registers)
		lu_shared_each_port(disk_shared(c->op->disk), c->request.nexus, take_port, c);
	c->request.spec_i_pt = p->spec_i_pt;
	c->request.aptpl = p->aptpl;
	c->request.unreg = p->unreg;
	return true;
}

bool pr_out_take_list(struct pr_out *c)
{
	const struct scsi_task *task = c->op->task;
	bool moves = task->cdb.id == CDB_PR_OUT_REGISTER_AND_MOVE;
	const struct field *table = moves ? register_and_move : basic;
	struct parameters p = { 0 };

	if (task->cdb.param_len < PARAMETERS_LEN || disk_arrived(task) < task->cdb.param_len)
		return wrong_length(c);
	field_decode(table, task->data, task->cdb.param_len, &p);
	c->request.key = p.key;
	c->request.action_key = p.action_key;
	if (!take_flags(c, &p, table))
		return false;
	if (moves)
		return take_destination(c, &p);
	if (p.spec_i_pt)
		return take_transport_ids(c, &p);
	return task->cdb.param_len == PARAMETERS_LEN || wrong_length(c);
}
