/*-------------------------------------------------------------------------
 *
 * sql_control.c
 *		The SQL-callable functions that cancel, pause, resume and retry.
 *
 * They write down what is wanted, in the caller's transaction, into rows that no
 * lane waits for; lanes do it after COMMIT.
 *
 * IDENTIFICATION
 *		src/sql_control.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "entity_name.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "queue.h"
#include "session.h"
#include "shmem.h"
#include "sql_args.h"
#include "utils/array.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(sync_cancel);
PG_FUNCTION_INFO_V1(sync_pause);
PG_FUNCTION_INFO_V1(sync_resume);
PG_FUNCTION_INFO_V1(sync_retry);

static void
require_run_id(FunctionCallInfo fcinfo, int number)
{
	if (PG_ARGISNULL(number))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", "run_id")));
}

/*
 * require_run: raises an error unless the run exists; its status.
 */
static char *
require_run(int64 run_id)
{
	static Statement select_status = {
		"SELECT status FROM sync_engine.run WHERE run_id = $1", 1, {INT8OID}
	};
	Datum		args[1] = {Int64GetDatum(run_id)};

	if (statement_run(&select_status, args, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("run " INT64_FORMAT " does not exist", run_id),
				 errhint("See sync_runs for the runs.")));
	return result_text(0, 1);
}

static bool
is_unfinished(const char *status)
{
	return strcmp(status, "queued") == 0 || strcmp(status, "running") == 0 || strcmp(status, "paused") == 0;
}

/*
 * sync_cancel(run_id): whether there was something to cancel.
 */
Datum
sync_cancel(PG_FUNCTION_ARGS)
{
	static Statement request_cancel = {
		"INSERT INTO sync_engine.cancel_request (run_id, requested_by) SELECT run_id, $2 FROM sync_engine.run "
		"WHERE run_id = $1 AND status IN ('queued', 'running', 'paused') "
		"AND NOT EXISTS (SELECT 1 FROM sync_engine.cancel_request WHERE run_id = $1)",
		2, {INT8OID, NAMEOID}
	};
	Datum		args[2];
	OwnerScope	scope;
	bool		changed;

	sql_require_primary("sync_cancel");
	require_run_id(fcinfo, 0);
	args[0] = PG_GETARG_DATUM(0);
	args[1] = sql_session_user();
	SPI_connect();
	owner_scope_enter(&scope);
	(void) require_run(PG_GETARG_INT64(0));
	changed = statement_run(&request_cancel, args, NULL) > 0;
	owner_scope_leave(&scope);
	SPI_finish();
	if (changed)
		shmem_wake_at_commit();
	PG_RETURN_BOOL(changed);
}

/*
 * What is to stand still: the arguments of sync_pause and sync_resume.
 */
typedef struct Scope
{
	Datum		args[4];		/* org, names of entities, run, who */
	char		nulls[4];
} Scope;

/*
 * read_scope: the arguments, checked; must_go_on: a run that has ended is an error.
 * Within an owner scope.
 */
static Scope
read_scope(FunctionCallInfo fcinfo, bool must_go_on)
{
	Scope		scope = {.nulls = {'n', 'n', 'n', ' '}};
	const bool	must_be_committed = false;

	scope.args[3] = sql_session_user();
	if (!PG_ARGISNULL(0))
	{
		char	   *org = sql_text_argument(fcinfo, 0, "org");

		sql_require_org(org, must_be_committed);
		scope.args[0] = CStringGetTextDatum(org);
		scope.nulls[0] = ' ';
	}
	if (!PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("%s must not be null", "org"),
					 errhint("Name the org whose entities are meant.")));
		scope.args[1] = entity_names_array(entity_names_resolve(sql_name_list(PG_GETARG_ARRAYTYPE_P(1),
																			  "entities")));
		scope.nulls[1] = ' ';
	}
	if (!PG_ARGISNULL(2))
	{
		if (!PG_ARGISNULL(0) || !PG_ARGISNULL(1))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("run_id names a run of one org: org and entities must be null"),
					 errhint("Call it as sync_pause(run_id => " INT64_FORMAT ").", PG_GETARG_INT64(2))));
		if (!is_unfinished(require_run(PG_GETARG_INT64(2))) && must_go_on)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("run " INT64_FORMAT " has ended", PG_GETARG_INT64(2))));
		scope.args[2] = PG_GETARG_DATUM(2);
		scope.nulls[2] = ' ';
	}
	return scope;
}

