/*-------------------------------------------------------------------------
 *
 * timer.c
 *	  What is due when, for the event loop: a binary heap.
 *
 * Owns: the heap.  Must never read a clock: the time is passed in.
 *
 * IDENTIFICATION
 *	  test/simulator/timer.c
 *
 *-------------------------------------------------------------------------
 */
#include "timer.h"

#include <stdlib.h>

typedef struct timer_entry
{
	int64_t		due;
	void	   *what;
} timer_entry;

static timer_entry *heap;
static size_t count;
static size_t cap;

/*
 * timer_add makes something due.
 */
void
timer_add(int64_t due, void *what)
{
	size_t		at = count++;

	if (count > cap)
	{
		cap = cap ? cap * 2 : 64;
		heap = sim_grow(heap, sizeof(*heap) * cap);
	}
	for (; at > 0 && heap[(at - 1) / 2].due > due; at = (at - 1) / 2)
		heap[at] = heap[(at - 1) / 2];
	heap[at].due = due;
	heap[at].what = what;
}

/*
 * timer_take_any takes out what is due first, whenever that is, or NULL.
 */
void *
timer_take_any(void)
{
	void	   *what;
	timer_entry last;
	size_t		at = 0;

	if (count == 0)
		return NULL;
	what = heap[0].what;
	last = heap[--count];
	for (;;)
	{
		size_t		child = 2 * at + 1;

		if (child + 1 < count && heap[child + 1].due < heap[child].due)
			child++;
		if (child >= count || heap[child].due >= last.due)
			break;
		heap[at] = heap[child];
		at = child;
	}
	heap[at] = last;
	return what;
}

/*
 * timer_take takes out something that is due, or returns NULL.
 */
void *
timer_take(int64_t now)
{
	return count > 0 && heap[0].due <= now ? timer_take_any() : NULL;
}

/*
 * timer_next returns when the next thing is due, or INT64_MAX.
 */
int64_t
timer_next(void)
{
	return count > 0 ? heap[0].due : INT64_MAX;
}

/*
 * timer_stop frees the heap.
 */
void
timer_stop(void)
{
	free(heap);
	heap = NULL;
	count = cap = 0;
}
