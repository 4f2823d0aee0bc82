/*-------------------------------------------------------------------------
 *
 * http.h
 *	  Concurrent HTTP requests behind one file descriptor.
 *
 * The caller waits until http_fd() is readable or http_timeout_ms() has
 * passed (with its latch, in one WaitEventSet), calls http_drive(), and takes
 * what is done from http_next_done(). Nothing here blocks, throws or touches
 * PostgreSQL: plain C, memory by malloc, every function returns.
 *
 * The caller reserves external file descriptors: one, and one for each
 * connection (libcurl takes two more, briefly, for a name being resolved). It
 * ignores SIGPIPE, as every PostgreSQL process does, and calls from one
 * thread.
 *
 * IDENTIFICATION
 *	  src/http.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_HTTP_H
#define SYNC_ENGINE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "origin.h"

typedef struct HttpClient HttpClient;
typedef struct HttpTransfer HttpTransfer;

/* HttpLimits: copied by http_create; every number must be positive. */
typedef struct HttpLimits
{
	int			max_connections;	/* in total, idle ones included */
	int			max_connections_per_host;
	size_t		max_body;		/* decoded bytes of one response */
	long		connect_timeout_ms; /* DNS, TCP and TLS */
	long		total_timeout_ms;	/* a whole transfer, queueing included */
	long		low_speed_bytes;	/* slower than this per second, */
	long		low_speed_seconds;	/* and for so long, is a timeout */
	const char *user_agent;
	const char *ca_file;		/* NULL = the system's certificates */
} HttpLimits;

typedef enum HttpMethod
{
	HTTP_GET,
	HTTP_POST
} HttpMethod;

/*
 * HttpRequest: zero it, then fill in. http_start copies all of it and wipes
 * its copies of credentials and body when the transfer is over.
 */
typedef struct HttpRequest
{
	HttpMethod	method;
	const char *url;			/* absolute, at the rule's origin */
	const OriginRule *origin;	/* required: what it may reach */

	/* at most one of: user and password, or token */
	const char *user;
	const char *password;
	const char *bearer_token;

	const char *accept;			/* NULL = application/vnd.api+json */
	const char *api_version;	/* X-PCO-API-Version; NULL = none */
	const char *traceparent;	/* NULL = none */

	/* POST only */
	const char *content_type;
	const void *body;
	size_t		body_len;

	/*
	 * A request on a reused connection is silently repeated when that turns
	 * out to be dead. Set this where a repetition does harm (a single-use
	 * refresh token): the request gets a connection of its own.
	 */
	bool		at_most_once;

	long		timeout_ms;		/* 0 = total_timeout_ms */
} HttpRequest;

/* HttpError: why there is no complete response. */
typedef enum HttpError
{
	HTTP_ERROR_NONE = 0,		/* complete; look at status */
	HTTP_ERROR_ADDRESS_REFUSED, /* resolves only to addresses not allowed */
	HTTP_ERROR_RESOLVE,
	HTTP_ERROR_CONNECT,
	HTTP_ERROR_TLS,
	HTTP_ERROR_TIMEOUT,
	HTTP_ERROR_INCOMPLETE,		/* ended before the response was complete */
	HTTP_ERROR_TOO_LARGE,		/* body or headers over the cap */
	HTTP_ERROR_PROTOCOL,		/* not HTTP, bad content encoding */
	HTTP_ERROR_MEMORY,
	HTTP_ERROR_INTERNAL
} HttpError;

/*
 * HttpResponse: valid until http_release of its transfer. Texts are ""
 * where the server sent nothing, numbers -1.
 */
typedef struct HttpResponse
{
	HttpError	error;
	char		error_text[256];	/* redacted: never a query or credential */

	int			status;			/* 0 = no status line arrived */
	char		content_type[128];
	const char *body;			/* decoded, never NULL, NUL-terminated */
	size_t		body_len;
	bool		body_over_cap;	/* cut at max_body (HTTP_ERROR_TOO_LARGE) */
	bool		body_incomplete;	/* the connection ended inside it */

	char		location[2048]; /* absolute target of a redirect, which is
								 * never followed here */

	/* X-PCO-API-Request-Rate-Limit, -Period and -Count */
	int64_t		rate_limit;
	int64_t		rate_period_us; /* "20 seconds" or "20" */
	int64_t		rate_count;		/* may exceed the limit */

	int64_t		retry_after;	/* seconds, or one of HTTP_RETRY_AFTER_* */
	int64_t		retry_after_date;	/* where given as a date, unix seconds */
	int64_t		server_date;	/* Date, unix seconds */

	char		processed_version[32];	/* X-PCO-API-Processed-As-Version */
	char		request_id[128];	/* X-Request-Id */

	int64_t		started_at_us;	/* CLOCK_MONOTONIC, at http_start */
	int64_t		finished_at_us; /* CLOCK_MONOTONIC */
	int64_t		latency_us;		/* request sent until first byte; -1 = none */
	bool		connection_reused;
	char		address[64];	/* of the peer */
} HttpResponse;

#define HTTP_RETRY_AFTER_ABSENT		(-1)
#define HTTP_RETRY_AFTER_GARBAGE	(-2)	/* also a date without Date */

/* NULL with a message in error (lower case, no period). */
extern HttpClient *http_create(const HttpLimits *limits,
							   char *error, size_t error_len);

/* Aborts and frees everything, transfers that were handed out included. */
extern void http_destroy(HttpClient *client);

extern int	http_fd(const HttpClient *client);
extern long http_timeout_ms(const HttpClient *client);	/* -1 none, 0 now */

/*
 * False after a failure that only a new client can repair: what was running
 * is then delivered with HTTP_ERROR_INTERNAL and nothing more can be started.
 */
extern bool http_healthy(const HttpClient *client);

/* NULL = refused; http_start_error says why. */
extern HttpTransfer *http_start(HttpClient *client,
								const HttpRequest *request, void *owner);
extern const char *http_start_error(const HttpClient *client);

extern void http_drive(HttpClient *client);

/* In order of completion; each exactly once; NULL when there is none. */
extern HttpTransfer *http_next_done(HttpClient *client);

extern void *http_owner(const HttpTransfer *transfer);

/* Only for transfers that http_next_done returned. */
extern const HttpResponse *http_response(const HttpTransfer *transfer);

/*
 * The body as a malloc'ed block that the caller frees; NULL = out of memory.
 * Reading http_response()->body in place is cheaper: its buffer is reused.
 */
extern char *http_take_body(HttpTransfer *transfer, size_t *len);

/*
 * Gives a transfer back in whatever state: a running one is aborted at once
 * and will not be delivered. NULL and a transfer already given back are fine.
 */
extern void http_release(HttpTransfer *transfer);

/* Started, not yet returned by http_next_done nor released. */
extern int	http_in_flight(const HttpClient *client);

#endif							/* SYNC_ENGINE_HTTP_H */
