/*-------------------------------------------------------------------------
 *
 * governor_sim_test.c
 *	  The governor against simulated servers, over virtual time.
 *
 * Two lanes with unlimited work share one governor; a server counts arrivals
 * exactly, in a sliding or a fixed window, and refuses what is over its limit.
 * Latencies, ways to the server and other clients are random, by seed.  What
 * must hold: never more than the limit in any window, no 429 of our own making,
 * the budget used, no busy asking.
 *
 * IDENTIFICATION
 *	  test/unit/governor_sim_test.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include <math.h>

#include "governor.h"
#include "unit.h"

#define MS INT64CONST(1000)
#define SEC INT64CONST(1000000)
#define LANES 2

/* What a lane waits for the lock, at most */
#define LOCK_WAIT 50

typedef struct Scenario
{
	const char *name;
	int			limit;
	GovTime		period;
	bool		fixed;			/* the window jumps instead of sliding */
	bool		silent;			/* no headers at all */
	bool		deep;			/* all offsets are deep */
	GovTime		fastest;		/* latency, evenly distributed … */
	GovTime		slowest;
	GovTime		way;			/* … of which the way there, at most */
	GovTime		lateness;		/* of a lane that wakes up, at most */
	double		others;			/* requests a second of other clients */
	double		failures;		/* share of answers that are a 500 */
	int			weight;			/* of a request */
	int			max_throttled;	/* 429 that we may get, per 1000 requests */
	int			max_over;		/* ours over the limit in a window */
	double		least_used;		/* of the budget, with what others use */
	GovTime		warm_up;
} Scenario;

static const Scenario scenarios[] = {
	{"loopback", 100, 20 * SEC, .fastest = 1 * MS, .slowest = 2 * MS,
	.way = 1 * MS, .least_used = 0.97},
	{"ordinary", 100, 20 * SEC, .fastest = 100 * MS, .slowest = 600 * MS,
	.way = 400 * MS, .least_used = 0.95},
	{"late lanes", 100, 20 * SEC, .fastest = 100 * MS, .slowest = 600 * MS,
	.way = 400 * MS, .lateness = 20 * MS, .least_used = 0.95},
	{"no headers", 100, 20 * SEC, .silent = true, .fastest = 100 * MS,
	.slowest = 600 * MS, .way = 400 * MS, .least_used = 0.95},
	{"slow", 100, 20 * SEC, .fastest = 1 * SEC, .slowest = 3 * SEC,
	.way = 400 * MS, .least_used = 0.95},
	{"very slow", 100, 20 * SEC, .fastest = 3 * SEC, .slowest = 7 * SEC,
	.way = 400 * MS, .least_used = 0.95},
	{"very slow, failing", 100, 20 * SEC, .fastest = 3 * SEC,
	.slowest = 7 * SEC, .way = 400 * MS, .failures = 0.01, .least_used = 0.90},
	{"fixed window", 100, 20 * SEC, .fixed = true, .fastest = 100 * MS,
	.slowest = 600 * MS, .way = 400 * MS, .least_used = 0.95},
	{"fixed window, slow", 100, 20 * SEC, .fixed = true, .fastest = 2 * SEC,
	.slowest = 5 * SEC, .way = 400 * MS, .least_used = 0.95},
	{"five", 5, 20 * SEC, .fastest = 1 * MS, .slowest = 300 * MS,
	.way = 300 * MS, .least_used = 0.95},
	{"five, very slow", 5, 20 * SEC, .fastest = 3 * SEC, .slowest = 7 * SEC,
	.way = 400 * MS, .least_used = 0.95},
	{"short period", 50, 2 * SEC, .fastest = 300 * MS, .slowest = 700 * MS,
	.way = 40 * MS, .least_used = 0.95},
	{"thousand", 1000, 20 * SEC, .fastest = 20 * MS, .slowest = 300 * MS,
	.way = 300 * MS, .least_used = 0.95},
	{"thousand, very slow", 1000, 20 * SEC, .fastest = 3 * SEC,
	.slowest = 7 * SEC, .way = 400 * MS, .least_used = 0.95,
	.warm_up = 60 * SEC},
	{"million", 1000000, 20 * SEC, .fastest = 2 * MS, .slowest = 20 * MS,
	.way = 20 * MS, .weight = 500, .least_used = 0.95},
	{"million, very slow", 1000000, 20 * SEC, .fastest = 3 * SEC,
	.slowest = 7 * SEC, .way = 400 * MS, .weight = 500, .least_used = 0.95,
	.warm_up = 100 * SEC},
	{"deep offsets", 100, 20 * SEC, .deep = true, .fastest = 100 * MS,
	.slowest = 600 * MS, .way = 400 * MS, .lateness = 20 * MS,
	.least_used = 0.95},
	/* others come at random and never ask first: some 429 are theirs to give */
	{"few others", 100, 20 * SEC, .fastest = 50 * MS, .slowest = 300 * MS,
	.way = 200 * MS, .others = 0.5, .max_throttled = 10, .least_used = 0.93},
	{"others", 100, 20 * SEC, .fastest = 50 * MS, .slowest = 300 * MS,
	.way = 200 * MS, .others = 2, .max_throttled = 20, .least_used = 0.87},
	{"others, slow", 100, 20 * SEC, .fastest = 1 * SEC, .slowest = 3 * SEC,
	.way = 400 * MS, .others = 1, .max_throttled = 10, .least_used = 0.87},
	/* the way differs by far more than the margin: that has to be learned */
	{"wild", 100, 20 * SEC, .fastest = 500 * MS, .slowest = 3 * SEC,
	.way = 3 * SEC, .max_throttled = 15, .max_over = 6, .least_used = 0.87},
};

