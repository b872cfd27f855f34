/*
 * Access rules that others take the place of, under sessions at work (access.h): what the
 * tests of that share. One rig, a peer at its first worker, and the rules that follow.
 */
#ifndef RELOAD_BED_H
#define RELOAD_BED_H

#include "access.h"
#include "target_peer.h"

#define OK(why)		CU_ASSERT_PTR_NULL_FATAL(why)
#define NAMES		"InitiatorName=" RIG_INITIATOR "\0TargetName=" RIG_TARGET

extern struct rig rig;
extern struct peer peer;		/* connected, not logged in */
extern struct rig_lu *disk, *passed;	/* LUNs 0 and 1 of worker 0, at first */

/* A rig of which who is asked to leave has 0.05 seconds to do so; and its end. */
void begin(void);
void finish(void);

/* Other rules, as those of the rig but for what the test does to them: they map no LUN. */
extern struct access *other;
extern struct access_auth_group *everybody;
extern struct access_portal_group *group;
extern struct access_target *target;

void begin_change(void);
void map(unsigned lun, unsigned export, bool read_only);
/* Put them into force. The number of the workers that have let go of what was before. */
unsigned change(void);

/* Nobody holds the rules that the rig began with but the rig. */
bool old_rules_are_forgotten(void);

/* The peer reads the first block of a LUN; and gets it. */
void submit_read(uint32_t itt, unsigned lun);
void expect_data(uint32_t itt);

#endif
