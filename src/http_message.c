/*-------------------------------------------------------------------------
 *
 * http_message.c
 *	  Builds the headers of a request, and reads those of a response.
 *
 * It owns the copies of credentials that a running request needs, and wipes
 * them. Everything that arrives from the network is untrusted: numbers are
 * bounded, texts are cut and made printable. No curl, no I/O and no clock; it
 * must never throw.
 *
 * IDENTIFICATION
 *	  src/http_message.c
 *
 *-------------------------------------------------------------------------
 */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "http_message.h"

/* Room for "user:password"; PCO's personal tokens take about 130 bytes. */
#define MAX_CREDENTIAL 2048

/*
 * More digits than any count, limit or unix time needs, few enough that a
 * number of seconds still fits 64 bits in microseconds.
 */
#define MAX_DIGITS 12

#define USECS_PER_SECOND INT64_C(1000000)

/* Longer than any date or rate header that could be valid. */
#define MAX_FIELD 64

static const char *const out_of_memory = "out of memory";

static const char *check_request(const HttpRequest *request);
static const char *add_authorization(HttpMessage *message,
									 const HttpRequest *request);
static const char *add_header(HttpMessage *message, const char *name,
							  const char *value);
static bool is_printable(const char *text);
static bool is_header(const char *line, size_t name_len, const char *name);
static bool parse_number(const char *text, int64_t *number);
static int64_t parse_period(const char *text);
static int64_t parse_date(const char *text);


/*
 * http_message_build checks a request and composes its headers.
 */
const char *
http_message_build(HttpMessage *message, const HttpRequest *request)
{
	const char *problem;

	memset(message, 0, sizeof(*message));

	problem = check_request(request);
	if (problem == NULL)
		problem = add_authorization(message, request);
	if (problem == NULL)
		problem = add_header(message, "Accept", request->accept != NULL ?
							 request->accept : "application/vnd.api+json");
	if (problem == NULL && request->api_version != NULL)
		problem = add_header(message, "X-PCO-API-Version",
							 request->api_version);
	if (problem == NULL && request->traceparent != NULL)
		problem = add_header(message, "traceparent", request->traceparent);
	if (problem != NULL || request->method == HTTP_GET)
		return problem;

	problem = add_header(message, "Content-Type", request->content_type);

	/* Without a value: do not wait for "100 Continue" before the body. */
	if (problem == NULL)
		problem = add_header(message, "Expect", "");
	if (problem != NULL)
		return problem;

	message->body = malloc(request->body_len + 1);
	if (message->body == NULL)
		return out_of_memory;
	if (request->body_len > 0)
		memcpy(message->body, request->body, request->body_len);
	message->body_len = request->body_len;
	return NULL;
}

/*
 * http_message_wipe forgets everything.
 */
void
http_message_wipe(HttpMessage *message)
{
	for (int i = 0; i < message->header_count; i++)
	{
		explicit_bzero(message->headers[i], strlen(message->headers[i]));
		free(message->headers[i]);
	}
	if (message->body != NULL)
		explicit_bzero(message->body, message->body_len);
	free(message->body);
	memset(message, 0, sizeof(*message));
}

/*
 * http_headers_reset: every field that a header fills is absent.
 */
void
http_headers_reset(HttpResponse *response)
{
	response->content_type[0] = '\0';
	response->processed_version[0] = '\0';
	response->request_id[0] = '\0';
	response->rate_limit = -1;
	response->rate_period_us = -1;
	response->rate_count = -1;
	response->retry_after = HTTP_RETRY_AFTER_ABSENT;
	response->retry_after_date = -1;
	response->server_date = -1;
}

/*
 * http_headers_line takes one "Name: value" line. What is not understood is
 * absent, except for Retry-After: that there was one is information.
 */
