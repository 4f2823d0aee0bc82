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
		shared->launcher_procno = NO_PROC;
		pg_atomic_init_u32(&shared->lane_generation, 0);
		for (int i = 0; i < MAX_DATABASES; i++)
		{
			pg_atomic_init_u32(&shared->databases[i].wanted, 0);
			pg_atomic_init_u32(&shared->databases[i].no_worker, 0);
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
	DatabaseSlot *slot;

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
			/* only now: a lane may have given the slot back meanwhile */
			slot = shmem_find_database_slot(MyDatabaseId);
			if (slot != NULL)
				pg_atomic_write_u32(&slot->wanted, 1);
			shmem_wake_launcher();
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
}

DatabaseSlot *
shmem_find_database_slot(Oid database)
{
	DatabaseSlot *slot = NULL;
	DatabaseSlot *unused = NULL;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_DATABASES && slot == NULL; i++)
	{
		if (shared->databases[i].database == database)
			slot = &shared->databases[i];
		else if (shared->databases[i].database == InvalidOid && unused == NULL)
			unused = &shared->databases[i];
	}
	if (slot == NULL && unused != NULL)
	{
		slot = unused;
		slot->database = database;
		pg_atomic_write_u32(&slot->wanted, 0);
		pg_atomic_write_u32(&slot->no_worker, 0);
		slot->next_due = DT_NOEND;
		slot->next_start = DT_NOBEGIN;
		slot->failures = 0;
	}
	LWLockRelease(shared->lock);
	return slot;
}

DatabaseSlot *
shmem_database_slot(Oid database)
{
	DatabaseSlot *slot = shmem_find_database_slot(database);

	if (slot == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("sync_engine cannot serve more than %d databases", MAX_DATABASES),
				 errhint("Name the databases to serve in sync_engine.database_names.")));
	return slot;
}

void
shmem_free_database_slot(DatabaseSlot *slot)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	slot->database = InvalidOid;
	LWLockRelease(shared->lock);
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

void
shmem_want_lane(Oid database)
{
	pg_atomic_write_u32(&shmem_database_slot(database)->wanted, 1);
	shmem_wake_launcher();
}
