/*-------------------------------------------------------------------------
 *
 * lane_slot.h
 *		A lane's place in shared memory: how it comes, goes and is called.
 *
 * IDENTIFICATION
 *		src/lane_slot.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_LANE_SLOT_H
#define SYNC_ENGINE_LANE_SLOT_H

#include "shmem.h"

/* Of this process. */
extern LaneSlot *lane_slot;
extern DatabaseSlot *lane_database;

/*
 * Takes a prepared slot; false if it was given to another lane meanwhile, or if
 * the database is to be without lanes.
 */
extern bool lane_attach(int index);

/* Ends the lane if somebody needs the database without; no transaction is open. */
extern void lane_leave_if_barred(void);

/* Ends the lane until then, or returns if work has come. */
extern void lane_leave(TimestampTz next_due);

/* Ends the lane: the extension is not what it was; another lane will see. */
extern void lane_leave_to_another(void);

/* Ends the lane: there has been nothing to work with here since it began. */
extern void lane_leave_for_good(void);

/* Whether this database may have one more lane, or has one with room. */
extern bool lane_can_be_helped(void);

/* Calls the other lanes of this database to look for work. */
extern void lane_tell_others(bool only_with_room);

/* Whether somebody has called since the last time. */
extern bool lane_is_wanted(void);

#endif							/* SYNC_ENGINE_LANE_SLOT_H */
