/*-------------------------------------------------------------------------
 *
 * job_reconcile.c
 *		Jobs that look for records that the API has no more: their phases, and
 *		how they read.
 *
 * A reconcile reads every id, and writes nothing while it does.  Only a read that
 * is proven complete makes candidates, each of which is confirmed before its row
 * is touched.  Whatever casts doubt on the read ends the job as 'partial', whatever
 * casts doubt on the candidates lets them wait for people.
 *
 * IDENTIFICATION
 *		src/job_reconcile.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "job_reconcile.h"
#include "reconcile.h"
#include "session.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define APPROVE	"approve "

static const char *const phase_names[] = {
	[RECONCILE_RESUME] = "",
	[RECONCILE_BEGIN] = "",
	[RECONCILE_READ] = "read",
	[RECONCILE_PROVE] = "prove",
	[RECONCILE_JUDGE] = "judge",
	[RECONCILE_FETCH] = "fetch",
	[RECONCILE_CONFIRM] = "confirm",
	[RECONCILE_AGAIN] = "again",
	[RECONCILE_PROVE_AGAIN] = "prove_again",
	[RECONCILE_APPLY] = "apply",
};

DeleteScope
reconcile_scope(const Job *job)
{
	DeleteScope scope = {job->org->name, job->entity->product, job->entity->name};

	return scope;
}

/* ---- Positions ----------------------------------------------------------- */

/*
 * format_position: the job is named, for its seen ids are its own: nobody else can
 * go on from there.
 */
static char *
format_position(const Job *job, ReconcilePhase phase, const char *checkpoint)
{
	const Reconcile *reconcile = job->reconcile;

	return psprintf("phase=%s job=" INT64_FORMAT " batch=" INT64_FORMAT " rights=%s%s%s", phase_names[phase],
					job->claim.job_id, reconcile->batch, reconcile->rights ? reconcile->rights : "none",
					checkpoint[0] != '\0' ? " " : "", checkpoint);
}

char *
reconcile_position(const Job *job, ReconcilePhase phase)
{
	return format_position(job, phase, "");
}

char *
job_reconcile_position(const Job *job, char *checkpoint)
{
	return job->reconcile == NULL ? checkpoint : format_position(job, job->reconcile->phase, checkpoint);
}

/*
 * member: a value of a position, palloc'd in the job's memory; NULL if it is not there.
 */
static char *
member(const Job *job, const char *name)
{
	const char *start = strstr(job->position, psprintf("%s=", name));
	size_t		len;
	char	   *value;

	if (start == NULL)
		return NULL;
	start += strlen(name) + 1;
	len = strcspn(start, " ");
	value = MemoryContextAlloc(job->context, len + 1);
	memcpy(value, start, len);
	value[len] = '\0';
	return value;
}

/*
 * resume: the phase that the position names.
 */
static ReconcilePhase
resume(Job *job)
{
	Reconcile  *reconcile = job->reconcile;
	char	   *phase = member(job, "phase");
	char	   *of_job = member(job, "job");
	char	   *batch = member(job, "batch");
	char	   *rights = member(job, "rights");

	if (phase == NULL || of_job == NULL || batch == NULL || rights == NULL ||
		strtoll(of_job, NULL, 10) != job->claim.job_id)
		return RECONCILE_BEGIN;
	reconcile->batch = strtoll(batch, NULL, 10);
	reconcile->rights = strcmp(rights, "none") == 0 ? NULL : rights;
	for (int i = RECONCILE_READ; i < lengthof(phase_names); i++)
	{
		if (strcmp(phase_names[i], phase) == 0)
			return i;
	}
	return RECONCILE_BEGIN;
}

/* ---- Begin and move on --------------------------------------------------- */

/*
 * choose_way: how the list is read for its ids.  By created_at, which never
 * changes; where the API cannot do that by whatever else it can, for offsets must
 * not get deep.  One attribute is asked for: without any the key would be gone.
 */
static void
choose_way(Job *job)
{
	static Statement select_way = {
		"SELECT CASE WHEN get_path NOT LIKE '%{%{%' THEN get_path END, CASE WHEN parent IS NULL AND NOT single THEN "
		"    CASE WHEN 'created_at' = ANY (order_keys) AND 'created_at' = ANY (where_keys) THEN 'created_at' "
		"      WHEN 'updated_at' = ANY (order_keys) AND 'updated_at' = ANY (where_keys) THEN 'updated_at' END END, "
		"  (SELECT attribute FROM sync_engine.attribute a WHERE (a.product, a.entity) = (e.product, e.entity) "
		"    AND NOT fields_only ORDER BY attribute = 'created_at' DESC, position LIMIT 1) "
		"FROM sync_engine.entity e WHERE product = $1 AND entity = $2",
		2, {TEXTOID, TEXTOID}
	};
	Datum		args[2] = {CStringGetTextDatum(job->entity->product), CStringGetTextDatum(job->entity->name)};
	const char *attribute;

	(void) statement_run(&select_way, args, NULL);
	job->reconcile->get_path = result_text(0, 1);
	job->key = result_text(0, 2);
	job->way = job->key != NULL ? READ_KEYSET : READ_BY_ID;
	attribute = job->key != NULL ? job->key : result_text(0, 3);
	job->reconcile->fields = attribute == NULL ? "" :
		psprintf("&fields%%5B%s%%5D=%s", job->entity->name, attribute);
}

