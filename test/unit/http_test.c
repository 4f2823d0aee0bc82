/*-------------------------------------------------------------------------
 *
 * http_test.c
 *	  Unit tests of the http files, against a server in this process.
 *
 * IDENTIFICATION
 *	  test/unit/http_test.c
 *
 *-------------------------------------------------------------------------
 */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>

#include "http.h"
#include "http_message.h"
#include "http_server.h"
#include "unit.h"

#define MAX_BODY (1024 * 1024)
#define MAX_CONNECTIONS 8

/* Longer than anything here takes, for waits that should never end by it. */
#define PATIENCE_MS 10000

static HttpServer server;
static HttpClient *client;
static OriginRule rule;

static HttpLimits
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

static HttpClient *
create(const HttpLimits *limits)
{
	char		error[256] = "";
	HttpClient *created = http_create(limits, error, sizeof(error));

	CHECK_STR(error, "");
	return created;
}

/* The rule for an origin of this list, which is also the allowed list. */
static OriginRule
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

static HttpTransfer *
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

/* Drives the client until a transfer is done; NULL if none is for long. */
static HttpTransfer *
next_done(void)
{
	int64_t		give_up = 0;
	HttpTransfer *transfer;

	while ((transfer = http_next_done(client)) == NULL)
	{
		struct pollfd fd = {.fd = http_fd(client), .events = POLLIN};
		struct timespec now;
		long		timeout_ms = http_timeout_ms(client);

		clock_gettime(CLOCK_MONOTONIC, &now);
		if (give_up == 0)
			give_up = now.tv_sec + PATIENCE_MS / 1000 + 2;
		else if (now.tv_sec > give_up)
			return NULL;
		if (timeout_ms < 0 || timeout_ms > 1000)
			timeout_ms = 1000;
		poll(&fd, 1, (int) timeout_ms);
		http_drive(client);
	}
	return transfer;
}

/* Starts one request and waits for it. */
static HttpTransfer *
run(HttpRequest request, const char *path)
{
	HttpTransfer *started = start(request, path);
	HttpTransfer *done = next_done();

	CHECK(started == done);
	if (done == NULL)
		exit(EXIT_FAILURE);
	return done;
}

static HttpTransfer *
get(const char *path)
{
	return run((HttpRequest) {0}, path);
}

static long
milliseconds_since(const struct timespec *start_time)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - start_time->tv_sec) * 1000 +
		(now.tv_nsec - start_time->tv_nsec) / 1000000;
}

static int
open_files(void)
{
	DIR		   *directory = opendir("/proc/self/fd");
	int			count = 0;

	while (readdir(directory) != NULL)
		count++;
	closedir(directory);
	return count;
}

/* Checks the outcome of a GET and gives the transfer back. */
static void
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

static void
test_reuse(void)
{
	int			before = server.connections;

	for (int i = 0; i < 50; i++)
	{
		HttpTransfer *transfer = get(i % 2 == 0 ? "/page" : "/ok");
		const HttpResponse *response = http_response(transfer);

		CHECK_INT(response->error, HTTP_ERROR_NONE);
		CHECK_INT(response->status, 200);
		CHECK_INT(response->body_len, i % 2 == 0 ? SERVER_PAGE_SIZE : 2);
		CHECK_INT(response->body[response->body_len], '\0');
		CHECK_INT(response->connection_reused, i > 0);
		CHECK_STR(response->address, "127.0.0.1");
		CHECK(response->finished_at_us >= response->started_at_us);
		CHECK(response->latency_us >= 0 && response->latency_us <=
			  response->finished_at_us - response->started_at_us);
		http_release(transfer);
	}
	CHECK_INT(server.connections - before, 1);
	CHECK_INT(http_in_flight(client), 0);
}

static void
test_many_parallel(void)
{
	int			owners[200];
	int			delivered[200] = {0};
	int			before = server.connections;

	for (int i = 0; i < 200; i++)
	{
		char		url[64];
		HttpRequest request = {.url = url, .origin = &rule};

		snprintf(url, sizeof(url), "http://127.0.0.1:%d/page?%d", server.port, i);
		CHECK(http_start(client, &request, &owners[i]) != NULL);
	}
	CHECK_INT(http_in_flight(client), 200);
	for (int i = 0; i < 200; i++)
	{
		HttpTransfer *transfer = next_done();

		if (!CHECK(transfer != NULL))
			return;
		delivered[(int *) http_owner(transfer) - owners]++;
		CHECK_INT(http_response(transfer)->body_len, SERVER_PAGE_SIZE);
		http_release(transfer);
	}
	for (int i = 0; i < 200; i++)
		CHECK_INT(delivered[i], 1);
	CHECK_INT(http_in_flight(client), 0);
	CHECK(server.connections - before <= MAX_CONNECTIONS);
	CHECK(http_next_done(client) == NULL);
}

