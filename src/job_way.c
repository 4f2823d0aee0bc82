/*-------------------------------------------------------------------------
 *
 * job_way.c
 *		The way a job reads, when the API does not do what the manifest says.
 *
 * What the API says of its lists, and what the rows show, outweighs the
 * manifest.  Why a job goes another way stands in sync_status.
 *
 * IDENTIFICATION
 *		src/job_way.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "job_reconcile.h"
#include "job_rights.h"
#include "job_row.h"
#include "job_way.h"
#include "queue_fold.h"
#include "session.h"
#include "utils/builtins.h"

/*
 * note_strategy: why the manifest's way of reading was not kept.
 */
static void
note_strategy(Job *job, const char *note)
{
	static Statement upsert_note = {
		"INSERT INTO sync_engine.sync_state AS s (org, product, entity, strategy_note, note_job_id) "
		"VALUES ($1, $2, $3, $4, $5) "
		"ON CONFLICT (org, product, entity) DO UPDATE "
		"SET strategy_note = EXCLUDED.strategy_note, note_job_id = EXCLUDED.note_job_id",
		5, {TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT8OID}
	};
	Datum		args[5] = {CStringGetTextDatum(job->org->name), CStringGetTextDatum(job->entity->product),
		CStringGetTextDatum(job->entity->name), CStringGetTextDatum(note),
	Int64GetDatum(job->claim.job_id)};

	(void) statement_run(&upsert_note, args, NULL);
}

/*
 * restart: from that position, which is a beginning; a delta reads all now.
 */
static void
restart(Job *job, const char *position, const char *note)
{
	bool		durable = false;

	ereport(LOG,
			(errmsg("sync_engine: %s of org \"%s\" is %s", job->entity->name, job->org->name, note)));
	if (!session_begin("changing the strategy of a job"))
	{
		job->over = true;
		return;
	}
	if (!job_row_move(job, position, 0, -1))
	{
		session_abort();
		job->over = true;
		return;
	}
	job->mode = JOB_FULL;
	if (job->reconcile == NULL)
		job_row_make_full(job, position, note);
	note_strategy(job, note);
	job_rights_begin(job);
	session_commit(durable);

	job->watermark = WATERMARK_NONE;
	job_set_position(job, position);
	job->unsaved_requests = 0;
	job->total = -1;
	job->run_ahead = 0;
	job->ignored_pages = 0;
	job_drop_window(job);
}

bool
job_way_restart_plain(Job *job, const char *problem)
{
	Checkpoint *checkpoint = checkpoint_parse(job->position);

	if (checkpoint->plain)
		return false;			/* it is already */
	checkpoint_restart_plain(checkpoint);
	restart(job, job_reconcile_position(job, checkpoint_format(checkpoint)), psprintf("read by plain offsets: %s", problem));
	return true;
}

void
job_way_restart(Job *job, const char *reason)
{
	restart(job, "", psprintf("read as a whole: %s", reason));
}

void
job_way_verify(Job *job, const ParsedPage *page)
{
	static Statement select_rows = {
		"SELECT rows FROM sync_engine.sync_state WHERE org = $1 AND product = $2 AND entity = $3",
		3, {TEXTOID, TEXTOID, TEXTOID}
	};
	Datum		args[3] = {CStringGetTextDatum(job->org->name), CStringGetTextDatum(job->entity->product),
	CStringGetTextDatum(job->entity->name)};
	int64		rows;
	bool		complete;
	bool		durable = true;

	if (!session_begin("counting what came along"))
	{
		job->over = true;
		return;
	}
	queue_lock_runs(job->claim.job_id);

	/* a record can come twice, and a row can be of one that is deleted: neither alone proves it */
	rows = statement_run(&select_rows, args, NULL) > 0 ? result_int64(0, 1, 0) : 0;
	complete = page->total_count >= 0 && page->total_count <= Min(job->claim.fetched, rows);
	if (!job_row_move(job, "", 0, page->total_count))
	{
		session_abort();
		job->over = true;
		return;
	}
	if (complete)
		(void) queue_end_job(job->claim.job_id, job->claim.epoch, "succeeded", NULL);
	else
		queue_note_unfolded(job->claim.job_id, page->total_count < 0 ?
							"the API does not count its own list" :
							psprintf(INT64_FORMAT " came along, but the API counts " INT64_FORMAT,
									 job->claim.fetched, page->total_count));
	session_commit(durable);
	job->unsaved_requests = 0;
	job_set_position(job, "");
	job->over = complete;
	job_drop_window(job);
}

const char *
job_way_disowned(const Job *job, const ParsedPage *page)
{
	const char *key = job->key;
	ReadWay		way = checkpoint_way(checkpoint_parse(job->position), job->way);
	bool		orders = page->n_can_order_by == 0 || way == READ_BY_ID || way == READ_FILTERED;
	bool		filters = page->n_can_query_by == 0 || way == READ_BY_ID || way == READ_NEWEST;

	for (int i = 0; i < page->n_can_order_by && !orders; i++)
		orders = strcmp(page->can_order_by[i], key) == 0;
	for (int i = 0; i < page->n_can_query_by && !filters; i++)
		filters = strcmp(page->can_query_by[i], key) == 0;
	if (!orders)
		return psprintf("the API does not order by %s", key);
	if (!filters)
		return psprintf("the API does not filter by %s", key);
	return NULL;
}
