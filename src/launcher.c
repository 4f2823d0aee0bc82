/*-------------------------------------------------------------------------
 *
 * launcher.c
 *		The one static worker: it starts lanes where there is work.
 *
 * Connected to no database, so that it keeps none from being dropped; it does
 * no HTTP and runs no SQL.  After a start it cannot know which databases have
 * the extension, so it sends a lane to each of them once; a lane that finds
 * nothing to do leaves at once.  From then on it is level-triggered: in every
 * cycle it compares what should run with what runs.
 *
 * IDENTIFICATION
 *		src/launcher.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"
#include "database_list.h"
#include "guc.h"
#include "launcher.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "shmem.h"
#include "storage/ipc.h"
#include "storage/procarray.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* A lane that was lost is replaced at once, then after growing pauses. */
#define RESTART_DELAY_MIN_MS	200
#define RESTART_DELAY_MAX_MS	60000

/* One that has run so long was well: its loss is a first one. */
#define HEALTHY_MS				60000

/* With no worker slot free, ask again after this long. */
#define NO_WORKER_RETRY_MS		1000

/* Without room for one more lane, those that are there do without for so long. */
#define NO_HELP_MS				5000

PGDLLEXPORT void sync_engine_launcher_main(Datum arg);

/* what we know of the lanes we started; same index as shared->lanes */
static BackgroundWorkerHandle *handles[MAX_LANES];
static TimestampTz started_at[MAX_LANES];

/* databases that are still to be visited after our start */
static List *unprobed = NIL;

/* some database waits for a lane, for want of room, since the log says so */
static bool shortage = false;
static bool shortage_reported = false;

void
launcher_register(void)
{
	BackgroundWorker worker;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = 1;
	snprintf(worker.bgw_library_name, BGW_MAXLEN, "sync_engine");
	snprintf(worker.bgw_function_name, BGW_MAXLEN, "sync_engine_launcher_main");
	snprintf(worker.bgw_name, BGW_MAXLEN, "sync_engine launcher");
	snprintf(worker.bgw_type, BGW_MAXLEN, "sync_engine launcher");
	RegisterBackgroundWorker(&worker);
}

typedef enum LaneStart
{
	LANE_STARTED,
	LANE_BARRED,				/* somebody needs the database without */
	LANE_NO_SLOT,				/* there are MAX_LANES of them */
	LANE_NO_WORKER				/* of max_worker_processes */
} LaneStart;

static LaneStart
start_lane(DatabaseSlot *database)
{
	BackgroundWorker worker;
	int			index = -1;
	uint32		generation = pg_atomic_add_fetch_u32(&shared->lane_generation, 1);

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	if (shmem_is_barred(database->database))
	{
		LWLockRelease(shared->lock);
		return LANE_BARRED;
	}
	for (int i = 0; i < MAX_LANES && index < 0; i++)
	{
		if (!shared->lanes[i].in_use)
			index = i;
	}
	if (index >= 0)
	{
		memset(&shared->lanes[index], 0, sizeof(LaneSlot));
		pg_atomic_init_u32(&shared->lanes[index].look, 0);
		shared->lanes[index].in_use = true;
		shared->lanes[index].generation = generation;
		shared->lanes[index].database = database->database;
		shared->lanes[index].procno = NO_PROC;
	}
	LWLockRelease(shared->lock);
	if (index < 0)
		return LANE_NO_SLOT;

	if (handles[index] != NULL)
		pfree(handles[index]);
	handles[index] = NULL;
	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;	/* we decide */
	snprintf(worker.bgw_library_name, BGW_MAXLEN, "sync_engine");
	snprintf(worker.bgw_function_name, BGW_MAXLEN, "sync_engine_lane_main");
	snprintf(worker.bgw_name, BGW_MAXLEN, "sync_engine lane");
	snprintf(worker.bgw_type, BGW_MAXLEN, "sync_engine lane");
	worker.bgw_main_arg = Int32GetDatum(index);
	memcpy(worker.bgw_extra, &generation, sizeof(generation));
	worker.bgw_notify_pid = MyProcPid;
	if (!RegisterDynamicBackgroundWorker(&worker, &handles[index]))
	{
		LWLockAcquire(shared->lock, LW_EXCLUSIVE);
		shared->lanes[index].in_use = false;
		LWLockRelease(shared->lock);
		return LANE_NO_WORKER;
	}
	started_at[index] = GetCurrentTimestamp();
	return LANE_STARTED;
}

/*
 * collect_lost_lanes: frees the slots of lanes that ended without saying so,
 * and sends another after a pause that grows with every loss.
 */