/*
 * change_pauses: runs a statement on a scope; whether it changed anything.
 */
static Datum
change_pauses(FunctionCallInfo fcinfo, const char *function, Statement *statement, bool must_go_on)
{
	OwnerScope	owner;
	Scope		scope;
	bool		changed;

	sql_require_primary(function);
	SPI_connect();
	owner_scope_enter(&owner);
	scope = read_scope(fcinfo, must_go_on);
	changed = statement_run(statement, scope.args, scope.nulls) > 0;
	owner_scope_leave(&owner);
	SPI_finish();
	if (changed)
		shmem_wake_at_commit();
	PG_RETURN_BOOL(changed);
}

/*
 * sync_pause(org, entities, run_id): whether that was not paused before.
 */
Datum
sync_pause(PG_FUNCTION_ARGS)
{
	static Statement insert = {
		"INSERT INTO sync_engine.pause (org, product, entity, run_id, paused_by) "
		"SELECT $1, split_part(u.name, '.', 1), split_part(u.name, '.', 2), $3, $4 "
		"FROM unnest(coalesce($2, ARRAY[NULL::text])) u(name) ON CONFLICT DO NOTHING",
		4, {TEXTOID, TEXTARRAYOID, INT8OID, NAMEOID}
	};
	const bool	must_go_on = true;

	return change_pauses(fcinfo, "sync_pause", &insert, must_go_on);
}

/*
 * sync_resume(org, entities, run_id): ends that pause and those within it; whether
 * there were any.
 */
Datum
sync_resume(PG_FUNCTION_ARGS)
{
	static Statement delete = {
		"DELETE FROM sync_engine.pause WHERE $4 IS NOT NULL AND CASE WHEN $3 IS NOT NULL THEN run_id = $3 "
		"  WHEN $2 IS NOT NULL THEN org = $1 AND product || '.' || entity = ANY ($2) "
		"  WHEN $1 IS NOT NULL THEN org = $1 OR run_id IN (SELECT run_id FROM sync_engine.run WHERE org = $1) "
		"  ELSE true END",
		4, {TEXTOID, TEXTARRAYOID, INT8OID, NAMEOID}
	};
	const bool	must_go_on = false;

	return change_pauses(fcinfo, "sync_resume", &delete, must_go_on);
}

/* ---- Retry ---------------------------------------------------------------- */

/*
 * require_activity: the activity must be a failed one of that run; the entity whose
 * step it was, NULL if it was the run's.
 */
static char *
require_activity(int64 run_id, int64 activity_id)
{
	static Statement select_activity = {
		"SELECT a.status, j.product || '.' || j.entity FROM sync_engine.activity a "
		"LEFT JOIN sync_engine.job j USING (job_id) WHERE a.activity_id = $1 AND a.run_id = $2",
		2, {INT8OID, INT8OID}
	};
	Datum		args[2] = {Int64GetDatum(activity_id), Int64GetDatum(run_id)};

	if (statement_run(&select_activity, args, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("run " INT64_FORMAT " has no activity " INT64_FORMAT, run_id, activity_id),
				 errhint("See sync_activities for those that failed.")));
	if (strcmp(result_text(0, 1), "failed") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("activity " INT64_FORMAT " has not failed: it is %s", activity_id, result_text(0, 1))));
	return result_text(0, 2);
}

/*
 * unfinished_work: the entities of an ended run whose jobs did not succeed, or that
 * one of them; a run that was never planned has none, and all of them to do.
 */
