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

/* A record to write, and the parameters of the path it came from (or NULL). */
typedef struct WriteItem
{
	const PageRecord *record;
	const char *const *params;
} WriteItem;

/*
 * Writes records of a page.  thin: they came inside their parent's page and
 * may lack what the list form has; what they do not tell stays as it is stored.
 * Within a transaction of a lane, after the job's row was moved.  Records that
 * cannot be stored become dead letters; any other error is raised.
 */
extern void writer_write(Writer *writer, const ParsedPage *page, const WriteItem *items, int n,
						 bool thin, WriteCounts *counts);

/*
 * From now on records are asked for by their ids, or not any more.  Such an answer
 * is the truth; a list may come from a replica that lags behind.
 */
extern void writer_trust(Writer *writer, bool by_id);

/* Whether records of this JSON:API type are the writer's: its entity, or an alias. */
extern bool writer_takes_type(const Writer *writer, const char *type);

/* In the same transaction as the last page: the list has been read. */
extern void writer_finish(Writer *writer);

#endif							/* SYNC_ENGINE_WRITER_H */
