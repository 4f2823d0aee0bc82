/*-------------------------------------------------------------------------
 *
 * reconcile_read.c
 *		How a reconcile reads: the ids of each page, and what casts doubt on them.
 *
 * The first read keeps what it sees; the second one strikes candidates, as every
 * page of every job does.
 *
 * IDENTIFICATION
 *		src/reconcile_read.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "job_reconcile.h"
#include "job_row.h"
#include "job_walk.h"
#include "reconcile.h"
#include "session.h"
#include "utils/builtins.h"

/* So many parents are not all deleted since they were read: the path is wrong. */
#define MANY_GONE		3

/*
 * flaw_of: why a page keeps the read from being complete, or NULL.
 */
static const char *
flaw_of(const Job *job, const PageRequest *request, const ParsedPage *page, int first, bool list_done,
		const Failure *shortfall)
{
	if (shortfall != NULL)
		return shortfall->message;
	for (int i = first; i < page->n_records; i++)
	{
		if (page->records[i].id == NULL)
			return "a record of the list has no id";
		if (!writer_takes_type(job->writer, page->records[i].type))
			return psprintf("a record of the list is no %s", job->entity->name);
	}
	if (list_done && page->is_collection && page->total_count < 0 && !request->parent_is_gone &&
		!request->parent_is_forbidden)
		return "the API does not count its list";
	return NULL;
}

/*
 * insert_seen: the ids of a page, packed.
 */
static void
insert_seen(const Job *job, const char *packed, size_t len, int n)
{
	static Statement insert = {
		"INSERT INTO sync_engine.seen_page (job_id, page, n, ids) SELECT $1, "
		"  coalesce((SELECT max(page) FROM sync_engine.seen_page WHERE job_id = $1), 0) + 1, $2, $3",
		3, {INT8OID, INT4OID, BYTEAOID}
	};
	bytea	   *bytes = palloc(VARHDRSZ + len);
	Datum		args[3] = {Int64GetDatum(job->claim.job_id), Int32GetDatum(n), PointerGetDatum(bytes)};

	SET_VARSIZE(bytes, VARHDRSZ + len);
	memcpy(VARDATA(bytes), packed, len);
	if (n > 0)
		(void) statement_run(&insert, args, NULL);
}

/*
 * shown_ids: of a page, each as often as it comes.  What is too long to be stored
 * is of no interest.
 */
static List *
shown_ids(const ParsedPage *page, int first)
{
	List	   *ids = NIL;

	for (int i = first; i < page->n_records; i++)
	{
		if (page->records[i].id != NULL && strlen(page->records[i].id) <= SEEN_ID_MAX_BYTES)
			ids = lappend(ids, (char *) page->records[i].id);
	}
	return ids;
}

static ReconcilePhase
phase_after_reading(const Job *job)
{
	return job->reconcile->phase == RECONCILE_READ ? RECONCILE_PROVE : RECONCILE_PROVE_AGAIN;
}

bool
job_reconcile_write_page(Job *job, const PageRequest *request, const ParsedPage *page, int first,
						 const char *position, bool list_done, const Failure *shortfall)
{
	bool		is_end = list_done && job->walk == NULL;
	ReconcilePhase next = phase_after_reading(job);
	bool		keeps_ids = job->reconcile->phase == RECONCILE_READ;	/* else they are struck, that is all */
	List	   *ids = shown_ids(page, first);
	int			n = list_length(ids);
	const char **texts = palloc(sizeof(char *) * Max(n, 1));
	char	   *packed;
	size_t		len;
	const bool	durable = false;

	for (int i = 0; i < n; i++)
		texts[i] = list_nth(ids, i);
	packed = seen_pack(texts, &n, &len);
	if (!session_begin("noting the ids of a page"))
	{
		job->over = true;
		return false;
	}
	if (!reconcile_move_row(job, is_end ? reconcile_position(job, next) : position, 1, keeps_ids ? n : 0,
				  flaw_of(job, request, page, first, list_done, shortfall)))
		return false;
	if (keeps_ids)
		insert_seen(job, packed, len, n);
	if (ids != NIL)
		delete_batch_strike(reconcile_scope(job), delete_ids_array(ids));
	if (list_done && job->walk != NULL)
		job_walk_note(job, request, page);
	job_row_close_retry(job);
	session_commit(durable);

	job->unsaved_requests = 0;
	job->activity_id = 0;
	job->claim.suspect = false;
	job->live->fetched += n;
	job->live->expected = job->claim.expected;
	if (is_end)
		reconcile_enter(job, next);
	return true;
}

/*
 * parents_flaw: a child may have moved to a parent that is not known here, and be
 * below none that was walked.
 */
