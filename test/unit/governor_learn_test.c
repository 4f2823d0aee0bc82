/*-------------------------------------------------------------------------
 *
 * governor_learn_test.c
 *	  What the governor learns: 429, failures, latency, deep offsets.
 *
 * IDENTIFICATION
 *	  test/unit/governor_learn_test.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include "governor_unit.h"

static void
test_cooldown(void)
{
	static const struct
	{
		int64		retry_after;
		GovTime		wait;
		int			then;		/* so many go at once */
	}			cases[] = {
		/* a window assumed full has then 1 s of places, or what pace allows */
		{0, SEC, 5}, {7, 7 * SEC, 6},
		{60, 60 * SEC, 20}, {3600, 60 * SEC, 20}, {PG_INT64_MAX, 60 * SEC, 20},
		/* absent or garbage: the window and its margin, here of 100 ms */
		{-1, 20 * SEC + 100 * MS, 19}, {-2, 20 * SEC + 100 * MS, 19},
	};

	for (unsigned i = 0; i < lengthof(cases); i++)
	{
		GovernorState state = warm_state();
		GovernorResponse response = answer(START, 429);

		CHECK(governor_admit(&state, START, plain).admitted);
		response.retry_after_s = cases[i].retry_after;
		governor_response(&state, START + 100 * MS, &response);
		check_held(&state, START + SEC / 2, plain, GOVERNOR_HOLD_COOLDOWN,
				   START + 100 * MS + cases[i].wait);
		CHECK_INT(view_of(&state, START + SEC / 2).cooldown_until,
				  START + 100 * MS + cases[i].wait);
		CHECK_INT(admitted_at(&state, START + 100 * MS + cases[i].wait, plain),
				  cases[i].then);
	}
}

static void
test_cooldown_in_a_row(void)
{
	GovernorState state = warm_state();
	GovTime		now = START;
	GovTime		expected = SEC;

	/* each 429 after a cool-down doubles the next one, to a minute */
	for (int i = 0; i < 10; i++)
	{
		CHECK(governor_admit(&state, now, plain).admitted);
		for (int j = 0; j < 3; j++)
		{
			/* two more that were on their way tell nothing new */
			GovernorResponse response = answer(now, 429);

			response.retry_after_s = 0;
			governor_response(&state, now + 100 * MS, &response);
		}
		now += 100 * MS;
		CHECK_INT(view_of(&state, now).cooldown_until - now, expected);
		CHECK_INT(admitted_at(&state, now + expected - 1, plain), 0);
		now += expected;
		expected = Min(2 * expected, 60 * SEC);
	}

	/* one success, and it is as if nothing had been */
	exchange(&state, now, 1);
	respond(&state, now + SEC, 429);
	CHECK_INT(view_of(&state, now + SEC).cooldown_until, now + SEC +
			  20 * SEC + 100 * MS);

	/* a stored cool-down holds as well, and never shortens another */
	governor_hold(&state, now + SEC, now + 2 * SEC);
	CHECK_INT(view_of(&state, now + SEC).cooldown_until, now + SEC +
			  20 * SEC + 100 * MS);
	governor_init(&state, START);
	governor_hold(&state, START, START + 9 * SEC);
	check_held(&state, START, plain, GOVERNOR_HOLD_COOLDOWN, START + 9 * SEC);
}

static void
test_margin(void)
{
	GovernorState state = warm_state();
	GovernorResponse response = answer(START, 200);

	/* no more than the latency seen, nor than 400 ms */
	CHECK_INT(view_of(&state, START).margin, 100 * MS);
	response.latency = 3 * SEC;
	governor_response(&state, START, &response);
	CHECK_INT(view_of(&state, START).margin, 400 * MS);

	/* a 429 that others explain does not change it */
	response = answer(START + SEC, 429);
	response.count = 150;
	governor_response(&state, START + 2 * SEC, &response);
	CHECK_INT(view_of(&state, START + 2 * SEC).margin, 400 * MS);

	/* one that nobody explains doubles it, up to the latency seen */
	for (int i = 1; i <= 3; i++)
	{
		response = answer(START + (2 + i) * SEC, 429);
		response.count = GOVERNOR_ABSENT;
		governor_response(&state, START + (2 + i) * SEC + 1, &response);
		CHECK_INT(view_of(&state, START + 10 * SEC).margin,
				  Min(400 * MS << i, 3 * SEC));
	}

	/* it shrinks slowly, and with the latency */
	for (int i = 1; i <= 10; i++)
	{
		response = answer(START + i * 20 * SEC, 200);
		response.latency = 3 * SEC;
		governor_response(&state, response.sent_at, &response);
	}
	CHECK(view_of(&state, START + 200 * SEC).margin < 3 * SEC);
	CHECK(view_of(&state, START + 200 * SEC).margin > 2 * SEC);
	for (int i = 11; i <= 13; i++)
		respond(&state, START + i * 20 * SEC, 200);
	CHECK_INT(view_of(&state, START + 260 * SEC).margin, 100 * MS);
}

