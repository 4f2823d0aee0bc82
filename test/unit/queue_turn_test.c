/*-------------------------------------------------------------------------
 *
 * queue_turn_test.c
 *	  Turns: the clocks of a lane and the stretches of the queue, against a
 *	  model that remembers every job that was looked at.
 *
 * A lane is a process, and its clocks are the process's: so is each round here.
 *
 * IDENTIFICATION
 *	  test/unit/queue_turn_test.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include <math.h>
#include <sys/wait.h>
#include <unistd.h>

#include "queue_turn.h"
#include "unit.h"
#include "unit_random.h"

#define MAX_STRETCHES (2 * MAX_CLOCKS + 1)
#define MAX_LOOKS 400

/* One more priority than there are clocks, and some to spare. */
#define MAX_PRIORITIES (MAX_CLOCKS + 8)

typedef struct Look
{
	int			priority;
	double		turn;
} Look;

static Look looks[MAX_LOOKS];
static int	n_looks = 0;

/* The model: of the priorities that came first, the latest turn that was looked at */
static bool
model_now(int priority, double *turn)
{
	int			earlier = 0;
	int			first;

	for (first = 0; first < n_looks && looks[first].priority != priority; first++)
	{
		bool		again = false;

		for (int i = 0; i < first; i++)
			again = again || looks[i].priority == looks[first].priority;
		earlier += !again;
	}
	if (first == n_looks || earlier >= MAX_CLOCKS)
		return false;
	*turn = looks[first].turn;
	for (int i = first; i < n_looks; i++)
	{
		if (looks[i].priority == priority && looks[i].turn > *turn)
			*turn = looks[i].turn;
	}
	return true;
}

static void
look(int priority, double turn)
{
	double		before;
	double		after;
	bool		known = queue_turn_now(priority, &before);

	queue_turn_passed(priority, turn);
	looks[n_looks++] = (Look) {priority, turn};
	if (known)
		CHECK(queue_turn_now(priority, &after) && after >= before);
}

/* The clock of a priority is the model's. */
static void
check_clock(int priority)
{
	double		expected = 0;
	double		actual = 0;
	bool		known = model_now(priority, &expected);

	CHECK_INT(queue_turn_now(priority, &actual), known);
	if (known)
		CHECK_MSG(actual == expected, "priority %d: %f is not %f", priority, actual, expected);
}

/* Whether a search of the stretches meets such a job; more than once is wrong */
static int
times_met(const QueueStretch *stretches, int n, int priority, double turn)
{
	int			times = 0;

	for (int i = 0; i < n; i++)
		times += priority <= stretches[i].highest && priority >= stretches[i].lowest &&
			turn >= stretches[i].turn;
	return times;
}

/* All priorities are covered once, from the highest to the lowest. */
static void
check_cover(const QueueStretch *stretches, int n)
{
	CHECK(n >= 1 && n <= MAX_STRETCHES);
	CHECK_INT(stretches[0].highest, PG_INT32_MAX);
	CHECK_INT(stretches[n - 1].lowest, PG_INT32_MIN);
	for (int i = 0; i < n; i++)
	{
		CHECK(stretches[i].highest >= stretches[i].lowest);
		if (i > 0)
			CHECK_INT(stretches[i].highest, (int64) stretches[i - 1].lowest - 1);
	}
}

/* Of a priority all from its clock on are met, and nothing before; without one, all. */
static void
check_priority(const QueueStretch *stretches, int n, const QueueStretch *all, int n_all, int priority)
{
	double		now;
	bool		known = model_now(priority, &now);

	if (known)
	{
		CHECK_INT(times_met(stretches, n, priority, now), 1);
		CHECK_INT(times_met(stretches, n, priority, now + 0.125), 1);
		CHECK_INT(times_met(stretches, n, priority, now - 0.125), 0);
	}
	else
		CHECK_INT(times_met(stretches, n, priority, -1e300), 1);
	CHECK_INT(times_met(all, n_all, priority, -1e300), 1);
}

