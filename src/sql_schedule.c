/*-------------------------------------------------------------------------
 *
 * sql_schedule.c
 *		The SQL-callable functions for schedules.
 *
 * IDENTIFICATION
 *		src/sql_schedule.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "cron_jobs.h"
#include "entity_name.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "schedule.h"
#include "session.h"
#include "shmem.h"
#include "sql_args.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(sync_schedule);
PG_FUNCTION_INFO_V1(sync_schedule_defaults);
PG_FUNCTION_INFO_V1(sync_unschedule);
PG_FUNCTION_INFO_V1(sync_engine_schedule_tick);
PG_FUNCTION_INFO_V1(sync_engine_schedule_next);
PG_FUNCTION_INFO_V1(sync_engine_cron_renew);
PG_FUNCTION_INFO_V1(sync_engine_cron_problems);

/*
 * org_argument: of an org that can be synced.
 */
static char *
org_argument(FunctionCallInfo fcinfo, int number)
{
	static Statement select_connected = {
		"SELECT FROM sync_engine.org WHERE org = $1 AND status <> 'disconnected'", 1, {TEXTOID}
	};
	char	   *org = sql_text_argument(fcinfo, number, "org");
	Datum		args[1] = {CStringGetTextDatum(org)};
	const bool	must_be_committed = false;

	sql_require_org(org, must_be_committed);
	if (statement_run_latest(&select_connected, args, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("org \"%s\" is disconnected", org),
				 errhint("Call sync_connect(%s, client_id, secret) first.", quote_literal_cstr(org))));
	return org;
}

/*
 * sync_schedule(org, mode, cron, entities, priority): the schedule's id.
 */
Datum
sync_schedule(PG_FUNCTION_ARGS)
{
	static const char *const modes[] = {"auto", "full", "delta", "reconcile"};
	OwnerScope	scope;
	CronText	cron;
	char	   *org;
	char	   *mode;
	bool		everything;
	int64		id;

	sql_require_primary("sync_schedule");
	SPI_connect();
	owner_scope_enter(&scope);
	org = org_argument(fcinfo, 0);
	mode = sql_one_of(fcinfo, 1, "mode", modes, lengthof(modes));
	schedule_parse_cron(sql_text_argument(fcinfo, 2, "cron"), &cron);
	if (PG_ARGISNULL(4))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", "priority")));
	/* a slip shows now, not at night; names and profile are resolved anew by each tick */
	(void) sql_entities_argument(fcinfo, 3, org, &everything);
	cron_require(cron.pg_cron_minor);

	schedule_lock();
	id = schedule_store(org, mode, cron.text, PG_ARGISNULL(3) ? (Datum) 0 : PG_GETARG_DATUM(3), PG_GETARG_INT32(4));
	schedule_follow();
	owner_scope_leave(&scope);
	SPI_finish();
	PG_RETURN_INT64(id);
}

/*
 * sync_schedule_defaults(org): the ids of its delta, reconcile and full.
 */
