/*-------------------------------------------------------------------------
 *
 * stats.h
 *	  What has been asked and answered.
 *
 * IDENTIFICATION
 *	  test/simulator/stats.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SIM_STATS_H
#define SIM_STATS_H

#include "request.h"

extern void stats_arrived(sim_request *request);
extern void stats_org_known(const sim_request *request);
extern void stats_answered(const sim_request *request);
extern void stats_left(void);
extern void stats_connection(void);
extern void stats_rejected(const sim_request *request);
extern void stats_json(const char *org, sim_buf *out);
extern void stats_log(uint64_t after, sim_buf *out);
extern void stats_reset(void);
extern void stats_stop(void);

/* The rate windows of requests that carry no valid token. */
extern sim_rate stats_anonymous;

#endif							/* SIM_STATS_H */
