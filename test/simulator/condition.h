/*-------------------------------------------------------------------------
 *
 * condition.h
 *	  What a row must fulfil to be in a list.
 *
 * IDENTIFICATION
 *	  test/simulator/condition.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SIM_CONDITION_H
#define SIM_CONDITION_H

#include "store.h"

typedef enum sim_condition_kind
{
	CONDITION_NEVER,			/* a value that cannot be coerced: no rows */
	CONDITION_RANGE,			/* first <= column <= last; null never is */
	CONDITION_TEXT,				/* folded text equals, % at either end */
	CONDITION_VALUE,			/* attribute's JSON equals text */
	CONDITION_NOT_VALUE,
	CONDITION_NULL,
	CONDITION_NONNULL,
	CONDITION_HAS,				/* edge `number` has rows */
	CONDITION_SEARCH,			/* search `number` of the entity */
	CONDITION_VISIBLE			/* the token may see `number` percent */
} sim_condition_kind;

typedef struct sim_condition
{
	sim_condition_kind kind;
	sim_column	column;
	int			number;
	int64_t		first;
	int64_t		last;
	char	   *text;			/* owned */
} sim_condition;

typedef struct sim_conditions
{
	sim_condition *items;
	size_t		count;
} sim_conditions;

extern sim_condition *conditions_add(sim_conditions *conditions,
									 sim_condition_kind kind, sim_column column);
extern void conditions_copy(sim_conditions *to, const sim_conditions *from,
							const sim_condition *except);
extern void conditions_key(const sim_conditions *conditions, sim_buf *key);
extern void conditions_free(sim_conditions *conditions);
extern bool conditions_hold(const sim_conditions *conditions,
							const sim_table *table, const sim_row *row);
extern bool conditions_cacheable(const sim_conditions *conditions);
extern void conditions_where(sim_conditions *conditions, const sim_table *table,
							 const char *key, const char *operator, const char *value);
extern bool row_visible(const sim_table *table, const sim_row *row);

#endif							/* SIM_CONDITION_H */
