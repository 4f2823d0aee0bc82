/*-------------------------------------------------------------------------
 *
 * job_page.c
 *		Applies one page of a job, in one transaction.
 *
 * The transaction's first statement moves the job's row under its epoch: if
 * the lease is lost, no row moves and nothing is written.  Rows, counters,
 * dead letters and the checkpoint commit together, so that a crash at any
 * moment loses nothing and doubles nothing.
 *
 * IDENTIFICATION
 *		src/job_page.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "blockers.h"
#include "catalog/pg_type.h"
#include "errors.h"
#include "iso8601.h"
#include "job_delta.h"
#include "job_fold.h"
#include "job_page.h"
#include "job_reconcile.h"
#include "job_row.h"
#include "job_walk.h"
#include "job_way.h"
#include "page_owner.h"
#include "session.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"

/* An end that contradicts total_count is believed when seen so often. */
#define TRUST_END_AFTER		3

/* A page that breaks the order can be a replica's hiccup; two are not. */
#define TRUST_IGNORED_AFTER	2

/*
 * A page that was stepped back to can happen to end with the row that we know
 * last.  If it does so time and again, all offsets bring the same page.
 */
#define STUCK_AFTER			3

static const PageLimits default_limits = {0};

/* A page of which nothing can be stored, and letters that are too many. */
#define HOPELESS_PAGE		10
#define HOPELESS_LETTERS	1000

/* How long a job waits when somebody has locked its table. */
#define LOCK_WAIT_MS		1000

/*
 * read_key: the value of the list's key in a record; a missing one is null.
 */
static void
read_key(const PageRecord *record, const char *key, ReadRow *row)
{
	for (int i = 0; i < record->n_fields; i++)
	{
		const PageField *field = &record->fields[i];
		int64		unix_us;

		if (strcmp(field->name, key) != 0)
			continue;
		row->has_key = field->value.kind == JSON_KIND_STRING &&
			iso8601_parse(field->value.text, &unix_us);
		if (row->has_key)
			row->key = unix_us / 1000000;
		else
			row->unsound = field->value.kind != JSON_KIND_NULL;
	}
	row->unsound = row->unsound || record->defect != NULL;
}

static ReadRow *
read_rows(const Job *job, const ParsedPage *page)
{
	ReadRow    *rows = palloc0(sizeof(ReadRow) * Max(page->n_records, 1));

	for (int i = 0; i < page->n_records; i++)
	{
		const PageRecord *record = &page->records[i];

		rows[i].id = record->id ? record->id : "";
		if (job->way != READ_BY_ID)
			read_key(record, job->key, &rows[i]);
	}
	return rows;
}

/*
 * table_is_free: whether the data table can be written now.  A lock that
 * somebody holds or waits for must delay this entity alone, so the lane does
 * not queue behind it.
 */
static bool
table_is_free(Job *job)
{
	return ConditionalLockRelationOid(job->table.relation, RowExclusiveLock);
}

/*
 * is_hopeless: so many records cannot be stored that the table is to blame,
 * or our idea of the entity.  Going on would fill the dead letters with all.
 */
static bool
is_hopeless(const Job *job, const WriteCounts *counts)
{
	return (counts->fetched >= HOPELESS_PAGE && counts->dead_lettered == counts->fetched) ||
		(job->dead_lettered > HOPELESS_LETTERS && job->dead_lettered > job->claim.fetched / 5);
}

/*
 * wait_for_table: gives the job back, naming who is in the way.
 */
static void
wait_for_table(Job *job, Oid table)
{
	char	   *blocker = MemoryContextStrdup(job->context, blockers_of_table(job->claim.job_id, table));

	session_abort();
	job_postpone(job, blocker, LOCK_WAIT_MS, false);
}

/*
 * restart: the checkpoint is of a table that somebody dropped.
 */
static void
restart(Job *job)
{
	bool		durable = true;

	session_abort();
	job->over = true;
	if (session_begin("restarting a job"))
	{
		(void) queue_restart_job(job->claim.job_id, job->claim.epoch);
		session_commit(durable);
	}
}

bool
job_page_may_write(Job *job)
{
	if (!table_is_free(job))
	{
		wait_for_table(job, job->table.relation);
		return false;
	}
	if (!tables_check(job->table.relation))
	{
		restart(job);
		return false;
	}
	return true;
}

static WriteItem *
page_items(const ParsedPage *page, int first, const PageRequest *request)
{
	WriteItem  *items = palloc(sizeof(WriteItem) * Max(page->n_records, 1));

	for (int i = first; i < page->n_records; i++)
	{
		items[i - first].record = &page->records[i];
		items[i - first].params = request->parent ? request->parent->params : NULL;
	}
	return items;
}

/*
 * write_page: the transaction.  False if the job is over or must wait.
 */
