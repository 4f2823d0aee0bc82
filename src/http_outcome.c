/*-------------------------------------------------------------------------
 *
 * http_outcome.c
 *	  What became of an HTTP transfer, in terms that a caller can decide by.
 *
 * It owns the mapping from libcurl's codes and values to HttpResponse, and
 * must never let a query, a credential or an unprintable byte into a text.
 *
 * IDENTIFICATION
 *	  src/http_outcome.c
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <string.h>

#include "http_transfer.h"

static HttpError classify(const HttpTransfer *transfer, CURLcode code);
static void describe_error(HttpTransfer *transfer, CURLcode code);
static void copy_body(HttpTransfer *transfer);
static void copy_location(HttpTransfer *transfer);
static void copy_connection(HttpTransfer *transfer);


/*
 * http_transfer_finish fills in the response and wipes the request.
 */
void
http_transfer_finish(HttpTransfer *transfer, CURLcode code)
{
	HttpResponse *response = &transfer->response;
	long		status = 0;

	response->finished_at_us = http_now_us();
	response->error = classify(transfer, code);
	describe_error(transfer, code);

	curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
	response->status = (int) status;
	if (status != 0)
	{
		http_headers_finish(response);
		copy_body(transfer);
		copy_location(transfer);
	}
	copy_connection(transfer);
	http_message_wipe(&transfer->message);
}

/*
 * classify maps libcurl's codes to what the caller decides by. What our own
 * callbacks found comes first: to libcurl it is just a failed callback.
 */
static HttpError
classify(const HttpTransfer *transfer, CURLcode code)
{
	if (code == CURLE_OK)
		return HTTP_ERROR_NONE;
	if (transfer->memory_exhausted)
		return HTTP_ERROR_MEMORY;
	if (transfer->header_over_cap || transfer->body_over_cap)
		return HTTP_ERROR_TOO_LARGE;
	if (transfer->address_refused[0] != '\0' && !transfer->address_permitted)
		return HTTP_ERROR_ADDRESS_REFUSED;

	switch (code)
	{
		case CURLE_COULDNT_RESOLVE_HOST:
			return HTTP_ERROR_RESOLVE;

		case CURLE_COULDNT_CONNECT:
			return HTTP_ERROR_CONNECT;

		case CURLE_SSL_CONNECT_ERROR:
		case CURLE_PEER_FAILED_VERIFICATION:
		case CURLE_SSL_CACERT_BADFILE:
		case CURLE_SSL_CERTPROBLEM:
		case CURLE_SSL_CIPHER:
		case CURLE_SSL_ISSUER_ERROR:
		case CURLE_SSL_INVALIDCERTSTATUS:
			return HTTP_ERROR_TLS;

		case CURLE_OPERATION_TIMEDOUT:
			return HTTP_ERROR_TIMEOUT;

		case CURLE_PARTIAL_FILE:
		case CURLE_RECV_ERROR:
		case CURLE_SEND_ERROR:
		case CURLE_GOT_NOTHING:
		case CURLE_HTTP2:
		case CURLE_HTTP2_STREAM:
			return HTTP_ERROR_INCOMPLETE;

		case CURLE_FILESIZE_EXCEEDED:
			return HTTP_ERROR_TOO_LARGE;

		case CURLE_UNSUPPORTED_PROTOCOL:	/* HTTP/0.9 */
		case CURLE_WEIRD_SERVER_REPLY:
		case CURLE_BAD_CONTENT_ENCODING:
			return HTTP_ERROR_PROTOCOL;

		case CURLE_OUT_OF_MEMORY:
			return HTTP_ERROR_MEMORY;

		default:
			return HTTP_ERROR_INTERNAL;
	}
}

/*
 * describe_error says in words what classify found.
 */
static void
describe_error(HttpTransfer *transfer, CURLcode code)
{
	HttpResponse *response = &transfer->response;
	char	   *text = response->error_text;
	const size_t size = sizeof(response->error_text);

	switch (response->error)
	{
		case HTTP_ERROR_NONE:
			break;
		case HTTP_ERROR_ADDRESS_REFUSED:
			snprintf(text, size, "address %s is not allowed for this origin",
					 transfer->address_refused);
			break;
		case HTTP_ERROR_TOO_LARGE:
			if (transfer->header_over_cap)
				snprintf(text, size, "response headers exceed %d bytes",
						 HTTP_MAX_HEADER_BYTES);
			else
				snprintf(text, size, "response body exceeds %zu bytes",
						 transfer->settings->limits.max_body);
			break;
		case HTTP_ERROR_MEMORY:
			snprintf(text, size, "out of memory");
			break;
		default:
			http_copy_redacted(text, size, transfer->curl_message[0] != '\0' ?
							   transfer->curl_message :
							   curl_easy_strerror(code));
			break;
	}
}

/*
 * copy_body
 */
static void
copy_body(HttpTransfer *transfer)
{
	HttpResponse *response = &transfer->response;

	if (transfer->body_len > 0)
	{
		transfer->body[transfer->body_len] = '\0';
		response->body = transfer->body;
		response->body_len = transfer->body_len;
	}
	response->body_over_cap = response->error == HTTP_ERROR_TOO_LARGE &&
		!transfer->header_over_cap;
	response->body_incomplete = response->error == HTTP_ERROR_INCOMPLETE ||
		response->error == HTTP_ERROR_TIMEOUT;
}

/*
 * copy_location takes a redirect's target, which libcurl has made absolute.
 * Cut or altered it would lead elsewhere: then there is none.
 */
static void
copy_location(HttpTransfer *transfer)
{
	char	   *location = transfer->response.location;
	const char *target = NULL;

	curl_easy_getinfo(transfer->easy, CURLINFO_REDIRECT_URL, &target);
	if (target == NULL)
		return;
	http_copy_printable(location, sizeof(transfer->response.location), target,
						strlen(target));
	if (strcmp(location, target) != 0)
		location[0] = '\0';
}

/*
 * copy_connection says with whom and how fast.
 */
static void
copy_connection(HttpTransfer *transfer)
{
	HttpResponse *response = &transfer->response;
	CURL	   *easy = transfer->easy;
	const char *address = NULL;
	long		new_connections = 0;
	curl_off_t	sent_us = 0;
	curl_off_t	first_byte_us = 0;

	curl_easy_getinfo(easy, CURLINFO_PRIMARY_IP, &address);
	if (address != NULL)
		http_copy_printable(response->address, sizeof(response->address),
							address, strlen(address));
	if (response->status == 0)
		return;

	curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &new_connections);
	response->connection_reused = new_connections == 0;

	curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME_T, &sent_us);
	curl_easy_getinfo(easy, CURLINFO_STARTTRANSFER_TIME_T, &first_byte_us);
	if (first_byte_us >= sent_us)
		response->latency_us = first_byte_us - sent_us;
}
