/*-------------------------------------------------------------------------
 *
 * governor_test.c
 *	  The governor's decisions: window, pace, headers, clock.
 *
 * The promise over time (never over the limit, the budget used) is tested in
 * governor_sim_test.c; here is what each event does to the next decision.
 *
 * IDENTIFICATION
 *	  test/unit/governor_test.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include "governor_unit.h"

static void
test_start(void)
{
	GovernorState zero = {0};
	GovernorState state;
	GovernorView view;
	GovernorDecision decision;

	CHECK(sizeof(GovernorState) <= 1024);

	/* an all-zero state is a fresh one: all but one request assumed spent */
	view = view_of(&zero, START);
	CHECK_INT(zero.limit, 0);
	CHECK_INT(view.limit, 100);
	CHECK_INT(view.period, 20 * SEC);
	CHECK_INT(view.phantom, 99);
	CHECK_INT(view.concurrency, 4);

	governor_init(&state, START);
	CHECK_INT(admitted_at(&state, START, plain), 1);
	decision = governor_admit(&state, START, plain);
	CHECK(!decision.admitted);
	CHECK(decision.retry_at > START && decision.retry_at < START + SEC);

	/* what was assumed fades evenly */
	CHECK_INT(view_of(&state, START + 10 * SEC).phantom, 50);
	CHECK_INT(view_of(&state, START + 20 * SEC).phantom, 0);

	/* and is given up for the truth */
	state = warm_state();
	view = view_of(&state, START);
	CHECK_INT(view.phantom, 0);
	CHECK_INT(view.used, 1);
	CHECK_INT(view.in_flight, 0);
}

static void
test_burst_and_pace(void)
{
	GovernorState state = warm_state();
	GovernorDecision decision;
	GovTime		now = START;
	GovTime		last = 0;

	/* a fifth of the limit, the one that brought the truth included */
	CHECK_INT(admitted_at(&state, now, plain), 19);
	decision = governor_admit(&state, now, plain);
	check_held(&state, now, plain, GOVERNOR_HOLD_PACE, decision.retry_at);

	/* from then on evenly, until the window is full */
	for (int i = 0; i < 80; i++)
	{
		decision = governor_admit(&state, now, plain);
		if (!CHECK(!decision.admitted))
			return;
		CHECK_INT(decision.held_by, GOVERNOR_HOLD_PACE);
		now = decision.retry_at;
		if (last > 0)
			CHECK(now - last > 190 * MS && now - last < 210 * MS);
		last = now;
		CHECK(governor_admit(&state, now, plain).admitted);
		governor_abandon(&state, now, now);
	}
	CHECK_INT(view_of(&state, now).used, 100);
	decision = governor_admit(&state, now, plain);
	CHECK(decision.retry_at >= START + 20 * SEC);
	check_held(&state, now, plain, GOVERNOR_HOLD_WINDOW, decision.retry_at);

	/* idle time is not saved up */
	now += 3600 * SEC;
	CHECK_INT(admitted_at(&state, now, plain), 20);
}

static void
test_weight_and_share(void)
{
	GovernorRequest heavy = {.weight = 15};
	GovernorRequest whole = {.weight = 1000};
	GovernorRequest half = {.share_percent = 50};
	GovernorState state = warm_state();
	GovernorDecision decision;

	CHECK(governor_admit(&state, START, heavy).admitted);
	CHECK_INT(view_of(&state, START).used, 16);
	CHECK(!governor_admit(&state, START, heavy).admitted);

	/* more than the limit is the limit: it goes when the window is empty */
	CHECK(!governor_admit(&state, START + 5 * SEC, whole).admitted);
	CHECK(governor_admit(&state, START + 60 * SEC, whole).admitted);
	CHECK_INT(view_of(&state, START + 60 * SEC).used, 100);

	/* half of the budget has half of the burst, and fills half the window */
	state = warm_state();
	CHECK_INT(admitted_at(&state, START, half), 9);
	for (GovTime now = START; now < START + 20 * SEC; now += 10 * MS)
		admitted_at(&state, now, half);
	CHECK_INT(view_of(&state, START + 20 * SEC).used, 50);

	/* and half of the pace */
	state = warm_state();
	CHECK_INT(admitted_at(&state, START, half), 9);
	decision = governor_admit(&state, START, half);
	CHECK(governor_admit(&state, decision.retry_at, half).admitted);
	decision = governor_admit(&state, decision.retry_at, half);
	CHECK(decision.retry_at - state.clock > 380 * MS);
	CHECK(decision.retry_at - state.clock < 420 * MS);
}

/* What changes of the period do to what is remembered */
static void
test_ring(void)
{
	/* nothing is let go early, wherever in its bucket it was sent */
	for (int i = 0; i < 200; i++)
	{
		GovTime		now = START + i * 17 * MS;
		GovTime		longer = 61 * SEC + i * 7 * MS;
		GovernorState state = {0};
		GovernorResponse response = answer(now, 200);

		exchange(&state, now, 1);
		response.period_us = longer;
		governor_response(&state, now + SEC, &response);
		CHECK_INT(view_of(&state, now + longer + 100 * MS - 1).used, 1);
		CHECK_INT(view_of(&state, now + longer + 2 * SEC).used, 0);
	}

	/* and nothing for ever, if answers contradict each other */
	for (int shorter = 5; shorter <= 20; shorter += 5)
	{
		GovernorState state = warm_state();
		GovernorResponse response = answer(START, 200);

		CHECK_INT(admitted_at(&state, START, plain), 19);
		for (GovTime now = START; now < START + 40 * SEC; now += 100 * MS)
		{
			response = answer(now, 200);
			response.period_us = (now / MS % 200 ? shorter : 20) * SEC;
			governor_response(&state, now, &response);
		}
		CHECK_INT(view_of(&state, START + 40 * SEC).used, 0);
	}
}

