/*-------------------------------------------------------------------------
 *
 * url.h
 *		What may stand in a URL.
 *
 * Pure: no server state, no clock, no I/O.
 *
 * IDENTIFICATION
 *		src/url.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_URL_H
#define SYNC_ENGINE_URL_H

#include "lib/stringinfo.h"

/* A value as part of a path: what could mean something else is escaped. */
extern void url_append_escaped(StringInfo url, const char *value);

#endif							/* SYNC_ENGINE_URL_H */
