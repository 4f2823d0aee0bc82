/*-------------------------------------------------------------------------
 *
 * http_message.h
 *	  The texts of a request and the headers of a response, without curl.
 *
 * Internal to http.c.
 *
 * IDENTIFICATION
 *	  src/http_message.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_HTTP_MESSAGE_H
#define SYNC_ENGINE_HTTP_MESSAGE_H

#include "http.h"

/* Authorization, Accept, version, traceparent, Content-Type, Expect */
#define HTTP_MAX_REQUEST_HEADERS 6

/*
 * HttpMessage: a request's own copy of everything secret in it.
 */
typedef struct HttpMessage
{
	int			header_count;
	char	   *headers[HTTP_MAX_REQUEST_HEADERS];	/* "Name: value" */
	char	   *body;
	size_t		body_len;
} HttpMessage;

/* NULL, or why the request is refused; wipe it in both cases. */
extern const char *http_message_build(HttpMessage *message,
									  const HttpRequest *request);
extern void http_message_wipe(HttpMessage *message);

/*
 * Response headers: reset at each status line, line for each field, finish
 * when all have arrived.
 */
extern void http_headers_reset(HttpResponse *response);
extern void http_headers_line(HttpResponse *response, const char *line,
							  size_t len);
extern void http_headers_finish(HttpResponse *response);

/*
 * Copies text as printable ASCII, cut to fit: what goes into a log or a table
 * must be valid in any encoding.
 */
extern void http_copy_printable(char *target, size_t size, const char *text,
								size_t len);

/* The same without URL queries, which may carry tokens. */
extern void http_copy_redacted(char *target, size_t size, const char *text);

#endif							/* SYNC_ENGINE_HTTP_MESSAGE_H */