static void
test_limit_headers(void)
{
	GovernorState state = warm_state();
	GovernorResponse response = answer(START, 200);
	int64		garbage[] = {-1, -2, 0, INT64CONST(1) << 40, PG_INT64_MAX};

	CHECK_INT(admitted_at(&state, START, plain), 19);

	/* a smaller limit holds at once, counting what was sent before */
	response.limit = 10;
	governor_response(&state, START + SEC, &response);
	CHECK_INT(view_of(&state, START + SEC).limit, 10);
	CHECK_INT(view_of(&state, START + SEC).used, 20);
	CHECK_INT(admitted_at(&state, START + 19 * SEC, plain), 0);
	CHECK_INT(admitted_at(&state, START + 21 * SEC, plain), 2);

	/* a longer period forgets nothing, a shorter one holds less */
	response.limit = 100;
	response.period_us = 60 * SEC;
	governor_response(&state, START + 21 * SEC, &response);
	CHECK_INT(view_of(&state, START + 21 * SEC).period, 60 * SEC);
	CHECK_INT(view_of(&state, START + 21 * SEC).used, 22);
	response.period_us = SEC;
	governor_response(&state, START + 21 * SEC, &response);
	CHECK_INT(view_of(&state, START + 21 * SEC).used, 2);

	for (unsigned i = 0; i < lengthof(garbage); i++)
	{
		response.limit = garbage[i];
		response.period_us = garbage[i];
		governor_response(&state, START + 22 * SEC, &response);
		CHECK_INT(view_of(&state, START + 22 * SEC).limit, 100);
		CHECK_INT(view_of(&state, START + 22 * SEC).period, SEC);
	}
}

static void
test_count_header(void)
{
	GovernorState state = warm_state();
	GovernorResponse response = answer(START, 200);

	CHECK_INT(admitted_at(&state, START, plain), 19);

	/* the server counts more than we sent: others hold the difference */
	response.count = 70;
	governor_response(&state, START + SEC, &response);
	CHECK_INT(view_of(&state, START + SEC).used, 20);
	CHECK(view_of(&state, START + SEC).phantom >= 50);
	CHECK(view_of(&state, START + SEC).phantom <= 60);

	/* an older answer that comes late does not count */
	response = answer(START - SEC, 200);
	response.count = 1;
	governor_response(&state, START + SEC, &response);
	CHECK(view_of(&state, START + SEC).phantom >= 50);

	/* nor garbage, nor none */
	response = answer(START + SEC, 200);
	governor_response(&state, START + 2 * SEC, &response);
	response.count = PG_INT64_MAX;
	governor_response(&state, START + 2 * SEC, &response);
	CHECK(view_of(&state, START + 2 * SEC).phantom >= 50);

	/* less than we sent: others hold none, but ours stays ours */
	response.count = 3;
	governor_response(&state, START + 2 * SEC, &response);
	CHECK_INT(view_of(&state, START + 2 * SEC).phantom, 0);
	CHECK_INT(view_of(&state, START + 2 * SEC).used, 20);

	/* others who take all of it hold us, but not for ever */
	response = answer(START + 2 * SEC, 200);
	response.count = 500;
	governor_response(&state, START + 3 * SEC, &response);
	CHECK_INT(admitted_at(&state, START + 20 * SEC, plain), 0);
	CHECK(admitted_at(&state, START + 23 * SEC, plain) > 0);

	/* an answer later than the ring is long tells nothing */
	response = answer(START + 23 * SEC, 200);
	response.count = 90;
	governor_response(&state, START + 40 * SEC, &response);
	CHECK_INT(view_of(&state, START + 40 * SEC).phantom, 0);
}

static void
test_clock(void)
{
	GovernorState state = warm_state();
	GovernorState copy;
	GovernorDecision decision;

	/* a clock that stands still gives nothing twice */
	CHECK_INT(admitted_at(&state, START, plain), 19);
	for (int i = 0; i < 100; i++)
		CHECK(!governor_admit(&state, START, plain).admitted);

	/* nor does one that was read earlier; it is not told to wait in the past */
	decision = governor_admit(&state, START - SEC, plain);
	CHECK(!decision.admitted);
	CHECK(decision.retry_at > START);

	/* nor does looking */
	copy = state;
	view_of(&state, START + 3600 * SEC);
	CHECK(memcmp(&copy, &state, sizeof(state)) == 0);

	/* far ahead all is free again */
	CHECK_INT(view_of(&state, START + 365 * 24 * 3600 * SEC).used, 0);
	CHECK_INT(admitted_at(&state, START + 365 * 24 * 3600 * SEC, plain), 20);

	/* an abandoned request keeps its place, and none is in flight twice */
	state = warm_state();
	CHECK(governor_admit(&state, START, plain).admitted);
	CHECK_INT(view_of(&state, START).in_flight, 1);
	governor_abandon(&state, START + SEC, START);
	governor_abandon(&state, START + SEC, START);
	CHECK_INT(view_of(&state, START + SEC).in_flight, 0);
	CHECK_INT(view_of(&state, START + SEC).used, 2);
}

int
main(void)
{
	test_start();
	test_burst_and_pace();
	test_weight_and_share();
	test_ring();
	test_limit_headers();
	test_count_header();
	test_clock();
	return unit_summary();
}