static void
collect_lost_lanes(void)
{
	for (int i = 0; i < MAX_LANES; i++)
	{
		pid_t		pid;
		bool		was_lost = false;
		Oid			database = InvalidOid;

		/* after a restart of ours there is no handle: the lane has to say so itself */
		if (handles[i] == NULL ? !shared->lanes[i].lost :
			GetBackgroundWorkerPid(handles[i], &pid) != BGWH_STOPPED)
			continue;
		if (handles[i] != NULL)
			pfree(handles[i]);
		handles[i] = NULL;

		LWLockAcquire(shared->lock, LW_EXCLUSIVE);
		if (shared->lanes[i].in_use)
		{
			was_lost = true;
			database = shared->lanes[i].database;
			shared->lanes[i].in_use = false;
			shared->lanes[i].ready = false;
			shared->lanes[i].lost = false;
		}
		LWLockRelease(shared->lock);
		if (was_lost)
		{
			DatabaseSlot *slot = shmem_database_slot(database);
			TimestampTz now = GetCurrentTimestamp();
			int			delay = Min(RESTART_DELAY_MAX_MS, RESTART_DELAY_MIN_MS << Min(slot->failures, 10));

			if (TimestampDifferenceExceeds(started_at[i], now, HEALTHY_MS))
				slot->failures = 0;
			/* the first loss may be anybody's: come back at once */
			slot->next_start = slot->failures == 0 ? DT_NOBEGIN :
				TimestampTzPlusMilliseconds(now, delay);
			slot->failures++;
			pg_atomic_write_u32(&slot->wanted, 1);
		}
	}
}

typedef struct LaneCount
{
	int			running;
	bool		all_saturated;
} LaneCount;

static LaneCount
count_lanes(Oid database, bool wake)
{
	LaneCount	count = {0, true};

	LWLockAcquire(shared->lock, LW_SHARED);
	for (int i = 0; i < MAX_LANES; i++)
	{
		if (!shared->lanes[i].in_use || shared->lanes[i].database != database)
			continue;
		count.running++;
		count.all_saturated = count.all_saturated && shared->lanes[i].saturated;
		if (wake && shared->lanes[i].ready)
			shmem_wake(shared->lanes[i].procno);
	}
	LWLockRelease(shared->lock);
	return count;
}

/*
 * report_shortage: once, until every database has its lane again.
 */
static void
report_shortage(LaneStart start)
{
	shortage = true;
	if (shortage_reported)
		return;
	shortage_reported = true;
	if (start == LANE_NO_WORKER)
		ereport(LOG,
				(errmsg("sync_engine: no background worker slot is free"),
				 errhint("Increase max_worker_processes.")));
	else
		ereport(LOG,
				(errmsg("sync_engine: all %d lanes of the cluster are at work", MAX_LANES),
				 errhint("Lower sync_engine.max_workers, so that more databases have one.")));
}

/*
 * tell_waiters: those who wait for a lane there, that none could be started.
 */
static void
tell_waiters(Oid database)
{
	LWLockAcquire(shared->lock, LW_SHARED);
	for (int i = 0; i < MAX_WAITERS; i++)
	{
		if (shared->waiters[i].state == WAITER_REQUESTED && shared->waiters[i].database == database)
			shmem_wake(shared->waiters[i].procno);
	}
	LWLockRelease(shared->lock);
}

/*
 * serve: starts a lane for a database that needs one and has none; returns
 * when it wants to be looked at again.
 */
static TimestampTz
serve(DatabaseSlot *database)
{
	TimestampTz now = GetCurrentTimestamp();
	bool		wanted = pg_atomic_read_u32(&database->wanted) != 0;
	LaneCount	lanes = count_lanes(database->database, wanted);
	const bool	any = true;
	const bool	served_only = false;
	LaneStart	start;

	/* whoever lifts the bar wakes us */
	if (lanes.running > 0 || pg_atomic_read_u32(&database->bars) > 0)
		return DT_NOEND;
	if (!wanted && database->next_due > now)
		return database->next_due;
	if (database->next_start > now)
		return database->next_start;
	if (!database_is_listed(database->database, served_only))
	{
		if (!database_is_listed(database->database, any))
			shmem_forget_database(database->database);
		return DT_NOEND;		/* whoever opens it wakes us */
	}

	start = start_lane(database);
	if (start == LANE_STARTED)
	{
		database->next_due = DT_NOEND;
		pg_atomic_write_u32(&database->no_worker, 0);
	}
	if (start == LANE_STARTED || start == LANE_BARRED)
		return DT_NOEND;

	report_shortage(start);
	if (start == LANE_NO_WORKER)
	{
		pg_atomic_write_u32(&database->no_worker, 1);
		tell_waiters(database->database);
	}
	return TimestampTzPlusMilliseconds(now, NO_WORKER_RETRY_MS);
}

/*
 * deny_help: what the lanes of a database have left for one more, they take.
 */
