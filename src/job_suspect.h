/*-------------------------------------------------------------------------
 *
 * job_suspect.h
 *		Jobs whose lane was lost: was it a page of theirs?
 *
 * A page that takes its process down would do so for ever, and the server with
 * it.  So a job that has lost its lane is a suspect until a page of it is written:
 * it begins, and each page is applied, while no other suspect does, between two marks
 * in its row.
 * A lane that is lost while the mark stands was lost through this job; after three
 * of them it is held.  All others that lost the same lane are cleared by their next
 * page, and what ends a process between the marks by chance holds nobody.
 *
 * IDENTIFICATION
 *		src/job_suspect.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_JOB_SUSPECT_H
#define SYNC_ENGINE_JOB_SUSPECT_H

#include "job.h"

/*
 * Before anything of a page is looked at; waits while another suspect's is
 * applied.  False if the lease is lost.
 */
extern bool suspect_mark(Job *job);

/* The page was not written after all. */
extern void suspect_unmark(Job *job);

/* The lane is told to end, which is no fault of the page that it is at. */
extern void suspect_absolve(void);

/* Lets others apply theirs; fine if there is nothing to let go. */
extern void suspect_let_go(void);

#endif							/* SYNC_ENGINE_JOB_SUSPECT_H */
