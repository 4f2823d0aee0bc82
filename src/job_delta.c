/*-------------------------------------------------------------------------
 *
 * job_delta.c
 *		Jobs that read only what has changed.
 *
 * A delta is a promise about the past: that all before the watermark is in the
 * table, in the columns that it has now.  Where that does not hold, the job reads
 * everything, and its row says why.
 *
 * IDENTIFICATION
 *		src/job_delta.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "guc.h"
#include "job_delta.h"
#include "job_row.h"
#include "job_way.h"
#include "session.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/*
 * find_changes: finds how changes are asked for; NULL, or why they cannot be.
 */
static const char *
find_changes(Job *job)
{
	static Statement select_state = {
		"SELECT extract(epoch FROM watermark)::bigint, manifest_version, last_full_at IS NOT NULL "
		"FROM sync_engine.sync_state WHERE org = $1 AND product = $2 AND entity = $3",
		3, {TEXTOID, TEXTOID, TEXTOID}
	};
	Datum		args[3] = {CStringGetTextDatum(job->org->name), CStringGetTextDatum(job->entity->product),
	CStringGetTextDatum(job->entity->name)};
	const Entity *entity = job->entity;
	int64		watermark;
	char	   *version;

	if (entity->delta == DELTA_NONE)
		return "the API does not tell what has changed";
	if (statement_run(&select_state, args, NULL) == 0 || !result_bool(0, 3))
		return "it has not been read as a whole yet";
	watermark = result_int64(0, 1, WATERMARK_NONE);
	version = result_text(0, 2);
	if (version == NULL || strcmp(version, job->manifest_version) != 0)
		return "its columns have changed";
	if (entity->delta == DELTA_PARENTS)
		return NULL;
	if (watermark == WATERMARK_NONE)
		return "the API has told no time";

	job->watermark = watermark;
	job->way = entity->delta == DELTA_KEYSET ? READ_KEYSET :
		entity->delta == DELTA_FILTERED ? READ_FILTERED : READ_NEWEST;
	job->key = entity->delta_key;
	return NULL;
}

/*
 * read_all: everything, whatever was asked for.
 */
static void
read_all(Job *job)
{
	job->mode = JOB_FULL;
	job->watermark = WATERMARK_NONE;
	job->key = job->entity->keyset_key;
	job->way = job->key != NULL ? READ_KEYSET : READ_BY_ID;
}

void
job_delta_begin(Job *job)
{
	bool		is_delta = strcmp(job->claim.mode, "delta") == 0;
	const char *reason;

	job->manifest_version = tables_version(job->entity, job->table);
	job->ceiling = WATERMARK_UNSEEN;
	read_all(job);
	if (!is_delta)
		return;
	reason = find_changes(job);
	if (reason == NULL)
		job->mode = JOB_DELTA;
	else
		job_row_make_full(job, "", reason);	/* a position of a delta is none of a full */
}

char *
job_delta_position(const Job *job)
{
	Checkpoint	start = {0};

	if (job->watermark == WATERMARK_NONE)
		return pstrdup("");
	start.has_anchor = true;
	start.anchor = watermark_since(job->watermark);
	return checkpoint_format(&start);
}

void
job_delta_see_clock(Job *job, int64 server_date)
{
	job->ceiling = watermark_ceiling(job->ceiling, server_date, guc_replica_lag);
}

bool
job_delta_check(Job *job)
{
	if (job->mode != JOB_DELTA || job->watermark == WATERMARK_NONE ||
		!watermark_is_ahead(job->watermark, job->ceiling, guc_replica_lag))
		return true;
	read_all(job);
	job_way_restart(job, "the watermark is ahead of the API's clock");
	return false;
}
