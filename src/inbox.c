/*-------------------------------------------------------------------------
 *
 * inbox.c
 *		Requests of users' backends to a lane, and its answers.
 *
 * IDENTIFICATION
 *		src/inbox.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "compat.h"
#include "inbox.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "session.h"
#include "storage/ipc.h"
#include "utils/builtins.h"

/* the slot that this backend holds, for its exit */
static WaiterSlot *own_slot = NULL;

/*
 * abandon_slot: the connection is lost; the run goes on.
 */
static void
abandon_slot(int code, Datum arg)
{
	const bool	cancel_run = false;

	if (own_slot != NULL)
		inbox_leave(own_slot, cancel_run);
}

static WaiterSlot *
take_slot(WaiterState state, int64 run_id)
{
	static bool exit_registered = false;
	WaiterSlot *slot = NULL;

	if (!exit_registered)
	{
		before_shmem_exit(abandon_slot, (Datum) 0);
		exit_registered = true;
	}

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_WAITERS && slot == NULL; i++)
	{
		if (shared->waiters[i].state == WAITER_FREE)
			slot = &shared->waiters[i];
	}
	if (slot != NULL)
	{
		slot->state = state;
		slot->database = MyDatabaseId;
		slot->pid = MyProcPid;
		slot->procno = compat_my_procno();
		slot->run_id = run_id;
		slot->cancel = false;
		slot->blocked_job = 0;
		slot->error[0] = '\0';
		own_slot = slot;
	}
	LWLockRelease(shared->lock);

	if (slot == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("more than %d sessions wait for runs", MAX_WAITERS),
				 errhint("Use sync_start, and look at sync_runs.")));
	return slot;
}

/*
 * append: one NUL-terminated part of a request.
 */
static char *
append(char *out, const char *end, const char *part)
{
	size_t		len = strlen(part) + 1;

	if (out + len >= end)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the list of entities is too long"),
				 errhint("Name fewer entities, or use sync_start.")));
	memcpy(out, part, len);
	return out + len;
}

WaiterSlot *
inbox_request_run(const RunRequest *request)
{
	char	   *packed = palloc(MAX_REQUEST_BYTES);
	const char *end = packed + MAX_REQUEST_BYTES - 1;
	char	   *out = packed;
	WaiterSlot *slot;
	ListCell   *cell;

	out = append(out, end, request->kind);
	out = append(out, end, request->org);
	out = append(out, end, request->mode);
	out = append(out, end, request->execution);
	foreach(cell, request->entities)
		out = append(out, end, strVal(lfirst(cell)));
	*out++ = '\0';				/* an empty name ends the list */

	slot = take_slot(WAITER_WRITING, 0);
	memcpy(slot->request, packed, out - packed);
	slot->role = request->role;
	slot->priority = request->priority;
	slot->everything = request->everything;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	slot->state = WAITER_REQUESTED;
	LWLockRelease(shared->lock);
	shmem_want_lane(MyDatabaseId);
	return slot;
}

WaiterSlot *
inbox_watch_run(int64 run_id)
{
	return take_slot(WAITER_WATCHING, run_id);
}

void
inbox_leave(WaiterSlot *waiter, bool cancel_run)
{
	bool		wake = false;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	waiter->procno = NO_PROC;
	waiter->pid = 0;
	waiter->cancel = cancel_run;
	switch (waiter->state)
	{
		case WAITER_REQUESTED:
			/* a lost connection leaves its request; a cancelled one takes it back */
			if (cancel_run)
				waiter->state = WAITER_FREE;
			break;
		case WAITER_TAKEN:
			break;				/* the lane frees it */
		case WAITER_WATCHING:
			waiter->state = cancel_run ? WAITER_LEFT : WAITER_FREE;
			wake = cancel_run;
			break;
		default:
			waiter->state = WAITER_FREE;
			break;
	}
	own_slot = NULL;
	LWLockRelease(shared->lock);
	if (wake)
		shmem_want_lane(waiter->database);
}

/*
 * enqueue: unpacks a request and makes it a run.
 */
static int64
enqueue(const WaiterSlot *copy)
{
	const char *part = copy->request;
	RunRequest	request = {.priority = copy->priority,.everything = copy->everything,.role = copy->role};

#define NEXT_PART()	(part += strlen(part) + 1)
	request.kind = part;
	NEXT_PART();
	request.org = part;
	NEXT_PART();
	request.mode = part;
	NEXT_PART();
	request.execution = part;
	NEXT_PART();
	for (; *part != '\0'; NEXT_PART())
		request.entities = lappend(request.entities, makeString(pstrdup(part)));
#undef NEXT_PART
	return queue_enqueue(&request);
}

/*
 * answer: the run is committed, and its number goes to the one who asked.
 */