typedef enum EventKind
{
	ARRIVAL,
	ANSWER,
	OTHER_ARRIVAL
} EventKind;

typedef struct Event
{
	GovTime		at;
	EventKind	kind;
	int			lane;
	GovTime		sent_at;
	GovTime		latency;
	int			status;
	int64		count;
} Event;

/* An exact count of a window, sliding or fixed */
typedef struct Window
{
	GovTime		period;
	bool		fixed;
	int64		count;
	int64		most;			/* that ever was in it */
	GovTime		frame;			/* of a fixed window */
	GovTime    *at;				/* of a sliding window: what is in it */
	int		   *weight;
	int			first;
	int			end;
	int			size;
} Window;

typedef struct Simulation
{
	const Scenario *scenario;
	uint64		random;
	GovernorState state;
	Event	   *events;			/* a heap */
	int			n_events;
	int			size;
	Window		all;			/* what the server counts */
	Window		ours;
	Window		deep;
	int64		sent;
	int64		asked;
	int64		throttled;
	int64		used;			/* accepted after the warm-up */
} Simulation;

static double
uniform(Simulation *sim)
{
	sim->random ^= sim->random << 13;
	sim->random ^= sim->random >> 7;
	sim->random ^= sim->random << 17;
	return (sim->random >> 11) / 9007199254740992.0;
}

static void
push(Simulation *sim, Event event)
{
	int			i = sim->n_events++;

	if (i == sim->size)
	{
		sim->size = Max(1024, 2 * sim->size);
		sim->events = realloc(sim->events, sim->size * sizeof(Event));
	}
	for (; i > 0 && sim->events[(i - 1) / 2].at > event.at; i = (i - 1) / 2)
		sim->events[i] = sim->events[(i - 1) / 2];
	sim->events[i] = event;
}

static Event
pop(Simulation *sim)
{
	Event		top = sim->events[0];
	Event		last = sim->events[--sim->n_events];
	int			i = 0;

	for (int child = 1; child < sim->n_events; child = 2 * i + 1)
	{
		if (child + 1 < sim->n_events &&
			sim->events[child + 1].at < sim->events[child].at)
			child++;
		if (sim->events[child].at >= last.at)
			break;
		sim->events[i] = sim->events[child];
		i = child;
	}
	sim->events[i] = last;
	return top;
}

