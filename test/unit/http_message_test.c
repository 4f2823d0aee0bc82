/*-------------------------------------------------------------------------
 *
 * http_message_test.c
 *	  Unit tests of http_message.c: header values as servers really send them,
 *	  and texts fit for a log.
 *
 * IDENTIFICATION
 *	  test/unit/http_message_test.c
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "http_message.h"
#include "unit.h"

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

int
main(void)
{
	test_header_values();
	test_redaction();
	return unit_summary();
}
