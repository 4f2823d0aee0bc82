/*-------------------------------------------------------------------------
 *
 * lane_setup.h
 *		What a lane needs before its loop: a database, a number, a client.
 *
 * IDENTIFICATION
 *		src/lane_setup.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_LANE_SETUP_H
#define SYNC_ENGINE_LANE_SETUP_H

#include "http.h"

/* Connects to the database of the lane's slot. */
extern void lane_connect(void);

/*
 * Takes the lane's number and holds its lock; false, which is in the log if
 * somebody can act, if it cannot work here: see session_obstacle.
 */
extern bool lane_take_number(int64 *number);

/* The HTTP client of this process; raises an error if there can be none. */
extern HttpClient *lane_create_client(void);

#endif							/* SYNC_ENGINE_LANE_SETUP_H */
