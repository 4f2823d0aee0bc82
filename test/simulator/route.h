/*-------------------------------------------------------------------------
 *
 * route.h
 *	  From a path to records.
 *
 * IDENTIFICATION
 *	  test/simulator/route.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SIM_ROUTE_H
#define SIM_ROUTE_H

#include "request.h"

extern bool route_known(sim_request *request);
extern void route_answer(sim_request *request);

#endif							/* SIM_ROUTE_H */
