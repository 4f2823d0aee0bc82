/*-------------------------------------------------------------------------
 *
 * sql_org.c
 *		The SQL-callable functions for organisations and credentials.
 *
 * IDENTIFICATION
 *		src/sql_org.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "credential.h"
#include "funcapi.h"
#include "lane_problem.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "org.h"
#include "queue.h"
#include "schedule.h"
#include "secrecy.h"
#include "session.h"
#include "shmem.h"
#include "sql_args.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "wait.h"

PG_FUNCTION_INFO_V1(sync_connect);
PG_FUNCTION_INFO_V1(sync_disconnect);
PG_FUNCTION_INFO_V1(sync_adopt);
PG_FUNCTION_INFO_V1(sync_check);
PG_FUNCTION_INFO_V1(sync_engine_obstacle);

static void
store_org(const char *org, const char *base_url, Datum options, bool keep_options)
{
	static Statement upsert = {
		"INSERT INTO sync_engine.org AS o (org, base_url, options, connected_at) "
		"VALUES ($1, $2, coalesce($3, '{}'), clock_timestamp()) "
		"ON CONFLICT (org) DO UPDATE SET base_url = EXCLUDED.base_url, "
		"  options = coalesce($3, o.options), status = 'active', error = NULL, sqlstate = NULL, "
		"  hint = NULL, connected_at = clock_timestamp()",
		3, {TEXTOID, TEXTOID, JSONBOID}
	};
	Datum		args[3] = {CStringGetTextDatum(org), CStringGetTextDatum(base_url), options};
	char		nulls[3] = {' ', ' ', keep_options ? 'n' : ' '};

	(void) statement_run(&upsert, args, nulls);
}

static void
part_argument(FunctionCallInfo fcinfo, int number, const char *name, char *part)
{
	char	   *value = sql_text_argument(fcinfo, number, name);

	if (strlcpy(part, value, CREDENTIAL_MAX_PART) >= CREDENTIAL_MAX_PART)
		ereport(ERROR,
				(errcode(ERRCODE_STRING_DATA_RIGHT_TRUNCATION),
				 errmsg("%s is longer than %d bytes", name, CREDENTIAL_MAX_PART - 1)));
	explicit_bzero(value, strlen(value));
}

/*
 * sync_connect(org, client_id, secret, refresh_token, base_url, options)
 */
Datum
sync_connect(PG_FUNCTION_ARGS)
{
	Credential	credential;
	OwnerScope	scope;
	char	   *org;
	char	   *base_url;
	bool		keep_options = PG_ARGISNULL(5);

	secrecy_hide_statement();	/* before anything can fail */
	sql_require_primary("sync_connect");
	if (GetDatabaseEncoding() != PG_UTF8)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("database \"%s\" does not have encoding UTF8", get_database_name(MyDatabaseId)),
				 errhint("Planning Center's data need a database created with ENCODING 'UTF8'.")));
	org = sql_text_argument(fcinfo, 0, "org");
	if (pg_mbstrlen(org) > ORG_MAX_NAME)
		ereport(ERROR,
				(errcode(ERRCODE_STRING_DATA_RIGHT_TRUNCATION),
				 errmsg("org is longer than %d characters", ORG_MAX_NAME)));
	part_argument(fcinfo, 1, "client_id", credential.client_id);
	part_argument(fcinfo, 2, "secret", credential.secret);
	if (!PG_ARGISNULL(3))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("OAuth refresh tokens are not supported yet"),
				 errhint("Connect with a personal access token: its client id and secret.")));
	base_url = org_check_base_url(sql_text_argument(fcinfo, 4, "base_url"));
	if (!keep_options)
		org_check_options(PG_GETARG_JSONB_P(5));

	SPI_connect();
	owner_scope_enter(&scope);
	store_org(org, base_url, keep_options ? (Datum) 0 : PG_GETARG_DATUM(5), keep_options);
	org_store_credential(org, &credential);
	if (!keep_options)
	{
		bool		everything;
		List	   *left_out;

		/* a slip shows now, not at night */
		org_check_api_versions(org);
		(void) sql_profile(org, &everything, &left_out);
	}
	/* after a restore, which brings no credential, they are without jobs */
	if (schedule_exists(org))
	{
		schedule_lock();
		schedule_try_to_follow();
	}
	owner_scope_leave(&scope);
	SPI_finish();

	explicit_bzero(&credential, sizeof(credential));
	PG_RETURN_VOID();
}

/*
 * sync_disconnect(org): forgets the credential and stops work; data stay.
 */
