/*-------------------------------------------------------------------------
 *
 * sync_engine.c
 *		Loads the extension: settings, shared memory, launcher.
 *
 * IDENTIFICATION
 *		src/sync_engine.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"
#include "database_ddl.h"
#include "fmgr.h"
#include "guc.h"
#include "launcher.h"
#include "miscadmin.h"
#include "secrecy.h"
#include "shmem.h"

COMPAT_MODULE_MAGIC("sync_engine", SYNC_ENGINE_VERSION);

PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	/* without preloading, every function says how to preload */
	if (!process_shared_preload_libraries_in_progress)
		return;

	guc_define();
	if (IsBinaryUpgrade)
		return;
	shmem_install_hooks();
	secrecy_install_hook();
	database_ddl_install_hooks();
	launcher_register();
}