static bool
write_page(Job *job, const PageRequest *request, const ParsedPage *page, int first,
		   const char *position, bool list_done, const Failure *shortfall)
{
	bool		is_end = list_done && job->walk == NULL;
	char		hopeless_message[100];
	Failure		bad = {SQLSTATE_TOO_MANY_BAD, hopeless_message, "See sync_dead_letters for the reasons."};
	WriteCounts counts;
	bool		durable = is_end;
	bool		hopeless;
	Oid			locked;
	int			n_new = page->n_records - first;
	WriteItem  *items = page_items(page, first, request);
	const bool	thin = false;

	if (!session_begin("applying a page"))
	{
		job->over = true;
		return false;
	}
	if (is_end)
		queue_lock_runs(job->claim.job_id);
	if (!job_row_move(job, position, n_new, job->claim.expected))
	{
		session_abort();
		job->over = true;
		return false;
	}
	if (!job_page_may_write(job))
		return false;

	writer_write(job->writer, page, items, n_new, thin, &counts);
	Assert(counts.fetched == n_new);
	job_row_count(job, &counts);
	switch (fold_write(job, request, page, first, &locked))
	{
		case FOLD_WRITTEN:
			break;
		case FOLD_TABLE_GONE:
			restart(job);
			return false;
		case FOLD_TABLE_LOCKED:
			wait_for_table(job, locked);
			return false;
	}
	if (list_done && job->walk != NULL)
		job_walk_note(job, request, page);
	job_row_close_retry(job);
	job->dead_lettered += counts.dead_lettered;
	job->claim.fetched += n_new;
	hopeless = is_hopeless(job, &counts) ||
		(is_end && job->dead_lettered > 0 && job->dead_lettered == job->claim.fetched);
	snprintf(hopeless_message, sizeof(hopeless_message),
			 INT64_FORMAT " of " INT64_FORMAT " records could not be stored",
			 job->dead_lettered, job->claim.fetched);
	if (is_end)
	{
		writer_finish(job->writer);
		fold_finish(job);
		(void) queue_end_job(job->claim.job_id, job->claim.epoch,
							 hopeless ? "failed" : shortfall ? "partial" : "succeeded",
							 hopeless ? &bad : shortfall);
	}
	session_commit(durable);

	job->unsaved_requests = 0;
	job->activity_id = 0;
	job->claim.suspect = false;
	job->live->fetched = job->claim.fetched;
	job->live->expected = job->claim.expected;
	if (hopeless && !is_end)
	{
		/* the letters are in; nothing more is read */
		job_end(job, "failed", &bad);
		return false;
	}
	return true;
}

/*
 * after_page: the checkpoint has moved; what is ahead must still fit.
 */
static void
after_page(Job *job, const PageRequest *request, const char *position, bool list_done,
		   const ReadPage *read)
{
	Checkpoint *next = checkpoint_parse(position);

	job_set_position(job, position);
	job->back = 0;
	job->suspect_pages = 0;
	job->ignored_pages = 0;

	if (job->walk != NULL)
	{
		if (list_done)
			job_drop_first(job);
		else
			job_continue_first(job, checkpoint_offset(next, job->per_page, 0));
		return;
	}

	if (job->total < 0 && read->total_count >= 0)
		job->run_ahead = JOB_MAX_WINDOW;
	else
		job->run_ahead = Min(job->run_ahead * 2 + 1, JOB_MAX_WINDOW);
	/* a window that moved on has fewer rows, by those it left behind */
	job->total = read->total_count < 0 ? -1 :
		read->total_count - (read->offset + read->n_rows - next->offset);

	/* downwards nobody knows how far it goes: few of what is asked for may be in vain */
	if (checkpoint_way(next, job->way) == READ_NEWEST)
		job->run_ahead = Min(next->offset / job->per_page / 8, JOB_MAX_WINDOW);

	job_drop_first(job);
	if (read->has_next && read->n_rows < job->per_page && read->n_rows >= JOB_PER_PAGE_MIN)
		job_shrink_pages(job, read->n_rows);	/* the server gives no more */
	if (job->n_window > 0 &&
		job->window[0]->offset != checkpoint_offset(next, job->per_page, 0))
		job_drop_window(job);
}

/*
 * ends_where_we_are: does a page that was stepped back to end with the row
 * that is known last?
 */
static bool
ends_where_we_are(const Checkpoint *checkpoint, const ReadPage *page)
{
	return checkpoint->back > 0 && checkpoint->n_tail > 0 && page->n_rows > 0 &&
		strcmp(page->rows[page->n_rows - 1].id, checkpoint->tail[checkpoint->n_tail - 1]) == 0;
}

/*
 * counts_what_is_read: is total_count, of this page, the number of records that
 * the job will read?
 */
static bool
counts_what_is_read(const Job *job, const Checkpoint *checkpoint, const PageRequest *request)
{
	if (job->mode == JOB_FULL)
		return !checkpoint->has_anchor;
	return job->way != READ_NEWEST && request->offset == 0 && job->claim.fetched == 0;
}

