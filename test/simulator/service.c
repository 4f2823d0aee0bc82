/*-------------------------------------------------------------------------
 *
 * service.c
 *	  The gates that a request passes, and the headers of its reply.
 *
 * In this order: token, rate limit, fault, API version, method, route.  The
 * first four are decided on arrival, the records are read when the reply is
 * due, so that a slow reply shows what stood at its end.
 *
 * Owns: the latency settings.  Must never hold a request back itself.
 *
 * IDENTIFICATION
 *	  test/simulator/service.c
 *
 *-------------------------------------------------------------------------
 */
#include "service.h"

#include "document.h"
#include "documentation.h"
#include "mutate.h"
#include "route.h"
#include "stats.h"

#include <stdlib.h>
#include <strings.h>

/* Requests beyond this offset fall under the stricter limit (documented). */
#define DEEP_OFFSET 30000

/* Older versions are refused (documented). */
#define OLDEST_VERSION "2018-08-01"

#define HTML_PAGE "<html><head><title>%s</title></head><body><center><h1>%s</h1></center></body></html>\n"

int64_t		service_latency;
int64_t		service_jitter;

/*
 * decode_base64 decodes a Basic credential; false if it is none.
 */
static bool
decode_base64(const char *text, sim_buf *out)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t	bits = 0;
	int			count = 0;

	buf_reserve(out, 0);
	for (; *text && *text != '='; text++)
	{
		const char *digit = strchr(digits, *text);

		if (digit == NULL)
			return false;
		bits = bits << 6 | (uint32_t) (digit - digits);
		count += 6;
		if (count >= 8)
		{
			count -= 8;
			buf_char(out, (char) (bits >> count & 0xff));
		}
	}
	return true;
}

/*
 * find_token finds the organisation of a request's token, or NULL.
 */
static sim_org *
find_token(const sim_request *request)
{
	sim_buf		credential = {0};
	sim_org    *org = NULL;
	char	   *colon;

	if (request->authorization == NULL ||
		strncasecmp(request->authorization, "Basic ", 6) != 0)
		return NULL;
	if (decode_base64(request->authorization + 6, &credential) &&
		(colon = strchr(credential.data, ':')) != NULL)
	{
		org = org_by_client(credential.data, (size_t) (colon - credential.data));
		if (org != NULL && strcmp(org->secret, colon + 1) != 0)
			org = NULL;
	}
	buf_free(&credential);
	return org;
}

/*
 * unauthorized answers 401.
 */
static void
unauthorized(sim_request *request)
{
	document_error(request, 401, NULL, "Unauthorized", request->authorization ?
				   "The credentials you provided are not valid" :
				   "You must provide credentials");
	reply_header(&request->reply, "WWW-Authenticate", "Basic realm=\"Application\"");
}

/*
 * too_many answers 429 in the measured shape.
 */
static void
too_many(sim_request *request, uint64_t count, sim_retry_after retry_after, int64_t wait)
{
	sim_buf    *out = &request->reply.body;

	request->reply.status = 429;
	reply_header(&request->reply, "Content-Type", "application/json");
	if (retry_after == RETRY_AFTER_INT)
		reply_header(&request->reply, "Retry-After", "%lld",
					 (long long) ((wait + USECS_PER_SEC - 1) / USECS_PER_SEC));
	else if (retry_after == RETRY_AFTER_GARBAGE)
		reply_header(&request->reply, "Retry-After", "a little while");
	buf_printf(out, "{\"errors\":[{\"code\":\"429\",\"detail\":\"Rate limit exceeded: "
			   "%llu of %llu requests per %lld seconds\"}]}", (unsigned long long) count,
			   (unsigned long long) request->rate.limit,
			   (long long) (rate_settings.period / USECS_PER_SEC));
}

/*
 * html answers with a page of some proxy.
 */
static void
html(sim_request *request, int status, const char *title)
{
	request->reply.status = status;
	reply_header(&request->reply, "Content-Type", "text/html");
	buf_printf(&request->reply.body, HTML_PAGE, title, title);
}

