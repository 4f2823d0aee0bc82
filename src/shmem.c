/*-------------------------------------------------------------------------
 *
 * shmem.c
 *		Shared memory of the extension, and wake-ups through it.
 *
 * Owns the segment and its one lock.  The commit callback does nothing that
 * can raise an error: it would be fatal there.
 *
 * IDENTIFICATION
 *		src/shmem.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "compat.h"
#include "credential.h"
#include "guc.h"
#include "miscadmin.h"
#include "session.h"
#include "shmem.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/shmem.h"

SharedState *shared = NULL;

static shmem_request_hook_type previous_request_hook;
static shmem_startup_hook_type previous_startup_hook;

/* set by shmem_wake_at_commit, cleared at the end of the transaction */
static bool wake_at_commit = false;

static Size
shared_size(void)
{
	return add_size(offsetof(SharedState, budgets),
					mul_size(sizeof(BudgetSlot), guc_max_credentials));
}

static void
request_shared_memory(void)
{
	if (previous_request_hook)
		previous_request_hook();
	RequestAddinShmemSpace(shared_size());
	RequestNamedLWLockTranche("sync_engine", 1);
}

static void
start_shared_memory(void)
{
	bool		found;

	if (previous_startup_hook)
		previous_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct("sync_engine", shared_size(), &found);
	if (!found)
	{
		memset(shared, 0, shared_size());
		shared->lock = &(GetNamedLWLockTranche("sync_engine"))->lock;
		ConditionVariableInit(&shared->lane_left);
		shared->launcher_procno = NO_PROC;
		pg_atomic_init_u32(&shared->lane_generation, 0);
		for (int i = 0; i < MAX_DATABASES; i++)
		{
			pg_atomic_init_u32(&shared->databases[i].wanted, 0);
			pg_atomic_init_u32(&shared->databases[i].bars, 0);
			pg_atomic_init_u32(&shared->databases[i].no_worker, 0);
			pg_atomic_init_u32(&shared->databases[i].obstacle, 0);
		}
	}
	LWLockRelease(AddinShmemInitLock);

	if (!IsUnderPostmaster)
		credential_create_key();
}

/*
 * at_transaction_end: wakes the launcher after a commit that enqueued.
 */
static void
at_transaction_end(XactEvent event, void *arg)
{
	if (!wake_at_commit)
		return;

	switch (event)
	{
		case XACT_EVENT_PRE_PREPARE:
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot PREPARE a transaction that has requested a sync"),
					 errhint("COMMIT it, or request the sync in a transaction of its own.")));
			break;
		case XACT_EVENT_COMMIT:
			(void) shmem_try_want_lane(MyDatabaseId);
			wake_at_commit = false;
			break;
		case XACT_EVENT_ABORT:
			wake_at_commit = false;
			break;
		default:
			break;
	}
}

void
shmem_install_hooks(void)
{
	previous_request_hook = shmem_request_hook;
	shmem_request_hook = request_shared_memory;
	previous_startup_hook = shmem_startup_hook;
	shmem_startup_hook = start_shared_memory;
	RegisterXactCallback(at_transaction_end, NULL);
}

void
shmem_require(void)
{
	if (shared == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("sync_engine is not loaded at server start"),
				 errhint("Add sync_engine to shared_preload_libraries and restart the server.")));
	session_require_version();
}

/*
 * find_slot: NULL if the database has none; under the lock.
 */
static DatabaseSlot *
find_slot(Oid database)
{
	for (int i = 0; i < MAX_DATABASES; i++)
	{
		if (shared->databases[i].database == database)
			return &shared->databases[i];
	}
	return NULL;
}

/*
 * clear_slot: it says nothing of the database; under the lock.
 */
static void
clear_slot(DatabaseSlot *slot)
{
	pg_atomic_write_u32(&slot->wanted, 0);
	pg_atomic_write_u32(&slot->no_worker, 0);
	pg_atomic_write_u32(&slot->obstacle, 0);
	slot->next_due = DT_NOEND;
	slot->next_start = DT_NOBEGIN;
	slot->no_help_until = DT_NOBEGIN;
	slot->failures = 0;
}

