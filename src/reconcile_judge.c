/*-------------------------------------------------------------------------
 *
 * reconcile_judge.c
 *		Stored rows beside seen ids: what may be deleted, and what is missing.
 *
 * The seen ids are loaded and sorted in memory, 16 bytes and what is longer than
 * eight bytes each.  The stored ids pass by in chunks, in the order of the table's
 * primary key, each looked up among them: the two need not be sorted alike, which
 * they are not wherever text has a collation.  Each chunk is a transaction of its
 * own, so that the lane's other jobs go on.  Nobody else writes the entity
 * meanwhile, for only one job of it runs; a row that was written since the read
 * began is no candidate.
 *
 * IDENTIFICATION
 *		src/reconcile_judge.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "reconcile.h"
#include "session.h"
#include "shmem.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Of seen pages and of stored rows, in one transaction: some ten milliseconds. */
#define PAGES_AT_ONCE	500
#define ROWS_AT_ONCE	20000

/* More missing records than these are read with their list. */
#define FEW_MISSING		100

/* A look whether others have got their answer. */
#define OTHERS_ASK_US	(200 * INT64CONST(1000))

/*
 * load_pages: the next ones; false if one is not what it should be.
 */
static bool
load_pages(Job *job, bool *more)
{
	static Statement select_pages = {
		"SELECT page, n::bigint, ids FROM sync_engine.seen_page WHERE job_id = $1 AND page > $2 ORDER BY page LIMIT $3",
		3, {INT8OID, INT8OID, INT4OID}
	};
	Reconcile  *reconcile = job->reconcile;
	Datum		args[3] = {Int64GetDatum(job->claim.job_id), Int64GetDatum(reconcile->page), Int32GetDatum(PAGES_AT_ONCE)};
	uint64		n = statement_run(&select_pages, args, NULL);
	MemoryContext old = MemoryContextSwitchTo(reconcile->context);
	bool		sound = true;

	for (uint64 i = 0; i < n && sound; i++)
	{
		bool		isnull;
		int			n_ids = (int) result_int64(i, 2, 0);
		Datum		value = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 3, &isnull);
		bytea	   *packed = DatumGetByteaPP(value);

		sound = seen_set_add(reconcile->seen, VARDATA_ANY(packed), VARSIZE_ANY_EXHDR(packed), n_ids);
		reconcile->page = result_int64(i, 1, 0);
		reconcile->loaded += n_ids;
	}
	MemoryContextSwitchTo(old);
	*more = n == PAGES_AT_ONCE;
	return sound;
}

/*
 * load_kept: rows that somebody has kept.
 */
static void
load_kept(Job *job)
{
	Reconcile  *reconcile = job->reconcile;
	List	   *kept = delete_batch_kept(reconcile_scope(job));
	MemoryContext old = MemoryContextSwitchTo(reconcile->context);
	ListCell   *cell;

	reconcile->kept = seen_set_create(list_length(kept));
	foreach(cell, kept)
		seen_set_add_id(reconcile->kept, lfirst(cell));
	seen_set_sort(reconcile->kept);
	MemoryContextSwitchTo(old);
}

static int64
count_seen(const Job *job)
{
	static Statement select_seen = {
		"SELECT seen FROM sync_engine.job WHERE job_id = $1", 1, {INT8OID}
	};
	Datum		args[1] = {Int64GetDatum(job->claim.job_id)};

	return statement_run(&select_seen, args, NULL) > 0 ? result_int64(0, 1, -1) : -1;
}

/*
 * load_some: a part of the seen ids.  If they are not all there, they are read
 * again.
 */
static void
load_some(Job *job)
{
	Reconcile  *reconcile = job->reconcile;
	const bool	may_end = false;
	const bool	durable = false;
	bool		is_first = reconcile->seen == NULL;
	bool		more = false;
	bool		is_whole;
	int64		n_seen;

	if (!reconcile_begin_step(job, "loading seen ids", may_end, job->position))
		return;
	n_seen = count_seen(job);
	if (is_first)
	{
		MemoryContext old = MemoryContextSwitchTo(reconcile->context);

		reconcile->seen = seen_set_create(n_seen);
		MemoryContextSwitchTo(old);
		load_kept(job);
		reconcile->batch = 0;
	}
	is_whole = load_pages(job, &more);
	is_whole = is_whole && (more || reconcile->loaded == n_seen);
	session_commit(durable);
	job->unsaved_requests = 0;
	job->wake_at = budget_now();
	if (!is_whole)
	{
		ereport(LOG,
				(errmsg("sync_engine: seen ids of %s of org \"%s\" were lost: they are read again from the beginning",
						job->entity->name, job->org->name)));
		reconcile->phase = RECONCILE_BEGIN;
	}
	else if (!more)
	{
		MemoryContext old = MemoryContextSwitchTo(reconcile->context);

		seen_set_sort(reconcile->seen);
		reconcile->sorted = true;
		reconcile->after = pstrdup("");
		MemoryContextSwitchTo(old);
	}
}

