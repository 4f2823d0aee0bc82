/*-------------------------------------------------------------------------
 *
 * sql_args.c
 *		Arguments and results of the SQL-callable functions.
 *
 * Every error names the argument, and where a person can act says how.
 *
 * IDENTIFICATION
 *		src/sql_args.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "database_ddl.h"
#include "entity_name.h"
#include "funcapi.h"
#include "guc.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "session.h"
#include "shmem.h"
#include "sql_args.h"
#include "utils/array.h"
#include "utils/builtins.h"

/*
 * sql_require_primary: every function that writes, or waits for one who does.
 */
void
sql_require_primary(const char *function)
{
	shmem_require();
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("%s cannot be called on a standby", function),
				 errhint("Call it on the primary; a promoted standby takes the work over.")));
	if (!guc_database_is_served(get_database_name(MyDatabaseId)))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("database \"%s\" is not in sync_engine.database_names",
						get_database_name(MyDatabaseId)),
				 errhint("An administrator can add it, or empty the setting to serve every database.")));
	if (database_is_template(MyDatabaseId))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("database \"%s\" is a template", get_database_name(MyDatabaseId)),
				 errdetail("It can be copied at any time, so nothing works in it."),
				 errhint("Call %s in a database made from it, or ALTER DATABASE ... IS_TEMPLATE false.", function)));
}

/*
 * sql_text_argument: raises an error where it is NULL or empty.
 */
char *
sql_text_argument(FunctionCallInfo fcinfo, int number, const char *name)
{
	char	   *value;

	if (PG_ARGISNULL(number))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", name)));
	value = text_to_cstring(PG_GETARG_TEXT_PP(number));
	if (value[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not be empty", name)));
	return value;
}

/*
 * sql_require_org: raises an error unless the org exists and is committed.
 */
void
sql_require_org(const char *org, bool must_be_committed)
{
	static Statement select_org = {
		"SELECT xmin FROM sync_engine.org WHERE org = $1",
		1, {TEXTOID}
	};
	Datum		args[1] = {CStringGetTextDatum(org)};
	bool		isnull;

	if (statement_run_latest(&select_org, args, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("org \"%s\" does not exist", org),
				 errhint("Call sync_connect(%s, client_id, secret) first; sync_orgs shows the orgs there are.",
						 quote_literal_cstr(org))));
	if (must_be_committed &&
		TransactionIdIsCurrentTransactionId(DatumGetTransactionId(SPI_getbinval(SPI_tuptable->vals[0],
																				 SPI_tuptable->tupdesc,
																				 1, &isnull))))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("org \"%s\" is not committed yet", org),
				 errdetail("It was connected or changed in this transaction, so no lane can see that."),
				 errhint("COMMIT before you wait for a run.")));
}

/*
 * sql_name_list: the names in an array, of which there must be some.
 */
List *
sql_name_list(ArrayType *array, const char *argument)
{
	Datum	   *values;
	bool	   *nulls;
	int			n;
	List	   *names = NIL;

	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("%s must be a one-dimensional array", argument)));
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("%s must not contain nulls", argument)));
		names = lappend(names, TextDatumGetCString(values[i]));
		if (strcmp(llast(names), "") == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("%s must not contain empty names", argument)));
	}
	if (names == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not be empty", argument),
				 errhint("Name entities, as in ARRAY['Person'], or pass NULL for the org's profile.")));
	return names;
}

static bool
names_everything(List *names)
{
	ListCell   *cell;

	foreach(cell, names)
	{
		if (strcmp(lfirst(cell), "*") == 0)
			return true;
	}
	return false;
}

/*
 * report_left_out: what costs a request for each person is not read unless
 * somebody names it.
 */
static void
report_left_out(List *walks)
{
	StringInfoData list;
	ListCell   *cell;

	if (walks == NIL)
		return;
	initStringInfo(&list);
	foreach(cell, walks)
		appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "", strVal(lfirst(cell)));
	ereport(NOTICE,
			(errmsg("entities that cost a request for each person are left out: %s", list.data),
			 errhint("Name them, or '*' for everything, to sync them too.")));
}

