/*-------------------------------------------------------------------------
 *
 * control.h
 *	  The control plane under /_sim/.
 *
 * IDENTIFICATION
 *	  test/simulator/control.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SIM_CONTROL_H
#define SIM_CONTROL_H

#include "request.h"

#define CONTROL_PREFIX "/_sim/"

/* What organisations are made with unless a request says otherwise. */
extern uint64_t control_seed;
extern size_t control_people;

extern void control_answer(sim_request *request);

#endif							/* SIM_CONTROL_H */