void
http_headers_line(HttpResponse *response, const char *line, size_t len)
{
	const char *colon = memchr(line, ':', len);
	const char *value;
	size_t		value_len;
	size_t		name_len;
	char		field[MAX_FIELD];

	if (colon == NULL)
		return;
	name_len = (size_t) (colon - line);
	value = colon + 1;
	value_len = len - name_len - 1;
	while (value_len > 0 && strchr(" \t", *value) != NULL)
	{
		value++;
		value_len--;
	}
	while (value_len > 0 && strchr(" \t\r\n", value[value_len - 1]) != NULL)
		value_len--;

	/* Cut, so that what is too long to be valid is still not valid. */
	http_copy_printable(field, sizeof(field), value, value_len);

	if (is_header(line, name_len, "Content-Type"))
		http_copy_printable(response->content_type,
							sizeof(response->content_type), value, value_len);
	else if (is_header(line, name_len, "X-PCO-API-Processed-As-Version"))
		http_copy_printable(response->processed_version,
							sizeof(response->processed_version),
							value, value_len);
	else if (is_header(line, name_len, "X-Request-Id"))
		http_copy_printable(response->request_id,
							sizeof(response->request_id), value, value_len);
	else if (is_header(line, name_len, "X-PCO-API-Request-Rate-Limit"))
		parse_number(field, &response->rate_limit);
	else if (is_header(line, name_len, "X-PCO-API-Request-Rate-Count"))
		parse_number(field, &response->rate_count);
	else if (is_header(line, name_len, "X-PCO-API-Request-Rate-Period"))
		response->rate_period_us = parse_period(field);
	else if (is_header(line, name_len, "Date"))
		response->server_date = parse_date(field);
	else if (is_header(line, name_len, "Retry-After"))
	{
		response->retry_after = HTTP_RETRY_AFTER_GARBAGE;
		response->retry_after_date = -1;
		if (!parse_number(field, &response->retry_after))
			response->retry_after_date = parse_date(field);
	}
}

/*
 * http_headers_finish turns a Retry-After date into seconds, by the server's
 * own clock: ours may be wrong, and Date may have come after Retry-After.
 */
void
http_headers_finish(HttpResponse *response)
{
	int64_t		seconds;

	if (response->retry_after_date < 0 || response->server_date < 0)
		return;
	seconds = response->retry_after_date - response->server_date;
	response->retry_after = seconds > 0 ? seconds : 0;
}

/*
 * http_copy_printable: control characters and bytes beyond ASCII become '?'.
 */
void
http_copy_printable(char *target, size_t size, const char *text, size_t len)
{
	size_t		copied = len < size ? len : size - 1;

	for (size_t i = 0; i < copied; i++)
		target[i] = (text[i] >= ' ' && text[i] <= '~') ? text[i] : '?';
	target[copied] = '\0';
}

/*
 * http_copy_redacted cuts every query out of a message.
 */
void
http_copy_redacted(char *target, size_t size, const char *text)
{
	static const char stand_in[] = "?(redacted)";
	size_t		used = 0;

	while (*text != '\0' && used + 1 < size)
	{
		size_t		plain = strcspn(text, "?");
		size_t		room = size - used;

		http_copy_printable(target + used, room, text, plain);
		used += plain < room ? plain : room - 1;
		text += plain;
		if (*text == '?' && used + sizeof(stand_in) <= size)
		{
			memcpy(target + used, stand_in, sizeof(stand_in) - 1);
			used += sizeof(stand_in) - 1;
		}
		text += strcspn(text, " \t\r\n'\"");
	}
	target[used] = '\0';
}

/*
 * check_request refuses what the caller must not ask for. Above all, the URL
 * lies at the origin whose rule the sockets will be checked against.
 */
static const char *
check_request(const HttpRequest *request)
{
	if (request->origin == NULL || request->url == NULL)
		return "the request has no URL or no origin rule";
	if (!origin_same(request->url, &request->origin->origin))
		return "the URL is not at the origin that the rule allows";
	if ((request->user != NULL) != (request->password != NULL) ||
		(request->user != NULL && request->bearer_token != NULL))
		return "credentials must be user and password, or a token";
	if (request->timeout_ms < 0)
		return "the timeout must not be negative";
	if (request->method == HTTP_GET)
		return request->body_len == 0 ? NULL : "GET takes no body";
	return request->content_type != NULL ? NULL :
		"POST needs a content type";
}

/*
 * add_authorization composes the credential's header. Left to libcurl, its
 * copies would stay in freed memory.
 */