/*
 * sql_profile: the entities of an org that its options name, less those that they
 * exclude; if they name none, all that can be synced but for walks over people.
 */
List *
sql_profile(const char *org, bool *everything, List **left_out)
{
	static Statement select_options = {
		"SELECT ARRAY(SELECT jsonb_array_elements_text(options->'entities')), "
		"  ARRAY(SELECT jsonb_array_elements_text(options->'exclude')) "
		"FROM sync_engine.org WHERE org = $1",
		1, {TEXTOID}
	};
	Datum		args[1] = {CStringGetTextDatum(org)};
	ArrayType  *wanted;
	ArrayType  *excluded;
	bool		isnull;
	List	   *names = NIL;

	(void) statement_run_latest(&select_options, args, NULL);
	wanted = DatumGetArrayTypePCopy(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	excluded = DatumGetArrayTypePCopy(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull));
	if (ARR_NDIM(wanted) > 0)
	{
		names = sql_name_list(wanted, "option \"entities\"");
		*everything = names_everything(names);
		names = entity_names_resolve(names);
	}
	else
	{
		*everything = true;
		names = entity_names_resolve(list_make1("*"));
	}
	if (ARR_NDIM(excluded) > 0)
	{
		/* what walks an excluded entity would pull it in again */
		List	   *others = entity_names_resolve(sql_name_list(excluded, "option \"exclude\""));

		names = list_difference(names, entity_names_resting_on(names, others));
	}
	*left_out = ARR_NDIM(wanted) == 0 ? entity_names_person_walks(names) : NIL;
	names = list_difference(names, *left_out);
	if (names == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the options of org \"%s\" leave no entity to sync", org),
				 errhint("Call sync_connect with other options, or name entities.")));
	return names;
}

/*
 * sql_entities: those of an array of names, sound and each once; NULL is the org's
 * profile.  *everything: they are not named one by one, and one that is unsound
 * does not stop the others.
 */
List *
sql_entities(ArrayType *array, const char *org, bool *everything, List **left_out)
{
	List	   *names;

	*left_out = NIL;
	if (array == NULL)
		names = sql_profile(org, everything, left_out);
	else
	{
		names = sql_name_list(array, "entities");
		*everything = names_everything(names);
		names = entity_names_resolve(names);
	}
	if (*everything)
		return entity_names_sound(names);
	entity_names_validate(names);
	return names;
}

/*
 * sql_entities_argument: the entities that a call asks for.
 */
List *
sql_entities_argument(FunctionCallInfo fcinfo, int number, const char *org, bool *everything)
{
	List	   *left_out;
	List	   *names = sql_entities(PG_ARGISNULL(number) ? NULL : PG_GETARG_ARRAYTYPE_P(number), org, everything,
									 &left_out);

	report_left_out(left_out);
	return names;
}

/*
 * sql_one_of: an argument that must be one of these words.
 */
char *
sql_one_of(FunctionCallInfo fcinfo, int number, const char *name, const char *const *words, int n)
{
	char	   *value = sql_text_argument(fcinfo, number, name);
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < n; i++)
	{
		if (strcmp(words[i], value) == 0)
			return value;
		appendStringInfo(&list, "%s%s", i > 0 ? ", " : "", words[i]);
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s \"%s\" does not exist", name, value),
			 errhint("Write one of: %s.", list.data)));
}

Datum
sql_session_user(void)
{
	NameData   *name = palloc(sizeof(NameData));

	namestrcpy(name, GetUserNameFromId(GetSessionUserId(), false));
	return NameGetDatum(name);
}

/*
 * sql_return_rows: the last result of SPI as the function's rows.
 */
void
sql_return_rows(FunctionCallInfo fcinfo)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	for (uint64 row = 0; row < SPI_processed; row++)
	{
		int			n = SPI_tuptable->tupdesc->natts;
		Datum	   *values = palloc(sizeof(Datum) * n);
		bool	   *nulls = palloc(sizeof(bool) * n);

		for (int i = 0; i < n; i++)
			values[i] = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, i + 1, &nulls[i]);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
}