Datum
sync_disconnect(PG_FUNCTION_ARGS)
{
	static Statement forget_credential = {
		"DELETE FROM sync_engine.credential WHERE org = $1", 1, {TEXTOID}
	};
	static Statement disconnect = {
		"UPDATE sync_engine.org SET status = 'disconnected', error = NULL, sqlstate = NULL, hint = NULL "
		"WHERE org = $1", 1, {TEXTOID}
	};
	static Statement cancel_runs = {
		"INSERT INTO sync_engine.cancel_request (run_id, requested_by) SELECT run_id, $2 FROM sync_engine.run "
		"WHERE org = $1 AND status IN ('queued', 'running', 'paused')", 2, {TEXTOID, NAMEOID}
	};
	Datum		args[2];
	OwnerScope	scope;
	char	   *org;
	const bool	must_be_committed = false;

	sql_require_primary("sync_disconnect");
	org = sql_text_argument(fcinfo, 0, "org");
	SPI_connect();
	owner_scope_enter(&scope);
	sql_require_org(org, must_be_committed);
	args[0] = CStringGetTextDatum(org);
	args[1] = sql_session_user();
	(void) statement_run(&cancel_runs, args, NULL);
	(void) statement_run(&disconnect, args, NULL);
	(void) statement_run(&forget_credential, args, NULL);
	if (schedule_exists(org))
	{
		schedule_lock();
		schedule_remove_org(org);
		schedule_try_to_follow();
	}
	owner_scope_leave(&scope);
	SPI_finish();
	shmem_wake_at_commit();
	PG_RETURN_VOID();
}

/*
 * sync_adopt(): this copy of the cluster may use its credentials.
 */
Datum
sync_adopt(PG_FUNCTION_ARGS)
{
	OwnerScope	scope;

	sql_require_primary("sync_adopt");
	SPI_connect();
	owner_scope_enter(&scope);
	org_adopt_credentials();
	schedule_lock();
	schedule_try_to_follow();
	owner_scope_leave(&scope);
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * sync_check(org): asks each product, by a lane, whether the token may.
 */
Datum
sync_check(PG_FUNCTION_ARGS)
{
	static Statement select_products = {
		"SELECT product || '.access' FROM sync_engine.product ORDER BY product", 0, {0}
	};
	static Statement select_access = {
		"SELECT j.product, coalesce(a.accessible AND j.status = 'succeeded', false), "
		"  coalesce(j.error || coalesce(E'\\n' || j.hint, ''), a.detail) "
		"FROM sync_engine.job j LEFT JOIN sync_engine.product_access a USING (org, product) "
		"WHERE j.run_id = $1 ORDER BY j.product",
		1, {INT8OID}
	};
	RunRequest	request = {.kind = "check",.mode = "auto",.execution = "parallel",
	.priority = INQUIRY_PRIORITY,.role = GetSessionUserId()};
	OwnerScope	scope;
	Datum		args[1];
	uint64		n;
	const bool	must_be_committed = true;

	sql_require_primary("sync_check");
	InitMaterializedSRF(fcinfo, 0);
	request.org = sql_text_argument(fcinfo, 0, "org");
	SPI_connect();
	owner_scope_enter(&scope);
	sql_require_org(request.org, must_be_committed);
	n = statement_run(&select_products, NULL, NULL);
	for (uint64 i = 0; i < n; i++)
		request.entities = lappend(request.entities, makeString(result_text(i, 1)));
	owner_scope_leave(&scope);

	args[0] = Int64GetDatum(wait_run_request(&request));

	owner_scope_enter(&scope);
	(void) statement_run_latest(&select_access, args, NULL);
	sql_return_rows(fcinfo);
	owner_scope_leave(&scope);
	SPI_finish();
	return (Datum) 0;
}

/*
 * obstacle: what keeps lanes from working on an org; false if nothing does.
 */
static bool
obstacle(const char *name, Failure *failure)
{
	const char *problem = lane_problem(&failure->hint);
	Org		   *org;

	if (problem != NULL)
	{
		failure->message = problem;
		return true;
	}
	org = org_load(name, failure);
	if (org != NULL)
		org_forget_secret(org);
	return org == NULL;
}

/*
 * sync_engine.obstacle(org): the reason and a hint; nulls if there is none.
 */
Datum
sync_engine_obstacle(PG_FUNCTION_ARGS)
{
	Failure		failure = {0};
	OwnerScope	scope;
	TupleDesc	descriptor;
	MemoryContext caller = CurrentMemoryContext;
	Datum		values[2] = {0};
	bool		nulls[2] = {true, true};

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	SPI_connect();
	owner_scope_enter(&scope);
	if (obstacle(text_to_cstring(PG_GETARG_TEXT_PP(0)), &failure))
	{
		MemoryContext old = MemoryContextSwitchTo(caller);

		values[0] = CStringGetTextDatum(failure.message);
		nulls[0] = false;
		if (failure.hint != NULL)
			values[1] = CStringGetTextDatum(failure.hint);
		nulls[1] = failure.hint == NULL;
		MemoryContextSwitchTo(old);
	}
	owner_scope_leave(&scope);
	SPI_finish();
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls)));
}
