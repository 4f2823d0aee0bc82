/*-------------------------------------------------------------------------
 *
 * response.c
 *		What an HTTP answer means: one table for all errors of the API.
 *
 * IDENTIFICATION
 *		src/response.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "errors.h"
#include "lib/stringinfo.h"
#include "page_parser.h"
#include "response.h"

static const PageLimits default_limits = {0};

static bool
is_json(const HttpResponse *response)
{
	return pg_strncasecmp(response->content_type, "application/vnd.api+json", 24) == 0 ||
		pg_strncasecmp(response->content_type, "application/json", 16) == 0 ||
		(response->content_type[0] == '\0' && response->body[0] == '{');
}

/*
 * api_detail: what the API says of its error, if it says so in JSON.
 */
static char *
api_detail(const HttpResponse *response)
{
	StringInfoData detail;
	ParsedPage *page;
	char	   *body;

	initStringInfo(&detail);
	if (!is_json(response) || response->body_len == 0)
		return detail.data;
	body = pnstrdup(response->body, response->body_len);
	page = page_parse(body, strlen(body), &default_limits);
	for (int i = 0; i < page->n_errors; i++)
	{
		const PageError *error = &page->errors[i];

		appendStringInfoString(&detail, i == 0 ? ": " : "; ");
		if (error->code != NULL)
			appendStringInfo(&detail, "%s%s", error->code, error->detail || error->title ? ", " : "");
		if (error->detail != NULL || error->title != NULL)
			appendStringInfoString(&detail, error->detail ? error->detail : error->title);
	}
	return detail.data;
}

ResponseClass
response_classify(const HttpResponse *response, const char *org, Failure *failure)
{
	*failure = (Failure) {SQLSTATE_TRANSPORT};

	if (response->error == HTTP_ERROR_ADDRESS_REFUSED)
	{
		failure->message = pstrdup(response->error_text);
		failure->hint = "A private address must be allowed as a whole origin in sync_engine.allowed_hosts.";
		return RESPONSE_PERMANENT;
	}
	if (response->error != HTTP_ERROR_NONE)
	{
		failure->message = pstrdup(response->error_text);
		return RESPONSE_TRANSIENT;
	}

	failure->sqlstate = psprintf("SE%03d", response->status % 1000);
	switch (response->status)
	{
		case 200:
			break;
		case 301:
		case 302:
		case 303:
		case 307:
		case 308:
			return RESPONSE_REDIRECT;
		case 401:
			failure->message = psprintf("the API refuses the credential (401%s)", api_detail(response));
			failure->hint = psprintf("Call sync_connect('%s', ...) with a valid token.", org);
			return RESPONSE_UNAUTHORIZED;
		case 403:
			if (!is_json(response))
			{
				failure->message = "a gateway before the API blocks the request (403)";
				return RESPONSE_TRANSIENT;
			}
			failure->message = psprintf("the token may not read this (403%s)", api_detail(response));
			failure->hint = "In Planning Center, give the token's user access to it, or leave the entity out.";
			return RESPONSE_PERMANENT;
		case 404:
		case 410:
			failure->message = psprintf("the API does not have this list (%d%s)", response->status,
										api_detail(response));
			return RESPONSE_NOT_FOUND;
		case 429:
			failure->message = "the rate limit is used up (429)";
			return RESPONSE_THROTTLED;
		case 408:
		case 425:
			failure->message = psprintf("the API gave up on the request (%d)", response->status);
			return RESPONSE_TRANSIENT;
		default:
			failure->message = psprintf("the API answered %d%s", response->status, api_detail(response));
			return response->status >= 500 ? RESPONSE_TRANSIENT : RESPONSE_PERMANENT;
	}

	failure->sqlstate = SQLSTATE_BAD_PAGE;
	if (response->body_len == 0)
	{
		failure->message = "the API answered with an empty body";
		return RESPONSE_TRANSIENT;
	}
	if (!is_json(response))
	{
		failure->message = psprintf("the API answered with content type \"%s\"", response->content_type);
		return RESPONSE_TRANSIENT;
	}
	return RESPONSE_PAGE;
}