/*
 * choose_version settles which version the reply follows: the newest that is
 * not newer than the requested one.  False if that is too old.
 */
static bool
choose_version(sim_request *request)
{
	const cat_product *product;
	const char *wanted = request->version;

	request->processed_version = OLDEST_VERSION;
	if (request->product < 0)
		return true;
	product = &store_catalogue()->products[request->product];
	request->processed_version = product_newest(product);
	if (wanted == NULL || strcasecmp(wanted, "LATEST") == 0)
		return true;
	if (strcmp(wanted, OLDEST_VERSION) < 0 || *wanted > '9')
		return false;
	if (product->versions.count > 0)
		request->processed_version = product->versions.names[0];
	for (int i = 0; i < product->versions.count; i++)
		if (strcmp(product->versions.names[i], wanted) <= 0)
			request->processed_version = product->versions.names[i];
	return true;
}

/*
 * fail_on_purpose answers with the fault that a request met, if that replaces
 * the reply; faults that only spoil it are seen to elsewhere.
 */
static void
fail_on_purpose(sim_request *request)
{
	const sim_fault *fault = request->fault;
	const char *detail = "An unexpected error occurred";

	switch (fault->kind)
	{
		case FAULT_429:
			too_many(request, request->rate.limit + 18, RETRY_AFTER_INT,
					 fault->arg ? atoll(fault->arg) * USECS_PER_SEC : 2 * USECS_PER_SEC);
			break;
		case FAULT_429_NO_RETRY_AFTER:
			too_many(request, request->rate.limit + 18, RETRY_AFTER_ABSENT, 0);
			break;
		case FAULT_429_GARBAGE:
			too_many(request, request->rate.limit + 18, RETRY_AFTER_GARBAGE, 0);
			break;
		case FAULT_500:
			document_error(request, 500, NULL, "Internal Server Error", detail);
			break;
		case FAULT_502_HTML:
			html(request, 502, "502 Bad Gateway");
			break;
		case FAULT_503:
			html(request, 503, "503 Service Temporarily Unavailable");
			break;
		case FAULT_504:
			html(request, 504, "504 Gateway Time-out");
			break;
		case FAULT_400:
			document_error(request, 400, NULL, "Bad Request", "A parameter is invalid");
			break;
		case FAULT_403:
			document_forbidden(request);
			break;
		case FAULT_403_HTML:
			html(request, 403, "ERROR: The request could not be satisfied");
			break;
		case FAULT_401:
			document_error(request, 401, NULL, "Unauthorized",
						   "The credentials you provided are not valid");
			break;
		case FAULT_404:
			document_not_found(request);
			break;
		case FAULT_EMPTY_200:
			request->reply.status = 200;
			reply_header(&request->reply, "Content-Type",
						 "application/vnd.api+json; charset=utf-8");
			break;
		case FAULT_REDIRECT:
			request->reply.status = 302;
			reply_header(&request->reply, "Content-Type", "text/html");
			reply_header(&request->reply, "Location", "%s%s",
						 fault->arg ? fault->arg : request->origin, request->url);
			break;
		case FAULT_HANG:
			request->reply.delivery = DELIVER_NEVER;
			break;
		case FAULT_CLOSE_CONNECTION:
			request->reply.delivery = DELIVER_CLOSE;
			break;
		default:
			break;
	}
}

/*
 * service_admit runs a request through the gates on arrival.  If one of them
 * answers, the reply has a status, or a delivery that needs none.
 */
void
service_admit(sim_request *request)
{
	bool		known;
	sim_rate   *rate;

	request->fault_kind = FAULT_NONE;
	request_parse(request);
	known = route_known(request);
	request->org = find_token(request);
	if (request->org != NULL)
		stats_org_known(request);
	rate = request->org ? &request->org->rate : &stats_anonymous;
	request->rate = rate_count(rate, stamp_monotonic(),
							   request_number(request, "offset", 0) > DEEP_OFFSET, !known);
	if (request->org == NULL && !documentation_asked(request))
		unauthorized(request);
	else if (request->org != NULL && request->rate.rejected)
	{
		stats_rejected(request);
		too_many(request, request->rate.count, rate_settings.retry_after, request->rate.wait);
	}
	else if ((request->fault = fault_take(request->url, request->org ? request->org->name : NULL)) != NULL)
	{
		request->fault_kind = request->fault->kind;
		fail_on_purpose(request);
	}
	if (!choose_version(request) && request->reply.status == 0)
		document_error(request, 400, "unsupported_version_error", "Bad Request",
					   "The requested API version is not supported");
}