static void
answer(WaiterSlot *slot, int64 run_id)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	slot->run_id = run_id;
	if (slot->pid != 0)
		slot->state = WAITER_WATCHING;
	else
		slot->state = slot->cancel ? WAITER_LEFT : WAITER_FREE;
	shmem_wake(slot->procno);
	LWLockRelease(shared->lock);
}

static void
cancel_run(int64 run_id)
{
	static Statement request_cancel = {
		"INSERT INTO sync_engine.cancel_request (run_id, requested_by) "
		"SELECT run_id, requested_by FROM sync_engine.run WHERE run_id = $1",
		1, {INT8OID}
	};
	Datum		args[1] = {Int64GetDatum(run_id)};
	bool		durable = true;

	if (!session_begin("taking a cancel request"))
		return;					/* the extension is gone, and the run with it */
	(void) statement_run(&request_cancel, args, NULL);
	session_commit(durable);
}

/*
 * take: the slot's content if it needs a lane; it is this lane's from now on.
 */
static bool
take(WaiterSlot *slot, WaiterSlot *copy)
{
	bool		taken;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	taken = slot->database == MyDatabaseId &&
		(slot->state == WAITER_REQUESTED || slot->state == WAITER_LEFT);
	if (taken)
	{
		memcpy(copy, slot, sizeof(WaiterSlot));
		slot->state = slot->state == WAITER_REQUESTED ? WAITER_TAKEN : WAITER_CANCELLING;
		slot->taken_by = MyProcPid;
	}
	LWLockRelease(shared->lock);
	return taken;
}

/*
 * take_request: makes a taken request a run.
 */
static void
take_request(WaiterSlot *slot, const WaiterSlot *copy)
{
	bool		durable = true;
	int64		run_id;

	if (!session_begin("taking a request"))
		return;
	run_id = enqueue(copy);
	session_commit(durable);
	answer(slot, run_id);
}

/*
 * take_leave: cancels the run that somebody no longer waits for.
 */
static void
take_leave(WaiterSlot *slot, const WaiterSlot *copy)
{
	cancel_run(copy->run_id);

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	slot->state = WAITER_FREE;
	LWLockRelease(shared->lock);

	/* the lane that was called may have looked before the wish was there */
	shmem_want_lane(MyDatabaseId);
}

bool
inbox_take_next(void)
{
	static int	next = 0;		/* one that raises an error does not come first again */
	WaiterSlot *copy = palloc(sizeof(WaiterSlot));

	for (int i = 0; i < MAX_WAITERS; i++)
	{
		WaiterSlot *slot = &shared->waiters[next];

		next = (next + 1) % MAX_WAITERS;
		if (slot->state == WAITER_FREE || !take(slot, copy))
			continue;
		if (copy->state == WAITER_REQUESTED)
			take_request(slot, copy);
		else
			take_leave(slot, copy);
		return true;
	}
	return false;
}

void
inbox_refuse_taken(const char *error)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_WAITERS; i++)
	{
		WaiterSlot *slot = &shared->waiters[i];

		if (slot->state == WAITER_TAKEN && slot->taken_by == MyProcPid)
		{
			strlcpy(slot->error, error, sizeof(slot->error));
			slot->state = slot->pid != 0 ? WAITER_REJECTED : WAITER_FREE;
			shmem_wake(slot->procno);
		}
	}
	LWLockRelease(shared->lock);
}

void
inbox_give_back(void)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_WAITERS; i++)
	{
		WaiterSlot *slot = &shared->waiters[i];

		if (slot->taken_by != MyProcPid)
			continue;
		if (slot->state == WAITER_TAKEN)
			slot->state = slot->cancel ? WAITER_FREE : WAITER_REQUESTED;
		else if (slot->state == WAITER_CANCELLING)
			slot->state = WAITER_LEFT;
	}
	LWLockRelease(shared->lock);
}

void
inbox_reject_requests(const char *error)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_WAITERS; i++)
	{
		WaiterSlot *slot = &shared->waiters[i];

		if (slot->database == MyDatabaseId && slot->state == WAITER_REQUESTED)
		{
			strlcpy(slot->error, error, sizeof(slot->error));
			slot->state = slot->pid != 0 ? WAITER_REJECTED : WAITER_FREE;
			shmem_wake(slot->procno);
		}
	}
	LWLockRelease(shared->lock);
}

void
inbox_wake_watchers(void)
{
	LWLockAcquire(shared->lock, LW_SHARED);
	for (int i = 0; i < MAX_WAITERS; i++)
	{
		const WaiterSlot *slot = &shared->waiters[i];

		if (slot->state == WAITER_WATCHING && slot->database == MyDatabaseId)
			shmem_wake(slot->procno);
	}
	LWLockRelease(shared->lock);
}
