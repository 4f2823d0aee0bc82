/*-------------------------------------------------------------------------
 *
 * rate.h
 *	  Sliding-window rate limits, one set of windows per token.
 *
 * IDENTIFICATION
 *	  test/simulator/rate.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SIM_RATE_H
#define SIM_RATE_H

#include "text.h"

/* Arrivals of the last period, oldest first, in a ring. */
typedef struct sim_window
{
	int64_t    *arrivals;
	size_t		first;
	size_t		count;
	size_t		cap;
	size_t		most;			/* highest count since the last reset */
} sim_window;

typedef struct sim_rate
{
	sim_window	all;
	sim_window	deep;			/* offsets beyond the deep threshold */
	sim_window	unknown;		/* unknown routes have a counter of their own */
	sim_window	every;			/* all of them, for the statistics */
} sim_rate;

typedef enum sim_retry_after
{
	RETRY_AFTER_INT,
	RETRY_AFTER_ABSENT,
	RETRY_AFTER_GARBAGE
} sim_retry_after;

typedef struct sim_rate_settings
{
	uint64_t	limit;			/* 0 = unlimited */
	uint64_t	deep_limit;
	int64_t		period;			/* microseconds */
	bool		plain_number;	/* period header "20" instead of "20 seconds" */
	sim_retry_after retry_after;
} sim_rate_settings;

typedef struct sim_rate_verdict
{
	bool		rejected;
	uint64_t	limit;			/* as shown in the headers */
	uint64_t	count;
	int64_t		wait;			/* microseconds until a request would pass */
} sim_rate_verdict;

extern sim_rate_settings rate_settings;

extern sim_rate_verdict rate_count(sim_rate *rate, int64_t now, bool deep,
								   bool unknown_route);
extern void rate_forget_most(sim_rate *rate);
extern void rate_free(sim_rate *rate);

#endif							/* SIM_RATE_H */
