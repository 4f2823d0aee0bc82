/*-------------------------------------------------------------------------
 *
 * governor_window.h
 *	  The governor's budget of one period: who holds how much of it.
 *
 * For governor*.c only.  All functions take the clock from the state, which
 * governor_window_advance() sets.
 *
 * IDENTIFICATION
 *	  src/governor_window.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef GOVERNOR_WINDOW_H
#define GOVERNOR_WINDOW_H

#include "governor.h"

#define GOVERNOR_MILLISECOND INT64CONST(1000)
#define GOVERNOR_SECOND INT64CONST(1000000)

/* PCO's documented limit, until the first answer states one */
#define GOVERNOR_DEFAULT_LIMIT 100
#define GOVERNOR_DEFAULT_PERIOD (20 * GOVERNOR_SECOND)

/* Tokens of the pace, a microsecond, and how many may gather */
typedef struct GovernorPace
{
	double		rate;
	double		depth;
} GovernorPace;

extern void governor_window_advance(GovernorState *state, GovTime now);
extern void governor_set_period(GovernorState *state, GovTime period);
extern GovTime governor_margin(const GovernorState *state);
extern GovTime governor_span(const GovernorState *state);
extern GovernorPace governor_pace(const GovernorState *state);

extern void governor_take(GovernorState *state, int64 weight);
extern int64 governor_held(const GovernorState *state);
extern int64 governor_sent_before(const GovernorState *state, GovTime at);
extern GovTime governor_room_at(const GovernorState *state, int64 missing);

extern int64 governor_phantom(const GovernorState *state);
extern void governor_assume_spent(GovernorState *state);
extern void governor_observe_others(GovernorState *state, int64 others,
									GovTime sent_at);

extern void governor_deep_take(GovernorState *state, int64 weight);
extern GovTime governor_deep_at(const GovernorState *state);
extern int32 governor_deep_documented(const GovernorState *state);
extern int32 governor_deep_limit(const GovernorState *state);

#endif							/* GOVERNOR_WINDOW_H */