static void
check_all(const int *priorities, int n_priorities)
{
	QueueStretch stretches[MAX_STRETCHES];
	QueueStretch all[MAX_STRETCHES];
	int			n = queue_turn_stretches(stretches, false);
	int			n_all = queue_turn_stretches(all, true);

	check_cover(stretches, n);
	check_cover(all, n_all);
	for (int i = 0; i < n_priorities; i++)
	{
		int64		neighbours[] = {(int64) priorities[i] - 1, priorities[i], (int64) priorities[i] + 1};

		check_clock(priorities[i]);
		for (int k = 0; k < (int) lengthof(neighbours); k++)
		{
			if (neighbours[k] >= PG_INT32_MIN && neighbours[k] <= PG_INT32_MAX)
				check_priority(stretches, n, all, n_all, (int) neighbours[k]);
		}
	}
}

/* A lane that has looked at nothing searches everything. */
static void
test_first_look(void)
{
	QueueStretch stretches[MAX_STRETCHES];
	double		turn;

	CHECK(!queue_turn_now(0, &turn));
	CHECK_INT(queue_turn_stretches(stretches, false), 1);
	CHECK_INT(times_met(stretches, 1, 0, -1e300), 1);
}

/* The highest and the lowest priority there can be, and neighbours. */
static void
test_edges(void)
{
	const int	priorities[] = {PG_INT32_MIN + 1, PG_INT32_MAX, 0, 1, -1, PG_INT32_MIN, PG_INT32_MAX - 1};

	for (int i = 0; i < (int) lengthof(priorities); i++)
	{
		look(priorities[i], i);
		check_all(priorities, lengthof(priorities));
	}
}

/* A clock that is ahead is not put back. */
static void
test_never_back(void)
{
	double		turn;

	look(0, 5);
	look(0, 3);
	CHECK(queue_turn_now(0, &turn) && turn == 5);
	look(0, 7);
	CHECK(queue_turn_now(0, &turn) && turn == 7);
}

/* Turns that are given come after the clock, each after the other. */
static void
test_given(void)
{
	double		first;
	double		second;
	double		third;

	look(-7, 10);
	CHECK(!queue_turn_give(-8, &first));
	CHECK(queue_turn_give(-7, &first) && first > 10);
	CHECK(queue_turn_give(-7, &second) && second > first && second < 10.1);
	look(-7, 20);
	CHECK(queue_turn_give(-7, &third) && third > 20 && third < 20.1);
}

/* More priorities than clocks: the others are still searched, in full. */
static void
test_too_many(void)
{
	int			priorities[MAX_PRIORITIES];

	for (int i = 0; i < MAX_PRIORITIES; i++)
	{
		priorities[i] = (i % 2 == 0 ? 1 : -1) * i * 10;
		look(priorities[i], 100 + i);
		check_all(priorities, i + 1);
	}
	for (int i = 0; i < MAX_PRIORITIES; i++)
		look(priorities[i], 200 + i);
	check_all(priorities, MAX_PRIORITIES);
}

static void
test_random_looks(void)
{
	int			priorities[MAX_PRIORITIES];
	int			n = 1 + random_below(MAX_PRIORITIES);
	int			spread = 1 + random_below(3) * 1000;

	for (int i = 0; i < n; i++)
		priorities[i] = random_below(2 * n * spread) - n * spread;
	while (n_looks < 60)
	{
		look(priorities[random_below(n)], random_below(1000) / 8.0);
		if (random_below(10) == 0)
			check_all(priorities, n);
	}
	check_all(priorities, n);
}

/* Runs a test in a process of its own, which says whether all was well. */
static void
run_alone(void (*test) (void))
{
	int			status = -1;
	pid_t		child = fork();

	if (child == 0)
	{
		unit_passed = unit_failed = 0;
		test();
		_exit(unit_failed == 0 && unit_passed > 0 ? EXIT_SUCCESS : EXIT_FAILURE);
	}
	CHECK(child > 0 && waitpid(child, &status, 0) == child && status == EXIT_SUCCESS);
}

int
main(int argc, char **argv)
{
	int			rounds = argc > 1 ? atoi(argv[1]) : 300;

	run_alone(test_first_look);
	run_alone(test_edges);
	run_alone(test_never_back);
	run_alone(test_given);
	run_alone(test_too_many);
	for (int round = 0; round < rounds; round++)
	{
		random_below(1 + round);	/* each child begins with other numbers */
		run_alone(test_random_looks);
	}
	return unit_summary();
}
