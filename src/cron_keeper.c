/*-------------------------------------------------------------------------
 *
 * cron_keeper.c
 *		Jobs of a pg_cron that works in another database.
 *
 * No process can be connected to two databases, so a lane reads the schedules of
 * its own, and a worker that it sends to the other one makes the jobs there.  One
 * lane of a database at a time does so.
 *
 * IDENTIFICATION
 *		src/cron_keeper.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "commands/extension.h"
#include "cron_keeper.h"
#include "lane.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "session.h"
#include "storage/dsm.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* What a worker is to do; it travels with its registration. */
typedef struct CronOrder
{
	CronOwner	owner;
	TransactionId after;		/* forget its jobs, if that commits; else follow the message */
} CronOrder;

StaticAssertDecl(sizeof(CronOrder) <= BGW_EXTRALEN, "an order has to fit a worker's registration");

/* What it is told and tells, in memory that it shares with its lane. */
typedef struct CronMessage
{
	bool		done;
	char		problem[256];	/* "" = all went well */
	NameData	database;		/* whose schedules they are */
	NameData	role;
	int			n;
	char		texts[FLEXIBLE_ARRAY_MEMBER];	/* each NUL-terminated */
} CronMessage;

PGDLLEXPORT void sync_engine_cron_keeper_main(Datum arg);

/* of a lane: the worker under way, and what it shares with it */
static BackgroundWorkerHandle *worker_handle = NULL;
static dsm_segment *segment = NULL;

static void
set_lock_tag(LOCKTAG *tag)
{
	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, 0, 0, CRON_LOCK_SPACE);
}

static bool
start_worker(const CronOrder *order, dsm_handle shared_with, BackgroundWorkerHandle **handle)
{
	BackgroundWorker worker;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	snprintf(worker.bgw_library_name, BGW_MAXLEN, "sync_engine");
	snprintf(worker.bgw_function_name, BGW_MAXLEN, "sync_engine_cron_keeper_main");
	snprintf(worker.bgw_name, BGW_MAXLEN, "sync_engine cron keeper");
	snprintf(worker.bgw_type, BGW_MAXLEN, "sync_engine cron keeper");
	worker.bgw_main_arg = UInt32GetDatum(shared_with);
	memcpy(worker.bgw_extra, order, sizeof(CronOrder));
	worker.bgw_notify_pid = MyProcPid;
	return RegisterDynamicBackgroundWorker(&worker, handle);
}

/*
 * read_needs: the cron texts that jobs are needed for, if those that are there were
 * not made for them; NULL if all is well.  What failed is tried again after a minute.
 */
static ArrayType *
read_needs(Oid extension)
{
	static Statement select_needs = {
		"SELECT n.texts FROM (SELECT ARRAY(SELECT DISTINCT cron FROM sync_engine.schedule ORDER BY cron) AS texts) n "
		"WHERE NOT EXISTS (SELECT FROM sync_engine.cron_mirror m WHERE m.texts = n.texts AND m.extension = $1 "
		"  AND m.database = current_database() AND m.owner = current_user AND m.cron_database = $2 "
		"  AND (m.problem IS NULL OR m.looked_at > now() - interval '1 minute')) "
		"AND (n.texts <> '{}' OR EXISTS (SELECT FROM sync_engine.cron_mirror))",
		2, {OIDOID, TEXTOID}
	};
	Datum		args[2] = {ObjectIdGetDatum(extension), CStringGetTextDatum(cron_database())};
	bool		isnull;

	if (statement_run(&select_needs, args, NULL) == 0)
		return NULL;
	return DatumGetArrayTypePCopy(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
}

/*
 * write_message: in a segment of its own, which stays until it is let go.
 */
static void
write_message(ArrayType *array)
{
	CronMessage *message;
	Datum	   *texts;
	int			n;
	Size		size = offsetof(CronMessage, texts);
	char	   *end;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &texts, NULL, &n);
	for (int i = 0; i < n; i++)
		size += strlen(TextDatumGetCString(texts[i])) + 1;
	segment = dsm_create(size, 0);
	dsm_pin_mapping(segment);
	message = dsm_segment_address(segment);
	memset(message, 0, size);
	namestrcpy(&message->database, get_database_name(MyDatabaseId));
	namestrcpy(&message->role, GetUserNameFromId(GetUserId(), false));
	message->n = n;
	end = message->texts;
	for (int i = 0; i < n; i++)
		end += strlen(strcpy(end, TextDatumGetCString(texts[i]))) + 1;
}

static Datum
message_texts(const CronMessage *message)
{
	Datum	   *texts = palloc(sizeof(Datum) * Max(message->n, 1));
	const char *text = message->texts;

	for (int i = 0; i < message->n; i++, text += strlen(text) + 1)
		texts[i] = CStringGetTextDatum(text);
	return PointerGetDatum(construct_array(texts, message->n, TEXTOID, -1, false, TYPALIGN_INT));
}

/*
 * note_outcome: what the jobs were made for, and what was wrong.
 */
static void
note_outcome(const CronMessage *message, const char *problem)
{
	static Statement forget = {"DELETE FROM sync_engine.cron_mirror", 0, {0}};
	static Statement note = {
		"INSERT INTO sync_engine.cron_mirror (extension, database, owner, cron_database, texts, problem) "
		"VALUES ($1, $2, $3, $4, $5, $6)",
		6, {OIDOID, NAMEOID, NAMEOID, TEXTOID, TEXTARRAYOID, TEXTOID}
	};
	Datum		args[6] = {ObjectIdGetDatum(get_extension_oid("sync_engine", false)), NameGetDatum(&message->database),
		NameGetDatum(&message->role), CStringGetTextDatum(cron_database()), message_texts(message),
	problem[0] == '\0' ? (Datum) 0 : CStringGetTextDatum(problem)};
	char		nulls[6] = {' ', ' ', ' ', ' ', ' ', problem[0] == '\0' ? 'n' : ' '};

	(void) statement_run(&forget, NULL, NULL);
	(void) statement_run(&note, args, nulls);
}

