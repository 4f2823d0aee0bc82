/*-------------------------------------------------------------------------
 *
 * job_suspect.c
 *		Jobs whose lane was lost: was it a page of theirs?
 *
 * IDENTIFICATION
 *		src/job_suspect.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "job_suspect.h"
#include "miscadmin.h"
#include "session.h"
#include "storage/lock.h"

/* One lock for all suspects of the database, held from mark to mark. */
static bool holds_lock = false;

/* The job whose mark stands, for a lane that is told to end. */
static int64 marked_job = 0;
static int64 marked_epoch = 0;

static void
lock_tag(LOCKTAG *tag)
{
	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, 0, 0, SUSPECT_LOCK_SPACE);
}

/*
 * set_mark: false if the lease is lost.  Durable, or a crash would lose it.
 */
static bool
set_mark(int64 job_id, int64 epoch, bool applying)
{
	static Statement mark = {
		"UPDATE sync_engine.job SET applying = $3 WHERE job_id = $1 AND epoch = $2 AND status = 'running'",
		3, {INT8OID, INT8OID, BOOLOID}
	};
	Datum		args[3] = {Int64GetDatum(job_id), Int64GetDatum(epoch), BoolGetDatum(applying)};

	return statement_run(&mark, args, NULL) == 1;
}

bool
suspect_mark(Job *job)
{
	LOCKTAG		tag;
	bool		marked;
	const bool	session_lock = true;
	const bool	dont_wait = false;
	const bool	durable = true;

	if (!session_begin("marking a suspect job"))
		return false;
	lock_tag(&tag);
	(void) LockAcquire(&tag, ExclusiveLock, session_lock, dont_wait);
	holds_lock = true;
	marked = set_mark(job->claim.job_id, job->claim.epoch, true);
	session_commit(durable);
	marked_job = job->claim.job_id;
	marked_epoch = job->claim.epoch;
	return marked;
}

void
suspect_unmark(Job *job)
{
	const bool	durable = false;

	if (!session_begin("clearing a suspect job"))
		return;
	(void) set_mark(job->claim.job_id, job->claim.epoch, false);
	session_commit(durable);
}

void
suspect_absolve(void)
{
	const bool	durable = false;

	if (marked_job == 0)
		return;
	session_abort();
	if (!session_begin("clearing a suspect job"))
		return;
	(void) set_mark(marked_job, marked_epoch, false);
	session_commit(durable);
}

void
suspect_let_go(void)
{
	LOCKTAG		tag;
	const bool	session_lock = true;

	marked_job = 0;
	if (!holds_lock)
		return;
	lock_tag(&tag);
	(void) LockRelease(&tag, ExclusiveLock, session_lock);
	holds_lock = false;
}