static const char *
add_authorization(HttpMessage *message, const HttpRequest *request)
{
	char		plain[MAX_CREDENTIAL];
	char		value[MAX_CREDENTIAL * 2];
	const char *problem;
	int			len;

	if (request->bearer_token != NULL)
	{
		len = snprintf(value, sizeof(value), "Bearer %s",
					   request->bearer_token);
		if (len < 0 || (size_t) len >= sizeof(value))
			problem = "the token is too long";
		else
			problem = add_header(message, "Authorization", value);
		explicit_bzero(value, sizeof(value));
		return problem;
	}

	if (request->user == NULL)
		return NULL;
	if (strchr(request->user, ':') != NULL)
		return "a user name must not contain a colon";

	len = snprintf(plain, sizeof(plain), "%s:%s", request->user,
				   request->password);
	if (len < 0 || (size_t) len >= sizeof(plain))
		problem = "user name and password are too long";
	else
	{
		static const char scheme[] = "Basic ";

		memcpy(value, scheme, sizeof(scheme));
		EVP_EncodeBlock((unsigned char *) value + sizeof(scheme) - 1,
						(const unsigned char *) plain, len);
		problem = add_header(message, "Authorization", value);
	}
	explicit_bzero(plain, sizeof(plain));
	explicit_bzero(value, sizeof(value));
	return problem;
}

/*
 * add_header appends "Name: value". A line break in a value would smuggle in
 * another header.
 */
static const char *
add_header(HttpMessage *message, const char *name, const char *value)
{
	size_t		size = strlen(name) + strlen(": ") + strlen(value) + 1;
	char	   *header;

	if (!is_printable(value))
		return "a header value holds control or non-ASCII characters";

	header = malloc(size);
	if (header == NULL)
		return out_of_memory;

	/* libcurl takes "Name:" for "leave this header out". */
	snprintf(header, size, "%s:%s%s", name, value[0] != '\0' ? " " : "",
			 value);
	message->headers[message->header_count++] = header;
	return NULL;
}

/*
 * is_printable: nothing but printable ASCII.
 */
static bool
is_printable(const char *text)
{
	while (*text >= ' ' && *text <= '~')
		text++;
	return *text == '\0';
}

/*
 * is_header compares a field name, whose case does not matter.
 */
static bool
is_header(const char *line, size_t name_len, const char *name)
{
	return strlen(name) == name_len && strncasecmp(line, name, name_len) == 0;
}

/*
 * parse_number reads a plain decimal; leaves *number alone if it is not one.
 */
static bool
parse_number(const char *text, int64_t *number)
{
	size_t		digits = strspn(text, "0123456789");

	if (digits == 0 || digits > MAX_DIGITS || text[digits] != '\0')
		return false;
	*number = strtoll(text, NULL, 10);
	return true;
}

/*
 * parse_period reads "20 seconds" or "20". Both spellings are in use.
 */
static int64_t
parse_period(const char *text)
{
	char		number[MAX_DIGITS + 1];
	size_t		digits = strspn(text, "0123456789");
	const char *unit = text + digits;
	int64_t		seconds;

	if (digits >= sizeof(number))
		return -1;
	memcpy(number, text, digits);
	number[digits] = '\0';
	unit += strspn(unit, " ");

	if (!parse_number(number, &seconds) || seconds == 0 ||
		(unit[0] != '\0' && strcasecmp(unit, "s") != 0 &&
		 strcasecmp(unit, "second") != 0 && strcasecmp(unit, "seconds") != 0))
		return -1;
	return seconds * USECS_PER_SECOND;
}

/*
 * parse_date reads the one date format that HTTP/1.1 allows to send,
 * "Sun, 06 Nov 1994 08:49:37 GMT", as unix seconds; -1 if it is not that.
 * Not by strptime, which follows the locale.
 */
static int64_t
parse_date(const char *text)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	char		month[4];
	const char *found;
	struct tm	parts = {0};
	int			consumed = 0;

	if (sscanf(text, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT%n",
			   &parts.tm_mday, month, &parts.tm_year, &parts.tm_hour,
			   &parts.tm_min, &parts.tm_sec, &consumed) != 6 ||
		consumed == 0 || text[consumed] != '\0')
		return -1;

	found = strstr(months, month);
	if (found == NULL || strlen(month) != 3 || (found - months) % 3 != 0)
		return -1;
	parts.tm_mon = (int) (found - months) / 3;

	if (parts.tm_year < 1970 || parts.tm_mday < 1 || parts.tm_mday > 31 ||
		parts.tm_hour < 0 || parts.tm_hour > 23 ||
		parts.tm_min < 0 || parts.tm_min > 59 ||
		parts.tm_sec < 0 || parts.tm_sec > 60)	/* 60: a leap second */
		return -1;
	parts.tm_year -= 1900;
	return (int64_t) timegm(&parts);
}