static const char *
parents_flaw(const Job *job)
{
	static Statement select_parent = {
		"SELECT coalesce((SELECT n.status FROM sync_engine.job_dependency d JOIN sync_engine.job n ON n.job_id = d.needs "
		"    WHERE d.job_id = $1 AND n.entity = $4), "
		"  (SELECT status FROM sync_engine.sync_state WHERE (org, product, entity) = ($2, $3, $4)))",
		4, {INT8OID, TEXTOID, TEXTOID, TEXTOID}
	};
	Datum		args[4] = {Int64GetDatum(job->claim.job_id), CStringGetTextDatum(job->org->name),
	CStringGetTextDatum(job->entity->product), CStringGetTextDatum(job->entity->parent)};
	char	   *status;

	(void) statement_run(&select_parent, args, NULL);
	status = result_text(0, 1);
	if (status != NULL && strcmp(status, "succeeded") == 0)
		return NULL;
	return psprintf("not every %s is known that it could belong to", job->entity->parent);
}

/*
 * walk_flaw: why the walk was not complete, or NULL.
 */
static const char *
walk_flaw(const Job *job)
{
	WalkTally	tally;

	walk_count(job->walk, &tally);
	if (tally.forbidden > 0)
		return psprintf("the token may not read the lists of " INT64_FORMAT " parents", tally.forbidden);
	if (tally.cut_short > 0)
		return psprintf("the lists of " INT64_FORMAT " parents ended before their total_count", tally.cut_short);
	if (tally.gone >= MANY_GONE && tally.read == 0 && !job->entity->single)
		return psprintf("the API has the list of none of " INT64_FORMAT " parents (404)", tally.gone);
	return parents_flaw(job);
}

static void
set_flaw(const Job *job, const char *flaw)
{
	static Statement update = {
		"UPDATE sync_engine.job SET flaw = coalesce(flaw, $2) WHERE job_id = $1",
		2, {INT8OID, TEXTOID}
	};
	Datum		args[2] = {Int64GetDatum(job->claim.job_id), flaw ? CStringGetTextDatum(flaw) : (Datum) 0};

	if (flaw != NULL)
		(void) statement_run(&update, args, NULL);
}

void
job_reconcile_end_walk(Job *job)
{
	ReconcilePhase next = phase_after_reading(job);
	const bool	durable = false;

	if (!session_begin("ending the walk of a reconcile"))
	{
		job->over = true;
		return;
	}
	if (!reconcile_move_row(job, reconcile_position(job, next), 0, 0, NULL))
		return;
	set_flaw(job, walk_flaw(job));
	session_commit(durable);
	reconcile_enter(job, next);
}

/*
 * forget_read: the next read begins with no parent walked; the first one with
 * nothing seen, too.
 */
static void
forget_read(const Job *job, ReconcilePhase phase)
{
	static Statement forget_pages = {
		"DELETE FROM sync_engine.seen_page WHERE job_id = $1",
		1, {INT8OID}
	};
	static Statement forget_count = {
		"UPDATE sync_engine.job SET seen = 0, flaw = NULL WHERE job_id = $1",
		1, {INT8OID}
	};
	static Statement forget_walk = {
		"DELETE FROM sync_engine.walk_ledger WHERE (org, product, entity) = ($1, $2, $3)",
		3, {TEXTOID, TEXTOID, TEXTOID}
	};
	Datum		args[3] = {Int64GetDatum(job->claim.job_id)};

	if (phase == RECONCILE_READ)
	{
		(void) statement_run(&forget_pages, args, NULL);
		(void) statement_run(&forget_count, args, NULL);
	}
	args[0] = CStringGetTextDatum(job->org->name);
	args[1] = CStringGetTextDatum(job->entity->product);
	args[2] = CStringGetTextDatum(psprintf("ids of %s", job->entity->name));
	(void) statement_run(&forget_walk, args, NULL);
}

/*
 * start_walk: from the first parent.
 */
static void
start_walk(Job *job)
{
	MemoryContext old = MemoryContextSwitchTo(job->context);

	if (job->entity->parent != NULL)
	{
		job->walk = walk_create(job->entity, job->org->name, job->claim.ledger, NULL, false);
		walk_keep_ledger_of_ids(job->walk);
	}
	MemoryContextSwitchTo(old);
}

void
reconcile_begin_read(Job *job, ReconcilePhase phase)
{
	const bool	may_end = false;
	const bool	durable = false;

	job_drop_window(job);
	if (!reconcile_begin_step(job, "beginning to read ids", may_end, reconcile_position(job, phase)))
		return;
	forget_read(job, phase);
	start_walk(job);
	session_commit(durable);
	reconcile_enter(job, phase);
	job->live->fetched = 0;
	job->live->expected = job->claim.expected = -1;
}

bool
reconcile_seen_is_whole(const Job *job)
{
	static Statement compare = {
		"SELECT seen = (SELECT coalesce(sum(n), 0) FROM sync_engine.seen_page WHERE job_id = $1 AND page > 0) "
		"FROM sync_engine.job WHERE job_id = $1",
		1, {INT8OID}
	};
	Datum		args[1] = {Int64GetDatum(job->claim.job_id)};

	return statement_run(&compare, args, NULL) > 0 && result_bool(0, 1);
}
