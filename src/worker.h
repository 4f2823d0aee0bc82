/*-------------------------------------------------------------------------
 *
 * worker.h
 *		A lane: one process, one event loop, many jobs of many orgs.
 *
 * IDENTIFICATION
 *		src/worker.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_WORKER_H
#define SYNC_ENGINE_WORKER_H

#include "fmgr.h"

/* Entry of a lane; the argument is its index in shared->lanes. */
extern PGDLLEXPORT void sync_engine_lane_main(Datum arg);

#endif							/* SYNC_ENGINE_WORKER_H */
