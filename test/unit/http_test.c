/*-------------------------------------------------------------------------
 *
 * http_test.c
 *	  Unit tests of the http files: requests and responses, against a server
 *	  in this process.
 *
 * IDENTIFICATION
 *	  test/unit/http_test.c
 *
 *-------------------------------------------------------------------------
 */
#include "http_fixture.h"

static void
test_reuse(void)
{
	int			before = server_count_of(&server, &server.connections);

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
	CHECK_INT(server_count_of(&server, &server.connections) - before, 1);
	CHECK_INT(http_in_flight(client), 0);
}

static void
test_many_parallel(void)
{
	int			owners[200];
	int			delivered[200] = {0};
	int			before = server_count_of(&server, &server.connections);

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
	CHECK(server_count_of(&server, &server.connections) - before <= MAX_CONNECTIONS);
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

static void
test_redirect_is_reported(void)
{
	char		expected[64];
	int			before = server_count_of(&server, &server.requests);
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
	CHECK_INT(server_count_of(&server, &server.requests) - before, 2);
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

int
main(void)
{
	fixture_start();
	test_reuse();
	test_many_parallel();
	test_outcomes();
	test_gzip();
	test_response_headers();
	test_redirect_is_reported();
	test_request();
	test_refused_requests();
	test_take_body();
	test_limits();
	fixture_stop();
	return unit_summary();
}
