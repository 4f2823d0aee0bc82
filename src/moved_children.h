/*-------------------------------------------------------------------------
 *
 * moved_children.h
 *		Has the children of a person read again, because a merge moved some there.
 *
 * IDENTIFICATION
 *		src/moved_children.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_MOVED_CHILDREN_H
#define SYNC_ENGINE_MOVED_CHILDREN_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

/* Of such a job, before the person's id: it is no entity's job. */
#define CHILDREN_OF		"children of Person "

/* Its kind of run, and strategy. */
#define CHILDREN_KIND	"children"

typedef struct MovedChildren
{
	const char *to;				/* the person that they were moved to */
	TimestampTz at;
} MovedChildren;

/*
 * In the transaction that learns of the moves (MovedChildren *).  Children that are
 * not synced, or are being or were read as a whole after they were moved, are left alone.
 */
extern void moved_children_read_again(const char *org, List *moves);

#endif							/* SYNC_ENGINE_MOVED_CHILDREN_H */
