/*-------------------------------------------------------------------------
 *
 * queue_turn.c
 *		Whose turn it is: fair order among jobs of one priority.
 *
 * Pure: no server state but the clocks of this process.
 *
 * IDENTIFICATION
 *		src/queue_turn.c
 *
 *-------------------------------------------------------------------------
 */
#ifdef FRONTEND
#include "postgres_fe.h"
#else
#include "postgres.h"
#endif

#include <math.h>

#include "queue_turn.h"

/* Between two turns that are given at the same time; a million of them make a round. */
#define TURNS_APART		1e-6

typedef struct Clock
{
	int			priority;
	double		turn;
	double		given;			/* the latest that was */
} Clock;

/* the highest priority first */
static Clock clocks[MAX_CLOCKS];
static int	n_clocks = 0;

/*
 * find_clock: of that priority, or where it belongs.
 */
static int
find_clock(int priority)
{
	int			i = 0;

	while (i < n_clocks && clocks[i].priority > priority)
		i++;
	return i;
}

bool
queue_turn_now(int priority, double *turn)
{
	int			i = find_clock(priority);

	if (i == n_clocks || clocks[i].priority != priority)
		return false;
	*turn = clocks[i].turn;
	return true;
}

bool
queue_turn_give(int priority, double *turn)
{
	int			i = find_clock(priority);

	if (i == n_clocks || clocks[i].priority != priority)
		return false;
	clocks[i].given = Max(clocks[i].given, clocks[i].turn) + TURNS_APART;
	*turn = clocks[i].given;
	return true;
}

void
queue_turn_passed(int priority, double turn)
{
	int			i = find_clock(priority);

	if (i == n_clocks || clocks[i].priority != priority)
	{
		if (n_clocks == MAX_CLOCKS)
			return;
		memmove(&clocks[i + 1], &clocks[i], sizeof(Clock) * (n_clocks - i));
		clocks[i] = (Clock) {priority, turn, turn};
		n_clocks++;
	}
	else
		clocks[i].turn = Max(clocks[i].turn, turn);
}

int
queue_turn_stretches(QueueStretch *stretches, bool from_start)
{
	int			n = 0;
	int64		highest = PG_INT32_MAX;

	for (int i = 0; i < n_clocks; i++)
	{
		if (highest > clocks[i].priority)
			stretches[n++] = (QueueStretch) {(int) highest, clocks[i].priority + 1, -INFINITY};
		stretches[n++] = (QueueStretch) {clocks[i].priority, clocks[i].priority,
		from_start ? -INFINITY : clocks[i].turn};
		highest = (int64) clocks[i].priority - 1;
	}
	if (highest >= PG_INT32_MIN)
		stretches[n++] = (QueueStretch) {(int) highest, PG_INT32_MIN, -INFINITY};
	return n;
}
