/*-------------------------------------------------------------------------
 *
 * lane_problem.c
 *		Why no lane can work in this database.
 *
 * IDENTIFICATION
 *		src/lane_problem.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "commands/dbcommands.h"
#include "guc.h"
#include "lane_problem.h"
#include "miscadmin.h"
#include "shmem.h"

#define NO_WORKER_HINT \
	"Increase max_worker_processes and restart the server, or try again when other workers have ended."

const char *
lane_problem(const char **hint)
{
	*hint = NULL;
	if (shared == NULL)
	{
		*hint = "Add sync_engine to shared_preload_libraries and restart the server.";
		return "sync_engine is not loaded at server start";
	}
	if (RecoveryInProgress())
	{
		*hint = "The primary does the work; a promoted standby takes it over.";
		return "this server is a standby";
	}
	if (!guc_database_is_served(get_database_name(MyDatabaseId)))
	{
		*hint = "An administrator can add it to sync_engine.database_names.";
		return "this database is not in sync_engine.database_names";
	}
	if (*(volatile int *) &shared->launcher_procno == NO_PROC)
	{
		*hint = NO_WORKER_HINT;	/* one that was lost is back within a second */
		return "the launcher of sync_engine does not run";
	}
	if (pg_atomic_read_u32(&shmem_database_slot(MyDatabaseId)->no_worker) != 0)
	{
		*hint = NO_WORKER_HINT;
		return "no background worker slot is free for a lane";
	}
	return NULL;
}
