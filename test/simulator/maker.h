/*-------------------------------------------------------------------------
 *
 * maker.h
 *	  A record in the making: its values one by one.
 *
 * IDENTIFICATION
 *	  test/simulator/maker.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SIM_MAKER_H
#define SIM_MAKER_H

#include "store.h"

typedef struct sim_maker
{
	sim_table  *table;
	const cat_entity *entity;
	sim_row		head;			/* id, stamps, position, ordinal */
	uint64_t   *refs;
	sim_buf    *values;			/* JSON text per attribute */
	bool	   *made;			/* which of them stand */
	uint64_t	root;			/* hash of organisation, seed and type */
	uint64_t	salt;			/* another one gives other values */
	bool		initial;		/* later tables are still empty */
} sim_maker;

extern sim_maker *maker_start(sim_table *table);
extern void maker_load(sim_maker *maker, const sim_row *row);
extern uint64_t maker_hash(const sim_maker *maker, uint64_t what);
extern void maker_value(sim_maker *maker, int attribute);
extern void maker_renew(sim_maker *maker, int attribute);
extern void maker_derive(sim_maker *maker);
extern sim_row *maker_finish(sim_maker *maker);

/* template.c */
extern void template_expand(sim_maker *maker, uint64_t hash, const char *text,
							sim_buf *out);

#endif							/* SIM_MAKER_H */
