/*-------------------------------------------------------------------------
 *
 * job_record.h
 *		The inquiry for one record: sync_record.
 *
 * IDENTIFICATION
 *		src/job_record.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_JOB_RECORD_H
#define SYNC_ENGINE_JOB_RECORD_H

#include "job.h"

/* Of such a job, before the entity and the record's id: it is not that entity's job. */
#define RECORD_OF	"record of "

/* Somebody waits: four tries more, which take some eight seconds. */
#define RECORD_ATTEMPTS	5

/* What has become of a record, as the job's position says it in the end. */
#define RECORD_INSERTED		"inserted"
#define RECORD_UPDATED		"updated"
#define RECORD_UNCHANGED	"unchanged"
#define RECORD_CANDIDATE	"candidate"
#define RECORD_UNKNOWN		"unknown"	/* neither the API nor the table has it */
#define RECORD_REFUSED		"refused"	/* it is a dead letter */

extern void record_ask(Job *job);
extern void record_finish(Job *job, const HttpResponse *response, const Failure *failure);

/*
 * For inquiries that bring records: the answer as a page of one record; NULL if it is
 * none, and the job asks again or is over.
 */
extern ParsedPage *record_read(Job *job, const HttpResponse *response);

/*
 * Begins the transaction that stores them, and moves the job's row; false if the lease
 * is lost, and the job is over.
 */
extern bool record_begin(Job *job);

/* Locks a table to be written; false, with no transaction left, if it was dropped. */
extern bool record_lock_table(Job *job, Oid relation);

/* Ends the job in that transaction, and commits.  failure: it is partial. */
extern void record_end(Job *job, const WriteCounts *counts, const char *outcome, const Failure *failure);

#endif							/* SYNC_ENGINE_JOB_RECORD_H */
