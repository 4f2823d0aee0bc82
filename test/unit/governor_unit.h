/*-------------------------------------------------------------------------
 *
 * governor_unit.h
 *	  What the tests of the governor share: requests, answers, looks.
 *
 * IDENTIFICATION
 *	  test/unit/governor_unit.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef GOVERNOR_UNIT_H
#define GOVERNOR_UNIT_H

#include "governor.h"
#include "unit.h"

#define MS INT64CONST(1000)
#define SEC INT64CONST(1000000)

/* Any time will do, it just is not near zero */
#define START (1000 * SEC)

static const GovernorRequest plain = {0};
static const GovernorRequest deep = {.deep_offset = true};

/* An answer with nothing in it but its status */
static inline GovernorResponse
answer(GovTime sent_at, int status)
{
	return (GovernorResponse)
	{
		.sent_at = sent_at, .latency = 100 * MS, .status = status,
			.limit = GOVERNOR_ABSENT, .period_us = GOVERNOR_ABSENT,
			.count = GOVERNOR_ABSENT, .retry_after_s = GOVERNOR_ABSENT
	};
}

static inline void
respond(GovernorState *state, GovTime now, int status)
{
	GovernorResponse response = answer(now - 100 * MS, status);

	governor_response(state, now, &response);
}

static inline GovernorView
view_of(const GovernorState *state, GovTime now)
{
	GovernorView view;

	governor_describe(state, now, &view);
	return view;
}

/* A request answered within 100 ms, with the server's count */
static inline void
exchange(GovernorState *state, GovTime now, int64 count)
{
	GovernorResponse response = answer(now, 200);

	CHECK(governor_admit(state, now, plain).admitted);
	response.count = count;
	governor_response(state, now + 100 * MS, &response);
}

/* A state that has learned that the window holds only one request, of ours */
static inline GovernorState
warm_state(void)
{
	GovernorState state = {0};

	exchange(&state, START - 100 * MS, 1);
	return state;
}

/* Asks and gets through, how often, with answers at once */
static inline int
admitted_at(GovernorState *state, GovTime now, GovernorRequest request)
{
	int			n = 0;

	while (n < 1000 && governor_admit(state, now, request).admitted)
	{
		governor_abandon(state, now, now);
		n++;
	}
	return n;
}

/* Held for this reason until exactly then: not a microsecond longer or less */
static inline void
check_held(const GovernorState *state, GovTime now, GovernorRequest request,
		   GovernorHold hold, GovTime until)
{
	GovernorState copy = *state;
	GovernorDecision decision = governor_admit(&copy, now, request);

	CHECK(!decision.admitted);
	CHECK_INT(decision.held_by, hold);
	CHECK_INT(decision.retry_at - now, until - now);
	copy = *state;
	CHECK(!governor_admit(&copy, until - 1, request).admitted);
	copy = *state;
	CHECK(governor_admit(&copy, until, request).admitted);
}

#endif							/* GOVERNOR_UNIT_H */
