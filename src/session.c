/*-------------------------------------------------------------------------
 *
 * session.c
 *		Transactions of the engine, and SQL within them.
 *
 * Every statement of the engine runs as the owner of the extension (or, on
 * data tables, of the tables), under SECURITY_RESTRICTED_OPERATION, so that a
 * trigger or a default of somebody else's cannot act with more rights, and
 * with a pinned search_path, so that it cannot be made to mean another thing.
 *
 * IDENTIFICATION
 *		src/session.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "guc.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "session.h"
#include "storage/lmgr.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#define EXTENSION_NAME	"sync_engine"

/* of the lane's open transaction */
static OwnerScope lane_scope;
static MemoryContext lane_context;

/* the extension that this lane serves: created again, it is another one */
static Oid	lane_extension = InvalidOid;

static Oid	extension_owner = InvalidOid;

/* why session_begin has said no; an empty message if it has not */
static Obstacle obstacle;

/* The extension's row. */
typedef struct Extension
{
	Oid			oid;			/* InvalidOid = it is not there */
	Oid			owner;
	char	   *version;
} Extension;

/*
 * prepare_statement: plans on first use; the plan outlives transactions.  It is
 * generic from the first, since each statement of ours follows an index: else it
 * would be planned anew the first five times, and somebody waits for those.
 */
static void
prepare_statement(Statement *statement)
{
	if (statement->plan == NULL)
	{
		MemoryContext context = CurrentMemoryContext;
		SPIPlanPtr	plan = SPI_prepare_cursor(statement->sql, statement->nargs, statement->types,
											 CURSOR_OPT_GENERIC_PLAN);

		if (plan == NULL)
			elog(ERROR, "could not plan \"%s\": %s", statement->sql,
				 SPI_result_code_string(SPI_result));
		SPI_keepplan(plan);
		statement->plan = plan;
		MemoryContextSwitchTo(context);
	}
}

/*
 * execute: leaves the caller in its memory context, which SPI does not.
 */
static uint64
execute(Statement *statement, const Datum *values, const char *nulls, bool read_only)
{
	MemoryContext context = CurrentMemoryContext;
	int			result;

	result = SPI_execute_plan(statement->plan, (Datum *) values, nulls, read_only, 0);
	if (result < 0)
		elog(ERROR, "could not run \"%s\": %s", statement->sql, SPI_result_code_string(result));
	MemoryContextSwitchTo(context);
	return SPI_processed;
}

uint64
statement_run(Statement *statement, const Datum *values, const char *nulls)
{
	const bool	read_only = false;

	prepare_statement(statement);
	return execute(statement, values, nulls, read_only);
}

uint64
statement_run_latest(Statement *statement, const Datum *values, const char *nulls)
{
	const bool	read_only = true;	/* = use the snapshot as it is */
	uint64		rows;

	prepare_statement(statement);
	PushActiveSnapshot(GetLatestSnapshot());
	rows = execute(statement, values, nulls, read_only);
	PopActiveSnapshot();
	return rows;
}

Datum
int64_array(const int64 *values, int n)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		elements[i] = Int64GetDatum(values[i]);
	return PointerGetDatum(construct_array(elements, n, INT8OID, sizeof(int64), FLOAT8PASSBYVAL,
										   TYPALIGN_DOUBLE));
}

char *
result_text(uint64 row, int column)
{
	return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);
}

int64
result_int64(uint64 row, int column, int64 if_null)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull);

	if (isnull)
		return if_null;
	if (SPI_gettypeid(SPI_tuptable->tupdesc, column) == INT4OID)
		return DatumGetInt32(value);
	return DatumGetInt64(value);
}

double
result_float8(uint64 row, int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull);

	return isnull ? 0 : DatumGetFloat8(value);
}

bool
result_bool(uint64 row, int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull);

	return !isnull && DatumGetBool(value);
}

TimestampTz
result_timestamp(uint64 row, int column, TimestampTz if_null)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull);

	return isnull ? if_null : DatumGetTimestampTz(value);
}

static Extension
find_extension(void)
{
	Relation	relation = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Extension	extension = {.oid = InvalidOid};

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum(EXTENSION_NAME));
	scan = systable_beginscan(relation, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		Form_pg_extension row = (Form_pg_extension) GETSTRUCT(tuple);
		bool		isnull;

		extension.oid = row->oid;
		extension.owner = row->extowner;
		extension.version = TextDatumGetCString(heap_getattr(tuple, Anum_pg_extension_extversion,
															 RelationGetDescr(relation), &isnull));
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return extension;
}

/*
 * is_older: whether a version, three numbers, is older than this library's.
 */
static bool
is_older(const char *version)
{
	int			theirs[3] = {0};
	int			ours[3] = {0};

	(void) sscanf(version, "%d.%d.%d", &theirs[0], &theirs[1], &theirs[2]);
	(void) sscanf(SYNC_ENGINE_VERSION, "%d.%d.%d", &ours[0], &ours[1], &ours[2]);
	for (int i = 0; i < lengthof(ours); i++)
	{
		if (theirs[i] != ours[i])
			return theirs[i] < ours[i];
	}
	return true;
}

/*
 * is_misfit: whether the SQL objects are of another version than the library.
 * After an installation one of two steps is still to be done then.
 */
static bool
is_misfit(const Extension *extension, Obstacle *why)
{
	if (strcmp(extension->version, SYNC_ENGINE_VERSION) == 0)
		return false;
	snprintf(why->message, sizeof(why->message),
			 "extension \"%s\" in database \"%s\" has version %s, but the library has version %s",
			 EXTENSION_NAME, get_database_name(MyDatabaseId), extension->version, SYNC_ENGINE_VERSION);
	why->hint = is_older(extension->version) ? "Run ALTER EXTENSION sync_engine UPDATE in this database." :
		"Restart the server, so that it loads the library of that version.";
	return true;
}

