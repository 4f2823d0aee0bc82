/*-------------------------------------------------------------------------
 *
 * database_list.c
 *		The databases of the cluster, as the launcher sees them.
 *
 * It is connected to none of them, and reads the shared catalog.
 *
 * IDENTIFICATION
 *		src/database_list.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "database_list.h"
#include "guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/*
 * can_be_served: whether a lane can connect, and is to.  A template must be
 * there to be copied at any time; one that a DROP was interrupted in cannot be
 * connected to (its limit is below -1, which means none).
 */
static bool
can_be_served(Form_pg_database database)
{
	return database->datallowconn && !database->datistemplate && database->datconnlimit >= -1 &&
		guc_database_is_served(NameStr(database->datname));
}

/*
 * database_list: all that there are, or those that can be served.
 */
List *
database_list(bool any)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *databases = NIL;
	Relation	relation;
	TableScanDesc scan;
	HeapTuple	tuple;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	relation = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(relation, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database database = (Form_pg_database) GETSTRUCT(tuple);

		if (any || can_be_served(database))
		{
			MemoryContext old = MemoryContextSwitchTo(context);

			databases = lappend_oid(databases, database->oid);
			MemoryContextSwitchTo(old);
		}
	}
	table_endscan(scan);
	table_close(relation, AccessShareLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	return databases;
}

/*
 * database_is_listed: whether there is such a database, or one that can be served.
 */
bool
database_is_listed(Oid database, bool any)
{
	List	   *databases = database_list(any);
	bool		listed = list_member_oid(databases, database);

	list_free(databases);
	return listed;
}