static void
window_add(Window *window, GovTime now, int weight)
{
	if (window->fixed && now / window->period != window->frame)
	{
		window->frame = now / window->period;
		window->count = 0;
	}
	while (!window->fixed && window->first < window->end &&
		   window->at[window->first] <= now - window->period)
		window->count -= window->weight[window->first++];

	window->count += weight;
	window->most = Max(window->most, window->count);
	if (window->fixed)
		return;

	if (window->end == window->size)
	{
		window->size = Max(1024, 2 * window->size);
		window->at = realloc(window->at, window->size * sizeof(GovTime));
		window->weight = realloc(window->weight, window->size * sizeof(int));
	}
	window->at[window->end] = now;
	window->weight[window->end++] = weight;
}

/* The server counts what it refuses as well, as PCO does. */
static bool
accepted(Simulation *sim, GovTime now, int weight, GovTime warm)
{
	const Scenario *scenario = sim->scenario;
	bool		good;

	window_add(&sim->all, now, weight);
	good = sim->all.count <= scenario->limit;
	if (scenario->deep)
		good = good && sim->deep.count <= 75;
	if (good && now >= warm)
		sim->used += weight;
	return good;
}

static void
others_next(Simulation *sim, GovTime now)
{
	double		wait = -log(1 - uniform(sim)) / sim->scenario->others;

	push(sim, (Event) {.at = now + 1 + (GovTime) (wait * SEC),
					   .kind = OTHER_ARRIVAL});
}

static void
arrive(Simulation *sim, Event event, GovTime warm)
{
	int			weight = Max(sim->scenario->weight, 1);

	window_add(&sim->ours, event.at, weight);
	if (sim->scenario->deep)
		window_add(&sim->deep, event.at, weight);
	event.status = 429;
	if (accepted(sim, event.at, weight, warm))
		event.status = uniform(sim) < sim->scenario->failures ? 500 : 200;
	else
		sim->throttled++;
	event.kind = ANSWER;
	event.count = sim->all.count;
	event.at = event.sent_at + event.latency;
	push(sim, event);
}

static void
get_answer(Simulation *sim, Event event)
{
	const Scenario *scenario = sim->scenario;
	GovernorResponse response = {
		.sent_at = event.sent_at, .latency = event.latency,
		.status = event.status, .deep_offset = scenario->deep,
		.limit = GOVERNOR_ABSENT, .period_us = GOVERNOR_ABSENT,
		.count = GOVERNOR_ABSENT, .retry_after_s = GOVERNOR_ABSENT,
	};

	if (!scenario->silent)
	{
		response.limit = scenario->limit;
		response.period_us = scenario->period;
		response.count = event.count;
	}
	if (event.status == 429)
		response.retry_after_s = scenario->fixed ?
			(scenario->period - event.at % scenario->period) / SEC + 1 : 1;
	governor_response(&sim->state, event.at, &response);
}

/*
 * A lane reads the clock, gets the lock a moment later, and asks; returns when
 * it reads the clock again.
 */
static GovTime
ask(Simulation *sim, int lane, GovTime clock, GovTime now)
{
	const Scenario *scenario = sim->scenario;
	GovernorRequest request = {.weight = scenario->weight,
	.deep_offset = scenario->deep};
	GovernorDecision decision = governor_admit(&sim->state, clock, request);
	GovTime		latency;
	GovTime		way;

	sim->asked++;
	if (!decision.admitted)
	{
		if (decision.retry_at <= clock)
			CHECK(decision.retry_at > clock);
		return Max(decision.retry_at, now) +
			(GovTime) (uniform(sim) * scenario->lateness);
	}
	sim->sent++;
	latency = scenario->fastest +
		(GovTime) (uniform(sim) * (scenario->slowest - scenario->fastest));
	way = (GovTime) (uniform(sim) * Min(scenario->way, latency));
	push(sim, (Event) {.at = now + way, .kind = ARRIVAL, .lane = lane,
					   .sent_at = clock, .latency = latency + now - clock});
	return now;
}

