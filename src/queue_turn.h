/*-------------------------------------------------------------------------
 *
 * queue_turn.h
 *		Whose turn it is: fair order among jobs of one priority.
 *
 * A job's turn is a time on a clock that counts service, not seconds (start-time
 * fair queueing).  The clock of a priority stands at the turn of the job that was
 * looked at last.  An organisation's next job has the turn 1/weight after the one
 * before, but never one that is past: so those who wait are served by weight,
 * whoever came with how many jobs, and who was idle has saved up nothing.
 *
 * All that can be claimed has a turn that is still to come, so the search for it
 * begins at the clock.  What was claimed before is behind, where it costs nothing,
 * even if an old snapshot keeps vacuum from taking it away.  Each lane has its own
 * clocks; what one lets go behind another's is taken by itself, or found by a look at
 * everything now and then.
 *
 * IDENTIFICATION
 *		src/queue_turn.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_QUEUE_TURN_H
#define SYNC_ENGINE_QUEUE_TURN_H

/* Priorities whose clocks are kept; jobs of more than these are searched for in full. */
#define MAX_CLOCKS	16

/* Part of the queue, in its order: these priorities, from this turn on. */
typedef struct QueueStretch
{
	int			highest;
	int			lowest;
	double		turn;
} QueueStretch;

/* What the clock of a priority shows; false if there is none yet. */
extern bool queue_turn_now(int priority, double *turn);

/*
 * A turn that comes at once, and is nobody else's: were those of a round the same, a
 * search that begins at the clock would step over all that were claimed in it.
 */
extern bool queue_turn_give(int priority, double *turn);

/* A job of this priority and turn was looked at. */
extern void queue_turn_passed(int priority, double turn);

/*
 * The whole queue as at most 2 * MAX_CLOCKS + 1 stretches.  from_start: as if no
 * clock had moved.
 */
extern int	queue_turn_stretches(QueueStretch *stretches, bool from_start);

#endif							/* SYNC_ENGINE_QUEUE_TURN_H */
