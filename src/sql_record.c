/*-------------------------------------------------------------------------
 *
 * sql_record.c
 *		The SQL-callable function that syncs one record now.
 *
 * IDENTIFICATION
 *		src/sql_record.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "entity_name.h"
#include "fmgr.h"
#include "job_record.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "session.h"
#include "sql_args.h"
#include "utils/builtins.h"
#include "wait.h"

PG_FUNCTION_INFO_V1(sync_record);

/* As long as an id may be that is stored: see writer.c. */
#define MAX_ID_BYTES	255

/*
 * require_path: raises an error unless the API gives records of the entity one by one.
 */
static void
require_path(const char *org, const char *name)
{
	static Statement select_path = {
		"SELECT 1 FROM sync_engine.entity WHERE product || '.' || entity = $1 AND get_path IS NOT NULL",
		1, {TEXTOID}
	};
	Datum		args[1] = {CStringGetTextDatum(name)};

	if (statement_run_latest(&select_path, args, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the API has no path for a single record of \"%s\"", name),
				 errhint("It comes with its list: call sync_run(%s, ARRAY[%s]).", quote_literal_cstr(org),
						 quote_literal_cstr(name))));
}

static char *
id_argument(FunctionCallInfo fcinfo, int number)
{
	char	   *id = sql_text_argument(fcinfo, number, "id");

	if (strlen(id) > MAX_ID_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("id must not be longer than %d bytes", MAX_ID_BYTES)));
	if (strcmp(id, ".") == 0 || strcmp(id, "..") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("id \"%s\" is no id", id)));
	return id;
}

/*
 * raise_failure: why the job brought nothing, as an error of the caller's.  The last
 * result has its row.
 */
static void
raise_failure(int64 run_id)
{
	char	   *status = result_text(0, 1);
	char	   *error = result_text(0, 3);
	char	   *sqlstate = result_text(0, 4);
	char	   *hint = result_text(0, 5);

	if (error == NULL)
		error = psprintf("run " INT64_FORMAT " was %s", run_id, status);
	ereport(ERROR,
			(errcode(sqlstate != NULL && strlen(sqlstate) == 5 ?
					 MAKE_SQLSTATE(sqlstate[0], sqlstate[1], sqlstate[2], sqlstate[3], sqlstate[4]) :
					 ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("%s", error), hint != NULL ? errhint("%s", hint) : 0));
}

/*
 * outcome: what has become of the record, by the run that asked for it.
 */
static char *
outcome(int64 run_id, const char *name, const char *id)
{
	static Statement select_job = {
		"SELECT coalesce(j.status, r.status), j.position, coalesce(j.error, r.error), "
		"  coalesce(j.sqlstate, r.sqlstate), coalesce(j.hint, r.hint) "
		"FROM sync_engine.run r LEFT JOIN sync_engine.job j USING (run_id) WHERE r.run_id = $1",
		1, {INT8OID}
	};
	Datum		args[1] = {Int64GetDatum(run_id)};
	char	   *result;

	if (statement_run_latest(&select_job, args, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("run " INT64_FORMAT " is not there any more", run_id)));
	if (strcmp(result_text(0, 1), "succeeded") != 0)
		raise_failure(run_id);
	result = result_text(0, 2);
	if (strcmp(result, RECORD_REFUSED) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("%s \"%s\" could not be stored", name, id),
				 errhint("See sync_dead_letters for the reason.")));
	if (strcmp(result, RECORD_UNKNOWN) != 0)
		return result;
	ereport(NOTICE,
			(errmsg("the API does not have %s \"%s\", and no row of it is stored", name, id)));
	return pstrdup(RECORD_UNCHANGED);
}

/*
 * sync_record(org, entity, id): has a lane fetch one record now; what has become of it.
 */
Datum
sync_record(PG_FUNCTION_ARGS)
{
	RunRequest	request = {.kind = "record",.mode = "full",.execution = "parallel",
	.priority = INQUIRY_PRIORITY,.role = GetSessionUserId()};
	MemoryContext caller = CurrentMemoryContext;
	OwnerScope	scope;
	char	   *name;
	char	   *id;
	List	   *names;
	int64		run_id;
	text	   *result;
	const bool	must_be_committed = true;

	sql_require_primary("sync_record");
	request.org = sql_text_argument(fcinfo, 0, "org");
	name = sql_text_argument(fcinfo, 1, "entity");
	id = id_argument(fcinfo, 2);
	SPI_connect();
	owner_scope_enter(&scope);
	sql_require_org(request.org, must_be_committed);
	name = entity_name_resolve(name);
	names = entity_names_resolve(list_make1(name));
	entity_names_validate(names);
	require_path(request.org, name);
	request.entities = list_make1(makeString(psprintf("%.*s" RECORD_OF "%s %s", (int) (strchr(name, '.') + 1 - name),
													  name, strchr(name, '.') + 1, id)));
	owner_scope_leave(&scope);

	run_id = wait_run_request(&request);

	owner_scope_enter(&scope);
	id = outcome(run_id, name, id);
	MemoryContextSwitchTo(caller);
	result = cstring_to_text(id);
	owner_scope_leave(&scope);
	SPI_finish();
	PG_RETURN_TEXT_P(result);
}
