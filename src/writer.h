/*-------------------------------------------------------------------------
 *
 * writer.h
 *		Writes the records of a page into its data table.
 *
 * IDENTIFICATION
 *		src/writer.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_WRITER_H
#define SYNC_ENGINE_WRITER_H

#include "page_parser.h"
#include "tables.h"

typedef struct Writer Writer;

/* What became of the records of a page; they add up to fetched. */
typedef struct WriteCounts
{
	int64		fetched;
	int64		inserted;
	int64		updated;
	int64		unchanged;
	int64		dead_lettered;
} WriteCounts;

/* In the current memory context; freed by writer_destroy. */
extern Writer *writer_create(const Entity *entity, const char *org, DataTable table,
							 int64 run_id, int64 job_id);
extern void writer_destroy(Writer *writer);

/*
 * Writes the records from `first` on.  parent: the id of the parent whose
 * list it is, or NULL.  Within a transaction of a lane, after the job's row was
 * moved.  Records that cannot be stored become dead letters; any other error
 * is raised.
 */
extern void writer_write(Writer *writer, const ParsedPage *page, int first, const char *parent,
						 WriteCounts *counts);

/* In the same transaction as the last page: the list has been read. */
extern void writer_finish(Writer *writer);

#endif							/* SYNC_ENGINE_WRITER_H */