static void
simulate(const Scenario *scenario, int seed)
{
	Simulation	sim = {.scenario = scenario, .random = 7919 * seed + 12345,
	.all = {.period = scenario->period, .fixed = scenario->fixed},
	.ours = {.period = scenario->period, .fixed = scenario->fixed},
	.deep = {.period = scenario->period}};
	GovTime		now = 1000 * SEC + (GovTime) (uniform(&sim) * 20 * SEC);
	GovTime		warm = now + Max(scenario->warm_up, 45 * SEC);
	GovTime		end = warm + 6 * scenario->period;
	GovTime		clock[LANES] = {now, now};	/* as read last … */
	GovTime		wake[LANES] = {now, now};	/* … before getting the lock */
	int64		budget = scenario->deep ? 75 : scenario->limit;
	double		used;
	GovernorView view;

	/* what is rare, or slowly learned, takes longer to show */
	if (scenario->max_throttled > 0)
		end = warm + 30 * scenario->period;
	if (scenario->others > 0)
		others_next(&sim, now);

	while (now < end)
	{
		int			lane = wake[0] <= wake[1] ? 0 : 1;

		if (sim.n_events > 0 && sim.events[0].at <= wake[lane])
		{
			Event		event = pop(&sim);

			now = event.at;
			if (event.kind == ARRIVAL)
				arrive(&sim, event, warm);
			else if (event.kind == ANSWER)
			{
				get_answer(&sim, event);
				clock[event.lane] = wake[event.lane] = now;
			}
			else
			{
				accepted(&sim, now, 1, warm);
				others_next(&sim, now);
			}
		}
		else
		{
			now = wake[lane];
			clock[lane] = ask(&sim, lane, clock[lane], now);
			wake[lane] = clock[lane] + (GovTime) (uniform(&sim) * LOCK_WAIT);
		}
	}

	used = (double) sim.used * scenario->period / (end - warm) / budget;
	CHECK_MSG(sim.ours.most <= scenario->limit + scenario->max_over &&
			  sim.deep.most <= (scenario->deep ? 75 : 0),
			  "%s, seed %d: %lld of ours in a window, %lld deep",
			  scenario->name, seed, (long long) sim.ours.most,
			  (long long) sim.deep.most);
	CHECK_MSG(sim.throttled * 1000 <= scenario->max_throttled * sim.sent,
			  "%s, seed %d: %lld of %lld got a 429", scenario->name, seed,
			  (long long) sim.throttled, (long long) sim.sent);
	CHECK_MSG(used >= scenario->least_used, "%s, seed %d: %.3f used",
			  scenario->name, seed, used);
	CHECK_MSG(sim.asked <= 5 * sim.sent + 100,
			  "%s, seed %d: asked %lld times for %lld", scenario->name, seed,
			  (long long) sim.asked, (long long) sim.sent);

	/* what is in flight comes back, and nothing is left */
	while (sim.n_events > 0)
	{
		Event		event = pop(&sim);

		now = event.at;
		if (event.kind == ARRIVAL)
			arrive(&sim, event, warm);
		else if (event.kind == ANSWER)
			get_answer(&sim, event);
	}
	governor_describe(&sim.state, now + 60 * SEC, &view);
	CHECK_INT(view.in_flight, 0);
	CHECK_INT(view.used, 0);
	CHECK_INT(view.phantom, 0);

	if (getenv("GOVERNOR_SIM_VERBOSE"))
		fprintf(stderr, "%-20s seed %2d: %.3f used, %lld sent, %lld x 429, "
				"%lld asked, most %lld\n", scenario->name, seed, used,
				(long long) sim.sent, (long long) sim.throttled,
				(long long) sim.asked, (long long) sim.ours.most);
	free(sim.events);
	free(sim.all.at);
	free(sim.all.weight);
	free(sim.ours.at);
	free(sim.ours.weight);
	free(sim.deep.at);
	free(sim.deep.weight);
}

int
main(int argc, char **argv)
{
	int			seeds = argc > 1 ? atoi(argv[1]) : 8;

	for (unsigned i = 0; i < lengthof(scenarios); i++)
		for (int seed = 1; seed <= seeds; seed++)
			simulate(&scenarios[i], seed);
	return unit_summary();
}