/*
 * next_rows: ($1 org, $2 last id, $3 job's start) → id, live, older than the read, when written.
 */
static uint64
next_rows(Job *job, Datum started_at)
{
	Oid			types[3] = {TEXTOID, TEXTOID, TIMESTAMPTZOID};
	Datum		args[3] = {CStringGetTextDatum(job->org->name), CStringGetTextDatum(job->reconcile->after), started_at};
	MemoryContext context = CurrentMemoryContext;
	const bool	read_only = true;
	char	   *sql = psprintf("SELECT id, _deleted_at IS NULL, _synced_at < $3, _synced_at FROM %s WHERE org = $1 AND id > $2 "
							   "ORDER BY org, id LIMIT %d",
							   quote_qualified_identifier(job->entity->schema_name, job->entity->table_name), ROWS_AT_ONCE);

	session_follow_index();
	session_become_table_owner();
	(void) SPI_execute_with_args(sql, lengthof(types), types, args, NULL, read_only, 0);
	MemoryContextSwitchTo(context);
	session_become_extension_owner();
	return SPI_processed;
}

static TimestampTz
job_start_time(const Job *job)
{
	static Statement select_start = {
		"SELECT started_at FROM sync_engine.job WHERE job_id = $1", 1, {INT8OID}
	};
	Datum		args[1] = {Int64GetDatum(job->claim.job_id)};

	(void) statement_run(&select_start, args, NULL);
	return result_timestamp(0, 1, DT_NOBEGIN);
}

/*
 * compare_some: the next stored rows.  False if they were the last ones.
 */
static bool
compare_some(Job *job)
{
	Reconcile  *reconcile = job->reconcile;
	List	   *missing = NIL;	/* ids that the read did not show */
	char	   *last = NULL;
	uint64		n;

	n = next_rows(job, TimestampTzGetDatum(job_start_time(job)));
	for (uint64 i = 0; i < n; i++)
	{
		char	   *id = result_text(i, 1);
		bool		live = result_bool(i, 2);
		int64		place = seen_set_find(reconcile->seen, id);

		reconcile->stored += live;
		reconcile->unseen += live && place < 0;
		if (live && place >= 0)
			seen_set_mark(reconcile->seen, place);
		else if (live && result_bool(i, 3) && seen_set_find(reconcile->kept, id) < 0)
		{
			missing = lappend(missing, id);
			reconcile->oldest = Min(reconcile->oldest, result_timestamp(i, 4, DT_NOBEGIN));
		}
		last = id;
	}
	if (last != NULL)
		reconcile->after = MemoryContextStrdup(reconcile->context, last);
	if (missing != NIL)
	{
		if (reconcile->batch == 0)
			reconcile->batch = delete_batch_begin(reconcile_scope(job), job->claim.run_id, job->claim.job_id, "reconcile");
		delete_batch_propose(reconcile->batch, delete_ids_array(missing));
		reconcile->candidates += list_length(missing);
	}
	return n == ROWS_AT_ONCE;
}

static void
add_reason(StringInfo reasons, const char *reason)
{
	if (reason != NULL)
		appendStringInfo(reasons, "%s%s", reasons->len > 0 ? "; " : "", reason);
}

/*
 * settle_batch: all candidates are known: may they be confirmed and deleted, or do
 * they have to wait for people?
 */
static void
settle_batch(Job *job)
{
	Reconcile  *reconcile = job->reconcile;
	int64		n_seen = seen_set_count(reconcile->seen);
	DeleteScope scope = reconcile_scope(job);
	const char *doubt = token_rights_doubt(scope.org, scope.product, scope.entity, reconcile->rights,
										   reconcile->oldest);
	StringInfoData reasons;

	initStringInfo(&reasons);
	delete_batch_replace_older(scope, reconcile->batch);
	if (reconcile->batch != 0)
	{
		delete_batch_count(reconcile->batch, reconcile->stored, n_seen);
		if (n_seen == 0)
			add_reason(&reasons, "the API shows no record at all");
		add_reason(&reasons, delete_batch_exceeds(scope, reconcile->candidates, reconcile->stored));
		add_reason(&reasons, doubt);
		if (reasons.len > 0)
			delete_batch_set_status(reconcile->batch, "held", reasons.data);
	}
	if (reconcile->rights == NULL)
		return;
	token_rights_note(scope.org, scope.product, job->claim.job_id, reconcile->rights);
	/* where all rows were seen, no right to see one was lost */
	if (doubt == NULL || reconcile->unseen == 0)
		token_rights_accept(scope.org, scope.product, scope.entity, job_start_time(job));
}

