/*-------------------------------------------------------------------------
 *
 * shmem.h
 *		What the launcher, the lanes and users' backends share.
 *
 * Fixed arrays under one lock.  No pointers, descriptors or latches of other
 * processes: a process is named by its pgprocno and woken through it; a
 * spurious wake-up is harmless.  The lock is never held over I/O or SPI.
 *
 * IDENTIFICATION
 *		src/shmem.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_SHMEM_H
#define SYNC_ENGINE_SHMEM_H

#include "datatype/timestamp.h"
#include "governor.h"
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/lwlock.h"

/* Databases of one cluster that hold work; beyond it, a clear error. */
#define MAX_DATABASES		256
/* Lanes of the whole cluster, whatever max_workers says per database. */
#define MAX_LANES			64
/* Backends that can wait in sync_run or sync_wait at once. */
#define MAX_WAITERS			128
/* Jobs that one lane works on at once; also bounds its memory. */
#define MAX_LANE_JOBS		512
/* The canonical names of all 256 entities fit in half of this. */
#define MAX_REQUEST_BYTES	16384

#define NO_PROC				(-1)

typedef struct DatabaseSlot
{
	Oid			database;		/* InvalidOid = free */
	pg_atomic_uint32 wanted;	/* somebody enqueued, or it was never probed */
	pg_atomic_uint32 bars;		/* statements that need it without lanes */
	pg_atomic_uint32 no_worker; /* the last attempt found no worker slot */
	pg_atomic_uint32 obstacle;	/* the log says why no lane can work */
	TimestampTz next_due;		/* a lane left work for this time */
	TimestampTz next_start;		/* not before, after failures */
	TimestampTz no_help_until;	/* there was no room for one more lane */
	int			failures;		/* lanes lost in a row */
} DatabaseSlot;

/* One job as a lane sees it now: newer than its row. */
typedef struct LiveJob
{
	int64		job_id;			/* 0 = free */
	int64		run_id;
	int64		fetched;
	int64		requests;
	int64		expected;		/* -1 = unknown */
	TimestampTz since;			/* this lane works on it, */
	int64		fetched_before; /* and so many it had then */
	double		budget_rate;	/* records a second that its budget allows */
	int			in_flight;
	char		waiting[64];	/* for what, or empty */
} LiveJob;

typedef struct LaneSlot
{
	bool		in_use;
	bool		ready;			/* attached and running */
	bool		lost;			/* ended without leaving */
	uint32		generation;
	Oid			database;
	int			pid;
	int			procno;
	int64		number;			/* from sync_engine.lane_number */
	bool		saturated;		/* work waits that this lane cannot take */
	pg_atomic_uint32 look;		/* another lane says: look for work */
	TimestampTz applying_since; /* 0 = in no transaction that a lock can hold up */
	int64		applying_job;	/* whose transaction; 0 = no job's */
	LiveJob		jobs[MAX_LANE_JOBS];
} LaneSlot;

typedef enum WaiterState
{
	WAITER_FREE = 0,
	WAITER_WRITING,				/* its backend fills it in */
	WAITER_REQUESTED,			/* a run is to be enqueued */
	WAITER_TAKEN,				/* a lane enqueues it */
	WAITER_WATCHING,			/* run_id is set; wake me when it moves */
	WAITER_REJECTED,			/* could not be enqueued: see error */
	WAITER_LEFT,				/* nobody waits any more; cancel the run */
	WAITER_CANCELLING			/* a lane does so */
} WaiterState;

typedef struct WaiterSlot
{
	WaiterState state;
	Oid			database;
	int			pid;			/* 0 = nobody waits any more */
	int			procno;
	int			taken_by;		/* lane that enqueues the request */
	bool		cancel;			/* the run is to be cancelled */
	int64		blocked_job;	/* its own locks stop this job; 0 = none */
	int64		run_id;			/* 0 = not enqueued yet */
	Oid			role;
	int			priority;
	bool		everything;
	/* kind, org, mode, execution, entities, each NUL-terminated */
	char		request[MAX_REQUEST_BYTES];
	char		error[256];
} WaiterSlot;

typedef struct BudgetSlot
{
	uint64		key;			/* 0 = free */
	GovTime		last_used;
	GovernorState governor;
} BudgetSlot;

typedef struct SharedState
{
	LWLock	   *lock;
	ConditionVariable lane_left;	/* some lane is on its way out */
	int			launcher_procno;
	pg_atomic_uint32 lane_generation;
	DatabaseSlot databases[MAX_DATABASES];
	LaneSlot	lanes[MAX_LANES];
	WaiterSlot	waiters[MAX_WAITERS];
	BudgetSlot	budgets[FLEXIBLE_ARRAY_MEMBER]; /* max_credentials of them */
} SharedState;

extern SharedState *shared;		/* NULL = not preloaded */

extern void shmem_install_hooks(void);

/*
 * Raises an error with a hint unless the library was preloaded and is of the
 * extension's version.  Every SQL-callable function that does not enter an owner
 * scope calls it first: its result may have other columns in another version.
 */
extern void shmem_require(void);

/*
 * The slot of a database, taken if need be; NULL, or an error, if all are.  It
 * stays this database's as long as a lane is there.
 */
extern DatabaseSlot *shmem_find_database_slot(Oid database);
extern DatabaseSlot *shmem_database_slot(Oid database);

/* The launcher alone frees slots: those that say nothing. */
extern void shmem_free_database_slots(void);

/*
 * No lane starts in a database with a bar, and those in it leave.  False if
 * there can be no bar, nor any lane: all slots are taken.
 */
extern bool shmem_set_bar(Oid database);
extern void shmem_lift_bar(Oid database);

/* Whether it has one; under the lock. */
extern bool shmem_is_barred(Oid database);

/* The database is dropped, with all its work. */
extern void shmem_forget_database(Oid database);

extern void shmem_wake(int procno);
extern void shmem_wake_launcher(void);

/*
 * At commit of the present transaction the launcher is told that this
 * database has work; the transaction can no longer be prepared.
 */
extern void shmem_wake_at_commit(void);

/* Tells the launcher at once; false, or an error, if all slots are taken. */
extern bool shmem_try_want_lane(Oid database);
extern void shmem_want_lane(Oid database);

#endif							/* SYNC_ENGINE_SHMEM_H */
