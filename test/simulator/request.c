/*-------------------------------------------------------------------------
 *
 * request.c
 *	  One request, taken apart, and the reply to it.
 *
 * Fact: links repeat the request's own parameters, sorted, with unescaped
 * brackets, whatever the server made of them.
 *
 * Owns: everything a request points to.  Must never act on a parameter.
 *
 * IDENTIFICATION
 *	  test/simulator/request.c
 *
 *-------------------------------------------------------------------------
 */
#include "request.h"

#include "render.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * hex_digit returns a digit's value, or -1.
 */
static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char) tolower((unsigned char) c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/*
 * decode undoes percent-encoding; in a query a + is a blank.
 */
static char *
decode(const char *text, size_t len, bool query)
{
	sim_buf		out = {0};

	buf_reserve(&out, len);
	for (size_t i = 0; i < len; i++)
	{
		if (text[i] == '%' && i + 2 < len && hex_digit(text[i + 1]) >= 0 &&
			hex_digit(text[i + 2]) >= 0)
		{
			buf_char(&out, (char) (hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2])));
			i += 2;
		}
		else
			buf_char(&out, query && text[i] == '+' ? ' ' : text[i]);
	}
	return out.data;
}

/*
 * set_param stores a parameter; a later one of the same key replaces it.
 */
static void
set_param(sim_request *request, char *key, char *value)
{
	for (size_t i = 0; i < request->param_count; i++)
		if (strcmp(request->params[i].key, key) == 0)
		{
			free(request->params[i].value);
			request->params[i].value = value;
			free(key);
			return;
		}
	request->params = sim_grow(request->params,
							   sizeof(sim_param) * (request->param_count + 1));
	request->params[request->param_count].key = key;
	request->params[request->param_count++].value = value;
}

/*
 * compare_params sorts parameters by key.
 */
static int
compare_params(const void *a, const void *b)
{
	return strcmp(((const sim_param *) a)->key, ((const sim_param *) b)->key);
}

/*
 * request_parse takes url and host apart.
 */
void
request_parse(sim_request *request)
{
	size_t		path_len = strcspn(request->url, "?");
	const char *at;
	sim_buf		text = {0};

	buf_add(&text, request->url, path_len);
	request->path = text.data;
	memset(&text, 0, sizeof(text));
	buf_printf(&text, "http://%s", request->host ? request->host : "127.0.0.1");
	request->origin = text.data;
	request->product = -1;

	for (at = request->path; *at;)
	{
		size_t		len;

		at += strspn(at, "/");
		len = strcspn(at, "/");
		if (len == 0)
			break;
		request->segments = sim_grow(request->segments,
									 sizeof(char *) * (request->segment_count + 1));
		request->segments[request->segment_count++] = decode(at, len, false);
		at += len;
	}
	at = request->url + path_len;
	while (*at == '?' || *at == '&')
	{
		size_t		len = strcspn(++at, "&");
		size_t		key_len = 0;

		while (key_len < len && at[key_len] != '=')
			key_len++;
		if (key_len > 0)
			set_param(request, decode(at, key_len, true),
					  key_len < len ? decode(at + key_len + 1, len - key_len - 1, true)
					  : sim_strdup(""));
		at += len;
	}
	if (request->param_count > 1)
		qsort(request->params, request->param_count, sizeof(sim_param), compare_params);
}

/*
 * request_param returns a parameter's value, or NULL.
 */
const char *
request_param(const sim_request *request, const char *key)
{
	for (size_t i = 0; i < request->param_count; i++)
		if (strcmp(request->params[i].key, key) == 0)
			return request->params[i].value;
	return NULL;
}

/*
 * request_number returns a parameter as a number if it is there and is one.
 */
int64_t
request_number(const sim_request *request, const char *key, int64_t otherwise)
{
	const char *value = request_param(request, key);
	char	   *end;
	long long	number;

	if (value == NULL)
		return otherwise;
	number = strtoll(value, &end, 10);
	return end == value || *end != '\0' ? otherwise : number;
}

/*
 * put_escaped appends a parameter's part, escaping only what would break it.
 */
static void
put_escaped(sim_buf *out, const char *text)
{
	for (; *text; text++)
	{
		unsigned char c = (unsigned char) *text;

		if (c <= ' ' || c >= 0x7f || strchr("\"#%&+<>\\^`{|}", c) != NULL)
			buf_printf(out, "%%%02X", c);
		else
			buf_char(out, (char) c);
	}
}

/*
 * put_param appends one more parameter.
 */
static void
put_param(sim_buf *out, char *separator, const char *key, const char *value)
{
	buf_char(out, *separator);
	*separator = '&';
	put_escaped(out, key);
	buf_char(out, '=');
	put_escaped(out, value);
}

/*
 * request_link appends the request's own address as a JSON string, with one
 * parameter replaced (NULL: none).
 */
void
request_link(const sim_request *request, const char *replaced, int64_t value,
			 sim_buf *out)
{
	sim_buf		link = {0};
	char		separator = '?';
	char		number[24];
	bool		put = replaced == NULL;

	snprintf(number, sizeof(number), "%lld", (long long) value);
	buf_printf(&link, "%s%s", request->origin, request->path);
	for (size_t i = 0; i < request->param_count; i++)
	{
		const sim_param *param = &request->params[i];

		if (!put && strcmp(replaced, param->key) <= 0)
		{
			put_param(&link, &separator, replaced, number);
			put = true;
		}
		if (replaced == NULL || strcmp(replaced, param->key) != 0)
			put_param(&link, &separator, param->key, param->value);
	}
	if (!put)
		put_param(&link, &separator, replaced, number);
	buf_json(out, link.data, link.len);
	buf_free(&link);
}

/*
 * reply_header appends a header.
 */
void
reply_header(sim_reply *reply, const char *name, const char *fmt,...)
{
	char		value[512];
	va_list		args;

	va_start(args, fmt);
	vsnprintf(value, sizeof(value), fmt, args);
	va_end(args);
	reply->headers = sim_grow(reply->headers,
							  sizeof(sim_header) * (reply->header_count + 1));
	reply->headers[reply->header_count].name = name;
	reply->headers[reply->header_count++].value = sim_strdup(value);
}

/*
 * request_free releases a request and its reply.
 */
void
request_free(sim_request *request)
{
	for (size_t i = 0; i < request->segment_count; i++)
		free(request->segments[i]);
	for (size_t i = 0; i < request->param_count; i++)
	{
		free(request->params[i].key);
		free(request->params[i].value);
	}
	for (size_t i = 0; i < request->reply.header_count; i++)
		free(request->reply.headers[i].value);
	shapes_free(request->shapes);
	free(request->segments);
	free(request->params);
	free(request->reply.headers);
	buf_free(&request->reply.body);
	free(request->method);
	free(request->url);
	free(request->host);
	free(request->authorization);
	free(request->version);
	free(request->path);
	free(request->origin);
	free(request);
}
