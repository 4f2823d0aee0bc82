/*-------------------------------------------------------------------------
 *
 * database_list.h
 *		The databases of the cluster, as the launcher sees them.
 *
 * IDENTIFICATION
 *		src/database_list.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_DATABASE_LIST_H
#define SYNC_ENGINE_DATABASE_LIST_H

#include "nodes/pg_list.h"

/* Oids of all that there are, or of those that can be served; in a transaction of its own. */
extern List *database_list(bool any);

/* Whether a database is in that list. */
extern bool database_is_listed(Oid database, bool any);

#endif							/* SYNC_ENGINE_DATABASE_LIST_H */
