/*-------------------------------------------------------------------------
 *
 * database_ddl.c
 *		Statements that change databases or the extension itself.
 *
 * DROP DATABASE, CREATE DATABASE ... TEMPLATE, ALTER DATABASE ... RENAME and
 * SET TABLESPACE need a database that nobody is connected to.  Before one of
 * them begins, a bar keeps new lanes out of it, and those in it are asked to
 * leave; they lose nothing but what was under way.  The bar is lifted when the
 * transaction ends, however it ends: a lane comes back and takes the jobs over.
 * A server process that dies takes all shared memory along, and the bar.
 *
 * Only who may run the statement may stop lanes, so that is checked first, as
 * the statement itself will.
 *
 * IDENTIFICATION
 *		src/database_ddl.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "access/htup_details.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "compat.h"
#include "cron_keeper.h"
#include "database_ddl.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "shmem.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

/*
 * A lane leaves between two steps of its jobs, which take milliseconds.  After
 * the first time it is ended wherever it is (in somebody's trigger, say), after
 * the second PostgreSQL may decide: it waits too, and knows who else is there.
 */
#define LEAVE_MS			400
#define GIVE_UP_MS			3000

/* What a lane does not hear it is told again. */
#define CALL_AGAIN_MS		100

/* What the end of the present transaction means for a database. */
typedef struct Change
{
	Oid			database;
	SubTransactionId subtransaction;	/* that takes it back if it aborts */
	bool		barred;			/* in any case the bar is lifted */
	bool		dropped;		/* at commit it is no more */
	bool		wanted;			/* at commit lanes have something to see there */
	Oid			extension;		/* ours, that is dropped */
} Change;

static List *changes = NIL;		/* in TopMemoryContext */

/* a statement runs that commits in between, and is not over then */
static bool in_statement = false;

static ProcessUtility_hook_type previous_utility_hook = NULL;
static object_access_hook_type previous_object_hook = NULL;

static Change *
note_change(Oid database)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	Change	   *change = palloc0(sizeof(Change));

	change->database = database;
	change->subtransaction = GetCurrentSubTransactionId();
	changes = lappend(changes, change);
	MemoryContextSwitchTo(old);
	return change;
}

/*
 * settle: raises no error.
 */
static void
settle(Change *change, bool committed)
{
	if (committed && change->dropped)
		shmem_forget_database(change->database);
	else if (committed && change->wanted)
		(void) shmem_try_want_lane(change->database);
	if (change->barred)
		shmem_lift_bar(change->database);
}

/*
 * forget_cron_jobs: of what is dropped, while the transaction can still do so.  A
 * database is gone whatever happens now, so nothing may fail here because of it.
 */
static void
forget_cron_jobs(void)
{
	ListCell   *cell;

	foreach(cell, changes)
	{
		const Change *change = lfirst(cell);
		CronOwner	owner = {.database = change->database,.extension = change->extension};

		if (OidIsValid(change->extension) && cron_is_here())
			cron_jobs_forget_here(&owner);
		else if (OidIsValid(change->extension) || change->dropped)
			cron_keeper_forget(&owner);
	}
}

static void
at_transaction_end(XactEvent event, void *arg)
{
	bool		committed = event == XACT_EVENT_COMMIT;
	ListCell   *cell;

	if (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE)
		forget_cron_jobs();

	if (changes == NIL || (committed && in_statement) ||
		!(committed || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE))
		return;
	foreach(cell, changes)
		settle(lfirst(cell), committed);
	list_free_deep(changes);
	changes = NIL;
}

static void
at_subtransaction_end(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	ListCell   *cell;

	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	foreach(cell, changes)
	{
		Change	   *change = lfirst(cell);

		if (change->subtransaction != mine)
			continue;
		if (event == SUBXACT_EVENT_COMMIT_SUB)
			change->subtransaction = parent;
		else
		{
			settle(change, false);
			changes = foreach_delete_current(changes, cell);
			pfree(change);
		}
	}
}

/*
 * call_lanes: those in the database are to leave, or are ended; whether there
 * are any.  One that has not begun yet finds the bar before it connects.
 */
static bool
call_lanes(Oid database, bool end_them)
{
	bool		any = false;

	/* a lane takes its number away under this lock, so nobody else has it */
	LWLockAcquire(shared->lock, LW_SHARED);
	for (int i = 0; i < MAX_LANES; i++)
	{
		const LaneSlot *lane = &shared->lanes[i];

		if (!lane->in_use || lane->database != database || lane->pid == 0)
			continue;
		any = true;
		if (end_them)
			(void) kill(lane->pid, SIGTERM);
		else
			shmem_wake(lane->procno);
	}
	LWLockRelease(shared->lock);
	return any;
}

/*
 * wait_for_lanes: until all have left the database, or long enough.
 */
static void
wait_for_lanes(Oid database)
{
	TimestampTz begun = GetCurrentTimestamp();
	TimestampTz now = begun;

	ConditionVariablePrepareToSleep(&shared->lane_left);
	while (call_lanes(database, TimestampDifferenceExceeds(begun, now, LEAVE_MS)) &&
		   !TimestampDifferenceExceeds(begun, now, GIVE_UP_MS))
	{
		(void) ConditionVariableTimedSleep(&shared->lane_left, CALL_AGAIN_MS,
										   compat_wait_event("SyncEngineLanes"));
		now = GetCurrentTimestamp();
	}
	ConditionVariableCancelSleep();
}

bool
database_is_template(Oid database)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database));
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	result = ((Form_pg_database) GETSTRUCT(tuple))->datistemplate;
	ReleaseSysCache(tuple);
	return result;
}

/*
 * find_option: NULL if the statement does not have it.
 */