/*
 * spoil damages a finished reply as its fault wants.
 */
static void
spoil(sim_request *request)
{
	sim_reply  *reply = &request->reply;

	switch (request->fault_kind)
	{
		case FAULT_RESET_MID_BODY:
			reply->delivery = DELIVER_AND_RESET;
			break;
		case FAULT_TRUNCATED_JSON:
			reply->body.len /= 2;
			break;
		case FAULT_WRONG_CONTENT_TYPE:
			for (size_t i = 0; i < reply->header_count; i++)
				if (strcmp(reply->headers[i].name, "Content-Type") == 0)
				{
					free(reply->headers[i].value);
					reply->headers[i].value = sim_strdup("text/plain");
				}
			break;
		case FAULT_SLOW_BODY:
			reply->delivery = DELIVER_SLOWLY;
			reply->bytes_per_second = request->fault->arg ?
				strtoull(request->fault->arg, NULL, 10) : 1000;
			break;
		default:
			break;
	}
}

/*
 * put_headers appends the headers that every reply carries.
 */
static void
put_headers(sim_request *request)
{
	sim_reply  *reply = &request->reply;
	uint64_t	id = hash_mix(request->sequence);
	sim_buf		date = {0};

	stamp_http(&date, stamp_api_now());
	reply_header(reply, "Date", "%s", date.data);
	buf_free(&date);
	reply_header(reply, "X-PCO-API-Request-Rate-Limit", "%llu",
				 (unsigned long long) request->rate.limit);
	reply_header(reply, "X-PCO-API-Request-Rate-Period",
				 rate_settings.plain_number ? "%lld" : "%lld seconds",
				 (long long) (rate_settings.period / USECS_PER_SEC));
	reply_header(reply, "X-PCO-API-Request-Rate-Count", "%llu",
				 (unsigned long long) request->rate.count);
	if (request->org != NULL)
		reply_header(reply, "X-PCO-API-Auth-Method", "HTTPBasic");
	reply_header(reply, "X-PCO-API-Processed-As-Version", "%s", request->processed_version);
	reply_header(reply, "X-PCO-API-Processor", "%s",
				 request->product < 0 ? "Unknown" :
				 store_catalogue()->products[request->product].name);
	reply_header(reply, "X-Request-Id", "%08x-%04x-4%03x-8%03x-%012llx", (uint32_t) id,
				 (uint32_t) (id >> 32 & 0xffff), (uint32_t) (id >> 48 & 0xfff),
				 (uint32_t) (id >> 52 & 0xfff), (unsigned long long) request->sequence);
	reply_header(reply, "X-Runtime", "%.6f",
				 (double) (stamp_now() - request->arrived) / (double) USECS_PER_SEC);
	reply_header(reply, "Cache-Control", "max-age=0, private, must-revalidate");
	reply_header(reply, "Vary", "Accept,Accept-Encoding,Origin");
}

/*
 * service_answer completes the reply when it is due.
 */
void
service_answer(sim_request *request)
{
	sim_reply  *reply = &request->reply;

	if (reply->delivery == DELIVER_CLOSE || reply->delivery == DELIVER_NEVER)
		return;
	if (reply->status == 0)
	{
		if (strcmp(request->method, "PUT") == 0)
			html(request, 404, "Not Found");
		else if (strcmp(request->method, "GET") != 0 && strcmp(request->method, "HEAD") != 0)
			document_forbidden(request);	/* writes are not simulated */
		else
			route_answer(request);
		spoil(request);
	}
	put_headers(request);
	if (reply->status == 200 && request->listed != NULL)
		paging_served(request->listed);
}
