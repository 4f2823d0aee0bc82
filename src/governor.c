/*-------------------------------------------------------------------------
 *
 * governor.c
 *	  Rate, concurrency and breaker rules of one credential.
 *
 * What it does: lets through as many requests as the server's limit allows,
 * evenly, and never more; governor.h is the contract, governor_window.c has
 * the reasoning about time, governor_learn.c that about answers.
 *
 * What it owns: the decision.
 *
 * What it must never do: read a clock, sleep, lock, allocate or raise an
 * error.
 *
 * IDENTIFICATION
 *	  src/governor.c
 *
 *-------------------------------------------------------------------------
 */
#ifdef FRONTEND
#include "postgres_fe.h"
#else
#include "postgres.h"
#endif

#include "governor.h"
#include "governor_learn.h"
#include "governor_window.h"

/* Unpaced start: PCO trips on parallel bursts, a fifth of its limit is safe */
#define BURST_PERCENT 20

/* A probe unanswered for so long was lost; longer than any request may take */
#define PROBE_TIMEOUT (120 * GOVERNOR_SECOND)

/* When only an answer can make room: the bounds of asking again */
#define POLL_MIN (1 * GOVERNOR_MILLISECOND)
#define POLL_MAX (250 * GOVERNOR_MILLISECOND)

/* governor_advance brings the state up to date. */
static void
governor_advance(GovernorState *state, GovTime now)
{
	if (state->limit == 0)
		governor_init(state, now);

	/* another process may have read its clock earlier and come later */
	if (now > state->clock)
	{
		governor_window_advance(state, now);
		governor_forget(state);
	}
}

/*
 * governor_init starts from nothing known, be it the first start or the one
 * after a crash: the last period's budget was spent, evenly.
 */
void
governor_init(GovernorState *state, GovTime now)
{
	Assert(now >= 0);

	memset(state, 0, sizeof(*state));
	state->clock = now;
	state->limit = GOVERNOR_DEFAULT_LIMIT;
	state->width = 1;
	governor_set_period(state, GOVERNOR_DEFAULT_PERIOD);
	governor_assume_spent(state);
	state->tokens = 1;
	state->epoch_end = now + state->period;
	state->concurrency = GOVERNOR_CONCURRENCY_START;
}

/* governor_wait notes what holds a request, unless something does longer. */
static void
governor_wait(GovernorDecision *decision, GovTime until, GovernorHold hold)
{
	if (until > decision->retry_at)
	{
		decision->retry_at = until;
		decision->held_by = hold;
	}
}

/* governor_poll tells when to ask again for what only an answer can free. */
static GovTime
governor_poll(const GovernorState *state)
{
	GovTime		next = (GovTime) state->latency_mean / Max(state->in_flight, 1);

	/* nothing known yet: it may as well be long */
	if (state->latency_mean == 0)
		next = POLL_MAX;
	return state->clock + Max(Min(next, POLL_MAX), POLL_MIN);
}

/* governor_wait_for_server asks breaker, cool-down and concurrency. */
static void
governor_wait_for_server(const GovernorState *state,
						 const GovernorRequest *request,
						 GovernorDecision *decision)
{
	int			concurrency = (int) state->concurrency;

	governor_wait(decision, state->cooldown_until, GOVERNOR_HOLD_COOLDOWN);

	if (state->breaker == GOVERNOR_BREAKER_OPEN)
		governor_wait(decision, state->probe_at, GOVERNOR_HOLD_BREAKER);
	else if (state->breaker == GOVERNOR_BREAKER_HALF_OPEN &&
			 state->clock < state->probe_at)
		governor_wait(decision, governor_poll(state), GOVERNOR_HOLD_BREAKER);

	if (request->max_in_flight > 0)
		concurrency = Min(concurrency, request->max_in_flight);
	if (state->in_flight >= concurrency)
		governor_wait(decision, governor_poll(state),
					  GOVERNOR_HOLD_CONCURRENCY);
}

