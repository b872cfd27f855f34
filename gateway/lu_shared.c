/*
 * The state that the instances of one logical unit share (lu_shared.h). Made by
 * whoever owns the device, before the workers run, and freed after the last
 * instance has closed; used by the disk_* files of every worker.
 */
#include "lu_shared.h"

#include <assert.h>
#include <errno.h>
#include <gnutls/crypto.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "range_lock.h"

#define OUR_VENDOR	"NBDISCSI"
#define OUR_PRODUCT	"NBD-iSCSI disk"

#define SHA256_LEN	32

/*
 * A name that stays the same over restarts and on every worker, and differs
 * between targets and LUNs: 60 bits of SHA-256 over both. NAA 3h, "locally
 * assigned" (SPC-4 §7.8.6.6), is the form for names made by the system's own rule;
 * forms 2h, 5h and 6h would need an IEEE company identifier of ours.
 */
static bool choose_naa(const struct disk_lu_conf *conf, uint64_t *naa)
{
	char text[sizeof(conf->target_name) + sizeof(",L,0xffff")];
	uint8_t digest[SHA256_LEN];
	int len;

	if (conf->naa) {
		*naa = conf->naa;
		return true;
	}
	len = snprintf(text, sizeof(text), "%s,L,0x%04x", conf->target_name, conf->lun);
	assert(len > 0 && (size_t)len < sizeof(text));
	if (gnutls_hash_fast(GNUTLS_DIG_SHA256, text, (size_t)len, digest) < 0)
		return false;
	*naa = 3;
	for (int i = 0; i < 7; i++)
		*naa = *naa << 8 | digest[i];
	*naa = *naa << 4 | digest[7] >> 4;
	return true;
}

/* Registrations that are kept and cannot be read are lost: hosts must register again, as they
 * must where nothing is kept, and the operator must know. */
static void open_store(struct lu_shared *shared, const char *directory, const char *unit)
{
	char why[400];

	shared->store = reservation_store_new(directory, unit);
	if (!shared->store)
		log_error("%s: %s: reservations are not kept over restarts", directory,
			  strerror(errno));
	else if (!reservation_store_load(shared->store, shared->conf.target_name,
					 shared->reservations, why, sizeof(why)))
		log_error("reservations of LUN %u are lost: %s", shared->conf.lun, why);
}

/* What another process has left half sanitized stays out of reach. */
static void open_mark(struct lu_shared *shared, const char *directory, const char *unit)
{
	bool restricted;

	shared->mark = sanitize_mark_new(directory, unit);
	if (!shared->mark) {
		log_error("%s: %s: what is being sanitized is not known after a restart", directory,
			  strerror(errno));
		return;
	}
	if (!sanitize_mark_is_set(shared->mark, &restricted))
		return;
	atomic_store(&shared->sanitize, restricted ? SANITIZE_FAILED_RESTRICTED : SANITIZE_FAILED);
	log_error("LUN %u of %s has not been sanitized to the end, and is not ready before it is%s",
		  shared->conf.lun, shared->conf.target_name,
		  restricted ? "" : ", or EXIT FAILURE MODE ends that");
}

/* What of the unit outlives the process. */
static void open_state(struct lu_shared *shared)
{
	const char *directory = shared->conf.state_dir;
	char unit[17];

	/* Who has no name yet is nobody's to reserve, nor to sanitize. */
	if (!directory || !*shared->conf.target_name)
		return;
	assert(shared->conf.offload);
	snprintf(unit, sizeof(unit), "%016" PRIx64, shared->naa);
	open_store(shared, directory, unit);
	open_mark(shared, directory, unit);
}

static bool init_reservations(struct lu_shared *shared)
{
	shared->turns = range_lock_new();
	shared->reservations = malloc(sizeof(*shared->reservations));
	if (!shared->turns || !shared->reservations)
		return false;
	/* Not the registrations, of which there are none: room for all that there may be takes
	 * no memory until it is written to. */
	memset(shared->reservations, 0, offsetof(struct reservations, registrations));
	return true;
}

/* Who it is, and with that what it remembers of reservations. */
static bool take_identity(struct lu_shared *shared, const struct disk_lu_conf *conf)
{
	if (!choose_naa(conf, &shared->naa))
		return false;
	if (*conf->serial)
		memcpy(shared->conf.serial, conf->serial, sizeof(conf->serial));
	else
		snprintf(shared->conf.serial, sizeof(conf->serial), "%016" PRIx64, shared->naa);
	open_state(shared);
	if (reservation_restricts(shared->reservations))
		atomic_store(&shared->restricted, ++shared->reserved);
	return true;
}

bool lu_shared_name(struct lu_shared *shared, const struct disk_lu_conf *conf)
{
	if (*shared->conf.target_name || !*conf->target_name)
		return true;
	memcpy(shared->conf.target_name, conf->target_name, sizeof(conf->target_name));
	shared->conf.lun = conf->lun;
	return take_identity(shared, conf);
}

struct lu_shared *lu_shared_new(const struct disk_lu_conf *conf)
{
	struct lu_shared *shared = calloc(1, sizeof(*shared));

