/*-------------------------------------------------------------------------
 *
 * json.h
 *	  Reading JSON values that the simulator itself wrote.
 *
 * IDENTIFICATION
 *	  test/simulator/json.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SIM_JSON_H
#define SIM_JSON_H

#include "text.h"

extern void json_text(sim_buf *buf, const char *value, size_t len);
extern void json_canonical(sim_buf *buf, const char *value, size_t len);

#endif							/* SIM_JSON_H */
