/*-------------------------------------------------------------------------
 *
 * guc.h
 *		Settings of the extension.
 *
 * IDENTIFICATION
 *		src/guc.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_GUC_H
#define SYNC_ENGINE_GUC_H

extern char *guc_allowed_hosts;
extern char *guc_database_names;
extern char *guc_key_file;
extern int	guc_max_buffer;		/* kilobytes */
extern int	guc_max_credentials;
extern int	guc_max_requests;
extern int	guc_max_requests_per_org;
extern int	guc_max_workers;
extern int	guc_replica_lag;
extern int	guc_retention;		/* minutes; -1 = for ever */
extern char *guc_table_owner;

extern void guc_define(void);

/* Whether sync_engine.database_names lets this database have lanes. */
extern bool guc_database_is_served(const char *database);

#endif							/* SYNC_ENGINE_GUC_H */