static void
require_fit(const Extension *extension)
{
	Obstacle	why;

	if (is_misfit(extension, &why))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%s", why.message),
				 errhint("%s", why.hint)));
}

void
session_require_version(void)
{
	Extension	extension = find_extension();

	if (OidIsValid(extension.oid))
		require_fit(&extension);
}

static void
become(Oid user)
{
	Oid			previous;
	int			security;

	GetUserIdAndSecContext(&previous, &security);

	/*
	 * LOCAL_USERID_CHANGE lets the change end with the transaction;
	 * RESTRICTED_OPERATION keeps code that runs below us from leaving
	 * anything in the session.
	 */
	SetUserIdAndSecContext(user, security | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
}

void
owner_scope_enter(OwnerScope *scope)
{
	Extension	extension = find_extension();

	if (!OidIsValid(extension.oid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("extension \"%s\" does not exist", EXTENSION_NAME)));
	require_fit(&extension);
	extension_owner = extension.owner;
	GetUserIdAndSecContext(&scope->user, &scope->security);
	scope->guc_level = NewGUCNestLevel();
	become(extension_owner);
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("row_security", "off", PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

void
owner_scope_leave(OwnerScope *scope)
{
	AtEOXact_GUC(true, scope->guc_level);
	SetUserIdAndSecContext(scope->user, scope->security);
}

/*
 * lock_extension: look up, lock, look up again, for DROP EXTENSION may be under
 * way.  A lane that begins waits for its end; one that works has others waiting
 * for it, and better leaves to one that begins.  InvalidOid, and the obstacle, if
 * there is no extension to work with.
 */
static Oid
lock_extension(void)
{
	Extension	extension = find_extension();

	if (OidIsValid(extension.oid))
	{
		if (!OidIsValid(lane_extension))
			LockDatabaseObject(ExtensionRelationId, extension.oid, 0, AccessShareLock);
		else if (!ConditionalLockDatabaseObject(ExtensionRelationId, extension.oid, 0, AccessShareLock))
		{
			strlcpy(obstacle.message, "the extension is being dropped", sizeof(obstacle.message));
			return InvalidOid;
		}
		extension = find_extension();
	}
	if (!OidIsValid(lane_extension))
		lane_extension = extension.oid;
	if (!OidIsValid(extension.oid) || extension.oid != lane_extension)
	{
		strlcpy(obstacle.message, "extension \"sync_engine\" does not exist", sizeof(obstacle.message));
		return InvalidOid;
	}
	return is_misfit(&extension, &obstacle) ? InvalidOid : extension.oid;
}

const Obstacle *
session_obstacle(void)
{
	return obstacle.message[0] == '\0' ? NULL : &obstacle;
}

bool
session_begin(const char *activity)
{
	Assert(!IsTransactionState());
	/* jobs may have been given up since, which no other lane will find */
	if (session_obstacle() != NULL)
		return false;

	lane_context = CurrentMemoryContext;
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	if (!OidIsValid(lock_extension()))
	{
		session_abort();
		return false;
	}
	PushActiveSnapshot(GetTransactionSnapshot());

	/* statement_timeout is not armed in background workers */
	enable_timeout_after(STATEMENT_TIMEOUT, SESSION_TIMEOUT_MS);
	SPI_connect();
	owner_scope_enter(&lane_scope);
	pgstat_report_activity(STATE_RUNNING, activity);
	return true;
}

void
session_commit(bool durable)
{
	/*
	 * A page and its cursor are lost together or not at all, so a page need
	 * not wait for the disk; what frees or ends something must.
	 */
	if (!durable)
		(void) set_config_option("synchronous_commit", "off", PGC_SUSET, PGC_S_SESSION,
								 GUC_ACTION_LOCAL, true, 0, false);
	SPI_finish();
	owner_scope_leave(&lane_scope);
	PopActiveSnapshot();
	disable_timeout(STATEMENT_TIMEOUT, false);
	CommitTransactionCommand();
	pgstat_report_stat(false);
	pgstat_report_activity(STATE_IDLE, NULL);
	MemoryContextSwitchTo(lane_context);
}

void
session_renew_timeout(void)
{
	enable_timeout_after(STATEMENT_TIMEOUT, SESSION_TIMEOUT_MS);
}

void
session_abort(void)
{
	disable_timeout(STATEMENT_TIMEOUT, false);
	AbortOutOfAnyTransaction();
	pgstat_report_activity(STATE_IDLE, NULL);
	MemoryContextSwitchTo(lane_context);
}

ErrorData *
session_recover(MemoryContext context)
{
	ErrorData  *error;

	MemoryContextSwitchTo(context);
	HOLD_INTERRUPTS();
	error = CopyErrorData();
	FlushErrorState();
	session_abort();
	MemoryContextSwitchTo(context);
	RESUME_INTERRUPTS();
	return error;
}

void
session_follow_index(void)
{
	static const char *const others[] = {"enable_sort", "enable_seqscan", "enable_bitmapscan"};

	for (int i = 0; i < lengthof(others); i++)
		(void) set_config_option(others[i], "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL,
								 true, 0, false);
}

void
session_become_table_owner(void)
{
	become(session_table_owner());
}

void
session_become_extension_owner(void)
{
	become(extension_owner);
}

Oid
session_table_owner(void)
{
	Oid			owner;

	if (guc_table_owner[0] == '\0')
		return extension_owner;
	owner = get_role_oid(guc_table_owner, true);
	if (!OidIsValid(owner))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("role \"%s\" of sync_engine.table_owner does not exist", guc_table_owner),
				 errhint("Create the role, or set sync_engine.table_owner to an existing one.")));
	return owner;
}
