/*-------------------------------------------------------------------------
 *
 * watermark.h
 *		Up to when a copy has all changes of the API.
 *
 * Pure: no server state, no clock, no I/O.  Times are unix seconds of the
 * API's clock (the Date header), never of ours.
 *
 * The watermark that a read leaves is the time when it began, less the lag of
 * replicas: a change that a replica did not show then is later than that.  The
 * next read begins an overlap before it, and includes that second, for changes
 * are stamped by other machines than the one whose Date we saw, and with fractions
 * of a second that the API does not tell.
 *
 * IDENTIFICATION
 *		src/watermark.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_WATERMARK_H
#define SYNC_ENGINE_WATERMARK_H

/* How far a delta reaches back behind the watermark. */
#define WATERMARK_OVERLAP_S		600

/* No time is known. */
#define WATERMARK_NONE			PG_INT64_MIN

/*
 * The watermark that a read leaves if it succeeds, after another answer: it is
 * frozen with the first one, and a clock that says less afterwards lowers it.
 * server_date: of the answer, < 0 = it had none; lag_s: of replicas.
 */
extern int64 watermark_ceiling(int64 ceiling, int64 server_date, int lag_s);

/* From which time on, inclusively, a delta reads. */
extern int64 watermark_since(int64 watermark);

/*
 * Whether the API's clock, as a delta froze it, is so far before the watermark
 * that the watermark cannot be true: what happened meanwhile would not be read.
 */
extern bool watermark_is_ahead(int64 watermark, int64 ceiling, int lag_s);

#endif							/* SYNC_ENGINE_WATERMARK_H */
