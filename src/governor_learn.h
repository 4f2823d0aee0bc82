/*-------------------------------------------------------------------------
 *
 * governor_learn.h
 *	  What the governor learns from answers, and forgets with time.
 *
 * For governor*.c only; the caller has advanced the state to the present.
 *
 * IDENTIFICATION
 *	  src/governor_learn.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef GOVERNOR_LEARN_H
#define GOVERNOR_LEARN_H

#include "governor.h"

/* What browsers use towards one host; enough for PCO's limit up to 800 ms */
#define GOVERNOR_CONCURRENCY_START 4

extern void governor_learn(GovernorState *state,
						   const GovernorResponse *response);
extern void governor_forget(GovernorState *state);

#endif							/* GOVERNOR_LEARN_H */