void
job_reconcile_begin(Job *job)
{
	bool		approval = strncmp(job->claim.mode, APPROVE, strlen(APPROVE)) == 0;
	Reconcile  *reconcile;

	if (!approval && strcmp(job->claim.mode, "reconcile") != 0)
		return;
	reconcile = palloc0(sizeof(Reconcile));
	reconcile->context = AllocSetContextCreate(job->context, "reconcile", ALLOCSET_DEFAULT_SIZES);
	reconcile->phase = RECONCILE_RESUME;
	reconcile->approval = approval;
	job->reconcile = reconcile;
	if (approval)
		reconcile->batch = strtoll(job->claim.mode + strlen(APPROVE), NULL, 10);
	choose_way(job);
}

void
job_reconcile_free(Job *job)
{
	job->reconcile = NULL;		/* its memory is the job's */
}

bool
job_reconcile_reads(const Job *job)
{
	return job->reconcile->phase == RECONCILE_READ || job->reconcile->phase == RECONCILE_AGAIN;
}

const char *
job_reconcile_fields(const Job *job)
{
	return job->reconcile->fields;
}

bool
reconcile_move_row(Job *job, const char *position, int pages, int64 seen, const char *flaw)
{
	static Statement move = {
		"UPDATE sync_engine.job SET position = $3, pages = pages + $4, requests = requests + $5, seen = seen + $6, "
		"  expected = $7, flaw = coalesce(flaw, $8), attempts = 0, failures = 0, suspect = false, applying = false, "
		"  crashes = 0 WHERE job_id = $1 AND epoch = $2 AND status = 'running'",
		8, {INT8OID, INT8OID, TEXTOID, INT4OID, INT8OID, INT8OID, INT8OID, TEXTOID}
	};
	Datum		args[8];
	char		nulls[8] = {' ', ' ', ' ', ' ', ' ', ' ', job->claim.expected < 0 ? 'n' : ' ', flaw == NULL ? 'n' : ' '};

	args[0] = Int64GetDatum(job->claim.job_id);
	args[1] = Int64GetDatum(job->claim.epoch);
	args[2] = CStringGetTextDatum(position);
	args[3] = Int32GetDatum(pages);
	args[4] = Int64GetDatum(job->unsaved_requests);
	args[5] = Int64GetDatum(seen);
	args[6] = Int64GetDatum(job->claim.expected);
	args[7] = flaw == NULL ? (Datum) 0 : CStringGetTextDatum(flaw);
	if (statement_run(&move, args, nulls) == 1)
		return true;
	session_abort();
	job->over = true;
	return false;
}

bool
reconcile_begin_step(Job *job, const char *activity, bool may_end, const char *position)
{
	if (!session_begin(activity))
	{
		job->over = true;
		return false;
	}
	if (may_end)
		queue_lock_runs(job->claim.job_id);
	return reconcile_move_row(job, position, 0, 0, NULL);
}

void
reconcile_enter(Job *job, ReconcilePhase phase)
{
	Reconcile  *reconcile = job->reconcile;

	job_drop_window(job);
	job_set_position(job, reconcile_position(job, phase));
	job->unsaved_requests = 0;
	job->claim.suspect = false;
	job->back = 0;
	job->total = -1;
	job->run_ahead = 0;
	job->suspect_pages = job->ignored_pages = job->stuck_pages = 0;
	reconcile->phase = phase;
	reconcile->todo = NIL;
	reconcile->last = NULL;
	reconcile->all_listed = false;
	reconcile->witnesses = NIL;
	reconcile->proven = false;
	reconcile->questions = NIL;
	reconcile->next_question = 0;
	reconcile->token_rights = (TokenRights) {0};
	reconcile->total = -1;
	reconcile->seen = NULL;
	reconcile->kept = NULL;
	reconcile->page = reconcile->loaded = 0;
	reconcile->sorted = false;
	reconcile->after = NULL;
	reconcile->stored = reconcile->unseen = reconcile->candidates = 0;
	reconcile->oldest = DT_NOEND;
	MemoryContextReset(reconcile->context);
	job->wake_at = budget_now();
}

void
reconcile_move_on(Job *job, ReconcilePhase phase)
{
	const bool	may_end = false;
	const bool	durable = false;

	if (!reconcile_begin_step(job, "going on with a reconcile", may_end, reconcile_position(job, phase)))
		return;
	session_commit(durable);
	reconcile_enter(job, phase);
}

/* ---- Phases that are work on the database -------------------------------- */