static void
test_concurrency(void)
{
	GovernorRequest capped = {.max_in_flight = 2};
	GovernorState state = warm_state();
	GovernorState fast;
	GovernorResponse response;
	double		before;
	int			room = view_of(&state, START).concurrency;

	/* a warm-up of a few answers, at a latency that needs no more than the start */
	CHECK(room >= 4 && room <= 6);
	for (int i = 0; i < room; i++)
		CHECK(governor_admit(&state, START, plain).admitted);
	CHECK_INT(governor_admit(&state, START, plain).held_by,
			  GOVERNOR_HOLD_CONCURRENCY);
	CHECK(governor_admit(&state, START, plain).retry_at > START);
	CHECK(governor_admit(&state, START, plain).retry_at <= START + 250 * MS);
	for (int i = 0; i < room - 1; i++)
		governor_abandon(&state, START, START);
	CHECK(governor_admit(&state, START, capped).admitted);
	CHECK(!governor_admit(&state, START, capped).admitted);

	/* a slow server gets what the budget needs: 5 a second × 5 s, and more */
	governor_init(&state, START);
	response = answer(START, 200);
	response.latency = 5 * SEC;
	for (int i = 0; i < 100; i++)
		governor_response(&state, START + 5 * SEC, &response);
	CHECK(view_of(&state, START + 5 * SEC).concurrency >= 30);
	CHECK(view_of(&state, START + 5 * SEC).concurrency <= 55);

	/* once it is fast again, that much is too much */
	fast = state;
	for (int i = 1; i <= 10; i++)
		for (int j = 0; j < 10; j++)
			respond(&fast, START + i * 20 * SEC, 200);
	CHECK(view_of(&fast, START + 200 * SEC).concurrency >= 4);
	CHECK(view_of(&fast, START + 200 * SEC).concurrency <= 6);

	/* failures on their way together cut once, a later one again */
	before = state.concurrency;
	response.status = 503;
	for (int i = 0; i < 5; i++)
		governor_response(&state, START + 6 * SEC, &response);
	CHECK(state.concurrency == before * 3 / 4);
	response.status = 200;
	governor_response(&state, START + 6 * SEC, &response);
	CHECK(state.concurrency == before * 3 / 4);
	respond(&state, START + 7 * SEC, 429);
	CHECK(state.concurrency == before * 3 / 8);
	for (int i = 1; i < 30; i++)
		respond(&state, START + (7 + i) * SEC, i % 2 ? 500 : 429);
	CHECK_INT(view_of(&state, START + 40 * SEC).concurrency, 1);

	/* other errors say nothing against concurrency */
	respond(&state, START + 50 * SEC, 404);
	respond(&state, START + 51 * SEC, 403);
	CHECK(view_of(&state, START + 51 * SEC).concurrency > 1);
}

/* Fails so often in a row, a request at a time */
static GovTime
fail(GovernorState *state, GovTime now, int times)
{
	for (int i = 0; i < times; i++)
	{
		GovernorResponse response = answer(now, i % 2 ? 502 : 0);

		response.transport_error = i % 2 == 0;
		governor_response(state, ++now, &response);
	}
	return now;
}

static void
test_breaker(void)
{
	static const int alive[] = {200, 301, 401, 403, 404, 422, 429};
	GovernorState state = warm_state();
	GovTime		now = START;
	GovTime		backoff = SEC;

	/* only failures in a row open it */
	for (unsigned i = 0; i < lengthof(alive); i++)
	{
		state = warm_state();
		now = fail(&state, START + SEC, 7);
		respond(&state, now + SEC, alive[i]);
		now = fail(&state, now + 2 * SEC, 7);
		CHECK_INT(view_of(&state, now).breaker, GOVERNOR_BREAKER_CLOSED);
		CHECK_INT(view_of(&state, now).probe_at, 0);
	}
	now = fail(&state, now, 1);

	for (int i = 0; i < 9; i++)
	{
		CHECK_INT(view_of(&state, now).breaker, GOVERNOR_BREAKER_OPEN);
		CHECK_INT(view_of(&state, now).probe_at, now + backoff);

		/* stale answers, good or bad, change nothing */
		respond(&state, now + MS, 200);
		respond(&state, now + MS, 500);
		CHECK_INT(view_of(&state, now).breaker, GOVERNOR_BREAKER_OPEN);
		now += backoff;
		if (i > 0)
			CHECK_INT(governor_admit(&state, now - 1, plain).held_by,
					  GOVERNOR_HOLD_BREAKER);
		now = Max(now, view_of(&state, now).cooldown_until);

		/* one probe, no more; failing, it doubles the wait, up to a minute */
		CHECK(governor_admit(&state, now, plain).admitted);
		CHECK_INT(view_of(&state, now).breaker, GOVERNOR_BREAKER_HALF_OPEN);
		CHECK_INT(governor_admit(&state, now, plain).held_by,
				  GOVERNOR_HOLD_BREAKER);
		now = fail(&state, now, 1);
		backoff = Min(2 * backoff, 60 * SEC);
	}

	/* a cancelled probe makes way for another, a lost one in the end too */
	now += 60 * SEC;
	CHECK(governor_admit(&state, now, plain).admitted);
	governor_abandon(&state, now + SEC, now);
	CHECK_INT(view_of(&state, now + SEC).breaker, GOVERNOR_BREAKER_OPEN);
	CHECK(governor_admit(&state, now + SEC, plain).admitted);
	state.in_flight = 0;
	CHECK(!governor_admit(&state, now + 100 * SEC, plain).admitted);
	now += 130 * SEC;
	CHECK(governor_admit(&state, now, plain).admitted);

	/* and a good answer closes it; what went wrong before is forgotten */
	respond(&state, now + SEC, 404);
	CHECK_INT(view_of(&state, now + SEC).breaker, GOVERNOR_BREAKER_CLOSED);
	now = fail(&state, now + 2 * SEC, 7);
	CHECK_INT(view_of(&state, now).breaker, GOVERNOR_BREAKER_CLOSED);
	fail(&state, now, 1);
	CHECK_INT(view_of(&state, now + 1).probe_at, now + 1 + SEC);
}

