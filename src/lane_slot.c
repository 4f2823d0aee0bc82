/*-------------------------------------------------------------------------
 *
 * lane_slot.c
 *		A lane's place in shared memory: how it comes, goes and is called.
 *
 * Owns the slot of this process.  The launcher prepares it; a slot that its
 * lane does not free itself tells the launcher that the lane was lost.
 *
 * IDENTIFICATION
 *		src/lane_slot.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"
#include "guc.h"
#include "lane_slot.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "utils/timestamp.h"

LaneSlot   *lane_slot = NULL;
DatabaseSlot *lane_database = NULL;

static bool leaving = false;	/* of its own accord */

/*
 * release: on the way out.  A lane that does not leave of its own accord, nor
 * is made to, is lost, and the launcher sends another.
 */
static void
release(int code, Datum arg)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	if (shmem_is_barred(lane_slot->database))
	{
		/* whatever it had is for the lane that comes after the bar */
		pg_atomic_write_u32(&lane_database->wanted, 1);
		leaving = true;
	}
	if (leaving)
		lane_slot->in_use = false;
	else
		lane_slot->lost = true;
	lane_slot->ready = false;
	lane_slot->procno = NO_PROC;
	lane_slot->pid = 0;
	lane_slot->applying_since = 0;
	for (int i = 0; i < MAX_LANE_JOBS; i++)
		lane_slot->jobs[i].job_id = 0;
	LWLockRelease(shared->lock);
	ConditionVariableBroadcast(&shared->lane_left);
	shmem_wake_launcher();
}

/*
 * lane_attach: takes the slot that the launcher prepared; false if it was given to
 * another lane meanwhile, or if the database is to be without lanes.
 */
bool
lane_attach(int index)
{
	uint32		generation;
	Oid			database;
	bool		ours;
	bool		barred;

	memcpy(&generation, MyBgworkerEntry->bgw_extra, sizeof(generation));
	lane_slot = &shared->lanes[index];

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	ours = lane_slot->in_use && lane_slot->generation == generation;
	database = lane_slot->database;
	barred = ours && shmem_is_barred(database);
	if (barred)
		lane_slot->in_use = false;
	else if (ours)
	{
		lane_slot->pid = MyProcPid;
		lane_slot->procno = compat_my_procno();
	}
	LWLockRelease(shared->lock);
	if (barred)
		shmem_want_lane(database);
	if (!ours || barred)
		return false;

	lane_database = shmem_database_slot(database);
	before_shmem_exit(release, (Datum) 0);
	return true;
}

/*
 * lane_leave: ends the lane, or returns if work came meanwhile.
 */
void
lane_leave(TimestampTz next_due)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	if (pg_atomic_read_u32(&lane_database->wanted) != 0)
	{
		LWLockRelease(shared->lock);
		return;
	}
	lane_slot->ready = false;
	/* a lane that left before may know of something that we do not */
	lane_database->next_due = Min(lane_database->next_due, next_due);
	lane_database->failures = 0;
	LWLockRelease(shared->lock);
	leaving = true;
	proc_exit(0);
}

/*
 * lane_leave_if_barred: its jobs are taken over as those of a lost lane are,
 * by the one that comes when the bar is lifted.
 */
void
lane_leave_if_barred(void)
{
	if (pg_atomic_read_u32(&lane_database->bars) > 0)
	{
		leaving = true;
		proc_exit(0);
	}
}

/*
 * lane_leave_to_another: the extension is gone, or is another one.  If somebody
 * creates it again, or takes the DROP back, the work is for another lane; if not,
 * that lane says so to those who wait.
 */
void
lane_leave_to_another(void)
{
	shmem_want_lane(MyDatabaseId);
	leaving = true;
	proc_exit(0);
}

/*
 * lane_leave_for_good: this database does not have the extension (any more), or
 * not of this version.  Who changes that sends the next lane.
 */
void
lane_leave_for_good(void)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	lane_slot->ready = false;
	lane_database->next_due = DT_NOEND;
	lane_database->failures = 0;
	LWLockRelease(shared->lock);
	leaving = true;
	proc_exit(0);
}

/*
 * lane_can_be_helped: whether this database may have one more lane, or has one that
 * is not saturated.
 */
bool
lane_can_be_helped(void)
{
	int			lanes = 0;
	bool		has_room = false;

	LWLockAcquire(shared->lock, LW_SHARED);
	for (int i = 0; i < MAX_LANES; i++)
	{
		const LaneSlot *other = &shared->lanes[i];

		if (!other->in_use || other->database != MyDatabaseId)
			continue;
		lanes++;
		has_room = has_room || (other != lane_slot && other->ready && !other->saturated);
	}
	LWLockRelease(shared->lock);
	return has_room || (lanes < guc_max_workers && lane_database->no_help_until <= GetCurrentTimestamp());
}

/*
 * lane_tell_others: the others of this database are to look for work too.
 */
void
lane_tell_others(bool only_with_room)
{
	LWLockAcquire(shared->lock, LW_SHARED);
	for (int i = 0; i < MAX_LANES; i++)
	{
		LaneSlot   *other = &shared->lanes[i];

		if (other == lane_slot || !other->ready || other->database != MyDatabaseId ||
			(only_with_room && other->saturated))
			continue;
		pg_atomic_write_u32(&other->look, 1);
		shmem_wake(other->procno);
	}
	LWLockRelease(shared->lock);
}

/*
 * lane_is_wanted: whether somebody has enqueued or cancelled.  One lane notices;
 * the jobs of a cancelled run may be in any.
 */
bool
lane_is_wanted(void)
{
	const bool	only_with_room = false;

	if (pg_atomic_exchange_u32(&lane_database->wanted, 0) != 0)
	{
		lane_tell_others(only_with_room);
		return true;
	}
	return pg_atomic_exchange_u32(&lane_slot->look, 0) != 0;
}
