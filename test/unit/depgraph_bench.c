/*-------------------------------------------------------------------------
 *
 * depgraph_bench.c
 *	  How long it takes to order all of PCO's entities.
 *
 * IDENTIFICATION
 *	  test/unit/depgraph_bench.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include <time.h>

#include "depgraph.h"
#include "pco_graph.h"

#define TRIES 100

/* What a sync of everything may spend on its order */
#define BUDGET_MILLISECONDS 10.0

static double
now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1e3 + time.tv_nsec / 1e6;
}

int
main(void)
{
	double		start = now();
	double		average;

	for (int i = 0; i < TRIES; i++)
		pfree(depgraph_sort(lengthof(pco_names), pco_names,
							lengthof(pco_edges), pco_edges));
	average = (now() - start) / TRIES;
	printf("%d entities, %d edges: %.3f ms, %.3f of the budget\n",
		   (int) lengthof(pco_names), (int) lengthof(pco_edges), average,
		   average / BUDGET_MILLISECONDS);
	return EXIT_SUCCESS;
}
