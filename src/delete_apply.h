/*-------------------------------------------------------------------------
 *
 * delete_apply.h
 *		Takes the rows of a delete batch out of their data table, and brings them
 *		back.
 *
 * Within a transaction, as the extension's owner, with the batch locked.
 *
 * IDENTIFICATION
 *		src/delete_apply.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_DELETE_APPLY_H
#define SYNC_ENGINE_DELETE_APPLY_H

#include "delete_batch.h"
#include "manifest.h"

/*
 * Deletes the next confirmed candidates, so many at the most: those whose rows are
 * live and were not written since the read; the others are struck.  How many were
 * looked at, 0 when none is left; *deleted is how many rows went.
 */
extern int	delete_apply_some(const Entity *entity, const DeleteBatch *batch, int limit, int64 *deleted);

/*
 * Brings back what the batch deleted and nobody has brought back or touched since;
 * how many rows.  All its candidates are then 'undone'.
 */
extern int64 delete_undo(const Entity *entity, const DeleteBatch *batch);

#endif							/* SYNC_ENGINE_DELETE_APPLY_H */