static DefElem *
find_option(List *options, const char *name)
{
	ListCell   *cell;

	foreach(cell, options)
	{
		DefElem    *option = lfirst(cell);

		if (strcmp(option->defname, name) == 0)
			return option;
	}
	return NULL;
}

/*
 * find_own_database: by its name, if it is the user's; InvalidOid if not, or if
 * there is none.
 */
static Oid
find_own_database(const char *name)
{
	const bool	missing_ok = true;
	Oid			database = get_database_oid(name, missing_ok);

	return OidIsValid(database) && compat_owns_database(database, GetUserId()) ? database : InvalidOid;
}

/*
 * find_template: what CREATE DATABASE copies, if the user may copy it.
 */
static Oid
find_template(const CreatedbStmt *statement)
{
	DefElem    *option = find_option(statement->options, "template");
	const bool	missing_ok = true;
	Oid			database = get_database_oid(option != NULL && option->arg != NULL ? defGetString(option) : "template1",
											missing_ok);

	if (!OidIsValid(database) || !have_createdb_privilege() ||
		!(database_is_template(database) || compat_owns_database(database, GetUserId())))
		return InvalidOid;
	return database;
}

/*
 * find_needed: the database that the statement needs without lanes, if the user
 * may run it; InvalidOid for all other statements.
 */
static Oid
find_needed(Node *statement, bool in_block)
{
	const bool	missing_ok = true;
	Oid			database = InvalidOid;

	if (IsA(statement, RenameStmt) && castNode(RenameStmt, statement)->renameType == OBJECT_DATABASE)
	{
		RenameStmt *rename = castNode(RenameStmt, statement);

		database = find_own_database(rename->subname);
		if (!have_createdb_privilege() || OidIsValid(get_database_oid(rename->newname, missing_ok)))
			return InvalidOid;
	}
	else if (in_block)
		return InvalidOid;		/* the others are refused there */
	else if (IsA(statement, CreatedbStmt))
		return find_template(castNode(CreatedbStmt, statement));
	else if (IsA(statement, DropdbStmt))
	{
		database = find_own_database(castNode(DropdbStmt, statement)->dbname);
		if (database_is_template(database))
			return InvalidOid;
	}
	else if (IsA(statement, AlterDatabaseStmt) &&
			 find_option(castNode(AlterDatabaseStmt, statement)->options, "tablespace") != NULL)
		database = find_own_database(castNode(AlterDatabaseStmt, statement)->dbname);
	return database == MyDatabaseId ? InvalidOid : database;
}

/*
 * clear_of_lanes: the database, until the end of the transaction.
 */
static void
clear_of_lanes(Oid database, bool dropped)
{
	Change	   *change = note_change(database);

	change->dropped = dropped;
	change->barred = shmem_set_bar(database);
	if (change->barred)
		wait_for_lanes(database);
}

/*
 * opens_database: whether lanes may come to a database that they were kept from.
 */
static bool
opens_database(const AlterDatabaseStmt *statement)
{
	DefElem    *open = find_option(statement->options, "allow_connections");
	DefElem    *template = find_option(statement->options, "is_template");

	return (open != NULL && open->arg != NULL && defGetBoolean(open)) ||
		(template != NULL && template->arg != NULL && !defGetBoolean(template));
}

static void
run_utility(PlannedStmt *plan, const char *query, bool read_only_tree, ProcessUtilityContext context,
			ParamListInfo params, QueryEnvironment *environment, DestReceiver *receiver,
			QueryCompletion *completion)
{
	Node	   *statement = plan->utilityStmt;
	const bool	missing_ok = false;

	switch (nodeTag(statement))
	{
		case T_DropdbStmt:
		case T_CreatedbStmt:
		case T_AlterDatabaseStmt:
		case T_RenameStmt:
			break;
		default:
			previous_utility_hook(plan, query, read_only_tree, context, params, environment, receiver, completion);
			return;
	}

	PG_TRY();
	{
		bool		in_block = IsInTransactionBlock(context == PROCESS_UTILITY_TOPLEVEL);
		Oid			database = find_needed(statement, in_block);

		in_statement = !in_block;
		if (OidIsValid(database) && !RecoveryInProgress())
			clear_of_lanes(database, IsA(statement, DropdbStmt));
		previous_utility_hook(plan, query, read_only_tree, context, params, environment, receiver, completion);
		if (IsA(statement, AlterDatabaseStmt) && opens_database(castNode(AlterDatabaseStmt, statement)))
			note_change(get_database_oid(castNode(AlterDatabaseStmt, statement)->dbname, missing_ok))->wanted = true;
	}
	PG_FINALLY();
	{
		in_statement = false;
	}
	PG_END_TRY();
}

/*
 * see_object: when our extension is dropped, also with its schema or its owner,
 * lanes at work leave at once; when it is updated, those come that could not work
 * with the version before.
 */
static void
see_object(ObjectAccessType access, Oid class, Oid object, int column, void *argument)
{
	if (previous_object_hook != NULL)
		previous_object_hook(access, class, object, column, argument);
	if (class == ExtensionRelationId && (access == OAT_DROP || access == OAT_POST_ALTER))
	{
		char	   *name = get_extension_name(object);

		if (name != NULL && strcmp(name, "sync_engine") == 0)
		{
			Change	   *change = note_change(MyDatabaseId);

			change->wanted = true;
			change->extension = access == OAT_DROP ? object : InvalidOid;
		}
	}
}

void
database_ddl_install_hooks(void)
{
	previous_object_hook = object_access_hook;
	object_access_hook = see_object;

	previous_utility_hook = ProcessUtility_hook != NULL ? ProcessUtility_hook : standard_ProcessUtility;
	ProcessUtility_hook = run_utility;
	RegisterXactCallback(at_transaction_end, NULL);
	RegisterSubXactCallback(at_subtransaction_end, NULL);
}
