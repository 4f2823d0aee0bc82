/*-------------------------------------------------------------------------
 *
 * audit.h
 *		What deltas cannot see: when everything is read again.
 *
 * IDENTIFICATION
 *		src/audit.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_AUDIT_H
#define SYNC_ENGINE_AUDIT_H

#include "postgres.h"

/* Percent of the rate budget that an audit takes at the most. */
#define AUDIT_SHARE			25

/*
 * After these runs (array of bigint) have ended, in the same transaction: lets the
 * API count the lists of which they read only the changes, and starts the audits
 * that are due.
 */
extern void audit_follow(Datum run_ids);

/*
 * The API has counted a list: if we do not have so many records, an audit need not
 * wait until it is due.
 */
extern void audit_compare(const char *org, const char *product, const char *entity, int64 total);

#endif							/* SYNC_ENGINE_AUDIT_H */
