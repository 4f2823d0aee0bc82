/*-------------------------------------------------------------------------
 *
 * job_record.c
 *		The inquiry for one record: sync_record.
 *
 * A GET by the record's id tells what there is: it is written whatever is stored,
 * and brings back what was deleted or merged away.  It may lack attributes that the
 * list has, so it is laid over the stored row.  If the API does not have it, a live
 * row becomes a candidate for deletion, in a batch of its own that somebody has to
 * approve.
 *
 * It is not the entity's job, and goes beside it: both write one page in one
 * transaction.
 *
 * IDENTIFICATION
 *		src/job_record.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "blockers.h"
#include "catalog/pg_type.h"
#include "errors.h"
#include "job_inquiry.h"
#include "job_record.h"
#include "merge.h"
#include "page_owner.h"
#include "session.h"
#include "url.h"
#include "utils/builtins.h"

static const PageLimits default_limits = {0};

/* A job whose table was dropped begins again with a new one. */
#define NEW_TABLE_MS	100

/*
 * record_id: what the job asks for, from its name: «record of Person 12».
 */
static const char *
record_id(const Job *job)
{
	return strchr(job->claim.entity + strlen(RECORD_OF), ' ') + 1;
}

/* ---- Asking -------------------------------------------------------------- */

/*
 * known_params: the parameters of the list that the stored row came from; NULL if
 * they are not all known.
 */
static const char *const *
known_params(const Job *job)
{
	const Entity *entity = job->entity;
	Oid			types[2] = {TEXTOID, TEXTOID};
	Datum		args[2] = {CStringGetTextDatum(job->org->name), CStringGetTextDatum(record_id(job))};
	const char **params = palloc0(sizeof(char *) * Max(entity->n_params, 1));
	MemoryContext context = CurrentMemoryContext;
	StringInfoData columns;
	const bool	read_only = false;
	bool		known = entity->n_params > 0;

	if (!known)
		return NULL;
	initStringInfo(&columns);
	for (int i = 0; i < entity->n_params; i++)
		appendStringInfo(&columns, "%s%s::text", i > 0 ? ", " : "", quote_identifier(entity->params[i]));
	session_become_table_owner();
	(void) SPI_execute_with_args(psprintf("SELECT %s FROM %s WHERE org = $1 AND id = $2", columns.data,
										  quote_qualified_identifier(entity->schema_name, entity->table_name)),
								 2, types, args, NULL, read_only, 1);
	MemoryContextSwitchTo(context);
	known = SPI_processed > 0;
	for (int i = 0; i < entity->n_params && known; i++)
	{
		params[i] = result_text(0, i + 1);
		known = params[i] != NULL;
	}
	session_become_extension_owner();
	return known ? params : NULL;
}

/*
 * param_value: what stands for a parameter of the record's path.
 */
static const char *
param_value(const Job *job, const char *const *params, const char *name)
{
	if (strcmp(name, "id") == 0)
		return record_id(job);
	for (int i = 0; params != NULL && i < job->entity->n_params; i++)
	{
		if (strcmp(job->entity->params[i], name) == 0)
			return params[i];
	}
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the path of %s \"%s\" has a parameter %s, which is not known", job->entity->name,
					record_id(job), name),
			 errhint("Sync the list that has it first, which tells whose it is.")));
}

static char *
fill_path(const Job *job, const char *path, const char *const *params)
{
	StringInfoData target;

	initStringInfo(&target);
	for (const char *c = path; *c != '\0'; c++)
	{
		size_t		len;

		if (*c != '{')
		{
			appendStringInfoChar(&target, *c);
			continue;
		}
		len = strcspn(c, "}");
		url_append_escaped(&target, param_value(job, params, pnstrdup(c + 1, len - 1)));
		c += c[len] == '\0' ? len - 1 : len;
	}
	return target.data;
}

