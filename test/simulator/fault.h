/*-------------------------------------------------------------------------
 *
 * fault.h
 *	  Failures on demand.
 *
 * IDENTIFICATION
 *	  test/simulator/fault.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SIM_FAULT_H
#define SIM_FAULT_H

#include "text.h"

typedef enum sim_fault_kind
{
	FAULT_429,
	FAULT_429_NO_RETRY_AFTER,
	FAULT_429_GARBAGE,
	FAULT_500,
	FAULT_502_HTML,
	FAULT_503,
	FAULT_504,
	FAULT_400,
	FAULT_403,
	FAULT_403_HTML,
	FAULT_401,
	FAULT_404,
	FAULT_RESET_MID_BODY,
	FAULT_TRUNCATED_JSON,
	FAULT_EMPTY_200,
	FAULT_WRONG_CONTENT_TYPE,
	FAULT_HANG,
	FAULT_SLOW_BODY,
	FAULT_REDIRECT,
	FAULT_STALE,
	FAULT_EMPTY_LIST,
	FAULT_TRUNCATED_LIST,
	FAULT_WRONG_ORGANIZATION,
	FAULT_CLOSE_CONNECTION,
	FAULT_NONE
} sim_fault_kind;

typedef struct sim_fault
{
	char	   *path;			/* prefix of path and query */
	char	   *contains;		/* what stands anywhere in them; NULL: anything */
	char	   *org;			/* NULL: any */
	char	   *arg;
	sim_fault_kind kind;
	int64_t		skip;			/* matching requests to let through first */
	int64_t		left;			/* 0 = until cleared */
	bool		forever;
	struct sim_fault *next;
} sim_fault;

extern const char *fault_add(const char *path, const char *contains, const char *kind,
							 const char *org, const char *arg, int64_t count,
							 int64_t skip);
extern const sim_fault *fault_take(const char *url, const char *org);
extern void fault_clear(void);

#endif							/* SIM_FAULT_H */
