/*-------------------------------------------------------------------------
 *
 * watermark.c
 *		Up to when a copy has all changes of the API.
 *
 * Pure: no server state, no clock, no I/O.
 *
 * IDENTIFICATION
 *		src/watermark.c
 *
 *-------------------------------------------------------------------------
 */
#ifdef FRONTEND
#include "postgres_fe.h"
#else
#include "postgres.h"
#endif

#include "watermark.h"

int64
watermark_ceiling(int64 ceiling, int64 server_date, int lag_s)
{
	if (server_date < 0)
		return ceiling == WATERMARK_UNSEEN ? WATERMARK_NONE : ceiling;
	return Min(ceiling, server_date - lag_s);
}

int64
watermark_since(int64 watermark)
{
	return watermark - WATERMARK_OVERLAP_S;
}

/*
 * A read leaves its ceiling; one that begins later has a later one, unless a
 * clock was wrong.  Clocks of several machines differ by less than the overlap.
 */
bool
watermark_is_ahead(int64 watermark, int64 ceiling, int lag_s)
{
	return ceiling != WATERMARK_NONE && watermark - lag_s - WATERMARK_OVERLAP_S > ceiling;
}