void
record_ask(Job *job)
{
	static Statement select_path = {
		"SELECT get_path FROM sync_engine.entity WHERE product = $1 AND entity = $2",
		2, {TEXTOID, TEXTOID}
	};
	const char *name = job->claim.entity + strlen(RECORD_OF);
	Datum		args[2] = {CStringGetTextDatum(job->claim.product)};
	char	   *path;
	const bool	by_id = true;

	name = pnstrdup(name, strcspn(name, " "));
	job->entity = manifest_load(job->claim.product, name);
	if (job->entity == NULL)
		return;
	args[1] = CStringGetTextDatum(name);
	path = statement_run(&select_path, args, NULL) > 0 ? result_text(0, 1) : NULL;
	if (path == NULL)
	{
		job->entity = NULL;
		return;
	}
	job->table = tables_ensure(job->entity);
	job->writer = writer_create(job->entity, job->org->name, job->table, job->claim.run_id, job->claim.job_id);
	writer_trust(job->writer, by_id);
	job->target = fill_path(job, path, known_params(job));
}

/* ---- What is common to inquiries that bring records ---------------------- */

ParsedPage *
record_read(Job *job, const HttpResponse *response)
{
	PageRequest *request = job->window[0];
	Failure		failure = {SQLSTATE_BAD_PAGE, NULL, NULL};
	ParsedPage *page = page_parse((char *) response->body, response->body_len, &default_limits);

	if (page->problem != NULL || page->is_collection || page->n_records != 1)
	{
		failure.message = psprintf("the API answered with no record: %s",
								   page->problem ? page->problem : "it is a list");
		if (request->attempts + 1 == job->inquiry->max_attempts)
			job_end(job, "failed", &failure);
		else
			job_retry(job, request, &failure);
		return NULL;
	}
	return page_owner_is_org(job, page) ? page : NULL;
}

bool
record_begin(Job *job)
{
	static Statement move = {
		"UPDATE sync_engine.job SET pages = pages + 1, requests = requests + $3, attempts = 0, failures = 0, "
		"  suspect = false, applying = false, crashes = 0 WHERE job_id = $1 AND epoch = $2 AND status = 'running'",
		3, {INT8OID, INT8OID, INT8OID}
	};
	Datum		args[3] = {Int64GetDatum(job->claim.job_id), Int64GetDatum(job->claim.epoch),
	Int64GetDatum(job->unsaved_requests)};

	if (!session_begin("storing a record"))
	{
		job->over = true;
		return false;
	}
	queue_lock_runs(job->claim.job_id);
	if (statement_run(&move, args, NULL) == 1)
		return true;
	session_abort();
	job->over = true;
	return false;
}

bool
record_lock_table(Job *job, Oid relation)
{
	const bool	failed = false;

	blockers_lock_table(job->claim.job_id, relation);
	if (tables_check(relation))
		return true;
	session_abort();
	job_postpone(job, "its table was dropped", NEW_TABLE_MS, failed);
	return false;
}

void
record_end(Job *job, const WriteCounts *counts, const char *outcome, const Failure *failure)
{
	static Statement count = {
		"UPDATE sync_engine.job SET fetched = $2, inserted = $3, updated = $4, unchanged = $5, dead_lettered = $6, "
		"  position = $7 WHERE job_id = $1",
		7, {INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, TEXTOID}
	};
	Datum		args[7] = {Int64GetDatum(job->claim.job_id), Int64GetDatum(counts->fetched),
		Int64GetDatum(counts->inserted), Int64GetDatum(counts->updated), Int64GetDatum(counts->unchanged),
	Int64GetDatum(counts->dead_lettered), CStringGetTextDatum(outcome)};
	const bool	durable = true;

	(void) statement_run(&count, args, NULL);
	(void) queue_end_job(job->claim.job_id, job->claim.epoch, failure ? "partial" : "succeeded", failure);
	session_commit(durable);
	job->over = true;
}

/* ---- Storing ------------------------------------------------------------- */

static void
store_record(Job *job, const ParsedPage *page)
{
	WriteItem	item = {&page->records[0], NULL};
	WriteCounts counts;
	const bool	thin = true;

	if (!record_begin(job) || !record_lock_table(job, job->table.relation))
		return;
	item.params = known_params(job);
	writer_write(job->writer, page, &item, 1, thin, &counts);
	record_end(job, &counts,
			   counts.inserted > 0 ? RECORD_INSERTED : counts.updated > 0 ? RECORD_UPDATED :
			   counts.dead_lettered > 0 ? RECORD_REFUSED : RECORD_UNCHANGED, NULL);
}

