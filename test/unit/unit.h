/*-------------------------------------------------------------------------
 *
 * unit.h
 *	  The harness of the unit tests: checks that count, and a summary.
 *
 * A test program is one file: it calls its test functions from main() and
 * ends with "return unit_summary();".  A failed check prints where and what,
 * and the program goes on, so that one run shows every failure.  Include
 * this once per program, after postgres_fe.h if the program uses that.
 *
 * It must never stop at the first failure and never print on success beyond
 * the summary line, which scripts read: "N passed, N failed".
 *
 * IDENTIFICATION
 *	  test/unit/unit.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_UNIT_H
#define SYNC_ENGINE_UNIT_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long unit_passed = 0;
static long unit_failed = 0;

/* True if the condition holds; usable to guard what would crash otherwise. */
#define CHECK(condition) \
	unit_check((condition), __FILE__, __LINE__, #condition)

/* CHECK with a printf message that says what the values were. */
#define CHECK_MSG(condition, ...) \
	(unit_check((condition), __FILE__, __LINE__, #condition) || \
	 (fprintf(stderr, "    " __VA_ARGS__), fputc('\n', stderr), false))

/* Integers of any width, compared as long long; enums and bools as well. */
#define CHECK_INT(actual, expected) \
	unit_check_int((long long) (actual), (long long) (expected), \
				   __FILE__, __LINE__, #actual)

/* Strings; NULL is a value of its own and equal only to NULL. */
#define CHECK_STR(actual, expected) \
	unit_check_str((actual), (expected), __FILE__, __LINE__, #actual)

static inline bool
unit_check(bool ok, const char *file, int line, const char *what)
{
	if (ok)
		unit_passed++;
	else
	{
		unit_failed++;
		fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
	}
	return ok;
}

static inline bool
unit_check_int(long long actual, long long expected,
			   const char *file, int line, const char *what)
{
	if (unit_check(actual == expected, file, line, what))
		return true;
	fprintf(stderr, "    expected %lld, got %lld\n", expected, actual);
	return false;
}

static inline bool
unit_check_str(const char *actual, const char *expected,
			   const char *file, int line, const char *what)
{
	bool		same = (actual == NULL || expected == NULL)
		? actual == expected
		: strcmp(actual, expected) == 0;

	if (unit_check(same, file, line, what))
		return true;
	fprintf(stderr, "    expected \"%s\", got \"%s\"\n",
			expected ? expected : "(null)", actual ? actual : "(null)");
	return false;
}

/* The summary line, and the exit code of the program: 0 only if all passed. */
static inline int
unit_summary(void)
{
	printf("%ld passed, %ld failed\n", unit_passed, unit_failed);
	return (unit_failed == 0 && unit_passed > 0) ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif							/* SYNC_ENGINE_UNIT_H */
