/*-------------------------------------------------------------------------
 *
 * cron_jobs.c
 *		Jobs of pg_cron: one for each distinct cron text of a database's schedules.
 *
 * pg_cron is looked up when it is needed, so that the extension can be used
 * without.  Its functions are called only where schema cron is part of the
 * extension pg_cron: else they could be anybody's.
 *
 * IDENTIFICATION
 *		src/cron_jobs.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "cron_jobs.h"
#include "miscadmin.h"
#include "session.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"

#define CRON_SETTING	"cron.database_name"

/* SQL: cron texts $1 as rows of cron, name and command; $2 is the name's beginning. */
#define WANTED_JOBS \
	"(SELECT t AS cron, $2 || left(md5(t), 16) AS name, format('SELECT sync_engine.schedule_tick(%L)', t) AS command " \
	"  FROM unnest($1) t) w"

/* SQL: whether job j is what w wants, for database $3 and role $4. */
#define IS_AS_WANTED \
	"j.jobname = w.name AND j.schedule = w.cron AND j.command = w.command AND j.database = $3 " \
	"AND j.username = coalesce($4, current_user)"

const char *
cron_database(void)
{
	const char *value = GetConfigOption(CRON_SETTING, true, false);

	/* a setting without its library is a mere text */
	if (value == NULL || (GetConfigOptionFlags(CRON_SETTING, true) & GUC_CUSTOM_PLACEHOLDER) != 0)
		return NULL;
	return value;
}

bool
cron_is_here(void)
{
	const char *database = cron_database();

	return database != NULL && strcmp(database, get_database_name(MyDatabaseId)) == 0;
}

/*
 * require_version: of the library, which is that of the installed files, whatever
 * the SQL objects are.
 */
static void
require_version(int minor)
{
	static Statement select_version = {
		"SELECT default_version FROM pg_available_extensions WHERE name = 'pg_cron'", 0, {0}
	};
	const char *version;
	int			major = 0;
	int			installed = 0;

	if (minor == 0 || statement_run(&select_version, NULL, NULL) == 0)
		return;
	version = result_text(0, 1);
	if (sscanf(version, "%d.%d", &major, &installed) == 2 && major == 1 && installed < minor)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("pg_cron %s does not know that form of cron", version),
				 errhint("Install pg_cron 1.%d, or write five fields without \"$\".", minor)));
}

void
cron_require(int minor)
{
	const char *database = cron_database();
	const bool	missing_ok = true;

	if (database == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("schedules need pg_cron, which is not loaded"),
				 errhint("Install pg_cron, add it to shared_preload_libraries, set cron.database_name = '%s', "
						 "restart the server and run CREATE EXTENSION pg_cron.", get_database_name(MyDatabaseId))));
	if (!OidIsValid(get_database_oid(database, missing_ok)))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("schedules need pg_cron, whose database \"%s\" does not exist", database),
				 errhint("Set cron.database_name = '%s', restart the server and run CREATE EXTENSION pg_cron.",
						 get_database_name(MyDatabaseId))));
	if (cron_is_here() && !cron_jobs_available())
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("schedules need extension \"pg_cron\", which does not exist"),
				 errhint("Run CREATE EXTENSION pg_cron in database \"%s\".", database)));
	require_version(minor);
}

bool
cron_jobs_available(void)
{
	static Statement select_schema = {
		"SELECT FROM pg_extension e JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid "
		"JOIN pg_namespace n ON d.classid = 'pg_namespace'::regclass AND n.oid = d.objid "
		"WHERE e.extname = 'pg_cron' AND n.nspname = 'cron' AND d.deptype = 'e'",
		0, {0}
	};

	return statement_run(&select_schema, NULL, NULL) > 0;
}

/*
 * name_prefix: of the names of its jobs.
 */
static Datum
name_prefix(const CronOwner *owner)
{
	if (OidIsValid(owner->extension))
		return CStringGetTextDatum(psprintf("sync_engine:%u.%u:", owner->database, owner->extension));
	return CStringGetTextDatum(psprintf("sync_engine:%u.", owner->database));
}

void
cron_jobs_follow(Datum texts, const CronOwner *owner, const char *database, const char *role)
{
	/* those of an extension that was here before, too, and of databases that are no more */
	static Statement take_away = {
		"SELECT cron.unschedule(j.jobid) FROM cron.job j WHERE starts_with(j.jobname::text, 'sync_engine:') "
		"AND (starts_with(j.jobname::text, $5) OR j.database = $3 "
		"  OR NOT EXISTS (SELECT FROM pg_database d WHERE d.datname = j.database)) "
		"AND NOT EXISTS (SELECT FROM " WANTED_JOBS " WHERE " IS_AS_WANTED ")",
		5, {TEXTARRAYOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID}
	};
	/* by functions, so that pg_cron checks it and hears of it */
	static Statement make = {
		"SELECT cron.schedule_in_database(w.name, w.cron, w.command, $3, $4) FROM " WANTED_JOBS
		" WHERE NOT EXISTS (SELECT FROM cron.job j WHERE " IS_AS_WANTED ")",
		4, {TEXTARRAYOID, TEXTOID, TEXTOID, TEXTOID}
	};
	CronOwner	any = {.database = owner->database};
	Datum		args[5] = {texts, name_prefix(owner), CStringGetTextDatum(database),
	role == NULL ? (Datum) 0 : CStringGetTextDatum(role), name_prefix(&any)};
	char		nulls[5] = {' ', ' ', ' ', role == NULL ? 'n' : ' ', ' '};

	(void) statement_run_latest(&take_away, args, nulls);
	(void) statement_run_latest(&make, args, nulls);
}

void
cron_jobs_forget(const CronOwner *owner)
{
	static Statement take_away = {
		"SELECT cron.unschedule(jobid) FROM cron.job WHERE starts_with(jobname::text, $1)", 1, {TEXTOID}
	};
	Datum		args[1] = {name_prefix(owner)};

	if (cron_jobs_available())
		(void) statement_run_latest(&take_away, args, NULL);
}

void
cron_jobs_forget_here(const CronOwner *owner)
{
	Oid			user;
	int			security;
	int			guc_level = NewGUCNestLevel();

	/* whoever may drop the extension, even by its schema, may be nobody to pg_cron */
	GetUserIdAndSecContext(&user, &security);
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID,
						   security | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
	cron_jobs_forget(owner);
	PopActiveSnapshot();
	SPI_finish();
	AtEOXact_GUC(true, guc_level);
	SetUserIdAndSecContext(user, security);
}

void
cron_jobs_look(Datum texts, const CronOwner *owner)
{
	static Statement look = {
		"SELECT w.cron, CASE WHEN j.jobid IS NULL THEN 'pg_cron has no job for it: call sync_engine.cron_renew()' "
		"  WHEN NOT j.active THEN format('job %s of pg_cron is not active', j.jobid) "
		"  ELSE format('job %s of pg_cron fails: %s', j.jobid, d.return_message) END "
		"FROM " WANTED_JOBS " LEFT JOIN cron.job j ON j.jobname = w.name "
		"LEFT JOIN LATERAL (SELECT d.status, d.return_message FROM cron.job_run_details d WHERE d.jobid = j.jobid "
		"  AND d.status IN ('succeeded', 'failed') ORDER BY d.runid DESC LIMIT 1) d ON true "
		"WHERE j.jobid IS NULL OR NOT j.active OR d.status = 'failed'",
		2, {TEXTARRAYOID, TEXTOID}
	};
	Datum		args[2] = {texts, name_prefix(owner)};

	(void) statement_run(&look, args, NULL);
}
