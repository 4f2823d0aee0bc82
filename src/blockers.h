/*-------------------------------------------------------------------------
 *
 * blockers.h
 *		Who keeps a lane from a data table.
 *
 * IDENTIFICATION
 *		src/blockers.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_BLOCKERS_H
#define SYNC_ENGINE_BLOCKERS_H

/*
 * Names the processes whose locks on a table keep us from writing it, in
 * memory of the current context.  Where one of them waits for this very run,
 * it is told so: it would wait for ever.
 */
extern char *blockers_of_table(int64 run_id, Oid relation);

/* Whether the calling backend keeps a lane of its database waiting. */
extern bool blockers_include_me(void);

#endif							/* SYNC_ENGINE_BLOCKERS_H */