static void
test_outcomes(void)
{
	check_outcome("/ok", HTTP_ERROR_NONE, 200, false, false);
	check_outcome("/empty", HTTP_ERROR_NONE, 200, false, false);
	check_outcome("/no-content", HTTP_ERROR_NONE, 204, false, false);
	check_outcome("/missing", HTTP_ERROR_NONE, 404, false, false);
	check_outcome("/short", HTTP_ERROR_INCOMPLETE, 200, true, false);
	check_outcome("/short-chunked", HTTP_ERROR_INCOMPLETE, 200, true, false);
	check_outcome("/reset", HTTP_ERROR_INCOMPLETE, 200, true, false);
	check_outcome("/reset-first", HTTP_ERROR_INCOMPLETE, 0, false, false);
	check_outcome("/close-first", HTTP_ERROR_INCOMPLETE, 0, false, false);
	check_outcome("/endless", HTTP_ERROR_TOO_LARGE, 200, false, true);
	check_outcome("/announced", HTTP_ERROR_TOO_LARGE, 200, false, true);
	check_outcome("/bomb", HTTP_ERROR_TOO_LARGE, 200, false, true);
	check_outcome("/header-flood", HTTP_ERROR_TOO_LARGE, 200, false, false);
	check_outcome("/garbage", HTTP_ERROR_PROTOCOL, 0, false, false);
	check_outcome("/bad-gzip", HTTP_ERROR_PROTOCOL, 200, false, false);
}

static void
test_gzip(void)
{
	HttpTransfer *transfer = get("/gzip-page");

	CHECK_INT(http_response(transfer)->error, HTTP_ERROR_NONE);
	CHECK_INT(http_response(transfer)->body_len, SERVER_PAGE_SIZE);
	http_release(transfer);
}

static void
test_response_headers(void)
{
	HttpTransfer *transfer = get("/rated");
	const HttpResponse *response = http_response(transfer);

	CHECK_INT(response->status, 429);
	CHECK_STR(response->content_type,
			  "application/vnd.api+json; charset=utf-8");
	CHECK_INT(response->rate_limit, 100);
	CHECK_INT(response->rate_period_us, 20000000);
	CHECK_INT(response->rate_count, 118);
	CHECK_INT(response->retry_after, 20);
	CHECK_INT(response->server_date, 784111777);
	CHECK_STR(response->processed_version, "2026-06-04");
	CHECK_STR(response->request_id, "0a1b-2c3d");
	CHECK_STR(response->body, "{}");
	CHECK_STR(response->location, "");
	http_release(transfer);

	/* Nothing of it is left for the next. */
	transfer = get("/ok");
	response = http_response(transfer);
	CHECK_STR(response->content_type, "");
	CHECK_INT(response->rate_limit, -1);
	CHECK_INT(response->rate_period_us, -1);
	CHECK_INT(response->rate_count, -1);
	CHECK_INT(response->retry_after, HTTP_RETRY_AFTER_ABSENT);
	CHECK_INT(response->server_date, -1);
	CHECK_STR(response->request_id, "");
	http_release(transfer);

	/* Neither an interim response nor a trailer speaks for the response. */
	transfer = get("/continue");
	CHECK_INT(http_response(transfer)->retry_after, HTTP_RETRY_AFTER_ABSENT);
	http_release(transfer);
	transfer = get("/trailer");
	CHECK_INT(http_response(transfer)->retry_after, 1);
	http_release(transfer);
}

/* A header's effect, without a server. */
static HttpResponse
parsed(const char *line)
{
	HttpResponse response;

	memset(&response, 0, sizeof(response));
	http_headers_reset(&response);
	http_headers_line(&response, line, strlen(line));
	http_headers_finish(&response);
	return response;
}

