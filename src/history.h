/*-------------------------------------------------------------------------
 *
 * history.h
 *		How long ended runs are remembered.
 *
 * IDENTIFICATION
 *		src/history.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_HISTORY_H
#define SYNC_ENGINE_HISTORY_H

/*
 * Forgets some runs that ended longer ago than sync_engine.retention, with their
 * jobs and activities; in a transaction of its own.
 */
extern void history_trim(void);

#endif							/* SYNC_ENGINE_HISTORY_H */