/*
 * apply: judges the page and writes it.
 */
static void
apply(Job *job, PageRequest *request, const ParsedPage *page)
{
	Checkpoint *checkpoint = checkpoint_parse(job->position);
	ReadPage	read = {request->offset, page->n_records, read_rows(job, page),
	page->has_next, page->total_count};
	bool		walk = job->walk != NULL;
	bool		list_done = false;
	bool		is_stuck;
	const char *problem = NULL;
	char	   *position;
	int			first;
	Failure		failure = {SQLSTATE_BAD_PAGE, NULL, NULL};
	Failure		shortfall = {SQLSTATE_BAD_PAGE, NULL, "Run it again; the token may not see all that it counts."};
	const Failure *short_of = NULL;

	if (walk && (checkpoint->parent == NULL || checkpoint->parent_done ||
				 strcmp(checkpoint->parent, request->parent->key) != 0))
		checkpoint_enter_parent(checkpoint, request->parent->key);
	checkpoint->back = job->back;
	is_stuck = ends_where_we_are(checkpoint, &read);

	switch (checkpoint_judge(checkpoint, &read, job->way, job->suspect_pages >= TRUST_END_AFTER,
							 job->per_page, &first, &problem))
	{
		case READ_APPLY:
			break;
		case READ_LAST:
			list_done = true;
			break;
		case READ_STEP_BACK:
			/* in a list that moves, requests ahead would be in vain */
			job->back = checkpoint->back;
			job->run_ahead = 0;
			job_drop_window(job);
			return;
		case READ_SUSPECT:
			job->suspect_pages++;
			failure.message = problem;
			job_retry(job, request, &failure);
			return;
		case READ_IGNORED:
			if (++job->ignored_pages >= TRUST_IGNORED_AFTER)
				(void) job_way_restart_plain(job, problem);
			else
				job_drop_window(job);
			return;
	}

	if (walk && list_done)
	{
		checkpoint->parent_done = true;
		checkpoint->offset = 0;
		checkpoint->n_tail = 0;
		checkpoint->has_key = false;
	}
	if (!walk && page->total_count >= 0 && counts_what_is_read(job, checkpoint, request))
		job->claim.expected = page->total_count;
	position = job_reconcile_position(job, checkpoint_format(checkpoint));

	if (!fold_check(job, page, first, &problem))
	{
		failure.message = problem;
		job_retry(job, request, &failure);
		return;
	}
	if (job->over)
		return;
	job->stuck_pages = is_stuck && !list_done ? job->stuck_pages + 1 : 0;
	if (job->stuck_pages == STUCK_AFTER)
	{
		failure.message = "the server ignores the offset: it gives the same page again and again";
		job_end(job, "failed", &failure);
		return;
	}
	if (list_done && !walk && page->total_count > request->offset + page->n_records &&
		!(job->mode == JOB_DELTA && job->way == READ_NEWEST))
	{
		shortfall.message = psprintf("the list ended after " INT64_FORMAT " of " INT64_FORMAT " records",
									 request->offset + page->n_records, page->total_count);
		short_of = &shortfall;
	}
	if (job->reconcile != NULL ?
		!job_reconcile_write_page(job, request, page, first, position, list_done, short_of) :
		!write_page(job, request, page, first, position, list_done, short_of))
		return;
	if (list_done && !walk)
		job->over = job->over || job->reconcile == NULL;
	else
		after_page(job, request, position, list_done, &read);
}

/*
 * empty_page: the list of a parent that has none for us.
 */
static ParsedPage *
empty_page(void)
{
	ParsedPage *page = palloc0(sizeof(ParsedPage));

	page->total_count = -1;
	page->is_collection = true;
	return page;
}

/*
 * judge: an answer that came with success.
 */
static void
judge(Job *job, PageRequest *request)
{
	const HttpResponse *response;
	ParsedPage *page;
	Failure		failure = {SQLSTATE_BAD_PAGE, NULL, NULL};
	const char *disowned;

	response = http_response(request->transfer);
	page = page_parse((char *) response->body, response->body_len, &default_limits);
	if (page->problem != NULL ||
		(!page->is_collection && !job->entity->single && job->walk == NULL))
	{
		failure.message = psprintf("the API answered with no page: %s",
								   page->problem ? page->problem : "it is no list");
		job_retry(job, request, &failure);
		return;
	}
	if (!page_owner_is_org(job, page))
		return;
	if (checkpoint_parse(job->position)->verify)
	{
		job_way_verify(job, page);
		return;
	}
	if (!job_delta_check(job))
		return;
	if ((disowned = job_way_disowned(job, page)) != NULL)
	{
		(void) job_way_restart_plain(job, disowned);
		return;
	}
	apply(job, request, page);
}

void
job_page_apply(Job *job, PageRequest *request)
{
	if (request->parent_is_gone || request->parent_is_forbidden)
		apply(job, request, empty_page());
	else
		judge(job, request);
}
