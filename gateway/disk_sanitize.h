/*
 * A sanitize operation, between the commands that begin and end it (disk_sanitize.c) and its way
 * over the device (disk_sanitize_run.c). On the loop of the disk that it runs on.
 */
#ifndef DISK_SANITIZE_H
#define DISK_SANITIZE_H

#include "disk_private.h"
#include "offload.h"

struct sanitize {
	struct blk_req req;
	struct disk_lu *disk;
	struct disk_op *op;		/* whose command waits for the end; NULL: none does */
	struct range range;		/* of the request, against writes that began before */
	bool	 requesting, locked;
	bool	 stopped;		/* the unit is being closed */
	bool	 erases;		/* ... and unmaps */
	bool	 inverts;		/* from pass to pass; the last one is as the list says */
	bool	 restricted;		/* EXIT FAILURE MODE does not help */
	enum sanitize_state before;	/* the state that it began in */
	unsigned pass, passes;
	uint64_t first, at;		/* what has been written is [first, at), of a stretch or a pass */
	uint8_t	 *buffer;		/* DISK_CHUNK bytes, whole blocks */
	struct ev_timer rest;
	struct offload_job marking;
	int	 mark_error;
	void   (*next)(struct sanitize *);
};

/* Zeroed memory becomes an operation on "disk"; what it writes, and how often, is the caller's. */
void disk_sanitize_init(struct sanitize *s, struct disk_lu *disk);
void disk_sanitize_free(struct sanitize *s);

/* Of DISK_CHUNK bytes, each bit. */
void disk_sanitize_invert(uint8_t *buffer);

/* Go on from s->at. The operation frees itself at its end, and ends the task of s->op if there is
 * one; the state of the unit tells of success or failure. */
void disk_sanitize_run(struct sanitize *s);

/* Let everybody know how far it is. */
void disk_sanitize_note_progress(const struct sanitize *s);

#endif
