/*-------------------------------------------------------------------------
 *
 * service.h
 *	  The gates that a request passes, and the headers of its reply.
 *
 * IDENTIFICATION
 *	  test/simulator/service.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SIM_SERVICE_H
#define SIM_SERVICE_H

#include "request.h"

/* Milliseconds that every reply of the API is held back, plus up to jitter. */
extern int64_t service_latency;
extern int64_t service_jitter;

extern void service_admit(sim_request *request);
extern void service_answer(sim_request *request);

#endif							/* SIM_SERVICE_H */