static void
test_header_values(void)
{
#define RETRY(value) parsed("Retry-After:" value "\r\n").retry_after
	CHECK_INT(RETRY(" 0"), 0);
	CHECK_INT(RETRY("7"), 7);
	CHECK_INT(RETRY(" \t120 \t"), 120);
	CHECK_INT(RETRY(""), HTTP_RETRY_AFTER_GARBAGE);
	CHECK_INT(RETRY(" -1"), HTTP_RETRY_AFTER_GARBAGE);
	CHECK_INT(RETRY(" 1.5"), HTTP_RETRY_AFTER_GARBAGE);
	CHECK_INT(RETRY(" soon"), HTTP_RETRY_AFTER_GARBAGE);
	CHECK_INT(RETRY(" 20 seconds"), HTTP_RETRY_AFTER_GARBAGE);
	CHECK_INT(RETRY(" 99999999999999999999"), HTTP_RETRY_AFTER_GARBAGE);

	/* A date says nothing without the server's own. */
	CHECK_INT(RETRY(" Sun, 06 Nov 1994 08:49:37 GMT"),
			  HTTP_RETRY_AFTER_GARBAGE);
#undef RETRY

#define PERIOD(value) parsed("X-PCO-API-Request-Rate-Period: " value) \
		.rate_period_us
	CHECK_INT(PERIOD("20"), 20000000);
	CHECK_INT(PERIOD("20 seconds"), 20000000);
	CHECK_INT(PERIOD("1 second\r\n"), 1000000);
	CHECK_INT(PERIOD("20s"), 20000000);
	CHECK_INT(PERIOD("0"), -1);
	CHECK_INT(PERIOD("seconds"), -1);
	CHECK_INT(PERIOD("20 minutes"), -1);
	CHECK_INT(PERIOD("-20"), -1);
	CHECK_INT(PERIOD("9999999999999"), -1);
	CHECK_INT(PERIOD(""), -1);
#undef PERIOD

#define DATE(value) parsed("Date: " value).server_date
	CHECK_INT(DATE("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
	CHECK_INT(DATE("Thu, 01 Jan 1970 00:00:00 GMT"), 0);
	CHECK_INT(DATE("Tue, 29 Feb 2028 23:59:60 GMT"), 1835481600);
	CHECK_INT(DATE("Sunday, 06-Nov-94 08:49:37 GMT"), -1);
	CHECK_INT(DATE("Sun, 06 Nov 1994 08:49:37 GMT+1"), -1);
	CHECK_INT(DATE("Sun, 06 Nov 1994 08:49:37"), -1);
	CHECK_INT(DATE("Sun, 06 Nox 1994 08:49:37 GMT"), -1);
	CHECK_INT(DATE("Sun, 06 anF 1994 08:49:37 GMT"), -1);
	CHECK_INT(DATE("Sun, 32 Nov 1994 08:49:37 GMT"), -1);
	CHECK_INT(DATE("Sun, 06 Nov 1994 24:49:37 GMT"), -1);
	CHECK_INT(DATE("1994-11-06T08:49:37Z"), -1);
	CHECK_INT(DATE(""), -1);
#undef DATE

	CHECK_INT(parsed("X-PCO-API-Request-Rate-Limit: 1e9").rate_limit, -1);
	CHECK_INT(parsed("X-PCO-API-Request-Rate-Limit").rate_limit, -1);
	CHECK_INT(parsed("X-PCO-API-Request-Rate-Limits: 5").rate_limit, -1);
	CHECK_INT(parsed(": 5").rate_limit, -1);
	CHECK_STR(parsed("X-Request-Id: a\x01" "b\xff" "c").request_id, "a?b?c");
	CHECK_INT(strlen(parsed("X-PCO-API-Processed-As-Version: "
							"aaaaaaaaaabbbbbbbbbbccccccccccdddddddddd")
					 .processed_version), 31);
}

static void
test_redaction(void)
{
	char		text[64];
	char		small[16];

	http_copy_redacted(text, sizeof(text), "bad URL 'https://a/b?token=x y'");
	CHECK_STR(text, "bad URL 'https://a/b?(redacted) y'");
	http_copy_redacted(text, sizeof(text), "plain\ntext");
	CHECK_STR(text, "plain?text");
	for (size_t size = 1; size <= sizeof(small); size++)
	{
		http_copy_redacted(small, size, "ab?token=secret cd?token=secret ef");
		CHECK(strlen(small) < size && strstr(small, "sec") == NULL);
	}
}

static void
test_redirect_is_reported(void)
{
	char		expected[64];
	int			before = server.requests;
	HttpTransfer *transfer = get("/redirect");

	snprintf(expected, sizeof(expected), "http://127.0.0.1:%d/elsewhere?a=b",
			 server.port);
	CHECK_INT(http_response(transfer)->status, 302);
	CHECK_STR(http_response(transfer)->location, expected);
	CHECK(origin_same(http_response(transfer)->location, &rule.origin));
	http_release(transfer);

	transfer = get("/redirect-away");
	CHECK_INT(http_response(transfer)->status, 301);
	CHECK_STR(http_response(transfer)->location, "https://evil.com/");
	CHECK(!origin_same(http_response(transfer)->location, &rule.origin));
	http_release(transfer);
	CHECK_INT(server.requests - before, 2);
}

static void
test_request(void)
{
	static const char form[] = "grant_type=refresh_token&refresh_token=r1";
	HttpTransfer *transfer = run((HttpRequest) {
		.user = "id", .password = "s3cret:\xc3\xbc", .api_version = "2026-06-04",
		.traceparent = "00-01-02-03",
	}, "/echo?per_page=100");
	const char *echo = http_response(transfer)->body;

	CHECK(strncmp(echo, "GET /echo?per_page=100 HTTP/1.1\r\n", 33) == 0);
	CHECK(strstr(echo, "\r\nAuthorization: Basic aWQ6czNjcmV0OsO8\r\n") != NULL);
	CHECK(strstr(echo, "\r\nAccept: application/vnd.api+json\r\n") != NULL);
	CHECK(strstr(echo, "\r\nX-PCO-API-Version: 2026-06-04\r\n") != NULL);
	CHECK(strstr(echo, "\r\ntraceparent: 00-01-02-03\r\n") != NULL);
	CHECK(strstr(echo, "\r\nUser-Agent: sync_engine test\r\n") != NULL);
	CHECK(strstr(echo, "\r\nAccept-Encoding: ") != NULL);
	http_release(transfer);

	transfer = run((HttpRequest) {
		.method = HTTP_POST, .bearer_token = "t0ken", .accept = "application/json",
		.content_type = "application/x-www-form-urlencoded",
		.body = form, .body_len = strlen(form), .at_most_once = true,
	}, "/echo");
	echo = http_response(transfer)->body;
	CHECK(strncmp(echo, "POST /echo HTTP/1.1\r\n", 21) == 0);
	CHECK(strstr(echo, "\r\nAuthorization: Bearer t0ken\r\n") != NULL);
	CHECK(strstr(echo, "\r\nAccept: application/json\r\n") != NULL);
	CHECK(strstr(echo, "\r\nContent-Type: application/x-www-form-urlencoded"
				 "\r\n") != NULL);
	CHECK(strstr(echo, "X-PCO-API-Version") == NULL);
	CHECK(strstr(echo, "Expect") == NULL);
	CHECK(strcmp(strstr(echo, "\r\n\r\n") + 4, form) == 0);
	http_release(transfer);

	transfer = get("/echo");
	CHECK(strstr(http_response(transfer)->body, "Authorization") == NULL);
	http_release(transfer);
}

static void
check_refused(HttpRequest request, const char *reason)
{
	CHECK(http_start(client, &request, NULL) == NULL);
	CHECK_STR(http_start_error(client), reason);
	CHECK_INT(http_in_flight(client), 0);
}

static void
test_refused_requests(void)
{
	char		url[64];
	static char long_secret[8000];
	static const char *const credentials =
		"credentials must be user and password, or a token";
	static const char *const characters =
		"a header value holds control or non-ASCII characters";
	static const char *const elsewhere =
		"the URL is not at the origin that the rule allows";

	memset(long_secret, 'x', sizeof(long_secret) - 1);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/ok", server.port);

#define REFUSED(reason, ...) \
	check_refused((HttpRequest) {.origin = &rule, .url = url, __VA_ARGS__}, \
				  reason)
	check_refused((HttpRequest) {.url = url},
				  "the request has no URL or no origin rule");
	check_refused((HttpRequest) {.origin = &rule},
				  "the request has no URL or no origin rule");
	REFUSED(credentials,.user = "a");
	REFUSED(credentials,.password = "a");
	REFUSED(credentials,.user = "a",.password = "b",.bearer_token = "c");
	REFUSED("a user name must not contain a colon",.user = "a:b",
			.password = "c");
	REFUSED("user name and password are too long",.user = "a",
			.password = long_secret);
	REFUSED("the token is too long",.bearer_token = long_secret);
	REFUSED(characters,.bearer_token = "a\r\nHost: evil.com");
	REFUSED(characters,.traceparent = "a\nb");
	REFUSED(characters,.api_version = "\xc3\xbc");
	REFUSED("GET takes no body",.body = "a",.body_len = 1);
	REFUSED("POST needs a content type",.method = HTTP_POST);
	REFUSED("the timeout must not be negative",.timeout_ms = -1);
#undef REFUSED

	check_refused((HttpRequest) {.origin = &rule,.url = "http://127.0.0.1:1/"},
				  elsewhere);
	check_refused((HttpRequest) {.origin = &rule,.url = "https://evil.com/"},
				  elsewhere);
	check_refused((HttpRequest) {.origin = &rule,.url = "file:///etc/passwd"},
				  elsewhere);
}

static void
test_addresses(void)
{
	OriginRule	by_name = rule_for("http", "localhost", server.port);
	HttpRequest request = {.origin = &by_name};
	int			before;
	HttpTransfer *transfer;

	/* The rule allows that name to lie inside, and it does. */
	transfer = run(request, "/ok");
	CHECK_INT(http_response(transfer)->error, HTTP_ERROR_NONE);
	http_release(transfer);

	/*
	 * The same name for the public only. Another port, or libcurl would use
	 * the connection it has: nothing may be connected to at all.
	 */
	before = server.connections;
	by_name.allow_private = false;
	by_name.origin.port = 1;
	transfer = run(request, "/ok");
	CHECK_INT(http_response(transfer)->error, HTTP_ERROR_ADDRESS_REFUSED);
	CHECK(strcmp(http_response(transfer)->error_text,
				 "address 127.0.0.1 is not allowed for this origin") == 0 ||
		  strcmp(http_response(transfer)->error_text,
				 "address ::1 is not allowed for this origin") == 0);
	http_release(transfer);
	CHECK_INT(server.connections - before, 0);

	/* Allowed, but nobody listens there. */
	by_name.allow_private = true;
	transfer = run(request, "/ok");
	CHECK_INT(http_response(transfer)->error, HTTP_ERROR_CONNECT);
	http_release(transfer);

	/* A literal. */
	by_name = rule;
	by_name.origin.port = 1;
	by_name.allow_private = false;
	transfer = run(request, "/ok");
	CHECK_INT(http_response(transfer)->error, HTTP_ERROR_ADDRESS_REFUSED);
	http_release(transfer);

	/* RFC 2606 reserves .invalid, and RFC 6761 has resolvers say so. */
	by_name = rule_for("http", "nobody.invalid", 80);
	transfer = run(request, "/ok");
	CHECK_INT(http_response(transfer)->error, HTTP_ERROR_RESOLVE);
	http_release(transfer);
}

static void
test_dead_connection(void)
{
	int			before;
	HttpTransfer *transfer;

	/* The server closes without a word after its answer: the next is repeated. */
	check_outcome("/stale", HTTP_ERROR_NONE, 200, false, false);
	check_outcome("/ok", HTTP_ERROR_NONE, 200, false, false);

	/* A request that must not be repeated has a connection of its own. */
	before = server.connections;
	for (int i = 0; i < 3; i++)
	{
		transfer = run((HttpRequest) {.at_most_once = true}, "/ok");
		CHECK_INT(http_response(transfer)->error, HTTP_ERROR_NONE);
		CHECK(!http_response(transfer)->connection_reused);
		http_release(transfer);
	}
	CHECK_INT(server.connections - before, 3);
}

static void
test_timeouts(void)
{
	HttpRequest request = {.timeout_ms = 150};
	HttpLimits	limits = default_limits();
	HttpClient *saved = client;
	struct timespec start_time;
	HttpTransfer *transfer;

	clock_gettime(CLOCK_MONOTONIC, &start_time);
	transfer = run(request, "/hang");
	CHECK_INT(http_response(transfer)->error, HTTP_ERROR_TIMEOUT);
	CHECK_INT(http_response(transfer)->status, 0);
	http_release(transfer);
	transfer = run(request, "/hang-in-body");
	CHECK_INT(http_response(transfer)->error, HTTP_ERROR_TIMEOUT);
	CHECK_INT(http_response(transfer)->status, 200);
	CHECK(http_response(transfer)->body_incomplete);
	CHECK_STR(http_response(transfer)->body, "{");
	http_release(transfer);
	CHECK(milliseconds_since(&start_time) >= 300);
	CHECK(milliseconds_since(&start_time) < 2000);

	limits.low_speed_seconds = 1;
	client = create(&limits);
	transfer = get("/hang-in-body");
	CHECK_INT(http_response(transfer)->error, HTTP_ERROR_TIMEOUT);
	http_release(transfer);
	http_destroy(client);

	limits = default_limits();
	limits.total_timeout_ms = 150;
	client = create(&limits);
	check_outcome("/hang", HTTP_ERROR_TIMEOUT, 0, false, false);
	http_destroy(client);
	client = saved;
}

static void
test_abort(void)
{
	int			abandoned = server.abandoned;
	int			requests = server.requests;
	struct timespec start_time;
	HttpTransfer *hanging[3];
	HttpTransfer *transfer;

	for (int i = 0; i < 3; i++)
		hanging[i] = start((HttpRequest) {0}, "/hang");
	transfer = get("/ok");		/* others go on meanwhile */
	http_release(transfer);
	while (server.requests < requests + 4)
		http_drive(client);
	CHECK_INT(http_in_flight(client), 3);

	clock_gettime(CLOCK_MONOTONIC, &start_time);
	http_release(hanging[0]);
	CHECK(milliseconds_since(&start_time) < 100);
	CHECK(server_wait(&server, &server.abandoned, abandoned + 1));
	CHECK_INT(http_in_flight(client), 2);

	/* Again: nothing happens. NULL as well. */
	http_release(hanging[0]);
	http_release(NULL);
	CHECK_INT(http_in_flight(client), 2);

	http_release(hanging[1]);
	http_release(hanging[2]);
	CHECK(server_wait(&server, &server.abandoned, abandoned + 3));
	CHECK_INT(http_in_flight(client), 0);
	http_drive(client);
	CHECK(http_next_done(client) == NULL);
	check_outcome("/ok", HTTP_ERROR_NONE, 200, false, false);
}

static void
test_take_body(void)
{
	HttpTransfer *transfer = get("/page");
	size_t		len;
	char	   *body = http_take_body(transfer, &len);

	CHECK_INT(len, SERVER_PAGE_SIZE);
	CHECK_STR(http_response(transfer)->body, "");
	CHECK_INT(http_response(transfer)->body_len, 0);
	http_release(transfer);
	CHECK_INT(body[len], '\0');
	free(body);

	transfer = get("/empty");
	CHECK_STR(http_response(transfer)->body, "");
	body = http_take_body(transfer, &len);
	CHECK_INT(len, 0);
	CHECK_STR(body, "");
	free(body);
	http_release(transfer);
}

static void
test_destroy_while_busy(void)
{
	HttpLimits	limits = default_limits();
	HttpClient *saved = client;
	int			files = open_files();
	int			requests = server.requests;
	int			open = server.open;
	struct timespec start_time;

	client = create(&limits);
	start((HttpRequest) {0}, "/hang");
	get("/page");				/* delivered, not given back */
	start((HttpRequest) {0}, "/ok");	/* done, not delivered */
	while (server.requests < requests + 3)
		http_drive(client);

	clock_gettime(CLOCK_MONOTONIC, &start_time);
	http_destroy(client);
	CHECK(milliseconds_since(&start_time) < 100);
	CHECK(server_wait(&server, &server.open, open));
	CHECK_INT(open_files(), files);
	http_destroy(NULL);
	client = saved;
}

static void
test_tls(void)
{
	char		ca_file[] = "/tmp/http_test_ca.XXXXXX";
	HttpServer	tls_server;
	HttpClient *saved = client;
	HttpLimits	limits = default_limits();
	OriginRule	tls_rule;
	HttpRequest request = {.origin = &tls_rule};
	HttpTransfer *transfer;
	OriginRule	by_name;

	close(mkstemp(ca_file));
	server_start(&tls_server, ca_file);
	tls_rule = rule_for("https", "127.0.0.1", tls_server.port);

	/* Nobody but itself vouches for the certificate. */
	client = create(&limits);
	transfer = run(request, "/ok");
	CHECK_INT(http_response(transfer)->error, HTTP_ERROR_TLS);
	CHECK_INT(http_response(transfer)->status, 0);
	http_release(transfer);
	http_destroy(client);

	limits.ca_file = ca_file;
	client = create(&limits);
	for (int i = 0; i < 5; i++)
	{
		transfer = run(request, "/page");
		CHECK_INT(http_response(transfer)->error, HTTP_ERROR_NONE);
		CHECK_INT(http_response(transfer)->body_len, SERVER_PAGE_SIZE);
		CHECK_INT(http_response(transfer)->connection_reused, i > 0);
		http_release(transfer);
	}

	/* Vouched for, but it is another's. */
	by_name = rule_for("https", "localhost", tls_server.port);
	request.origin = &by_name;
	transfer = run(request, "/ok");
	CHECK_INT(http_response(transfer)->error, HTTP_ERROR_TLS);
	http_release(transfer);
	http_destroy(client);

	client = saved;
	CHECK(server_stop(&tls_server));
	unlink(ca_file);
}

static void
test_limits(void)
{
	char		error[256];
	HttpLimits	limits;

#define UNLIMITED(field) \
	limits = default_limits(); \
	limits.field = 0; \
	CHECK(http_create(&limits, error, sizeof(error)) == NULL); \
	CHECK_STR(error, "every HTTP limit must be positive")
	UNLIMITED(max_connections);
	UNLIMITED(max_connections_per_host);
	UNLIMITED(max_body);
	UNLIMITED(connect_timeout_ms);
	UNLIMITED(total_timeout_ms);
	UNLIMITED(low_speed_bytes);
	UNLIMITED(low_speed_seconds);
	UNLIMITED(user_agent);
#undef UNLIMITED
}

static void
test_broken_client(void)
{
	HttpLimits	limits = default_limits();
	HttpClient *saved = client;
	int			null_fd = open("/dev/null", O_RDONLY);
	HttpRequest request = {.origin = &rule, .url = "http://x"};
	char		url[64];
	HttpTransfer *transfer;

	/* Take the epoll descriptor away from under it. */
	client = create(&limits);
	CHECK(http_healthy(client));
	dup2(null_fd, http_fd(client));
	close(null_fd);

	transfer = get("/ok");
	CHECK_INT(http_response(transfer)->error, HTTP_ERROR_INTERNAL);
	CHECK(!http_healthy(client));
	CHECK_INT(http_in_flight(client), 0);
	CHECK_INT(http_timeout_ms(client), -1);
	http_release(transfer);

	snprintf(url, sizeof(url), "http://127.0.0.1:%d/ok", server.port);
	request.url = url;
	CHECK(http_start(client, &request, NULL) == NULL);
	CHECK_STR(http_start_error(client), "the HTTP client has failed");
	http_drive(client);
	http_destroy(client);
	client = saved;
}

static void
test_signal_mask_is_restored(void)
{
	sigset_t	mask;
	sigset_t	after;

	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	check_outcome("/ok", HTTP_ERROR_NONE, 200, false, false);
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	for (int number = 1; number < SIGRTMIN; number++)
		CHECK_INT(sigismember(&after, number), number == SIGUSR2);
}

int
main(void)
{
	HttpLimits	limits = default_limits();
	static const char key_log[] = "/tmp/http_test_key_log";

	signal(SIGPIPE, SIG_IGN);

	/* Neither of these may have any effect. */
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("https_proxy", "http://127.0.0.1:1", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
	setenv("SSLKEYLOGFILE", key_log, 1);

	server_start(&server, NULL);
	rule = rule_for("http", "127.0.0.1", server.port);
	client = create(&limits);

	test_reuse();
	test_many_parallel();
	test_outcomes();
	test_gzip();
	test_response_headers();
	test_header_values();
	test_redaction();
	test_redirect_is_reported();
	test_request();
	test_refused_requests();
	test_addresses();
	test_dead_connection();
	test_timeouts();
	test_abort();
	test_take_body();
	test_destroy_while_busy();
	test_tls();
	test_limits();
	test_broken_client();
	test_signal_mask_is_restored();

	http_destroy(client);
	CHECK(server_stop(&server));
	CHECK(access(key_log, F_OK) != 0);
	return unit_summary();
}