/*
 * stored_as: whether there is a row, and whether it lives.
 */
static bool
stored_as(const Job *job, bool *live)
{
	Oid			types[2] = {TEXTOID, TEXTOID};
	Datum		args[2] = {CStringGetTextDatum(job->org->name), CStringGetTextDatum(record_id(job))};
	MemoryContext context = CurrentMemoryContext;
	const bool	read_only = false;
	bool		stored;

	session_become_table_owner();
	(void) SPI_execute_with_args(psprintf("SELECT _deleted_at IS NULL FROM %s WHERE org = $1 AND id = $2",
										  quote_qualified_identifier(job->entity->schema_name,
																	 job->entity->table_name)),
								 2, types, args, NULL, read_only, 1);
	MemoryContextSwitchTo(context);
	stored = SPI_processed > 0;
	*live = stored && result_bool(0, 1);
	session_become_extension_owner();
	return stored;
}

/*
 * propose: the live row for deletion, unless it is proposed already.
 */
static void
propose(const Job *job, int status)
{
	static Statement insert = {
		"WITH batch AS (INSERT INTO sync_engine.delete_batch (org, product, entity, run_id, job_id, source, behaviour, "
		"    status, reason, stored, candidates, read_at) "
		"  SELECT o.org, $2, $3, $4, $5, 'record', coalesce(o.options->>'delete_behaviour', 'soft'), 'held', $7, "
		"    (SELECT rows FROM sync_engine.sync_state s WHERE (s.org, s.product, s.entity) = ($1, $2, $3)), 1, "
		"    (SELECT started_at FROM sync_engine.job WHERE job_id = $5) "
		"  FROM sync_engine.org o WHERE o.org = $1 AND NOT EXISTS (SELECT FROM sync_engine.delete_batch b "
		"    JOIN sync_engine.delete_candidate c USING (batch) WHERE (b.org, b.product, b.entity) = ($1, $2, $3) "
		"    AND b.status IN ('open', 'held', 'approved') AND c.record_id = $6 AND c.status IN ('proposed', 'confirmed')) "
		"  RETURNING batch) "
		"INSERT INTO sync_engine.delete_candidate (batch, record_id, status, detail) "
		"SELECT batch, $6, 'confirmed', $7 FROM batch",
		7, {TEXTOID, TEXTOID, TEXTOID, INT8OID, INT8OID, TEXTOID, TEXTOID}
	};
	Datum		args[7] = {CStringGetTextDatum(job->org->name), CStringGetTextDatum(job->entity->product),
		CStringGetTextDatum(job->entity->name), Int64GetDatum(job->claim.run_id), Int64GetDatum(job->claim.job_id),
		CStringGetTextDatum(record_id(job)),
	CStringGetTextDatum(psprintf("the API does not have it (%d)", status))};

	(void) statement_run(&insert, args, NULL);
}

/*
 * store_absence: the API does not have the record.
 */
static void
store_absence(Job *job, int status)
{
	static const WriteCounts none = {0};
	const char *outcome = RECORD_CANDIDATE;
	bool		stored;
	bool		live;

	if (!record_begin(job) || !record_lock_table(job, job->table.relation))
		return;
	stored = stored_as(job, &live);
	if (merge_restore(job->writer, record_id(job)))
		outcome = live ? RECORD_UPDATED : RECORD_UNCHANGED;
	else if (live)
		propose(job, status);
	else
		outcome = stored ? RECORD_UNCHANGED : RECORD_UNKNOWN;
	record_end(job, &none, outcome, NULL);
}

void
record_finish(Job *job, const HttpResponse *response, const Failure *failure)
{
	ParsedPage *page;

	if (failure != NULL && response != NULL && (response->status == 404 || response->status == 410))
		store_absence(job, response->status);
	else if (failure != NULL)
		job_end(job, "failed", failure);
	else if ((page = record_read(job, response)) != NULL)
		store_record(job, page);
}
