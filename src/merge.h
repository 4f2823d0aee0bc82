/*-------------------------------------------------------------------------
 *
 * merge.h
 *		Merges of people: what a page of their log, or of people, means.
 *
 * IDENTIFICATION
 *		src/merge.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_MERGE_H
#define SYNC_ENGINE_MERGE_H

#include "writer_batch.h"

/*
 * For the writer, within the page's transaction, before its records are looked up:
 * of a page of people, leaves out those that were merged away, unless the page was
 * asked for by their ids; of a page of mergers, reads them.  As the table owner.
 */
extern void merge_before_write(Batch *batch);

/*
 * After its records are written: the people whose removal a page of mergers tells of
 * for the first time are gone.  As the extension's owner.
 */
extern void merge_after_write(Batch *batch);

/*
 * The API does not have a person: if it was merged away and then shown again, the
 * merge stands after all.  Whether that was so.  As the extension's owner.
 */
extern bool merge_restore(const Writer *writer, const char *id);

#endif							/* SYNC_ENGINE_MERGE_H */