bool
cron_keeper_is_busy(void)
{
	return segment != NULL;
}

void
cron_keeper_look(void)
{
	LOCKTAG		tag;
	CronOrder	order = {{0}};
	ArrayType  *needs;
	const bool	session_lock = true;
	const bool	dont_wait = true;
	const bool	durable = false;

	if (segment != NULL || cron_database() == NULL || !session_begin("looking at schedules"))
		return;
	set_lock_tag(&tag);
	order.owner.database = MyDatabaseId;
	order.owner.extension = get_extension_oid("sync_engine", false);
	needs = cron_is_here() ? NULL : read_needs(order.owner.extension);
	if (needs != NULL && LockAcquire(&tag, ExclusiveLock, session_lock, dont_wait) != LOCKACQUIRE_NOT_AVAIL)
	{
		write_message(needs);
		MemoryContextSwitchTo(TopMemoryContext);
		if (!start_worker(&order, dsm_segment_handle(segment), &worker_handle))
			worker_handle = NULL;
	}
	session_commit(durable);
	cron_keeper_collect();
}

/*
 * try_to_note: an error here is no reason for a lane to end; the next one looks again.
 */
static void
try_to_note(const CronMessage *message, const char *problem)
{
	const bool	durable = false;

	PG_TRY();
	{
		if (session_begin("noting what became of schedules"))
		{
			note_outcome(message, problem);
			session_commit(durable);
		}
	}
	PG_CATCH();
	{
		ErrorData  *error = lane_recover();

		ereport(LOG,
				(errmsg("sync_engine: could not note what became of schedules: %s", error->message)));
	}
	PG_END_TRY();
}

void
cron_keeper_collect(void)
{
	CronMessage *message;
	LOCKTAG		tag;
	pid_t		pid;
	const bool	session_lock = true;

	if (segment == NULL ||
		(worker_handle != NULL && GetBackgroundWorkerPid(worker_handle, &pid) != BGWH_STOPPED))
		return;
	message = dsm_segment_address(segment);
	try_to_note(message, worker_handle == NULL ? "no worker could be started: increase max_worker_processes" :
				message->done ? message->problem :
				psprintf("no worker could work in database \"%s\": see the server's log", cron_database()));
	set_lock_tag(&tag);
	(void) LockRelease(&tag, ExclusiveLock, session_lock);
	dsm_detach(segment);
	segment = NULL;
	if (worker_handle != NULL)
		pfree(worker_handle);
	worker_handle = NULL;
	lane.called = true;			/* they may have changed meanwhile */
}

void
cron_keeper_forget(const CronOwner *owner)
{
	CronOrder	order = {.owner = *owner};
	BackgroundWorkerHandle *handle;
	const bool	missing_ok = true;

	if (cron_database() == NULL || !OidIsValid(get_database_oid(cron_database(), missing_ok)))
		return;
	order.after = GetTopTransactionId();
	if (!start_worker(&order, DSM_HANDLE_INVALID, &handle))
		ereport(WARNING,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("no worker could be started to take away the jobs of pg_cron"),
				 errhint("In database \"%s\", cron.unschedule those whose names begin with 'sync_engine:%u.'.",
						 cron_database(), owner->database)));
}

/*
 * carry_out: in a transaction, in pg_cron's database.
 */
static void
carry_out(const CronOrder *order, CronMessage *message)
{
	if (TransactionIdIsValid(order->after))
	{
		XactLockTableWait(order->after, NULL, NULL, XLTW_None);
		if (!TransactionIdDidCommit(order->after))
			return;
	}
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (message == NULL)
		cron_jobs_forget(&order->owner);
	else if (cron_jobs_available())
		cron_jobs_follow(message_texts(message), &order->owner, NameStr(message->database), NameStr(message->role));
	else if (message->n > 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("database \"%s\" does not have extension \"pg_cron\"", cron_database())));
	PopActiveSnapshot();
	SPI_finish();
}

static void
try_to_carry_out(const CronOrder *order, CronMessage *message)
{
	PG_TRY();
	{
		StartTransactionCommand();
		carry_out(order, message);
		CommitTransactionCommand();
	}
	PG_CATCH();
	{
		ErrorData  *error = session_recover(TopMemoryContext);

		if (message != NULL)
			strlcpy(message->problem, error->message, sizeof(message->problem));
		ereport(LOG,
				(errmsg("sync_engine: could not change the jobs of pg_cron: %s", error->message)));
	}
	PG_END_TRY();
}

void
sync_engine_cron_keeper_main(Datum arg)
{
	dsm_handle	handle = DatumGetUInt32(arg);
	CronMessage *message = NULL;
	CronOrder	order;

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	memcpy(&order, MyBgworkerEntry->bgw_extra, sizeof(order));
	if (handle != DSM_HANDLE_INVALID)
	{
		dsm_segment *mine = dsm_attach(handle);

		if (mine == NULL)
			return;				/* its lane is gone; another sends another */
		message = dsm_segment_address(mine);
	}
	BackgroundWorkerInitializeConnection(cron_database(), NULL, 0);
	SetConfigOption("search_path", "pg_catalog, pg_temp", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("lock_timeout", "10s", PGC_SUSET, PGC_S_OVERRIDE);
	pgstat_report_appname("sync_engine cron keeper");

	try_to_carry_out(&order, message);
	if (message != NULL)
		message->done = true;
}