Datum
sync_schedule_defaults(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	OwnerScope	scope;
	DefaultCrons crons;
	int64		ids[3];
	char	   *org;

	sql_require_primary("sync_schedule_defaults");
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	SPI_connect();
	owner_scope_enter(&scope);
	org = org_argument(fcinfo, 0);
	cron_require(0);
	schedule_lock();
	schedule_default_crons(org, &crons);
	ids[0] = schedule_store_default(org, "delta", crons.delta);
	ids[1] = schedule_store_default(org, "reconcile", crons.reconcile);
	ids[2] = schedule_store_default(org, "full", crons.full);
	schedule_follow();
	owner_scope_leave(&scope);
	SPI_finish();
	for (int i = 0; i < lengthof(ids); i++)
	{
		Datum		values[1] = {Int64GetDatum(ids[i])};
		bool		nulls[1] = {false};

		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/*
 * sync_unschedule(id): whether there was one.
 */
Datum
sync_unschedule(PG_FUNCTION_ARGS)
{
	OwnerScope	scope;
	bool		found;

	sql_require_primary("sync_unschedule");
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", "id")));
	SPI_connect();
	owner_scope_enter(&scope);
	schedule_lock();
	found = schedule_remove(PG_GETARG_INT64(0));
	if (found)
		schedule_try_to_follow();
	owner_scope_leave(&scope);
	SPI_finish();
	PG_RETURN_BOOL(found);
}

/*
 * sync_engine.schedule_tick(cron): how many runs it asked for.
 */
Datum
sync_engine_schedule_tick(PG_FUNCTION_ARGS)
{
	OwnerScope	scope;
	int64		started;

	sql_require_primary("sync_engine.schedule_tick");
	SPI_connect();
	owner_scope_enter(&scope);
	started = schedule_tick(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	owner_scope_leave(&scope);
	SPI_finish();
	if (started > 0)
		shmem_wake_at_commit();
	PG_RETURN_INT64(started);
}

/*
 * sync_engine.schedule_next(cron, org, after, skip)
 */
Datum
sync_engine_schedule_next(PG_FUNCTION_ARGS)
{
	char	   *org = text_to_cstring(PG_GETARG_TEXT_PP(1));
	int64		due = timestamptz_to_time_t(PG_GETARG_TIMESTAMPTZ(2));
	int			skip = PG_GETARG_INT32(3);
	TimestampTz next;
	CronText	cron;

	shmem_require();
	schedule_parse_cron(text_to_cstring(PG_GETARG_TEXT_PP(0)), &cron);
	for (int i = 0; i <= skip; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!cron_next(&cron, due, &due))
			PG_RETURN_NULL();
	}
	next = time_t_to_timestamptz(due);
	if (org[0] != '\0')
		next = TimestampTzPlusMilliseconds(next, cron_offset_ms(&cron, org, due));
	PG_RETURN_TIMESTAMPTZ(next);
}

/*
 * sync_engine.cron_renew()
 */
Datum
sync_engine_cron_renew(PG_FUNCTION_ARGS)
{
	static Statement forget = {"DELETE FROM sync_engine.cron_mirror", 0, {0}};
	OwnerScope	scope;

	sql_require_primary("sync_engine.cron_renew");
	SPI_connect();
	owner_scope_enter(&scope);
	cron_require(0);
	schedule_lock();
	(void) statement_run(&forget, NULL, NULL);
	schedule_follow();
	owner_scope_leave(&scope);
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * find_problems: rows of cron text and problem, as the last result of SPI.
 */
static void
find_problems(void)
{
	static Statement all = {
		"SELECT DISTINCT cron, $1 FROM sync_engine.schedule", 1, {TEXTOID}
	};
	static Statement mirrored = {
		"SELECT s.cron, CASE WHEN m.problem IS NOT NULL THEN format('pg_cron in database %s: %s', $1, m.problem) "
		"  ELSE format('pg_cron in database %s has no job for it yet', $1) END "
		"FROM (SELECT DISTINCT cron FROM sync_engine.schedule) s LEFT JOIN sync_engine.cron_mirror m "
		"ON m.cron_database = $1 AND m.database = current_database() AND m.extension = $2 "
		"WHERE m.problem IS NOT NULL OR m.texts IS NULL OR s.cron <> ALL (m.texts)",
		2, {TEXTOID, OIDOID}
	};
	static Statement select_texts = {
		"SELECT ARRAY(SELECT DISTINCT cron FROM sync_engine.schedule)", 0, {0}
	};
	CronOwner	owner = {.database = MyDatabaseId,.extension = get_extension_oid("sync_engine", false)};
	Datum		args[2] = {(Datum) 0, ObjectIdGetDatum(owner.extension)};
	bool		isnull;

	if (cron_database() == NULL)
	{
		args[0] = CStringGetTextDatum("pg_cron is not loaded: add it to shared_preload_libraries");
		(void) statement_run(&all, args, NULL);
	}
	else if (!cron_is_here())
	{
		args[0] = CStringGetTextDatum(cron_database());
		(void) statement_run(&mirrored, args, NULL);
	}
	else if (!cron_jobs_available())
	{
		args[0] = CStringGetTextDatum("extension \"pg_cron\" does not exist: create it and call sync_engine.cron_renew()");
		(void) statement_run(&all, args, NULL);
	}
	else
	{
		(void) statement_run(&select_texts, NULL, NULL);
		cron_jobs_look(PointerGetDatum(DatumGetArrayTypePCopy(SPI_getbinval(SPI_tuptable->vals[0],
																			SPI_tuptable->tupdesc, 1, &isnull))),
					   &owner);
	}
}

/*
 * sync_engine.cron_problems(): cron texts whose job is missing or fails.
 */
Datum
sync_engine_cron_problems(PG_FUNCTION_ARGS)
{
	OwnerScope	scope;

	shmem_require();
	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	owner_scope_enter(&scope);
	find_problems();
	sql_return_rows(fcinfo);
	owner_scope_leave(&scope);
	SPI_finish();
	return (Datum) 0;
}