static void
deny_help(DatabaseSlot *database)
{
	database->no_help_until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), NO_HELP_MS);
	LWLockAcquire(shared->lock, LW_SHARED);
	for (int i = 0; i < MAX_LANES; i++)
	{
		LaneSlot   *lane = &shared->lanes[i];

		if (!lane->ready || lane->database != database->database)
			continue;
		pg_atomic_write_u32(&lane->look, 1);
		shmem_wake(lane->procno);
	}
	LWLockRelease(shared->lock);
}

/*
 * serve_more: starts one more lane for a database whose lanes are saturated,
 * if it may have more.  If there is no room, it would have been nice.
 */
static TimestampTz
serve_more(DatabaseSlot *database)
{
	LaneCount	lanes = count_lanes(database->database, false);
	LaneStart	start;

	if (lanes.running == 0 || !lanes.all_saturated || lanes.running >= guc_max_workers)
		return DT_NOEND;
	if (database->next_start > GetCurrentTimestamp())
		return database->next_start;
	if (database->no_help_until > GetCurrentTimestamp())
		return DT_NOEND;
	start = start_lane(database);
	if (start == LANE_NO_SLOT || start == LANE_NO_WORKER)
		deny_help(database);
	return DT_NOEND;
}

/*
 * probe_next: sends a lane to the next database that was not visited since
 * our start, one at a time.
 */
static void
probe_next(void)
{
	for (int i = 0; i < MAX_LANES; i++)
	{
		if (handles[i] != NULL && !shared->lanes[i].ready && shared->lanes[i].in_use)
			return;				/* one is on its way */
	}
	if (unprobed != NIL)
	{
		DatabaseSlot *slot = shmem_find_database_slot(linitial_oid(unprobed));

		/* lanes give the slots of databases without the extension back */
		if (slot == NULL)
			return;
		pg_atomic_write_u32(&slot->wanted, 1);
		unprobed = list_delete_first(unprobed);
	}
}

/*
 * serve_all: the earliest time at which one of them wants to be looked at again.
 */
static TimestampTz
serve_all(TimestampTz (*serve_one) (DatabaseSlot *database))
{
	TimestampTz next = DT_NOEND;

	for (int i = 0; i < MAX_DATABASES; i++)
	{
		if (shared->databases[i].database != InvalidOid)
		{
			TimestampTz then = serve_one(&shared->databases[i]);

			next = Min(next, then);
		}
	}
	return next;
}

static TimestampTz
run_cycle(void)
{
	TimestampTz next,
				more;

	collect_lost_lanes();
	probe_next();
	shmem_free_database_slots();
	shortage = false;
	next = serve_all(serve);
	shortage_reported = shortage;
	/* only now: the last worker goes to a database that has no lane */
	more = serve_all(serve_more);
	return Min(next, more);
}

/*
 * free_unborn_lanes: slots that the launcher before us prepared and no lane
 * has attached to.  One that comes late finds another generation and leaves.
 */
static void
free_unborn_lanes(void)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_LANES; i++)
	{
		if (shared->lanes[i].in_use && shared->lanes[i].pid == 0)
		{
			shared->lanes[i].in_use = false;
			shared->lanes[i].lost = false;
		}
	}
	LWLockRelease(shared->lock);
}

/*
 * reload_settings: databases that are served from now on may have work.
 */
static void
reload_settings(void)
{
	char	   *names = pstrdup(guc_database_names);
	const bool	served_only = false;

	ProcessConfigFile(PGC_SIGHUP);
	if (strcmp(names, guc_database_names) != 0)
	{
		list_free(unprobed);
		unprobed = database_list(served_only);
	}
	pfree(names);
}

static void
leave(int code, Datum arg)
{
	shared->launcher_procno = NO_PROC;
}

void
sync_engine_launcher_main(Datum arg)
{
	MemoryContext context;
	const bool	served_only = false;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	ProcessConfigFile(PGC_SIGHUP);
	pgstat_report_appname("sync_engine launcher");

	context = AllocSetContextCreate(TopMemoryContext, "launcher", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);

	before_shmem_exit(leave, (Datum) 0);
	shared->launcher_procno = compat_my_procno();
	free_unborn_lanes();
	unprobed = database_list(served_only);

	while (!ShutdownRequestPending)
	{
		TimestampTz next = run_cycle();
		long		timeout = -1;
		int			events = WL_LATCH_SET | WL_EXIT_ON_PM_DEATH;

		if (unprobed != NIL)
			timeout = 20;
		else if (next != DT_NOEND)
			timeout = Min(TimestampDifferenceMilliseconds(GetCurrentTimestamp(), next) + 1, 60000);
		if (timeout >= 0)
			events |= WL_TIMEOUT;
		(void) WaitLatch(MyLatch, events, timeout, compat_wait_event("SyncEngineLauncher"));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			reload_settings();
		}
	}

	/* 0 would unregister us; at a shutdown nobody starts us again anyway */
	proc_exit(1);
}
