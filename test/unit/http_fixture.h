/*-------------------------------------------------------------------------
 *
 * http_fixture.h
 *	  What the tests of the http files share: a client, the server, and the
 *	  caller's event loop.
 *
 * IDENTIFICATION
 *	  test/unit/http_fixture.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_HTTP_FIXTURE_H
#define SYNC_ENGINE_HTTP_FIXTURE_H

#include <poll.h>
#include <signal.h>

#include "http.h"
#include "http_server.h"
#include "unit.h"

#define MAX_BODY (1024 * 1024)
#define MAX_CONNECTIONS 8

/* Longer than anything here takes, for waits that should never end by it. */
#define PATIENCE_MS 10000

static HttpServer server;
static HttpClient *client;
static OriginRule rule;

static inline HttpLimits
default_limits(void)
{
	HttpLimits	limits = {
		.max_connections = MAX_CONNECTIONS,
		.max_connections_per_host = MAX_CONNECTIONS,
		.max_body = MAX_BODY,
		.connect_timeout_ms = PATIENCE_MS,
		.total_timeout_ms = PATIENCE_MS,
		.low_speed_bytes = 10,
		.low_speed_seconds = 60,
		.user_agent = "sync_engine test",
	};

	return limits;
}

static inline HttpClient *
create(const HttpLimits *limits)
{
	char		error[256] = "";
	HttpClient *created = http_create(limits, error, sizeof(error));

	CHECK_STR(error, "");
	return created;
}

/* The rule for an origin of this list, which is also the allowed list. */
static inline OriginRule
rule_for(const char *scheme, const char *host, int port)
{
	char		text[ORIGIN_MAX_TEXT];
	char		error[128];
	Origin		origin;
	OriginRule	made;

	snprintf(text, sizeof(text), "%s://%s:%d", scheme, host, port);
	CHECK(origin_parse(text, &origin, error, sizeof(error)));
	CHECK(origin_allowed(text, &origin, &made));
	return made;
}

static inline HttpTransfer *
start(HttpRequest request, const char *path)
{
	char		origin[ORIGIN_MAX_TEXT];
	char		url[512];
	HttpTransfer *transfer;

	if (request.origin == NULL)
		request.origin = &rule;
	origin_format(&request.origin->origin, origin, sizeof(origin));
	snprintf(url, sizeof(url), "%s%s", origin, path);
	request.url = url;
	transfer = http_start(client, &request, url);
	CHECK_MSG(transfer != NULL, "%s", http_start_error(client));
	return transfer;
}

static inline long
milliseconds_since(const struct timespec *start_time)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - start_time->tv_sec) * 1000 +
		(now.tv_nsec - start_time->tv_nsec) / 1000000;
}

/* One turn of the caller's event loop. */
static inline void
turn(long longest_ms)
{
	struct pollfd fd = {.fd = http_fd(client), .events = POLLIN};
	long		timeout_ms = http_timeout_ms(client);

	if (timeout_ms < 0 || timeout_ms > longest_ms)
		timeout_ms = longest_ms;
	poll(&fd, 1, (int) timeout_ms);
	http_drive(client);
}

/* Drives the client until a transfer is done; NULL if none is for long. */
static inline HttpTransfer *
next_done(void)
{
	struct timespec start_time;
	HttpTransfer *transfer;

	clock_gettime(CLOCK_MONOTONIC, &start_time);
	while ((transfer = http_next_done(client)) == NULL &&
		   milliseconds_since(&start_time) < 2 * PATIENCE_MS)
		turn(1000);
	return transfer;
}

/* Drives the client until the server has counted so many. */
static inline void
drive_until(const int *counter, int value)
{
	struct timespec start_time;

	clock_gettime(CLOCK_MONOTONIC, &start_time);
	while (server_count_of(&server, counter) < value &&
		   milliseconds_since(&start_time) < PATIENCE_MS)
		turn(10);
	CHECK_INT(server_count_of(&server, counter), value);
}

/* Starts one request and waits for it. */
static inline HttpTransfer *
run(HttpRequest request, const char *path)
{
	HttpTransfer *started = start(request, path);
	HttpTransfer *done = next_done();

	CHECK(started == done);
	if (done == NULL)
		exit(EXIT_FAILURE);
	return done;
}

static inline HttpTransfer *
get(const char *path)
{
	return run((HttpRequest) {0}, path);
}

/* Checks the outcome of a GET and gives the transfer back. */
static inline void
check_outcome(const char *path, HttpError error, int status,
			  bool incomplete, bool over_cap)
{
	HttpTransfer *transfer = get(path);
	const HttpResponse *response = http_response(transfer);

	CHECK_MSG(response->error == error && response->status == status &&
			  response->body_incomplete == incomplete &&
			  response->body_over_cap == over_cap,
			  "%s: error %d (%s), status %d, incomplete %d, over cap %d",
			  path, response->error, response->error_text, response->status,
			  response->body_incomplete, response->body_over_cap);
	CHECK_INT(response->error_text[0] == '\0', error == HTTP_ERROR_NONE);
	CHECK(response->body_len <= MAX_BODY);
	http_release(transfer);
}

/* What every program begins and ends with. */
static inline void
fixture_start(void)
{
	HttpLimits	limits = default_limits();

	signal(SIGPIPE, SIG_IGN);
	server_start(&server, NULL);
	rule = rule_for("http", "127.0.0.1", server.port);
	client = create(&limits);
}

static inline void
fixture_stop(void)
{
	http_destroy(client);
	CHECK(server_stop(&server));
}

#endif							/* SYNC_ENGINE_HTTP_FIXTURE_H */