	assert(conf->block_len >= 512 && !(conf->block_len & (conf->block_len - 1)));
	if (!shared)
		return NULL;
	shared->conf = *conf;
	atomic_init(&shared->mode, MODE_DEFAULTS);
	atomic_init(&shared->restricted, 0);
	atomic_init(&shared->sanitize, SANITIZE_NONE);
	atomic_init(&shared->sanitized, 0);
	pthread_mutex_init(&shared->mutex, NULL);
	list_init(&shared->instances);
	if (!init_reservations(shared) || !take_identity(shared, conf)) {
		lu_shared_free(shared);
		return NULL;
	}
	if (!conf->vendor[0])
		snprintf(shared->conf.vendor, sizeof(conf->vendor), "%s", OUR_VENDOR);
	if (!conf->product[0])
		snprintf(shared->conf.product, sizeof(conf->product), "%s", OUR_PRODUCT);
	return shared;
}

void lu_shared_free(struct lu_shared *shared)
{
	assert(list_empty(&shared->instances));
	lu_ports_free(&shared->ports);
	reservation_store_free(shared->store);
	sanitize_mark_free(shared->mark);
	free(shared->reservations);
	if (shared->turns)
		range_lock_free(shared->turns);
	pthread_mutex_destroy(&shared->mutex);
	free(shared);
}

uint64_t lu_shared_naa(const struct lu_shared *shared)
{
	return shared->naa;
}

void lu_shared_join(struct lu_shared *shared, struct lu_instance *instance)
{
	instance->shared = shared;
	for (int i = 0; i < NEXUS_BUCKETS; i++)
		list_init(&instance->nexuses[i]);
	atomic_init(&instance->visitors, 0);
	pthread_mutex_lock(&shared->mutex);
	list_add_tail(&shared->instances, &instance->node);
	pthread_mutex_unlock(&shared->mutex);
}

void lu_shared_leave(struct lu_instance *instance)
{
	pthread_mutex_lock(&instance->shared->mutex);
	list_del(&instance->node);
	pthread_mutex_unlock(&instance->shared->mutex);
	for (int i = 0; i < NEXUS_BUCKETS; i++)
		assert(list_empty(&instance->nexuses[i]));
}

void lu_shared_each(struct lu_shared *shared, void (*each)(struct lu_instance *, void *opaque),
		    void *opaque)
{
	pthread_mutex_lock(&shared->mutex);
	list_for_each(node, &shared->instances)
		each(container_of(node, struct lu_instance, node), opaque);
	pthread_mutex_unlock(&shared->mutex);
}

/* Target ports -------------------------------------------------------------- */

/* Those of registrations, too, which may have outlived a target: READ FULL STATUS numbers them. */
static bool add_ports(struct lu_shared *shared, const struct lu_port *ports, unsigned count)
{
	const struct reservations *r = shared->reservations;
	bool good = true;

	for (unsigned i = 0; i < count; i++)
		good &= lu_ports_add(&shared->ports, &ports[i], true);
	for (unsigned i = 0; i < r->count; i++)
		good &= lu_ports_add(&shared->ports, &r->registrations[i].who.port, false);
	return good;
}

/* Has the table what it had before, and no more? */
static bool are_as_before(const struct lu_ports *ports, const bool *before, unsigned count)
{
	for (unsigned i = 0; i < ports->count; i++)
		if (ports->rows[i].here != (i < count && before[i]))
			return false;
	return true;
}

bool lu_shared_set_ports(struct lu_shared *shared, const struct lu_port *ports, unsigned count)
{
	unsigned known = shared->ports.count;
	bool *before = calloc(known + 1, sizeof(*before));
	bool good, same;

	assert(count <= DISK_MAX_PORTS);
	if (!before)
		return false;
	pthread_mutex_lock(&shared->mutex);
	for (unsigned i = 0; i < known; i++) {
		before[i] = shared->ports.rows[i].here;
		shared->ports.rows[i].here = false;
	}
	good = add_ports(shared, ports, count);
	same = are_as_before(&shared->ports, before, known);
	pthread_mutex_unlock(&shared->mutex);
	free(before);
	if (!same)
		lu_shared_raise(shared, NULL, ATTENTION_INQUIRY_CHANGED);
	return good;
}

unsigned lu_shared_each_port(struct lu_shared *shared, const struct nexus *nexus,
			     void (*each)(const struct lu_port *, uint16_t, void *), void *opaque)
{
	unsigned count;

	pthread_mutex_lock(&shared->mutex);
	count = lu_ports_here(&shared->ports);
	for (unsigned i = 0; each && i < shared->ports.count; i++)
		if (shared->ports.rows[i].here)
			each(&shared->ports.rows[i].port, shared->ports.rows[i].id, opaque);
	if (!count && nexus) {
		const struct lu_port own = lu_port_of(nexus);

		if (each)
			each(&own, lu_ports_id(&shared->ports, &own), opaque);
		count = 1;
	}
	pthread_mutex_unlock(&shared->mutex);
	return count;
}

uint16_t lu_shared_port_id(struct lu_shared *shared, const struct nexus *nexus)
{
	const struct lu_port port = lu_port_of(nexus);
	uint16_t id;

	pthread_mutex_lock(&shared->mutex);
	id = lu_ports_id(&shared->ports, &port);
	pthread_mutex_unlock(&shared->mutex);
	return id;
}
