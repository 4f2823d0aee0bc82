/*-------------------------------------------------------------------------
 *
 * budget.c
 *		Rate budgets in shared memory: one governor per credential and origin.
 *
 * All lanes of the cluster spend from the same budgets.  The governor itself
 * is pure; here are only its slots, the lock and the clock.
 *
 * IDENTIFICATION
 *		src/budget.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "budget.h"
#include "guc.h"
#include "portability/instr_time.h"
#include "shmem.h"

/* When no slot is free, requests ask again after this long. */
#define SLOTS_FULL_RETRY	(1000 * INT64CONST(1000))

/* A budget that nobody used for so long may give its slot away. */
#define SLOT_IDLE_TIME		(120 * INT64CONST(1000000))

GovTime
budget_now(void)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	return (GovTime) INSTR_TIME_GET_MICROSEC(now);
}

/*
 * find_slot: the credential's slot, taken if need be; NULL if all are in use.
 * The caller holds the lock.
 */
static BudgetSlot *
find_slot(uint64 key, GovTime now)
{
	static int	last_found = 0;
	BudgetSlot *candidate = NULL;

	if (last_found < guc_max_credentials && shared->budgets[last_found].key == key)
		return &shared->budgets[last_found];

	for (int i = 0; i < guc_max_credentials; i++)
	{
		BudgetSlot *slot = &shared->budgets[i];

		if (slot->key == key)
		{
			last_found = i;
			return slot;
		}
		if (slot->key == 0)
		{
			/* slots are taken in order: nothing is behind a free one */
			candidate = slot;
			break;
		}
		if (slot->governor.in_flight == 0 && now - slot->last_used > SLOT_IDLE_TIME &&
			(candidate == NULL || slot->last_used < candidate->last_used))
			candidate = slot;
	}
	if (candidate != NULL)
	{
		candidate->key = key;
		governor_init(&candidate->governor, now);
	}
	return candidate;
}

GovernorDecision
budget_admit(uint64 key, GovernorRequest request, GovTime *sent_at)
{
	GovernorDecision decision = {false, 0, GOVERNOR_HOLD_WINDOW};
	BudgetSlot *slot;
	GovTime		now;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	now = budget_now();
	slot = find_slot(key, now);
	if (slot != NULL)
	{
		slot->last_used = now;
		decision = governor_admit(&slot->governor, now, request);
	}
	else
		decision.retry_at = now + SLOTS_FULL_RETRY;
	LWLockRelease(shared->lock);
	*sent_at = now;
	return decision;
}

void
budget_response(uint64 key, const GovernorResponse *response)
{
	BudgetSlot *slot;
	GovTime		now;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	now = budget_now();
	slot = find_slot(key, now);
	if (slot != NULL)
		governor_response(&slot->governor, now, response);
	LWLockRelease(shared->lock);
}

void
budget_abandon(uint64 key, GovTime sent_at)
{
	BudgetSlot *slot;
	GovTime		now;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	now = budget_now();
	slot = find_slot(key, now);
	if (slot != NULL)
		governor_abandon(&slot->governor, now, sent_at);
	LWLockRelease(shared->lock);
}

double
budget_rate(uint64 key)
{
	double		rate = 0;

	LWLockAcquire(shared->lock, LW_SHARED);
	for (int i = 0; i < guc_max_credentials; i++)
	{
		const GovernorState *governor = &shared->budgets[i].governor;

		if (shared->budgets[i].key == key && governor->period > 0)
			rate = governor->limit * 1e6 / governor->period;
	}
	LWLockRelease(shared->lock);
	return rate;
}