static List *
unfinished_work(int64 run_id, const char *entity)
{
	static Statement select_entities = {
		"SELECT product || '.' || entity, status FROM sync_engine.job WHERE run_id = $1 "
		"AND status <> 'succeeded' AND ($2 IS NULL OR product || '.' || entity = $2) "
		"UNION ALL SELECT name, 'failed' FROM sync_engine.run r, unnest(entities) u(name) WHERE run_id = $1 "
		"AND ($2 IS NULL OR name = $2) AND NOT EXISTS (SELECT 1 FROM sync_engine.job j WHERE j.run_id = r.run_id)",
		2, {INT8OID, TEXTOID}
	};
	Datum		args[2] = {Int64GetDatum(run_id), entity ? CStringGetTextDatum(entity) : (Datum) 0};
	char		nulls[2] = {' ', entity ? ' ' : 'n'};
	uint64		n = statement_run(&select_entities, args, nulls);
	List	   *names = NIL;

	for (uint64 i = 0; i < n; i++)
		names = lappend(names, makeString(result_text(i, 1)));
	if (names != NIL)
		return names;
	if (entity != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("run " INT64_FORMAT " has no job for %s that did not succeed", run_id, entity),
				 errhint("To read it again, call sync_start.")));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("all jobs of run " INT64_FORMAT " succeeded", run_id),
			 errhint("To read everything again, call sync_start.")));
}

/*
 * run_to_retry: what the new run asks for beside the entities; raises an error
 * unless the old one has ended.
 */
static void
run_to_retry(int64 run_id, RunRequest *request)
{
	static Statement select_run = {
		"SELECT kind, org, mode, execution, priority, everything FROM sync_engine.run WHERE run_id = $1",
		1, {INT8OID}
	};
	Datum		args[1] = {Int64GetDatum(run_id)};
	const char *status = require_run(run_id);

	if (is_unfinished(status))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("run " INT64_FORMAT " has not ended: it is %s", run_id, status),
				 errhint("What failed in it is tried again by itself; sync_activities shows when.")));
	(void) statement_run(&select_run, args, NULL);
	request->kind = result_text(0, 1);
	request->org = result_text(0, 2);
	request->mode = result_text(0, 3);
	request->execution = result_text(0, 4);
	request->priority = (int) result_int64(0, 5, 0);
	request->everything = result_bool(0, 6);
	request->retry_of = run_id;
	request->role = GetSessionUserId();
	if (strcmp(request->kind, "sync") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("run " INT64_FORMAT " is no sync but a %s", run_id, request->kind),
				 errhint("Call the function again that asked for it.")));
}

/*
 * sync_retry(run_id, entity, activity): does again what did not succeed, from where
 * it stopped; the id of a new run, in the caller's transaction.
 */
Datum
sync_retry(PG_FUNCTION_ARGS)
{
	RunRequest	request = {0};
	OwnerScope	scope;
	int64		run_id;
	int64		retry;
	char	   *entity = NULL;

	sql_require_primary("sync_retry");
	require_run_id(fcinfo, 0);
	run_id = PG_GETARG_INT64(0);
	SPI_connect();
	owner_scope_enter(&scope);
	run_to_retry(run_id, &request);
	if (!PG_ARGISNULL(1))
		entity = entity_name_resolve(sql_text_argument(fcinfo, 1, "entity"));
	if (!PG_ARGISNULL(2))
	{
		char	   *of_activity = require_activity(run_id, PG_GETARG_INT64(2));

		if (entity != NULL && (of_activity == NULL || strcmp(entity, of_activity) != 0))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("activity " INT64_FORMAT " is not one of %s", PG_GETARG_INT64(2), entity)));
		entity = of_activity;
	}
	request.entities = unfinished_work(run_id, entity);
	retry = queue_enqueue(&request);
	owner_scope_leave(&scope);
	SPI_finish();
	shmem_wake_at_commit();
	PG_RETURN_INT64(retry);
}
