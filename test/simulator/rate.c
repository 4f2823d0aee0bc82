/*-------------------------------------------------------------------------
 *
 * rate.c
 *	  Sliding-window rate limits, one set of windows per token.
 *
 * Facts: 100 requests in 20 seconds per token; rejected requests count too, so
 * the shown count may exceed the limit; requests with an offset beyond 30,000
 * fall under a second limit as well; an unknown route has its own counter.
 *
 * Owns: the settings.  Must never read a clock: the time is passed in.
 *
 * IDENTIFICATION
 *	  test/simulator/rate.c
 *
 *-------------------------------------------------------------------------
 */
#include "rate.h"

#include <stdlib.h>

/* What the header says when there is no limit. */
#define SHOWN_UNLIMITED 1000000

/* A first ring that holds a default window. */
#define WINDOW_FIRST_CAP 128

sim_rate_settings rate_settings = {
	.limit = 100,				/* documented */
	.deep_limit = 75,			/* documented for offsets beyond 30,000 */
	.period = INT64_C(20) * 1000000
};

/*
 * window_at returns the n-th oldest arrival.
 */
static int64_t
window_at(const sim_window *window, size_t n)
{
	return window->arrivals[(window->first + n) % window->cap];
}

/*
 * window_add notes an arrival and returns how many the window now holds.
 */
static size_t
window_add(sim_window *window, int64_t now)
{
	while (window->count > 0 && window_at(window, 0) <= now - rate_settings.period)
	{
		window->first = (window->first + 1) % window->cap;
		window->count--;
	}
	if (window->count == window->cap)
	{
		size_t		cap = window->cap ? window->cap * 2 : WINDOW_FIRST_CAP;
		int64_t    *arrivals = sim_alloc(sizeof(*arrivals) * cap);

		for (size_t i = 0; i < window->count; i++)
			arrivals[i] = window_at(window, i);
		free(window->arrivals);
		window->arrivals = arrivals;
		window->first = 0;
		window->cap = cap;
	}
	window->arrivals[(window->first + window->count++) % window->cap] = now;
	if (window->count > window->most)
		window->most = window->count;
	return window->count;
}

/*
 * judge says whether the newest arrival of a window was one too many, and when
 * the next would pass.
 */
static sim_rate_verdict
judge(const sim_window *window, uint64_t limit, int64_t now)
{
	sim_rate_verdict verdict = {
		.limit = rate_settings.limit ? limit : SHOWN_UNLIMITED,
		.count = window->count
	};

	if (rate_settings.limit > 0 && window->count > limit)
	{
		verdict.rejected = true;
		verdict.wait = window_at(window, window->count - limit) +
			rate_settings.period - now;
	}
	return verdict;
}

/*
 * rate_count notes a request and says whether it is within the limits.
 */
sim_rate_verdict
rate_count(sim_rate *rate, int64_t now, bool deep, bool unknown_route)
{
	sim_window *window = unknown_route ? &rate->unknown : &rate->all;
	sim_rate_verdict verdict;

	window_add(&rate->every, now);
	window_add(window, now);
	verdict = judge(window, rate_settings.limit, now);
	if (deep && !unknown_route)
	{
		sim_rate_verdict strict;

		window_add(&rate->deep, now);
		strict = judge(&rate->deep, rate_settings.deep_limit, now);
		if (!verdict.rejected)
			verdict = strict;
	}
	return verdict;
}

/*
 * rate_forget_most starts the statistics anew; the limits go on as they stand.
 */
void
rate_forget_most(sim_rate *rate)
{
	rate->every.count = 0;
	rate->every.most = 0;
}

/*
 * rate_free releases the windows.
 */
void
rate_free(sim_rate *rate)
{
	free(rate->all.arrivals);
	free(rate->deep.arrivals);
	free(rate->unknown.arrivals);
	free(rate->every.arrivals);
	memset(rate, 0, sizeof(*rate));
}
