/*-------------------------------------------------------------------------
 *
 * depgraph_pco_test.c
 *	  The dependency order of all of PCO, as the built-in manifest has it.
 *
 * IDENTIFICATION
 *	  test/unit/depgraph_pco_test.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include <time.h>

#include "depgraph.h"
#include "pco_graph.h"
#include "unit.h"

/* Types of PCO's eleven products */
#define PCO_ENTITIES 256

#define TRIES 100
#define MOST_MILLISECONDS 10.0

static DepGraphResult *
sort_pco(void)
{
	return depgraph_sort(lengthof(pco_names), pco_names, lengthof(pco_edges),
						 pco_edges);
}

/* Where an entity stands in the order; -1 if there is none of that name */
static int
position(const DepGraphResult *result, const char *name)
{
	for (int i = 0; i < (int) lengthof(pco_names); i++)
		if (strcmp(pco_names[result->order[i]], name) == 0)
			return i;
	return -1;
}

static void
test_order(void)
{
	DepGraphResult *result = sort_pco();
	int			campus;
	int			household;
	int			person;
	int			address;

	CHECK_INT(lengthof(pco_names), PCO_ENTITIES);
	if (!CHECK(result->ok))
	{
		for (int i = 0; i < result->cycle_len; i++)
			fprintf(stderr, "    %s ->\n", pco_names[result->cycle[i]]);
		return;
	}
	campus = position(result, "people.Campus");
	household = position(result, "people.Household");
	person = position(result, "people.Person");
	address = position(result, "people.Address");
	CHECK(campus >= 0);
	CHECK(campus < household);
	CHECK(household < person);
	CHECK(person < address);

	for (int i = 0; i < (int) lengthof(pco_edges); i++)
		if (pco_edges[i].hard)
			CHECK(result->wave[pco_edges[i].from] <
				  result->wave[pco_edges[i].to]);
	pfree(result);
}

/*
 * The least of many tries: what else the machine does makes a try longer,
 * never shorter.  The sanitizers' share is counted, too.
 */
static void
test_time(void)
{
	double		least = 0;

	for (int i = 0; i < TRIES; i++)
	{
		struct timespec begin;
		struct timespec end;
		double		took;

		clock_gettime(CLOCK_MONOTONIC, &begin);
		pfree(sort_pco());
		clock_gettime(CLOCK_MONOTONIC, &end);
		took = (end.tv_sec - begin.tv_sec) * 1e3 +
			(end.tv_nsec - begin.tv_nsec) / 1e6;
		if (i == 0 || took < least)
			least = took;
	}
	CHECK_MSG(least < MOST_MILLISECONDS, "took %.2f ms", least);
}

int
main(void)
{
	test_order();
	test_time();
	return unit_summary();
}
