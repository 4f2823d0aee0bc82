/*-------------------------------------------------------------------------
 *
 * request.h
 *	  One request, taken apart, and the reply to it.
 *
 * IDENTIFICATION
 *	  test/simulator/request.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SIM_REQUEST_H
#define SIM_REQUEST_H

#include "fault.h"
#include "store.h"

typedef struct sim_param
{
	char	   *key;
	char	   *value;
} sim_param;

typedef struct sim_header
{
	const char *name;			/* a literal */
	char	   *value;
} sim_header;

/* How the body goes out. */
typedef enum sim_delivery
{
	DELIVER_NORMALLY,
	DELIVER_AND_RESET,			/* half the promised body, then a reset */
	DELIVER_SLOWLY,
	DELIVER_NEVER,				/* accepted and never answered */
	DELIVER_CLOSE				/* closed without an answer */
} sim_delivery;

typedef struct sim_reply
{
	int			status;
	sim_header *headers;
	size_t		header_count;
	sim_buf		body;
	sim_delivery delivery;
	uint64_t	bytes_per_second;
	size_t		rows;			/* served, for the statistics */
} sim_reply;

struct sim_shape;

typedef struct sim_request
{
	/* as it came in; the server fills these */
	char	   *method;
	char	   *url;			/* raw path and query */
	char	   *host;
	char	   *authorization;
	char	   *version;		/* X-PCO-API-Version, or NULL */

	/* taken apart */
	char	   *path;			/* raw, without the query */
	char	  **segments;		/* decoded */
	size_t		segment_count;
	sim_param  *params;			/* decoded, sorted by key; the last of a key wins */
	size_t		param_count;
	char	   *origin;			/* scheme and host for links */

	/* found out on the way */
	sim_org    *org;
	int			product;
	const char *processed_version;
	sim_rate_verdict rate;
	const sim_fault *fault;
	sim_fault_kind fault_kind;
	uint64_t	sequence;
	int64_t		arrived;		/* wall clock */
	struct sim_shape *shapes;
	sim_table  *listed;			/* the table of a list reply, or NULL */
	sim_reply	reply;
} sim_request;

extern void request_parse(sim_request *request);
extern const char *request_param(const sim_request *request, const char *key);
extern int64_t request_number(const sim_request *request, const char *key,
							  int64_t otherwise);
extern void request_link(const sim_request *request, const char *replaced,
						 int64_t value, sim_buf *out);
extern void request_free(sim_request *request);
extern void reply_header(sim_reply *reply, const char *name, const char *fmt,...)
			__attribute__((format(printf, 3, 4)));

#endif							/* SIM_REQUEST_H */
