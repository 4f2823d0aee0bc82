/*-------------------------------------------------------------------------
 *
 * budget.h
 *		Rate budgets in shared memory: one governor per credential and origin.
 *
 * IDENTIFICATION
 *		src/budget.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_BUDGET_H
#define SYNC_ENGINE_BUDGET_H

#include "governor.h"

/* Monotonic microseconds: the clock of all budgets. */
extern GovTime budget_now(void);

/* Asks to send a request now, which is *sent_at; see governor_admit. */
extern GovernorDecision budget_admit(uint64 key, GovernorRequest request, GovTime *sent_at);

/* Reports the answer to an admitted request, or that none will come. */
extern void budget_response(uint64 key, const GovernorResponse *response);
extern void budget_abandon(uint64 key, GovTime sent_at);

/* Requests a second that the server allows, as far as it told; else 0. */
extern double budget_rate(uint64 key);

#endif							/* SYNC_ENGINE_BUDGET_H */
