/*-------------------------------------------------------------------------
 *
 * governor_window.c
 *	  The governor's budget of one period: who holds how much of it.
 *
 * What it does: remembers what was sent when, reckons what others use, and
 * tells how much room there is, or when there will be.
 *
 * What it owns: the ring, the phantom, the tokens and the deep tier's next
 * time in GovernorState.
 *
 * What it must never do: read a clock, sleep, lock, allocate or raise an
 * error.
 *
 * The window: the server counts arrivals in a window that slides or jumps; we
 * know only when we sent.  If no request takes longer than «margin» more to
 * arrive than another, then at most «limit» sent in every period + margin (the
 * span) are at most «limit» arrived in every period.  So a request holds its
 * place from its sending until a span later, whatever becomes of it.
 * Sendings are remembered in a ring of buckets, and a bucket holds its places
 * until the youngest request that it may contain could go.
 *
 * The pace: a token bucket in front of the window spreads requests evenly over
 * what the window lets through, so that the window itself rarely holds anybody
 * and parallel bursts stay small.
 *
 * The phantom: use of the window that is not ours.  The server's count tells
 * it (others spend the budget of the same token); where we know nothing, after
 * a start or a 429, all of the budget but one request is assumed spent,
 * evenly, so that one goes and brings the truth.
 *
 * IDENTIFICATION
 *	  src/governor_window.c
 *
 *-------------------------------------------------------------------------
 */
#ifdef FRONTEND
#include "postgres_fe.h"
#else
#include "postgres.h"
#endif

#include <math.h>

#include "governor_window.h"

/*
 * The margin costs its share of the budget: 400 ms of PCO's 20 s are 2 %.  That
 * is what 95 % utilisation can spare, and more than requests on a healthy line
 * differ in their way to the server.  Shorter periods scale it down.
 */
#define MARGIN_MAX (400 * GOVERNOR_MILLISECOND)
#define MARGIN_SHARE 50

/*
 * The ring reaches back over one and a half periods: the period, the largest
 * margin (a quarter), and as much again for the latency of an answer whose
 * count is compared with what we had sent by then.
 */
#define RING_SPAN(period) ((period) + (period) / 2)

/* A ring this many times too long would cost 3 % of the budget, in buckets */
#define RING_COARSE 4

/*
 * What the pace makes up for after a delay: a twentieth of the budget is one
 * second's worth at PCO's limit, longer than a page takes to be written.
 */
#define CATCH_UP_PERCENT 5

/* PCO: offsets beyond 30,000 fall under 75 requests in 20 s, of 100 in all */
#define DEEP_LIMIT 75
#define DEEP_PERIOD (20 * GOVERNOR_SECOND)
#define DEEP_PERCENT 75

/* Lateness that the strict pace of deep offsets makes up for: costs 1 % */
#define DEEP_SLACK(state) ((state)->period / 100)

/* governor_bucket numbers the bucket that a time falls into. */
static int64
governor_bucket(const GovernorState *state, GovTime at)
{
	return Max(at, 0) / state->width;
}

/* governor_oldest_bucket numbers the oldest bucket that the ring still has. */
static int64
governor_oldest_bucket(const GovernorState *state)
{
	return Max(state->newest - GOVERNOR_BUCKETS + 1, 0);
}

/* governor_sent counts what was sent from one time to another, rounding up. */
static int64
governor_sent(const GovernorState *state, GovTime from, GovTime to)
{
	int64		bucket = Max(governor_bucket(state, from),
							 governor_oldest_bucket(state));
	int64		last = Min(governor_bucket(state, to), state->newest);
	int64		sum = 0;

	for (; bucket <= last; bucket++)
		sum += state->sent[bucket % GOVERNOR_BUCKETS];
	return sum;
}

/*
 * governor_margin bounds how much longer than another a request may take to
 * arrive: by no more than the whole round trip of any recent one.
 */
GovTime
governor_margin(const GovernorState *state)
{
	GovTime		seen = Max(state->latency_peak, state->latency_peak_before);
	GovTime		margin = Min(MARGIN_MAX, state->period / MARGIN_SHARE);

	if (seen == 0)
		return margin;
	return Min(Max(margin, state->margin_grown), seen);
}

/* governor_span tells how long a request holds its place in the window. */
GovTime
governor_span(const GovernorState *state)
{
	return state->period + governor_margin(state);
}

/*
 * governor_pace spreads over the span what others leave of the limit.  What
 * fades is no loss: it makes room as fast as the pace is.
 */
GovernorPace
governor_pace(const GovernorState *state)
{
	bool		fading = state->clock >= state->phantom_fades;
	int64		others = fading ? 0 : governor_phantom(state);
	double		budget = Max(state->limit - others, 1);
	GovernorPace pace;

	/* a bucket more: the ring lets a place go that much later */
	pace.rate = budget / (governor_span(state) + state->width);
	pace.depth = 1 + budget * CATCH_UP_PERCENT / 100;
	return pace;
}

/* governor_window_advance moves the ring and the tokens on to a later time. */
void
governor_window_advance(GovernorState *state, GovTime now)
{
	GovernorPace pace = governor_pace(state);
	int64		newest = governor_bucket(state, now);
	int64		bucket = Max(state->newest, newest - GOVERNOR_BUCKETS) + 1;

	state->tokens += pace.rate * (now - state->clock);
	state->tokens = Min(state->tokens, pace.depth);

	for (; bucket <= newest; bucket++)
		state->sent[bucket % GOVERNOR_BUCKETS] = 0;
	state->newest = newest;
	state->clock = now;
}

/*
 * governor_set_period takes a new period, and sorts the ring anew if it is too
 * short for it or much too coarse.  Not for less, because what is sorted anew
 * is held a little longer each time, and answers may contradict each other.
 */
