/*-------------------------------------------------------------------------
 *
 * reconcile_ask.c
 *		Records that a reconcile asks for by their ids: those that are missing
 *		here, and those that may be gone.
 *
 * IDENTIFICATION
 *		src/reconcile_ask.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "errors.h"
#include "job_page.h"
#include "job_question.h"
#include "job_row.h"
#include "reconcile.h"
#include "session.h"
#include "url.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/* Candidates listed at once. */
#define IDS_PER_LIST	200

/* Records that are looked for before a 404 is taken for an answer. */
#define MAX_WITNESSES	3

/*
 * path_of: of one record.
 */
static char *
path_of(const Job *job, const char *id)
{
	const char *path = job->reconcile->get_path;
	const char *brace = strstr(path, "{id}");
	StringInfoData target;

	initStringInfo(&target);
	if (brace == NULL)
		elog(ERROR, "path \"%s\" of entity \"%s\" has no {id}", path, job->entity->name);
	appendBinaryStringInfo(&target, path, (int) (brace - path));
	url_append_escaped(&target, id);
	appendStringInfoString(&target, brace + strlen("{id}"));
	return target.data;
}

/*
 * keep_ids: copies in the memory of the phase.
 */
static List *
keep_ids(const Job *job, List *ids)
{
	MemoryContext old = MemoryContextSwitchTo(job->reconcile->context);
	List	   *kept = NIL;
	ListCell   *cell;

	foreach(cell, ids)
		kept = lappend(kept, pstrdup(lfirst(cell)));
	MemoryContextSwitchTo(old);
	return kept;
}

/*
 * missing_ids: those that the judgement has noted.
 */
static List *
missing_ids(const Job *job)
{
	static Statement select_missing = {
		"SELECT ids, n::bigint FROM sync_engine.seen_page WHERE job_id = $1 AND page = 0",
		1, {INT8OID}
	};
	Datum		args[1] = {Int64GetDatum(job->claim.job_id)};
	SeenSet    *set = seen_set_create(0);
	List	   *ids = NIL;
	bytea	   *packed;
	bool		isnull;

	if (statement_run(&select_missing, args, NULL) == 0)
		return NIL;
	packed = DatumGetByteaPP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	if (!seen_set_add(set, VARDATA_ANY(packed), VARSIZE_ANY_EXHDR(packed), (int) result_int64(0, 2, 0)))
		return NIL;
	seen_set_sort(set);
	for (int64 i = 0; i < seen_set_count(set); i++)
		ids = lappend(ids, (char *) seen_set_id(set, i));
	return ids;
}

/*
 * find_witnesses: rows that are no candidates.  If the API does not find them by
 * their ids either, the path is wrong, and no 404 says anything.
 */
static List *
find_witnesses(const Job *job)
{
	Oid			types[2] = {TEXTOID, TIMESTAMPTZOID};
	Datum		args[2] = {CStringGetTextDatum(job->org->name)};
	const bool	read_only = true;
	List	   *ids = NIL;
	List	   *witnesses = NIL;
	ListCell   *cell;
	MemoryContext context = CurrentMemoryContext;

	session_become_table_owner();
	(void) SPI_execute_with_args(psprintf("SELECT id FROM %s WHERE org = $1 AND _deleted_at IS NULL "
										  "ORDER BY org, id LIMIT %d",
										  quote_qualified_identifier(job->entity->schema_name, job->entity->table_name),
										  IDS_PER_LIST),
								 1, types, args, NULL, read_only, 0);
	MemoryContextSwitchTo(context);
	for (uint64 i = 0; i < SPI_processed; i++)
		ids = lappend(ids, result_text(i, 1));
	session_become_extension_owner();
	foreach(cell, delete_batch_others(job->reconcile->batch, delete_ids_array(ids)))
	{
		if (list_length(witnesses) < MAX_WITNESSES)
			witnesses = lappend(witnesses, lfirst(cell));
	}
	return witnesses;
}

/*
 * list_ids: the next ones to ask for.
 */
static void
list_ids(Job *job)
{
	Reconcile  *reconcile = job->reconcile;
	bool		confirms = reconcile->phase == RECONCILE_CONFIRM;
	const bool	durable = false;
	List	   *ids;

	if (!session_begin("listing records to ask for"))
	{
		job->over = true;
		return;
	}
	if (confirms)
	{
		if (reconcile->last == NULL)
		{
			reconcile->witnesses = keep_ids(job, find_witnesses(job));
			/* people have approved of deleting all that there is */
			reconcile->proven = reconcile->witnesses == NIL && reconcile->approval;
		}
		ids = delete_batch_candidates(reconcile->batch, "proposed", reconcile->last ? reconcile->last : "", IDS_PER_LIST);
	}
	else
		ids = missing_ids(job);
	reconcile->todo = keep_ids(job, ids);
	reconcile->all_listed = !confirms || list_length(ids) < IDS_PER_LIST;
	if (ids != NIL)
		reconcile->last = llast(reconcile->todo);
	session_commit(durable);
}

/*
 * end_confirming: deletes what is confirmed, if nothing is left in doubt.  A right
 * that was lost meanwhile makes a 404, too.
 */