/* As early as each may go, limit + 1 of them never fit into a span */
static void
test_deep_pace(void)
{
	GovernorState state = warm_state();
	GovTime		span = 20 * SEC + view_of(&state, START).margin;
	GovTime		sent[200];
	GovTime		now = START;

	for (int i = 0; i < 200; i++)
	{
		GovernorDecision decision = governor_admit(&state, now, deep);

		while (!decision.admitted)
		{
			now = decision.retry_at;
			decision = governor_admit(&state, now, deep);
		}
		governor_abandon(&state, now, now);
		sent[i] = now;
		if (i >= 75)
			CHECK(sent[i] - sent[i - 75] >= span);
	}
	CHECK(sent[199] - sent[0] < 199 * (span + span / 50) / 75);
}

static void
test_deep_offsets(void)
{
	GovernorState state = warm_state();
	GovernorResponse response = answer(START, 200);

	/* 75 of 100, strictly spread, while others go on */
	CHECK_INT(view_of(&state, START).deep_limit, 75);
	CHECK_INT(admitted_at(&state, START, deep), 1);
	CHECK_INT(governor_admit(&state, START, deep).held_by, GOVERNOR_HOLD_DEEP);
	check_held(&state, START, deep, GOVERNOR_HOLD_DEEP,
			   governor_admit(&state, START, deep).retry_at);
	CHECK_INT(admitted_at(&state, START, plain), 18);

	/* a smaller limit leaves less, a larger one promises no more */
	response.limit = 20;
	governor_response(&state, START + SEC, &response);
	CHECK_INT(view_of(&state, START + SEC).deep_limit, 15);
	response.limit = 1000;
	governor_response(&state, START + SEC, &response);
	CHECK_INT(view_of(&state, START + SEC).deep_limit, 75);

	/* an answer of this tier that names a smaller limit names this tier's */
	response.deep_offset = true;
	response.limit = 10;
	governor_response(&state, START + SEC, &response);
	CHECK_INT(view_of(&state, START + SEC).limit, 1000);
	CHECK_INT(view_of(&state, START + SEC).deep_limit, 10);
	CHECK_INT(view_of(&state, START + 900 * SEC).deep_limit, 10);

	/* what was sent under the larger one leaves the window first */
	CHECK_INT(admitted_at(&state, START + 20 * SEC, deep), 0);
	CHECK_INT(admitted_at(&state, START + 22 * SEC, deep), 1);

	/* a 429 there halves it, and it comes back slowly */
	state = warm_state();
	response = answer(START, 429);
	response.deep_offset = true;
	response.retry_after_s = 5;
	governor_response(&state, START + SEC, &response);
	CHECK_INT(view_of(&state, START + SEC).deep_limit, 37);
	CHECK_INT(view_of(&state, START + SEC).phantom, 0);
	CHECK_INT(view_of(&state, START + SEC).margin, 100 * MS);
	CHECK_INT(governor_admit(&state, START + SEC, plain).held_by,
			  GOVERNOR_HOLD_COOLDOWN);
	for (int i = 2; i <= 20; i++)
		respond(&state, START + i * 20 * SEC, 200);
	CHECK(view_of(&state, START + 400 * SEC).deep_limit > 45);
	CHECK(view_of(&state, START + 400 * SEC).deep_limit < 75);
	for (int i = 21; i <= 90; i++)
		respond(&state, START + i * 20 * SEC, 200);
	CHECK_INT(view_of(&state, START + 1800 * SEC).deep_limit, 75);
}

int
main(void)
{
	test_cooldown();
	test_cooldown_in_a_row();
	test_margin();
	test_concurrency();
	test_breaker();
	test_deep_pace();
	test_deep_offsets();
	return unit_summary();
}