/*
 * find_or_take_slot: NULL if all are taken; under the lock.
 */
static DatabaseSlot *
find_or_take_slot(Oid database)
{
	DatabaseSlot *slot = find_slot(database);

	if (slot == NULL && (slot = find_slot(InvalidOid)) != NULL)
	{
		slot->database = database;
		pg_atomic_write_u32(&slot->bars, 0);
		clear_slot(slot);
	}
	return slot;
}

DatabaseSlot *
shmem_find_database_slot(Oid database)
{
	DatabaseSlot *slot;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	slot = find_or_take_slot(database);
	LWLockRelease(shared->lock);
	return slot;
}

static void
raise_all_slots_taken(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("sync_engine cannot serve more than %d databases", MAX_DATABASES),
			 errhint("Name the databases to serve in sync_engine.database_names.")));
}

DatabaseSlot *
shmem_database_slot(Oid database)
{
	DatabaseSlot *slot = shmem_find_database_slot(database);

	if (slot == NULL)
		raise_all_slots_taken();
	return slot;
}

/*
 * has_lane: one that runs there or is on its way; under the lock.
 */
static bool
has_lane(Oid database)
{
	for (int i = 0; i < MAX_LANES; i++)
	{
		if (shared->lanes[i].in_use && shared->lanes[i].database == database)
			return true;
	}
	return false;
}

void
shmem_free_database_slots(void)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_DATABASES; i++)
	{
		DatabaseSlot *slot = &shared->databases[i];

		if (slot->database != InvalidOid && slot->next_due == DT_NOEND && slot->failures == 0 &&
			pg_atomic_read_u32(&slot->wanted) == 0 && pg_atomic_read_u32(&slot->bars) == 0 &&
			pg_atomic_read_u32(&slot->no_worker) == 0 && pg_atomic_read_u32(&slot->obstacle) == 0 &&
			!has_lane(slot->database))
			slot->database = InvalidOid;
	}
	LWLockRelease(shared->lock);
}

bool
shmem_set_bar(Oid database)
{
	DatabaseSlot *slot;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	slot = find_or_take_slot(database);
	if (slot != NULL)
		pg_atomic_add_fetch_u32(&slot->bars, 1);
	LWLockRelease(shared->lock);
	return slot != NULL;
}

void
shmem_lift_bar(Oid database)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	pg_atomic_sub_fetch_u32(&find_slot(database)->bars, 1);
	LWLockRelease(shared->lock);
	shmem_wake_launcher();
}

bool
shmem_is_barred(Oid database)
{
	DatabaseSlot *slot = find_slot(database);

	return slot != NULL && pg_atomic_read_u32(&slot->bars) > 0;
}

void
shmem_forget_database(Oid database)
{
	DatabaseSlot *slot;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	slot = find_slot(database);
	if (slot != NULL)
		clear_slot(slot);
	LWLockRelease(shared->lock);
	shmem_wake_launcher();
}

void
shmem_wake(int procno)
{
	if (procno != NO_PROC)
		SetLatch(&ProcGlobal->allProcs[procno].procLatch);
}

void
shmem_wake_launcher(void)
{
	shmem_wake(*(volatile int *) &shared->launcher_procno);
}

void
shmem_wake_at_commit(void)
{
	(void) shmem_database_slot(MyDatabaseId);	/* or an error, while it is allowed */
	wake_at_commit = true;
}

bool
shmem_try_want_lane(Oid database)
{
	DatabaseSlot *slot;

	/* one step: a slot that says nothing may be given back at any time */
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	slot = find_or_take_slot(database);
	if (slot != NULL)
		pg_atomic_write_u32(&slot->wanted, 1);
	LWLockRelease(shared->lock);
	shmem_wake_launcher();
	return slot != NULL;
}

void
shmem_want_lane(Oid database)
{
	if (!shmem_try_want_lane(database))
		raise_all_slots_taken();
}
