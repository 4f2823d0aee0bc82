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
 * So nothing is lost as long as no machine that says the time is ahead of one that
 * stamps changes by more than the overlap; one that is behind only makes the next
 * read longer.  One that is further ahead is found out when a right one is seen
 * before time has caught up with the watermark; after that, only a read of
 * everything brings what was passed over.
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

/* No time is known; as a ceiling: nor will it be. */
#define WATERMARK_NONE			PG_INT64_MIN

/* The ceiling of a read that has had no answer yet. */
#define WATERMARK_UNSEEN		PG_INT64_MAX

/*
 * The watermark that a read leaves if it succeeds, after another answer: it is
 * frozen with the first one, and a clock that says less afterwards lowers it.
 * server_date: of the answer, < 0 = it had none; lag_s: of replicas.  If the first
 * answer has none, it is not known when the read began, and it leaves no watermark.
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