void
reconcile_after_fetch(Job *job)
{
	Reconcile  *reconcile = job->reconcile;
	DeleteBatch *batch;
	bool		is_held;
	char	   *reason = NULL;
	const bool	durable = false;

	if (reconcile->batch == 0)
	{
		reconcile_finish(job, NULL, NULL);
		return;
	}
	if (!session_begin("looking at a delete batch"))
	{
		job->over = true;
		return;
	}
	batch = delete_batch_lock(reconcile->batch);
	is_held = batch == NULL || strcmp(batch->status, "held") == 0;
	if (is_held)
		reason = MemoryContextStrdup(job->context, batch != NULL && batch->reason != NULL ? batch->reason : "");
	session_commit(durable);
	if (is_held)
		reconcile_finish(job, "held", reason);
	else if (reconcile->get_path != NULL)
		reconcile_move_on(job, RECONCILE_CONFIRM);
	else
		reconcile_begin_read(job, RECONCILE_AGAIN);
}

/*
 * begin_approval: the batch is this job's from now on, unless somebody has decided
 * otherwise.
 */
static void
begin_approval(Job *job)
{
	static Statement take = {
		"UPDATE sync_engine.delete_batch SET status = 'approved', worker_job = $2, decided_at = clock_timestamp(), "
		"  decided_by = (SELECT r.requested_by FROM sync_engine.job j JOIN sync_engine.run r USING (run_id) "
		"    WHERE j.job_id = $2) "
		"WHERE batch = $1 AND (status = 'held' OR (status = 'approved' AND worker_job = $2))",
		2, {INT8OID, INT8OID}
	};
	Reconcile  *reconcile = job->reconcile;
	Datum		args[2] = {Int64GetDatum(reconcile->batch), Int64GetDatum(job->claim.job_id)};
	bool		by_id = reconcile->get_path != NULL;
	ReconcilePhase phase = by_id ? RECONCILE_CONFIRM : RECONCILE_AGAIN;
	Failure		failure = {"55000", psprintf("delete batch " INT64_FORMAT " is not held any more", reconcile->batch),
	"See sync_deletes for what became of it."};
	const bool	may_end = true;
	const bool	durable = true;

	if (!reconcile_begin_step(job, "beginning to carry out an approval", may_end, reconcile_position(job, phase)))
		return;
	if (statement_run(&take, args, NULL) == 0)
	{
		(void) queue_end_job(job->claim.job_id, job->claim.epoch, "failed", &failure);
		session_commit(durable);
		job->over = true;
		return;
	}
	/* what was confirmed long ago is to be confirmed again */
	delete_batch_reopen(reconcile->batch);
	session_commit(durable);
	if (by_id)
		reconcile_enter(job, phase);
	else
		reconcile_begin_read(job, phase);
}

/*
 * go_on: where the position says, if what it rests on is there.
 */
static void
go_on(Job *job)
{
	Reconcile  *reconcile = job->reconcile;
	ReconcilePhase phase = resume(job);
	bool		rests_on_seen = phase == RECONCILE_READ || phase == RECONCILE_PROVE || phase == RECONCILE_JUDGE;
	const bool	durable = false;
	bool		is_whole;
	char	   *position = pstrdup(job->position);

	if (phase != RECONCILE_BEGIN && rests_on_seen)
	{
		if (!session_begin("looking for what was seen"))
		{
			job->over = true;
			return;
		}
		is_whole = reconcile_seen_is_whole(job);
		session_commit(durable);
		if (!is_whole)
		{
			ereport(LOG,
					(errmsg("sync_engine: seen ids of %s of org \"%s\" were lost: they are read again from the beginning",
							job->entity->name, job->org->name)));
			phase = RECONCILE_BEGIN;
		}
	}
	if (phase == RECONCILE_BEGIN)
	{
		if (reconcile->approval)
			begin_approval(job);
		else
			reconcile_begin_read(job, RECONCILE_READ);
		return;
	}
	reconcile_enter(job, phase);
	job_set_position(job, position);	/* with the checkpoint in it */
}

void
job_reconcile_plan(Job *job, int limit)
{
	switch (job->reconcile->phase)
	{
		case RECONCILE_RESUME:
			go_on(job);
			break;
		case RECONCILE_BEGIN:
			reconcile_begin_read(job, RECONCILE_READ);
			break;
		case RECONCILE_READ:
		case RECONCILE_AGAIN:
			break;
		case RECONCILE_PROVE:
		case RECONCILE_PROVE_AGAIN:
			reconcile_plan_questions(job, limit);
			break;
		case RECONCILE_JUDGE:
			reconcile_judge_some(job);
			break;
		case RECONCILE_FETCH:
		case RECONCILE_CONFIRM:
			reconcile_plan_ids(job, limit);
			break;
		case RECONCILE_APPLY:
			reconcile_apply_some(job);
			break;
	}
}

void
job_reconcile_answer(Job *job, PageRequest *request)
{
	reconcile_take_answer(job, request);
}
