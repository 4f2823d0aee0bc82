/*-------------------------------------------------------------------------
 *
 * stamp.h
 *	  Clocks, time stamps in microseconds and calendar days.
 *
 * IDENTIFICATION
 *	  test/simulator/stamp.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SIM_STAMP_H
#define SIM_STAMP_H

#include "text.h"

#define USECS_PER_SEC INT64_C(1000000)
#define USECS_PER_DAY (INT64_C(86400) * USECS_PER_SEC)

/* No stamp at all (JSON null); sorts before every real one, as NULLs do. */
#define STAMP_NULL INT64_MIN

extern int64_t stamp_now(void);
extern int64_t stamp_api_now(void);
extern void stamp_set_api_clock(int64_t ahead);
extern int64_t stamp_monotonic(void);
extern int64_t stamp_of_year(int year);
extern void stamp_iso(sim_buf *buf, int64_t stamp);
extern void stamp_iso_fraction(sim_buf *buf, int64_t stamp);
extern void stamp_http(sim_buf *buf, int64_t stamp);
extern void stamp_copy(sim_buf *buf, int64_t stamp);
extern bool stamp_parse(const char *text, const char *zone,
						int64_t *first, int64_t *last);
extern bool day_parse(const char *text, int64_t *day);
extern void day_iso(sim_buf *buf, int64_t day);

#endif							/* SIM_STAMP_H */
