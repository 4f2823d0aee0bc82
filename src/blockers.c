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
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "session.h"
#include "shmem.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"

/*
 * tell_waiter: if the process that blocks this job waits for a run, it has to
 * see whether it waits for itself.
 */
static void
tell_waiter(int64 job_id, int pid)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_WAITERS; i++)
	{
		WaiterSlot *waiter = &shared->waiters[i];

		if (waiter->state == WAITER_WATCHING && waiter->pid == pid)
		{
			waiter->blocked_job = job_id;
			shmem_wake(waiter->procno);
		}
	}
	LWLockRelease(shared->lock);
}

char *
blockers_of_table(int64 job_id, Oid relation)
{
	/* whoever waits for a strong lock keeps us out as if it had it */
	static Statement select_blockers = {
		"SELECT CASE WHEN granted THEN 'locked by ' || name "
		"  ELSE 'wanted by ' || name || ', which waits for process ' || array_to_string(behind, ', ') END, "
		"  CASE WHEN granted THEN ARRAY[coalesce(pid, 0)] ELSE behind END "
		"FROM (SELECT DISTINCT pid, granted, coalesce('process ' || pid, 'a prepared transaction') AS name, "
		"    CASE WHEN NOT granted THEN pg_blocking_pids(pid) END AS behind "
		"  FROM pg_locks WHERE locktype = 'relation' AND relation = $1 AND pid IS DISTINCT FROM pg_backend_pid() "
		"    AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
		"    AND mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')) l "
		"ORDER BY granted DESC, pid",
		1, {OIDOID}
	};
	Datum		args[1] = {ObjectIdGetDatum(relation)};
	uint64		n = statement_run(&select_blockers, args, NULL);
	char	   *name = get_rel_name(relation);
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "table \"%s\" is ", name ? name : "(dropped)");
	for (uint64 i = 0; i < n; i++)
	{
		bool		isnull;
		ArrayType  *pids = DatumGetArrayTypeP(SPI_getbinval(SPI_tuptable->vals[i],
															SPI_tuptable->tupdesc, 2, &isnull));
		int		   *values = (int *) ARR_DATA_PTR(pids);
		int			count = ArrayGetNItems(ARR_NDIM(pids), ARR_DIMS(pids));

		appendStringInfo(&text, "%s%s", i > 0 ? ", " : "", result_text(i, 1));
		for (int k = 0; k < count; k++)
			tell_waiter(job_id, values[k]);
	}
	if (n == 0)
		appendStringInfoString(&text, "free again");
	return text.data;
}

void
blockers_lock_table(int64 job_id, Oid relation)
{
	if (!ConditionalLockRelationOid(relation, RowExclusiveLock))
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("%s", blockers_of_table(job_id, relation))));
}

bool
blockers_include_me(int64 *job_id)
{
	struct
	{
		int			pid;
		int64		job_id;
	}			lanes[MAX_LANES];
	int			n = 0;

	LWLockAcquire(shared->lock, LW_SHARED);
	for (int i = 0; i < MAX_LANES; i++)
	{
		const LaneSlot *slot = &shared->lanes[i];

		if (slot->ready && slot->database == MyDatabaseId && slot->applying_since != 0)
		{
			lanes[n].pid = slot->pid;
			lanes[n++].job_id = slot->applying_job;
		}
	}
	LWLockRelease(shared->lock);

	for (int i = 0; i < n; i++)
	{
		ArrayType  *pids = DatumGetArrayTypeP(DirectFunctionCall1(pg_blocking_pids,
																  Int32GetDatum(lanes[i].pid)));
		int		   *values = (int *) ARR_DATA_PTR(pids);
		int			count = ArrayGetNItems(ARR_NDIM(pids), ARR_DIMS(pids));

		for (int k = 0; k < count; k++)
		{
			if (values[k] == MyProcPid)
			{
				*job_id = lanes[i].job_id;
				return true;
			}
		}
	}
	return false;
}

bool
blockers_stop_run(int64 job_id, int64 run_id)
{
	/* of two jobs for one entity, one waits for the other */
	static Statement select_waiting = {
		"SELECT 1 FROM sync_engine.job b JOIN sync_engine.job w USING (org, product, entity) "
		"WHERE b.job_id = $1 AND w.run_id = $2 AND w.status IN ('queued', 'running')",
		2, {INT8OID, INT8OID}
	};
	Datum		args[2] = {Int64GetDatum(job_id), Int64GetDatum(run_id)};

	return statement_run_latest(&select_waiting, args, NULL) > 0;
}
