/*-------------------------------------------------------------------------
 *
 * query.h
 *	  Which rows a list request gets, in which order.
 *
 * IDENTIFICATION
 *	  test/simulator/query.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SIM_QUERY_H
#define SIM_QUERY_H

#include "edge.h"
#include "request.h"
#include "view.h"

typedef struct sim_query
{
	sim_table  *table;
	const sim_rows *scope;		/* rows of a parent's edge; NULL: the collection */
	sim_conditions conditions;
	sim_ordering ordering;
	bool		unscoped;		/* hidden rows as well */
	bool		stale;			/* as a lagging replica sees it */
	size_t		offset;
	size_t		limit;
} sim_query;

typedef struct sim_page
{
	sim_row   **rows;
	size_t		count;
	size_t		total;
} sim_page;

extern void query_parse(sim_query *query, sim_request *request, sim_table *table);
extern void query_filter(sim_query *query, const char *names, const char *time);
extern void query_run(const sim_query *query, sim_page *page);
extern void query_free(sim_query *query);
extern sim_row *query_stale_row(sim_row *row);

#endif							/* SIM_QUERY_H */
