/*-------------------------------------------------------------------------
 *
 * reach.h
 *	  Which records a client can find at all, and how.
 *
 * IDENTIFICATION
 *	  test/simulator/reach.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SIM_REACH_H
#define SIM_REACH_H

#include "edge.h"

extern bool reach_is_shaded(const sim_table *table, const sim_row *row);
extern void reach_rows(sim_table *table, const char *filter, sim_rows *rows);
extern const char *reach_word(const cat_entity *entity);

#endif							/* SIM_REACH_H */
