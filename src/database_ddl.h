/*-------------------------------------------------------------------------
 *
 * database_ddl.h
 *		Statements that change databases or the extension itself.
 *
 * IDENTIFICATION
 *		src/database_ddl.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_DATABASE_DDL_H
#define SYNC_ENGINE_DATABASE_DDL_H

extern void database_ddl_install_hooks(void);

/* Whether it is there to be copied at any time, so that no lane may be there. */
extern bool database_is_template(Oid database);

#endif							/* SYNC_ENGINE_DATABASE_DDL_H */