static void
end_confirming(Job *job)
{
	const bool	durable = false;
	int64		in_doubt;
	char	   *why;

	if (!session_begin("counting what was confirmed"))
	{
		job->over = true;
		return;
	}
	in_doubt = delete_batch_count_status(job->reconcile->batch, "proposed");
	why = delete_batch_a_detail(job->reconcile->batch);
	why = MemoryContextStrdup(job->reconcile->context, why ? why : "");
	session_commit(durable);
	if (in_doubt > 0)
		reconcile_finish(job, "held", psprintf(INT64_FORMAT " records could not be confirmed to be gone: %s",
											   in_doubt, why));
	else
		reconcile_move_on(job, job->reconcile->approval ? RECONCILE_APPLY : RECONCILE_PROVE_AGAIN);
}

void
reconcile_plan_ids(Job *job, int limit)
{
	Reconcile  *reconcile = job->reconcile;
	bool		confirms = reconcile->phase == RECONCILE_CONFIRM;

	if (reconcile->todo == NIL && !reconcile->all_listed)
		list_ids(job);
	if (job->over)
		return;
	if (confirms && !reconcile->proven && reconcile->todo != NIL)
	{
		if (reconcile->witnesses == NIL)
			reconcile_finish(job, "held", "no record that is there is found by its id, so a 404 proves nothing");
		else if (job->n_window == 0)
			job_question_add(job, path_of(job, linitial(reconcile->witnesses)), linitial(reconcile->witnesses), NULL);
		return;
	}
	while (job->n_window < limit && reconcile->todo != NIL)
	{
		const char *id = linitial(reconcile->todo);

		reconcile->todo = list_delete_first(reconcile->todo);
		job_question_add(job, path_of(job, id), id, NULL);
	}
	if (job->n_window > 0)
		return;
	if (!reconcile->all_listed)
		job->wake_at = budget_now();
	else if (confirms)
		end_confirming(job);
	else
		reconcile_after_fetch(job);
}

/*
 * write_record: as the API has it now.
 */
static bool
write_record(Job *job, const ParsedPage *page)
{
	WriteItem	item = {&page->records[0], NULL};
	WriteCounts counts;
	const bool	thin = true;	/* it may lack what the list form has */
	const bool	durable = false;

	if (!session_begin("writing a record"))
	{
		job->over = true;
		return false;
	}
	if (!job_row_move(job, job->position, 1, job->claim.expected))
	{
		session_abort();
		job->over = true;
		return false;
	}
	if (!job_page_may_write(job))
		return false;
	writer_trust(job->writer, true);
	writer_write(job->writer, page, &item, 1, thin, &counts);
	writer_trust(job->writer, false);
	job_row_count(job, &counts);
	job_row_close_retry(job);
	session_commit(durable);
	job->claim.fetched++;
	job->unsaved_requests = 0;
	job->activity_id = 0;
	return true;
}

/*
 * note_candidate: what the API has said of it.
 */
static bool
note_candidate(Job *job, const char *id, bool is_gone, const char *detail)
{
	int64		batch = job->reconcile->batch;
	const bool	may_end = false;
	const bool	durable = false;

	if (!reconcile_begin_step(job, "noting whether a record is gone", may_end, job->position))
		return false;
	if (is_gone)
		delete_batch_mark(batch, delete_ids_array(list_make1((char *) id)), "confirmed", "the API has it no more (404)");
	else
		delete_batch_note(batch, id, detail);
	job_row_close_retry(job);
	session_commit(durable);
	job->unsaved_requests = 0;
	job->activity_id = 0;
	return true;
}

/*
 * answer_id: the answer that is due to a record that was asked for.
 */
static void
answer_id(Job *job, PageRequest *request)
{
	Reconcile  *reconcile = job->reconcile;
	bool		confirms = reconcile->phase == RECONCILE_CONFIRM;
	bool		is_witness = confirms && !reconcile->proven;
	const ParsedPage *page;
	bool		is_it;
	bool		done = true;

	if (!job_question_answer(job, request, &page))
		return;
	if (page != NULL && page->problem != NULL)
	{
		Failure		failure = {SQLSTATE_BAD_PAGE, NULL, NULL};

		failure.message = psprintf("the API answered with no record: %s", page->problem);
		job_retry(job, request, &failure);
		return;
	}
	is_it = page != NULL && page->n_records == 1 && page->records[0].id != NULL &&
		strcmp(page->records[0].id, request->asked) == 0 && writer_takes_type(job->writer, page->records[0].type);
	if (is_witness && is_it)
		reconcile->proven = true;
	else if (is_witness)
		reconcile->witnesses = list_delete_first(reconcile->witnesses);
	else if (is_it)
		done = write_record(job, page);
	else if (confirms)
		done = note_candidate(job, request->asked, request->is_gone,
							  request->refusal ? request->refusal : "the API answered with another record");
	if (done && !job->over)
		job_drop_first(job);
}

void
reconcile_take_answer(Job *job, PageRequest *request)
{
	if (request->asked != NULL)
		answer_id(job, request);
	else
		reconcile_answer_question(job, request);
}
