/*-------------------------------------------------------------------------
 *
 * timer.h
 *	  What is due when, for the event loop.
 *
 * IDENTIFICATION
 *	  test/simulator/timer.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SIM_TIMER_H
#define SIM_TIMER_H

#include "text.h"

extern void timer_add(int64_t due, void *what);
extern void *timer_take(int64_t now);
extern void *timer_take_any(void);
extern int64_t timer_next(void);
extern void timer_stop(void);

#endif							/* SIM_TIMER_H */
