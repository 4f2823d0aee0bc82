/*-------------------------------------------------------------------------
 *
 * iso8601.h
 *		Dates and timestamps as the API writes them.
 *
 * IDENTIFICATION
 *		src/iso8601.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_ISO8601_H
#define SYNC_ENGINE_ISO8601_H

/* room for "2024-05-01T08:15:09Z" */
#define ISO8601_LEN		21

/*
 * "2024-05-01T08:15:09Z", with optional fraction, or offset instead of Z →
 * microseconds since 1970 in UTC.  False if it is not one.
 */
extern bool iso8601_parse(const char *text, int64 *unix_us);

/* "2024-05-01" → days since 1970-01-01.  False if it is not a real day. */
extern bool iso8601_parse_date(const char *text, int *days);

/* Seconds since 1970 → "2024-05-01T08:15:09Z" */
extern void iso8601_format(int64 unix_seconds, char out[ISO8601_LEN]);

#endif							/* SYNC_ENGINE_ISO8601_H */
