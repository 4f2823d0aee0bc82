/*-------------------------------------------------------------------------
 *
 * lane_setup.c
 *		What a lane needs before its loop: a database, a number, a client.
 *
 * IDENTIFICATION
 *		src/lane_setup.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "commands/sequence.h"
#include "lane_setup.h"
#include "lane_slot.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "queue.h"
#include "session.h"
#include "storage/fd.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

/*
 * A page of 100 records is 0.2 MB; with includes, some MB.  max_requests of
 * them may be buffered.
 */
#define MAX_BODY_BYTES		(8 * 1024 * 1024)

/* Descriptors that the client may open beside its epoll. */
#define MAX_CONNECTIONS		128

static void
set_option(const char *name, const char *value)
{
	SetConfigOption(name, value, PGC_SUSET, PGC_S_OVERRIDE);
}

/*
 * lane_connect: to the slot's database, and make its settings ours.
 */
void
lane_connect(void)
{
	BackgroundWorkerInitializeConnectionByOid(lane_slot->database, InvalidOid, 0);
	set_option("search_path", "pg_catalog, pg_temp");
	set_option("lock_timeout", "0");
	set_option("statement_timeout", "0");
	set_option("idle_in_transaction_session_timeout", "0");
	set_option("default_transaction_isolation", "read committed");
	set_option("default_transaction_read_only", "off");
	set_option("session_replication_role", "origin");
	set_option("TimeZone", "UTC");
	set_option("max_parallel_workers_per_gather", "0");
	set_option("jit", "off");
	/* every statement of ours follows an index; a plan made while a table was small stays */
	set_option("enable_seqscan", "off");
	pgstat_report_appname("sync_engine lane");
}

/*
 * report_obstacle: once, until a lane can work again; that there is no extension
 * is nothing to report.
 */
static void
report_obstacle(const Obstacle *obstacle)
{
	if (obstacle->hint == NULL)
		pg_atomic_write_u32(&lane_database->obstacle, 0);
	else if (pg_atomic_exchange_u32(&lane_database->obstacle, 1) == 0)
		ereport(LOG,
				(errmsg("sync_engine: %s", obstacle->message),
				 errhint("%s", obstacle->hint)));
}

/*
 * lane_take_number: a lane number is used once; see queue.c.
 */
bool
lane_take_number(int64 *number)
{
	const bool	missing_ok = false;
	const bool	check_permissions = false;
	bool		durable = false;	/* the jobs that bear it come behind it in WAL */
	Oid			sequence;

	if (!session_begin("starting a lane"))
	{
		report_obstacle(session_obstacle());
		return false;
	}

	/* not by SQL: somebody waits for the first request */
	sequence = get_relname_relid("lane_number", get_namespace_oid("sync_engine", missing_ok));
	*number = nextval_internal(sequence, check_permissions);
	queue_lane_lock_hold(*number);
	session_commit(durable);
	lane_slot->number = *number;
	pg_atomic_write_u32(&lane_database->obstacle, 0);

	/* from now on others wait for this lane */
	set_option("lock_timeout", "1s");
	return true;
}

HttpClient *
lane_create_client(void)
{
	HttpLimits	limits = {
		.max_connections = MAX_CONNECTIONS,
		.max_connections_per_host = MAX_CONNECTIONS,
		.max_body = MAX_BODY_BYTES,
		.connect_timeout_ms = 10000,
		.total_timeout_ms = 90000,	/* PCO's gateway gives up after 60 s */
		.low_speed_bytes = 100,
		.low_speed_seconds = 60,
		.user_agent = "sync_engine/" SYNC_ENGINE_VERSION " (PostgreSQL extension)",
	};
	HttpClient *client;
	char		error[256];

	for (int i = 0; i <= MAX_CONNECTIONS; i++)
	{
		if (!AcquireExternalFD())
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
					 errmsg("sync_engine: no file descriptors for HTTP connections"),
					 errhint("Increase max_files_per_process.")));
	}
	client = http_create(&limits, error, sizeof(error));
	if (client == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("sync_engine: could not start the HTTP client: %s", error)));
	return client;
}
