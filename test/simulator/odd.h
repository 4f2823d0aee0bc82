/*-------------------------------------------------------------------------
 *
 * odd.h
 *	  Records that are served damaged.
 *
 * IDENTIFICATION
 *	  test/simulator/odd.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SIM_ODD_H
#define SIM_ODD_H

#include "store.h"

typedef enum sim_odd_kind
{
	ODD_NULL_ID,
	ODD_MISSING_ID,
	ODD_NUMERIC_ID,
	ODD_NUL,					/* \u0000 in a text */
	ODD_LONE_SURROGATE,
	ODD_WRONG_TYPE,				/* "banana" where no string belongs */
	ODD_NUMBER_FOR_TEXT,
	ODD_BAD_UTF8,
	ODD_UNKNOWN_ATTRIBUTE,
	ODD_MISSING_ATTRIBUTE,
	ODD_DUPLICATE,				/* stands twice in its page */
	ODD_HUGE,					/* a text of a megabyte */
	ODD_ALIAS_TYPE				/* alias type names in relationships */
} sim_odd_kind;

typedef struct sim_odd
{
	uint64_t	id;
	sim_odd_kind kind;
	int			attribute;		/* the one that is damaged, or -1 */
	struct sim_odd *next;
} sim_odd;

extern const char *odd_add(sim_table *table, uint64_t id, const char *kind,
						   const char *attribute);
extern void odd_clear(sim_table *table, uint64_t id);
extern const sim_odd *odd_find(const sim_table *table, uint64_t id);
extern bool odd_value(const sim_odd *odd, int attribute, sim_buf *out);

#endif							/* SIM_ODD_H */