/* governor_admit decides on one request, and counts it if it may be sent. */
GovernorDecision
governor_admit(GovernorState *state, GovTime now, GovernorRequest request)
{
	GovernorDecision decision = {0};
	GovernorPace pace;
	double		cost;
	int			share = request.share_percent;
	int64		budget;
	int64		used;
	int64		weight;

	governor_advance(state, now);
	decision.retry_at = state->clock;
	governor_wait_for_server(state, &request, &decision);

	/* a share of the budget: so much less room, so much dearer tokens */
	if (share <= 0 || share > 100)
		share = 100;
	budget = Max((int64) state->limit * share / 100, 1);
	weight = Min(Max(request.weight, 1), budget);
	used = governor_held(state) + governor_phantom(state) + weight;
	if (used > budget)
		governor_wait(&decision, governor_room_at(state, used - budget),
					  GOVERNOR_HOLD_WINDOW);

	pace = governor_pace(state);
	cost = Min(weight * 100.0 / share, pace.depth);
	if (state->tokens < cost && used > Max(budget * BURST_PERCENT / 100, 1))
		governor_wait(&decision, state->clock + 1 +
					  (GovTime) ((cost - state->tokens) / pace.rate),
					  GOVERNOR_HOLD_PACE);

	if (request.deep_offset)
		governor_wait(&decision, governor_deep_at(state), GOVERNOR_HOLD_DEEP);

	if (decision.held_by != GOVERNOR_HOLD_NONE)
		return decision;

	decision.admitted = true;
	state->in_flight++;
	state->tokens = Max(state->tokens - cost, 0);
	governor_take(state, weight);
	if (request.deep_offset)
		governor_deep_take(state, weight);
	if (state->breaker != GOVERNOR_BREAKER_CLOSED)
	{
		state->breaker = GOVERNOR_BREAKER_HALF_OPEN;
		state->probe_at = state->clock + PROBE_TIMEOUT;
	}
	return decision;
}

/* governor_response ends a request, by its answer or by its failing to come. */
void
governor_response(GovernorState *state, GovTime now,
				  const GovernorResponse *response)
{
	governor_advance(state, now);
	state->in_flight = Max(state->in_flight - 1, 0);
	governor_learn(state, response);
}

/*
 * governor_abandon ends a request that was cancelled.  The server may have
 * counted it, so it keeps its place in the window.
 */
void
governor_abandon(GovernorState *state, GovTime now, GovTime sent_at)
{
	governor_advance(state, now);
	state->in_flight = Max(state->in_flight - 1, 0);

	/* it was the probe: the next one may go at once */
	if (state->breaker == GOVERNOR_BREAKER_HALF_OPEN &&
		sent_at >= state->opened_at)
	{
		state->breaker = GOVERNOR_BREAKER_OPEN;
		state->probe_at = state->clock;
	}
}

/*
 * governor_hold admits nothing before a time: for a cool-down that was stored
 * before a restart.
 */
void
governor_hold(GovernorState *state, GovTime now, GovTime until)
{
	governor_advance(state, now);
	state->cooldown_until = Max(state->cooldown_until, until);
}

/* governor_describe tells how things stand. */
void
governor_describe(const GovernorState *state, GovTime now, GovernorView *view)
{
	GovernorState at = *state;

	governor_advance(&at, now);

	view->limit = at.limit;
	view->period = at.period;
	view->used = (int32) governor_held(&at);
	view->phantom = (int32) governor_phantom(&at);
	view->in_flight = at.in_flight;
	view->concurrency = (int32) at.concurrency;
	view->deep_limit = governor_deep_limit(&at);
	view->margin = governor_margin(&at);
	view->breaker = (GovernorBreaker) at.breaker;
	view->cooldown_until = at.cooldown_until > at.clock ? at.cooldown_until : 0;
	view->probe_at = at.breaker == GOVERNOR_BREAKER_CLOSED ? 0 : at.probe_at;
}
