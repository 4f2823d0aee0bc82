/*-------------------------------------------------------------------------
 *
 * blockers.c
 *		Who keeps a lane from a data table.
 *
 * PostgreSQL's deadlock detector sees locks only.  A backend that has locked a
 * data table and waits in sync_run for the lane that wants to write it is a
 * deadlock through shared memory; it is found here.
 *
 * IDENTIFICATION
 *		src/blockers.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "blockers.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "shmem.h"
#include "storage/lock.h"
#include "utils/array.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"

/*
 * tell_waiter: the process that waits for this run is the one that blocks it.
 */
static void
tell_waiter(int64 run_id, int pid)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_WAITERS; i++)
	{
		WaiterSlot *waiter = &shared->waiters[i];

		if (waiter->state == WAITER_WATCHING && waiter->pid == pid && waiter->run_id == run_id)
		{
			waiter->blocks_lane = true;
			shmem_wake(waiter->procno);
		}
	}
	LWLockRelease(shared->lock);
}

char *
blockers_of_table(int64 run_id, Oid relation)
{
	LOCKTAG		tag;
	VirtualTransactionId *holders;
	int			n;
	StringInfoData text;
	char	   *name = get_rel_name(relation);

	SET_LOCKTAG_RELATION(tag, MyDatabaseId, relation);
	holders = GetLockConflicts(&tag, RowExclusiveLock, &n);

	initStringInfo(&text);
	appendStringInfo(&text, "table \"%s\" is locked by", name ? name : "(dropped)");
	for (int i = 0; i < n; i++)
	{
		PGPROC	   *proc = compat_vxid_proc(holders[i]);

		if (proc == NULL)
			continue;
		appendStringInfo(&text, "%s process %d", i > 0 ? "," : "", proc->pid);
		tell_waiter(run_id, proc->pid);
	}
	return text.data;
}

bool
blockers_include_me(void)
{
	int			lanes[MAX_LANES];
	int			n = 0;

	LWLockAcquire(shared->lock, LW_SHARED);
	for (int i = 0; i < MAX_LANES; i++)
	{
		if (shared->lanes[i].ready && shared->lanes[i].database == MyDatabaseId &&
			shared->lanes[i].applying_since != 0)
			lanes[n++] = shared->lanes[i].pid;
	}
	LWLockRelease(shared->lock);

	for (int i = 0; i < n; i++)
	{
		ArrayType  *pids = DatumGetArrayTypeP(DirectFunctionCall1(pg_blocking_pids,
																  Int32GetDatum(lanes[i])));
		int		   *values = (int *) ARR_DATA_PTR(pids);
		int			count = ArrayGetNItems(ARR_NDIM(pids), ARR_DIMS(pids));

		for (int k = 0; k < count; k++)
		{
			if (values[k] == MyProcPid)
				return true;
		}
	}
	return false;
}
