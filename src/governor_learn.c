/*-------------------------------------------------------------------------
 *
 * governor_learn.c
 *	  What the governor learns from answers, and forgets with time.
 *
 * What it does: takes limit, count, latency, 429 and failures of an answer,
 * and sets limit, margin, cool-down, concurrency and breaker by them.
 *
 * What it owns: those parts of GovernorState.
 *
 * What it must never do: read a clock, sleep, lock, allocate or raise an
 * error.
 *
 * Answers come in any order.  One to a request that was sent before the last
 * change (429, cut, opening of the breaker) belongs to what caused that
 * change, and does not cause it once more.
 *
 * IDENTIFICATION
 *	  src/governor_learn.c
 *
 *-------------------------------------------------------------------------
 */
#ifdef FRONTEND
#include "postgres_fe.h"
#else
#include "postgres.h"
#endif

#include "governor_learn.h"
#include "governor_window.h"

/* Stated limits beyond these are taken for garbage and ignored */
#define MAX_LIMIT 10000000
#define MIN_PERIOD (10 * GOVERNOR_MILLISECOND)
#define MAX_PERIOD (24 * 3600 * GOVERNOR_SECOND)

/*
 * After a 429 that nobody explains the margin may grow to a quarter of the
 * period: beyond that, lateness is not what is wrong.  It takes some 20 periods
 * to halve again, for the next late arrival would be the next 429.
 */
#define MARGIN_GROWN_SHARE 4
#define MARGIN_FORGET_SHARE 32

/* A server that asks for more patience than this is asked again earlier */
#define MAX_COOLDOWN (60 * GOVERNOR_SECOND)

/* «0 seconds» is a fraction of a second, rounded down */
#define MIN_COOLDOWN (1 * GOVERNOR_SECOND)

/* Sanity only: what is needed is limit × latency, the caller's cap is lower */
#define MAX_CONCURRENCY 1000000

/* Congestion has to stop at once; a failure may well be one bad page's */
#define CUT_AFTER_THROTTLE 0.5
#define CUT_AFTER_FAILURE 0.75

/* Failures in a row that mean «down» rather than «one bad page» */
#define BREAKER_FAILURES 8
#define BREAKER_BACKOFF_MIN (1 * GOVERNOR_SECOND)
#define BREAKER_BACKOFF_MAX (60 * GOVERNOR_SECOND)

/*
 * governor_concurrency_target is what the budget needs in flight at this
 * latency (Little's law), twice that so that a failure now and then does not
 * cost budget, and the start value so that there is always some.
 */
static double
governor_concurrency_target(const GovernorState *state)
{
	double		need = state->latency_mean * state->limit / state->period;

	return Min(2 * need + GOVERNOR_CONCURRENCY_START, MAX_CONCURRENCY);
}

/* governor_cut reduces concurrency, once in a round trip. */
static void
governor_cut(GovernorState *state, const GovernorResponse *response,
			 double factor)
{
	if (response->sent_at < state->cut_at)
		return;
	state->concurrency = Max(state->concurrency * factor, 1);
	state->cut_at = state->clock;
}

/*
 * governor_learn_deep takes a limit for deep offsets; what was sent under a
 * larger one has to leave the window first.
 */
static void
governor_learn_deep(GovernorState *state, int32 limit, bool stated)
{
	if (limit < governor_deep_limit(state))
		state->deep_next = Max(state->deep_next,
							   state->clock + governor_span(state));
	state->deep_learned = limit;
	state->deep_stated = stated;
}

/*
 * governor_learn_limit takes over the limit that an answer states; returns
 * false if what it states is about the tier of deep offsets.
 */
static bool
governor_learn_limit(GovernorState *state, const GovernorResponse *response)
{
	bool		usable = response->limit > 0 && response->limit <= MAX_LIMIT;

	if (response->deep_offset && usable && response->limit < state->limit)
	{
		const bool	stated = true;

		governor_learn_deep(state, (int32) response->limit, stated);
		return false;
	}
	if (usable)
		state->limit = (int32) response->limit;
	if (response->period_us >= MIN_PERIOD &&
		response->period_us <= MAX_PERIOD &&
		response->period_us != state->period)
		governor_set_period(state, response->period_us);
	return true;
}

/*
 * governor_learn_count compares the server's count with ours and takes an
 * excess for use by others; returns it, or -1 if there is no telling.
 */
static int64
governor_learn_count(GovernorState *state, const GovernorResponse *response)
{
	int64		ours;
	int64		others;

	if (response->count < 0 || response->count > MAX_LIMIT ||
		response->sent_at < state->counted_at)
		return -1;
	ours = governor_sent_before(state, response->sent_at);
	if (ours < 0)
		return -1;

	others = Max(response->count - ours, 0);
	state->counted_at = response->sent_at;
	governor_observe_others(state, others, response->sent_at);
	return others;
}

/*
 * governor_cooldown tells how long to wait after a 429: as long as it says, or
 * until the window has surely room; and at least a back-off that doubles with
 * every further one in a row.
 */