/*
 * enqueue_full: reads the entity as a whole, in a run of its own.
 */
static void
enqueue_full(const Job *job)
{
	RunRequest	request = {
		.kind = "sync",
		.org = job->org->name,
		.entities = list_make1(makeString(psprintf("%s.%s", job->entity->product, job->entity->name))),
		.mode = "full",
		.execution = "hybrid",
		.role = GetUserId(),
	};

	(void) queue_enqueue(&request);
	shmem_wake_at_commit();
}

/*
 * note_missing: ids that the API has and we have not.  Few are asked for by their
 * ids, many are read with the list.
 */
static void
note_missing(Job *job)
{
	static Statement update = {
		"UPDATE sync_engine.job SET missing = $2 WHERE job_id = $1",
		2, {INT8OID, INT8OID}
	};
	static Statement insert = {
		"INSERT INTO sync_engine.seen_page (job_id, page, n, ids) VALUES ($1, 0, $2, $3) "
		"ON CONFLICT (job_id, page) DO UPDATE SET n = $2, ids = $3",
		3, {INT8OID, INT4OID, BYTEAOID}
	};
	const Reconcile *reconcile = job->reconcile;
	const char *ids[FEW_MISSING];
	Datum		args[3] = {Int64GetDatum(job->claim.job_id)};
	int64		missing = 0;

	for (int64 place = seen_set_next_unmarked(reconcile->seen, 0); place >= 0;
		 place = seen_set_next_unmarked(reconcile->seen, place + 1))
	{
		if (missing < FEW_MISSING)
			ids[missing] = seen_set_id(reconcile->seen, place);
		missing++;
	}
	args[1] = Int64GetDatum(missing);
	(void) statement_run(&update, args, NULL);
	if (missing == 0)
		return;
	ereport(LOG,
			(errmsg("sync_engine: " INT64_FORMAT " records of %s of org \"%s\" are not stored and are fetched",
					missing, job->entity->name, job->org->name)));
	if (missing > FEW_MISSING || reconcile->get_path == NULL || job->entity->parent != NULL)
		enqueue_full(job);
	else
	{
		int			n = (int) missing;
		size_t		len;
		char	   *packed = seen_pack(ids, &n, &len);
		bytea	   *bytes = palloc(VARHDRSZ + len);

		SET_VARSIZE(bytes, VARHDRSZ + len);
		memcpy(VARDATA(bytes), packed, len);
		args[1] = Int32GetDatum(n);
		args[2] = PointerGetDatum(bytes);
		(void) statement_run(&insert, args, NULL);
		/* they are written with rights that nobody knows */
		if (reconcile->rights == NULL)
			token_rights_note(job->org->name, job->entity->product, job->claim.job_id, NULL);
	}
}

/*
 * others_ask: somebody asks just now what the token may see: the judgement waits for
 * the answer.
 */
static bool
others_ask(Job *job)
{
	const bool	durable = false;
	bool		they_do;

	if (!session_begin("looking at what the token might see"))
	{
		job->over = true;
		return true;
	}
	they_do = token_rights_are_asked(job->org->name, job->entity->product);
	session_commit(durable);
	if (they_do)
		job->wake_at = budget_now() + OTHERS_ASK_US;
	return they_do;
}

/*
 * conclude: all rows were compared.  The position names the batch, so it is moved
 * once more when that is known.
 */
static void
conclude(Job *job)
{
	const bool	may_end = false;
	const bool	durable = true;

	if (others_ask(job))
		return;
	if (!reconcile_begin_step(job, "judging what is missing", may_end, reconcile_position(job, RECONCILE_FETCH)))
		return;
	settle_batch(job);
	note_missing(job);
	session_commit(durable);
	reconcile_enter(job, RECONCILE_FETCH);
}

void
reconcile_judge_some(Job *job)
{
	Reconcile  *reconcile = job->reconcile;
	bool		is_list = job->entity->parent == NULL && !job->entity->single;
	bool		more;
	const bool	may_end = false;
	const bool	durable = false;

	if (!reconcile->sorted)
	{
		load_some(job);
		return;
	}
	if (is_list && job->claim.expected > seen_set_count(reconcile->seen))
	{
		reconcile_give_up(job, psprintf("the API counts " INT64_FORMAT " records, but only " INT64_FORMAT " were seen",
										job->claim.expected, seen_set_count(reconcile->seen)));
		return;
	}
	if (!reconcile_begin_step(job, "comparing stored rows", may_end, job->position))
		return;
	more = compare_some(job);
	session_commit(durable);
	job->unsaved_requests = 0;
	job->wake_at = budget_now();
	if (!more)
		conclude(job);
}