void
governor_set_period(GovernorState *state, GovTime period)
{
	const GovernorState old = *state;
	GovTime		covered = old.width * (GOVERNOR_BUCKETS - 2);

	state->period = period;
	if (covered >= RING_SPAN(period) &&
		covered < RING_SPAN(period) * RING_COARSE)
		return;

	state->width = RING_SPAN(period) / (GOVERNOR_BUCKETS - 2) + 1;
	state->newest = governor_bucket(state, state->clock);
	memset(state->sent, 0, sizeof(state->sent));

	for (int64 from = governor_oldest_bucket(&old); from <= old.newest; from++)
	{
		/* as if all had been sent when the youngest of them may have been */
		GovTime		at = Min((from + 1) * old.width - 1, old.clock);
		int64		to = governor_bucket(state, at);

		if (to >= governor_oldest_bucket(state))
			state->sent[to % GOVERNOR_BUCKETS] +=
				old.sent[from % GOVERNOR_BUCKETS];
	}
}

/* governor_take takes places in the window for a request sent now. */
void
governor_take(GovernorState *state, int64 weight)
{
	state->sent[state->newest % GOVERNOR_BUCKETS] += weight;
}

/* governor_held tells how many places we hold. */
int64
governor_held(const GovernorState *state)
{
	return governor_sent(state, state->clock - governor_span(state),
						 state->clock);
}

/*
 * governor_sent_before tells how many places we held at a past time; -1 if that
 * is so long ago that the ring does not reach back.
 */
int64
governor_sent_before(const GovernorState *state, GovTime at)
{
	GovTime		from = at - governor_span(state);

	if (governor_bucket(state, from) < governor_oldest_bucket(state))
		return -1;
	return governor_sent(state, from, at);
}

/* governor_phantom tells how many places are not ours to use. */
int64
governor_phantom(const GovernorState *state)
{
	double		amount = state->phantom;
	GovTime		unseen;

	if (state->clock >= state->phantom_gone || state->phantom == 0)
		return 0;

	if (state->clock >= state->phantom_fades)
		return (int64) ceil(amount * (state->phantom_gone - state->clock) /
							(state->phantom_gone - state->phantom_fades));

	/*
	 * Others come and go unseen between two answers, about as many each.  Three
	 * standard deviations of the difference are left to them: at the brim of
	 * the window one request in a few would get a 429.
	 */
	unseen = (GovTime) state->latency_mean + state->period / state->limit;
	return (int64) ceil(amount + 3 * sqrt(2 * amount * unseen / state->period));
}

/*
 * governor_assume_spent assumes that all but one of the places have been taken,
 * evenly over the last period, so that they become free evenly.
 */
void
governor_assume_spent(GovernorState *state)
{
	state->phantom = (int32) Max(state->limit - 1 - governor_held(state), 0);
	state->phantom_fades = state->clock;
	state->phantom_gone = state->clock + state->period;
}

/*
 * governor_observe_others notes what others held when a request was counted.
 * They are expected to go on like that, for as long as what was counted counts.
 */
void
governor_observe_others(GovernorState *state, int64 others, GovTime sent_at)
{
	state->phantom = (int32) others;
	state->phantom_fades = sent_at + state->period;
	state->phantom_gone = sent_at + governor_span(state);
}

/* governor_room_at tells when the window will have so many more places. */
GovTime
governor_room_at(const GovernorState *state, int64 missing)
{
	GovTime		span = governor_span(state);
	GovTime		at = state->clock + span;
	int64		bucket = governor_bucket(state, state->clock - span);
	int64		phantom = governor_phantom(state);
	int64		freed = 0;

	for (; bucket <= state->newest; bucket++)
	{
		freed += state->sent[bucket % GOVERNOR_BUCKETS];
		if (freed >= missing)
		{
			at = (bucket + 1) * state->width + span;
			break;
		}
	}

	/* or when enough of what is not ours has faded, if that is earlier */
	if (missing <= phantom)
	{
		double		left = (double) (phantom - missing) / state->phantom;
		GovTime		fading = state->phantom_gone - state->phantom_fades;

		at = Min(at, state->phantom_gone + 1 -
				 (GovTime) (Min(left, 1) * fading));
	}
	Assert(at > state->clock);
	return at;
}

/*
 * governor_deep_documented is the limit for deep offsets as PCO documents it.
 * A smaller limit leaves less to them; a larger one does not promise more.
 */
int32
governor_deep_documented(const GovernorState *state)
{
	double		documented = (double) DEEP_LIMIT * state->period / DEEP_PERIOD;
	double		share = (double) state->limit * DEEP_PERCENT / 100;

	return (int32) Max(Min(documented, share), 1);
}

/* governor_deep_limit is the limit for deep offsets, as far as is known. */
int32
governor_deep_limit(const GovernorState *state)
{
	if (state->deep_learned > 0)
		return Min(state->deep_learned, state->limit);
	return governor_deep_documented(state);
}

/* governor_deep_at tells when the next deep offset may be asked for. */
GovTime
governor_deep_at(const GovernorState *state)
{
	return state->deep_next - DEEP_SLACK(state);
}

/*
 * governor_deep_take makes deep offsets keep a distance of span / limit, which
 * one may miss by the slack.  With the slack added to the span before dividing,
 * limit + 1 of them never fit into a span: so they need no ring.
 */
void
governor_deep_take(GovernorState *state, int64 weight)
{
	GovTime		distance = (governor_span(state) + DEEP_SLACK(state)) /
		governor_deep_limit(state) + 1;

	state->deep_next = Max(state->deep_next, state->clock) + weight * distance;
}