static GovTime
governor_cooldown(const GovernorState *state, const GovernorResponse *response)
{
	bool		told = response->retry_after_s >= 0;
	GovTime		span = governor_span(state);
	GovTime		wait = told ? MIN_COOLDOWN : span;

	for (int i = 1; i < state->throttles && wait < MAX_COOLDOWN; i++)
		wait *= 2;
	wait = Min(wait, Max(MAX_COOLDOWN, span));
	if (told)
		wait = Max(wait, GOVERNOR_SECOND * Min(response->retry_after_s,
											   MAX_COOLDOWN / GOVERNOR_SECOND));
	return wait;
}

/* governor_throttled handles a 429. */
static void
governor_throttled(GovernorState *state, const GovernorResponse *response,
				   int64 others)
{
	const bool	stated = false;
	bool		deep = response->deep_offset && others <= 0;

	/* of several in flight, the first one tells it all */
	if (response->sent_at >= state->throttled_at)
	{
		state->throttled_at = state->clock;
		state->throttles++;
		if (deep && !state->deep_stated)
			governor_learn_deep(state, Max(governor_deep_limit(state) / 2, 1),
								stated);
		else if (others <= 0)
			state->margin_grown = Min(2 * governor_margin(state),
									  state->period / MARGIN_GROWN_SHARE);
	}
	state->cooldown_until = Max(state->cooldown_until, state->clock +
								governor_cooldown(state, response));
	if (!deep)
		governor_assume_spent(state);
	governor_cut(state, response, CUT_AFTER_THROTTLE);
}

/* governor_breaker_close notes that the server is alive. */
static void
governor_breaker_close(GovernorState *state, const GovernorResponse *response)
{
	if (state->breaker != GOVERNOR_BREAKER_CLOSED &&
		response->sent_at < state->opened_at)
		return;
	state->breaker = GOVERNOR_BREAKER_CLOSED;
	state->failures = 0;
}

/* governor_failed handles a 5xx or an answer that did not come. */
static void
governor_failed(GovernorState *state, const GovernorResponse *response)
{
	governor_cut(state, response, CUT_AFTER_FAILURE);

	if (response->sent_at < state->opened_at)
		return;
	state->failures++;
	if (state->breaker == GOVERNOR_BREAKER_HALF_OPEN)
		state->backoff = Min(state->backoff * 2, BREAKER_BACKOFF_MAX);
	else if (state->failures >= BREAKER_FAILURES)
		state->backoff = BREAKER_BACKOFF_MIN;
	else
		return;
	state->breaker = GOVERNOR_BREAKER_OPEN;
	state->opened_at = state->clock;
	state->probe_at = state->clock + state->backoff;
}

/* governor_succeeded handles any other answer: the server works. */
static void
governor_succeeded(GovernorState *state, const GovernorResponse *response)
{
	double		latency = Max(response->latency, 1);
	double		target;

	if (response->sent_at >= state->throttled_at)
		state->throttles = 0;

	if (state->latency_mean == 0)
		state->latency_mean = latency;
	else
		state->latency_mean += (latency - state->latency_mean) / 8;

	/*
	 * Additive increase: an eighth of what the budget needs in a round trip.
	 * It doubles in one as long as nothing has ever gone wrong: with a slow
	 * server, small steps would leave budget unused for many seconds.
	 */
	target = governor_concurrency_target(state);
	if (state->concurrency < target && response->sent_at >= state->cut_at)
		state->concurrency += state->cut_at == 0 ? 1 : Min(target / 8 / state->concurrency, 1);
}

/* governor_learn learns from an answer, or from its failing to come. */
void
governor_learn(GovernorState *state, const GovernorResponse *response)
{
	int64		others = -1;

	if (response->status > 0)
	{
		state->latency_peak = Max(state->latency_peak, response->latency);
		if (governor_learn_limit(state, response))
			others = governor_learn_count(state, response);
	}

	if (response->status == 429)
	{
		governor_throttled(state, response, others);
		governor_breaker_close(state, response);
	}
	else if (response->transport_error || response->status <= 0 ||
			 response->status >= 500)
		governor_failed(state, response);
	else
	{
		governor_succeeded(state, response);
		governor_breaker_close(state, response);
	}
}

/* governor_forget ends an epoch, of a period, if it is over. */
void
governor_forget(GovernorState *state)
{
	double		target = governor_concurrency_target(state);

	if (state->clock < state->epoch_end)
		return;

	state->epoch_end = state->clock + state->period;
	state->latency_peak_before = state->latency_peak;
	state->latency_peak = 0;
	state->margin_grown -= state->margin_grown / MARGIN_FORGET_SHARE;

	/* the server was slow and has become fast: no reason for large bursts */
	if (state->concurrency > target)
		state->concurrency = (state->concurrency + target) / 2;

	/* a 429 told only that it was too much: try more, a little at a time */
	if (state->deep_learned > 0 && !state->deep_stated)
	{
		state->deep_learned += 1 + state->deep_learned / 64;
		if (state->deep_learned >= governor_deep_documented(state))
			state->deep_learned = 0;
	}
}
