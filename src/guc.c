/*-------------------------------------------------------------------------
 *
 * guc.c
 *		Every setting of the extension, sorted by name.
 *
 * IDENTIFICATION
 *		src/guc.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "guc.h"
#include "origin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/varlena.h"

char	   *guc_allowed_hosts;
char	   *guc_database_names;
char	   *guc_key_file;
int			guc_max_buffer;
int			guc_max_credentials;
int			guc_max_requests;
int			guc_max_requests_per_org;
int			guc_max_workers;
int			guc_replica_lag;
int			guc_retention;
char	   *guc_table_owner;

static bool
check_allowed_hosts(char **newval, void **extra, GucSource source)
{
	char		error[256];

	if (origin_list_validate(*newval, error, sizeof(error)))
		return true;
	GUC_check_errdetail("%s", error);
	return false;
}

static bool
check_name_list(char **newval, void **extra, GucSource source)
{
	char	   *copy = pstrdup(*newval);
	List	   *names;
	bool		ok = SplitIdentifierString(copy, ',', &names);

	if (!ok)
		GUC_check_errdetail("List syntax is invalid.");
	list_free(names);
	pfree(copy);
	return ok;
}

bool
guc_database_is_served(const char *database)
{
	char	   *copy = pstrdup(guc_database_names);
	List	   *names = NIL;
	bool		found;
	ListCell   *cell;

	(void) SplitIdentifierString(copy, ',', &names);
	found = names == NIL;
	foreach(cell, names)
		found = found || strcmp(lfirst(cell), database) == 0;
	list_free(names);
	pfree(copy);
	return found;
}

void
guc_define(void)
{
	DefineCustomStringVariable("sync_engine.allowed_hosts",
							   "Hosts that organisations may be synced from.",
							   "Comma separated: a host name stands for https on its default port; "
							   "a whole origin such as http://127.0.0.1:8080, or http://127.0.0.1:*, "
							   "allows plain HTTP and that address, for it alone.",
							   &guc_allowed_hosts,
							   "api.planningcenteronline.com",
							   PGC_SIGHUP, 0,
							   check_allowed_hosts, NULL, NULL);

	DefineCustomStringVariable("sync_engine.database_names",
							   "Databases that are served; empty means every one that has the extension.",
							   NULL,
							   &guc_database_names,
							   "",
							   PGC_SIGHUP, 0,
							   check_name_list, NULL, NULL);

	DefineCustomStringVariable("sync_engine.key_file",
							   "File with the key that seals stored credentials.",
							   "Relative paths are in the data directory. Made at server start if absent.",
							   &guc_key_file,
							   "sync_engine.key",
							   PGC_POSTMASTER, GUC_SUPERUSER_ONLY,
							   NULL, NULL, NULL);

	DefineCustomIntVariable("sync_engine.max_buffer",
							"Memory that one lane may use for answers that are not applied yet.",
							"Organisations share it by their weight; a single answer may be larger.",
							&guc_max_buffer,
							65536, 64, MAX_KILOBYTES,
							PGC_SIGHUP, GUC_UNIT_KB,
							NULL, NULL, NULL);

	DefineCustomIntVariable("sync_engine.max_credentials",
							"Credentials whose rate budget is kept in shared memory (1-100000).",
							NULL,
							&guc_max_credentials,
							1024, 1, 100000,
							PGC_POSTMASTER, 0,
							NULL, NULL, NULL);

	DefineCustomIntVariable("sync_engine.max_requests",
							"Requests that one lane may have under way or buffered (1-1000).",
							NULL,
							&guc_max_requests,
							64, 1, 1000,
							PGC_SIGHUP, 0,
							NULL, NULL, NULL);

	DefineCustomIntVariable("sync_engine.max_requests_per_org",
							"Requests of one organisation that may be under way at once (1-100).",
							NULL,
							&guc_max_requests_per_org,
							32, 1, 100,
							PGC_SIGHUP, 0,
							NULL, NULL, NULL);

	DefineCustomIntVariable("sync_engine.max_workers",
							"Lanes that may run in one database (1-32).",
							"Keep it below max_worker_processes.",
							&guc_max_workers,
							2, 1, 32,
							PGC_SIGHUP, 0,
							NULL, NULL, NULL);

	DefineCustomIntVariable("sync_engine.replica_lag",
							"How long the API may serve old copies of a record.",
							"Within this time after a row was written, an older version of it is ignored.",
							&guc_replica_lag,
							300, 0, 86400,
							PGC_SIGHUP, GUC_UNIT_S,
							NULL, NULL, NULL);

	DefineCustomIntVariable("sync_engine.retention",
							"How long ended runs are remembered; -1 means for ever.",
							"At least an hour, so that whoever waited for a run can look at it.",
							&guc_retention,
							30 * 24 * 60, -1, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MIN,
							NULL, NULL, NULL);

	DefineCustomStringVariable("sync_engine.table_owner",
							   "Role that owns the data tables; empty means the owner of the extension.",
							   NULL,
							   &guc_table_owner,
							   "",
							   PGC_SIGHUP, 0,
							   NULL, NULL, NULL);

	MarkGUCPrefixReserved("sync_engine");
}
