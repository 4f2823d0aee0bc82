/*-------------------------------------------------------------------------
 *
 * writer_batch.h
 *		The records of a page on their way into the table: what writer.c and
 *		writer_stored.c share.
 *
 * IDENTIFICATION
 *		src/writer_batch.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_WRITER_BATCH_H
#define SYNC_ENGINE_WRITER_BATCH_H

#include "access/htup.h"
#include "delete_batch.h"
#include "record.h"
#include "shared_plan.h"
#include "writer.h"

struct Writer
{
	const Entity *entity;
	const char *org;
	DataTable	table;
	int64		run_id;
	int64		job_id;
	RecordMapper *mapper;
	SharedPlan *lookup;
	SharedPlan *stored;
	SharedPlan *insert;
	SharedPlan *upsert;
	TupleDesc	row;			/* of a row of the upsert */
	int64		open_dead_letters;
	int			come_again;		/* records that another parent brought in this run */
	bool		noted_shared;	/* that several parents bring the same records */
	bool		by_id;			/* the records were asked for one by one */
};

/* A record on its way into the table. */
typedef struct Pending
{
	Record		record;
	bool		exists;
	bool		live;			/* exists, and is not deleted */
	HeapTuple	stored;			/* a thin copy: the row that it is laid over */
	bool		same;			/* ... and does not change */
	Datum		row;			/* as the upsert takes it */
} Pending;

/* State of one page. */
typedef struct Batch
{
	Writer	   *writer;
	const ParsedPage *page;
	WriteCounts *counts;
	bool		thin;			/* copies that may lack what the list form has */
	int			n;
	Pending   **pending;
	bool		all_new;		/* none of them is in the table */
	TupleDesc	stored;			/* of the rows that thin copies are laid over */
	int64		became_live;
	List	   *settled;		/* ids that are in the table now (char *) */
	List	   *merges;			/* of people, that the page tells of: see merge.c */
} Batch;

/* Whose records the writer writes. */
static inline DeleteScope
writer_scope(const Writer *writer)
{
	DeleteScope scope = {writer->org, writer->entity->product, writer->entity->name};

	return scope;
}

/*
 * Looks up what the table has of the batch's records, and leaves only those
 * that must be written.  Runs as the table owner.
 */
extern void writer_drop_settled(Batch *batch);

/*
 * Lays a thin copy over the stored row: what the copy does not tell is taken
 * from there.  Sets pending->same where nothing changes.
 */
extern void writer_lay_over_stored(const Batch *batch, Pending *pending,
								   Datum *values, bool *nulls);

/* Counts the live rows of a table that was there before the extension. */
extern void writer_count_rows_once(const char *org, const Entity *entity);


/* Takes records that are shown from all batches that would delete them. */
extern void writer_strike(const Writer *writer, const WriteItem *items, int n);

#endif							/* SYNC_ENGINE_WRITER_BATCH_H */
