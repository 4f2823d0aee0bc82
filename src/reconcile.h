/*-------------------------------------------------------------------------
 *
 * reconcile.h
 *		What the parts of a reconcile share.
 *
 *		read → prove → judge → fetch ─▶ end, if nothing is missing or the batch is held
 *		                         └─▶ confirm (by id), or again ─▶ prove again → apply → end
 *
 *		An approval confirms and applies: people have looked at the rights.
 *
 * Each phase is named in the job's position, and moves on in a transaction of its
 * own, so that whoever takes the job over goes on in it.
 *
 * IDENTIFICATION
 *		src/reconcile.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_RECONCILE_H
#define SYNC_ENGINE_RECONCILE_H

#include "delete_batch.h"
#include "job.h"
#include "seen_ids.h"
#include "token_rights.h"

typedef enum ReconcilePhase
{
	RECONCILE_RESUME,			/* is there still what was seen?  In no position */
	RECONCILE_BEGIN,			/* begins, or begins anew.  In no position */
	RECONCILE_READ,				/* the list, for its ids */
	RECONCILE_PROVE,			/* what the token may see, and how long the list is */
	RECONCILE_JUDGE,			/* stored rows beside seen ids */
	RECONCILE_FETCH,			/* records that are not stored */
	RECONCILE_CONFIRM,			/* each candidate by its id */
	RECONCILE_AGAIN,			/* the list once more, where there is no path by id */
	RECONCILE_PROVE_AGAIN,
	RECONCILE_APPLY
} ReconcilePhase;

struct Reconcile
{
	MemoryContext context;		/* of what belongs to the present phase */
	ReconcilePhase phase;
	int64		batch;			/* 0 = none */
	bool		approval;		/* carries out the approval of the batch */
	const char *rights;			/* of the token, after the first read; NULL = unknown */
	const char *get_path;		/* of one record, or NULL */
	const char *fields;			/* part of the URL of a list */

	/* asking: all of it is gone when the phase ends */
	List	   *todo;			/* ids to ask for (char *) */
	char	   *last;			/* the last one that was listed */
	bool		all_listed;
	List	   *witnesses;		/* records that must be found, or a 404 proves nothing */
	bool		proven;			/* one was */

	/* proving */
	List	   *questions;		/* (Question *) */
	int			next_question;
	TokenRights token_rights;	/* as answered so far */
	int64		total;			/* of the list now; -1 = unknown */

	/* judging */
	SeenSet    *seen;
	SeenSet    *kept;			/* ids that somebody kept */
	int64		page;			/* last one that was loaded */
	int64		loaded;			/* ids in them */
	bool		sorted;
	char	   *after;			/* last stored id that was looked at */
	int64		stored;			/* live rows */
	int64		unseen;			/* ... that the read did not show, candidates or not */
	int64		candidates;
	TimestampTz oldest;			/* when the first of them was written */
};

/* ---- job_reconcile.c ----------------------------------------------------- */

extern DeleteScope reconcile_scope(const Job *job);

/* The position of a phase that reads no list. */
extern char *reconcile_position(const Job *job, ReconcilePhase phase);

/*
 * A transaction of the job: begins it, locks the runs if it may end the job in it,
 * and moves the job's row under its epoch.  False if the job is over.
 */
extern bool reconcile_begin_step(Job *job, const char *activity, bool may_end, const char *position);

/*
 * The first statement of each transaction; if the lease is lost the transaction is
 * over, and so is the job.  flaw: why what was read proves nothing, or NULL.
 */
extern bool reconcile_move_row(Job *job, const char *position, int pages, int64 seen, const char *flaw);

/* After its commit: the job is in that phase. */
extern void reconcile_enter(Job *job, ReconcilePhase phase);

/* The same in a transaction of its own. */
extern void reconcile_move_on(Job *job, ReconcilePhase phase);

/* What is missing is there: confirms what may be deleted, or ends the job. */
extern void reconcile_after_fetch(Job *job);

/* ---- reconcile_read.c ---------------------------------------------------- */

/* Begins the first read, or the second. */
extern void reconcile_begin_read(Job *job, ReconcilePhase phase);

/* Within a transaction: are all pages there that the job's row counts? */
extern bool reconcile_seen_is_whole(const Job *job);

/* ---- reconcile_ask.c ----------------------------------------------------- */

extern void reconcile_plan_ids(Job *job, int limit);
extern void reconcile_take_answer(Job *job, PageRequest *request);

/* ---- reconcile_prove.c --------------------------------------------------- */

extern void reconcile_plan_questions(Job *job, int limit);
extern void reconcile_answer_question(Job *job, const PageRequest *request);

/* ---- reconcile_judge.c --------------------------------------------------- */

/* A piece of the work; the last one moves on. */
extern void reconcile_judge_some(Job *job);

/* ---- reconcile_end.c ----------------------------------------------------- */

/* Deletes the next confirmed candidates; after the last ones ends the job. */
extern void reconcile_apply_some(Job *job);

/*
 * Ends the job.  batch_status: what becomes of the batch, or NULL; reason: why it is
 * held.
 */
extern void reconcile_finish(Job *job, const char *batch_status, const char *reason);

/* Ends it because what was read proves nothing. */
extern void reconcile_give_up(Job *job, const char *flaw);

#endif							/* SYNC_ENGINE_RECONCILE_H */
