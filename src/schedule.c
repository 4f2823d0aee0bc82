/*-------------------------------------------------------------------------
 *
 * schedule.c
 *		Schedules: rows that say which org is synced when.
 *
 * The rows are the truth, and jobs of pg_cron follow them.
 *
 * IDENTIFICATION
 *		src/schedule.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "commands/extension.h"
#include "cron_jobs.h"
#include "miscadmin.h"
#include "schedule.h"
#include "session.h"
#include "shmem.h"
#include "storage/lock.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/resowner.h"

void
schedule_parse_cron(const char *text, CronText *cron)
{
	char		problem[256];
	int64		next;

	if (!cron_parse(text, cron, problem, sizeof(problem)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cron \"%s\" is not valid: %s", text, problem),
				 errhint("Write five fields in UTC, as in '30 2 * * *' (daily at 02:30), or '@hourly' and its like.")));
	if (!cron->at_start && !cron_next(cron, 0, &next))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cron \"%s\" is never due", text),
				 errhint("No such month has such a day.")));
}

void
schedule_lock(void)
{
	LOCKTAG		tag;
	const bool	session_lock = false;
	const bool	dont_wait = false;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, 1, CRON_LOCK_SPACE);
	(void) LockAcquire(&tag, ExclusiveLock, session_lock, dont_wait);
}

int64
schedule_store(const char *org, const char *mode, const char *cron, Datum entities, int priority)
{
	static Statement store = {
		"INSERT INTO sync_engine.schedule AS s (org, mode, cron, entities, priority) VALUES ($1, $2, $3, $4, $5) "
		"ON CONFLICT (org, mode, cron, entities, priority) DO UPDATE SET org = s.org RETURNING id",
		5, {TEXTOID, TEXTOID, TEXTOID, TEXTARRAYOID, INT4OID}
	};
	Datum		args[5] = {CStringGetTextDatum(org), CStringGetTextDatum(mode), CStringGetTextDatum(cron), entities,
	Int32GetDatum(priority)};
	char		nulls[5] = {' ', ' ', ' ', entities == (Datum) 0 ? 'n' : ' ', ' '};

	(void) statement_run(&store, args, nulls);
	return result_int64(0, 1, 0);
}

int64
schedule_store_default(const char *org, const char *mode, const char *cron)
{
	/* unless somebody has made the same by hand: that one becomes the default then */
	static Statement forget_other = {
		"DELETE FROM sync_engine.schedule s WHERE org = $1 AND mode = $2 AND by_default AND cron <> $3 "
		"AND EXISTS (SELECT FROM sync_engine.schedule o WHERE (o.org, o.mode, o.cron, o.priority) = ($1, $2, $3, 0) "
		"  AND o.entities IS NULL)",
		3, {TEXTOID, TEXTOID, TEXTOID}
	};
	static Statement change = {
		"UPDATE sync_engine.schedule SET cron = $3 WHERE org = $1 AND mode = $2 AND by_default RETURNING id",
		3, {TEXTOID, TEXTOID, TEXTOID}
	};
	static Statement mark = {
		"UPDATE sync_engine.schedule SET by_default = true WHERE id = $1", 1, {INT8OID}
	};
	Datum		args[3] = {CStringGetTextDatum(org), CStringGetTextDatum(mode), CStringGetTextDatum(cron)};
	int64		id;

	(void) statement_run(&forget_other, args, NULL);
	if (statement_run(&change, args, NULL) > 0)
		return result_int64(0, 1, 0);
	id = schedule_store(org, mode, cron, (Datum) 0, 0);
	args[0] = Int64GetDatum(id);
	(void) statement_run(&mark, args, NULL);
	return id;
}

bool
schedule_remove(int64 id)
{
	static Statement remove = {"DELETE FROM sync_engine.schedule WHERE id = $1", 1, {INT8OID}};
	Datum		args[1] = {Int64GetDatum(id)};

	return statement_run(&remove, args, NULL) > 0;
}

bool
schedule_exists(const char *org)
{
	static Statement look = {"SELECT FROM sync_engine.schedule WHERE org = $1 LIMIT 1", 1, {TEXTOID}};
	Datum		args[1] = {CStringGetTextDatum(org)};

	return statement_run(&look, args, NULL) > 0;
}

void
schedule_remove_org(const char *org)
{
	static Statement remove = {"DELETE FROM sync_engine.schedule WHERE org = $1", 1, {TEXTOID}};
	Datum		args[1] = {CStringGetTextDatum(org)};

	(void) statement_run(&remove, args, NULL);
}

void
schedule_follow(void)
{
	/* committed ones of others, too, in any isolation level */
	static Statement select_texts = {
		"SELECT ARRAY(SELECT DISTINCT cron FROM sync_engine.schedule)", 0, {0}
	};
	CronOwner	owner = {.database = MyDatabaseId,.extension = get_extension_oid("sync_engine", false)};
	Datum		texts;
	bool		isnull;

	if (!cron_is_here())
	{
		if (cron_database() != NULL)
			shmem_wake_at_commit();
		return;
	}
	if (!cron_jobs_available())
		return;
	CommandCounterIncrement();
	(void) statement_run_latest(&select_texts, NULL, NULL);
	texts = PointerGetDatum(DatumGetArrayTypePCopy(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
																 &isnull)));
	cron_jobs_follow(texts, &owner, get_database_name(MyDatabaseId), NULL);
}

ErrorData *
schedule_attempt(void (*act) (void *), void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		act(arg);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
			PG_RE_THROW();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return error;
}

static void
follow(void *arg)
{
	schedule_follow();
}

void
schedule_try_to_follow(void)
{
	ErrorData  *error = schedule_attempt(follow, NULL);

	if (error != NULL)
		ereport(WARNING,
				(errcode(error->sqlerrcode),
				 errmsg("the jobs of pg_cron could not be changed: %s", error->message),
				 errhint("Call sync_engine.cron_renew() when it can be done.")));
}
