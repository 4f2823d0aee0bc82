/*-------------------------------------------------------------------------
 *
 * http_transfer.c
 *	  One HTTP request on its way: the options of an easy handle and the
 *	  callbacks that receive the response.
 *
 * It owns the easy handle, the copies of credentials, and the body buffer;
 * handle and buffer are used again by the next request. It includes curl, so
 * http.c's rules hold here too: no PostgreSQL, no throw, no blocking. It must
 * never follow a redirect, switch off the verification of certificates, or
 * open a socket to an address that the origin rule does not permit.
 *
 * IDENTIFICATION
 *	  src/http_transfer.c
 *
 *-------------------------------------------------------------------------
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "http_transfer.h"

/*
 * The first buffer is smaller than a page of 100 records, which takes 50 to
 * 200 kB: most responses of an idle system are single records.
 */
#define BODY_FIRST_SIZE		(16 * 1024)

/* Larger buffers are freed rather than kept for the next request. */
#define BODY_KEEP_SIZE		(256 * 1024)

/* Sets an option of "easy" unless an earlier one has failed, see "code". */
#define SET(option, value) \
	do { \
		if (code == CURLE_OK) \
			code = curl_easy_setopt(easy, option, value); \
	} while (0)

static void reset_transfer(HttpTransfer *transfer);
static CURLcode configure_client(HttpTransfer *transfer);
static CURLcode configure_request(HttpTransfer *transfer,
								  const HttpRequest *request);
static curl_socket_t on_open_socket(void *transfer_ptr, curlsocktype purpose,
									struct curl_sockaddr *address);
static size_t on_header(char *data, size_t size, size_t count,
						void *transfer_ptr);
static size_t on_body(char *data, size_t size, size_t count,
					  void *transfer_ptr);
static bool reserve_body(HttpTransfer *transfer, size_t len);


/*
 * http_transfer_create
 */
HttpTransfer *
http_transfer_create(HttpSettings *settings)
{
	HttpTransfer *transfer = calloc(1, sizeof(*transfer));

	if (transfer == NULL)
		return NULL;
	transfer->settings = settings;
	transfer->easy = curl_easy_init();
	if (transfer->easy == NULL)
	{
		http_transfer_destroy(transfer);
		return NULL;
	}
	return transfer;
}

/*
 * http_transfer_destroy
 */
void
http_transfer_destroy(HttpTransfer *transfer)
{
	http_transfer_recycle(transfer);
	curl_easy_cleanup(transfer->easy);
	free(transfer->body);
	free(transfer);
}

/*
 * http_transfer_prepare
 */
const char *
http_transfer_prepare(HttpTransfer *transfer, const HttpRequest *request,
					  void *owner)
{
	const char *problem;
	CURLcode	code;

	reset_transfer(transfer);
	transfer->owner = owner;
	problem = http_message_build(&transfer->message, request);
	if (problem != NULL)
		return problem;

	transfer->rule = *request->origin;
	transfer->secret_body = request->method == HTTP_POST;
	code = configure_client(transfer);
	if (code == CURLE_OK)
		code = configure_request(transfer, request);
	return code == CURLE_OK ? NULL : curl_easy_strerror(code);
}

/*
 * http_transfer_recycle
 */
void
http_transfer_recycle(HttpTransfer *transfer)
{
	http_message_wipe(&transfer->message);
	if (transfer->secret_body && transfer->body != NULL)
		explicit_bzero(transfer->body, transfer->body_size);
	if (transfer->body_size > BODY_KEEP_SIZE)
	{
		free(transfer->body);
		transfer->body = NULL;
		transfer->body_size = 0;
	}
	else if (transfer->body_size > transfer->settings->body_size_hint)
		transfer->settings->body_size_hint = transfer->body_size;
}

/*
 * http_owner
 */
void *
http_owner(const HttpTransfer *transfer)
{
	return transfer->owner;
}

/*
 * http_response
 */
const HttpResponse *
http_response(const HttpTransfer *transfer)
{
	return &transfer->response;
}

/*
 * http_take_body
 */
char *
http_take_body(HttpTransfer *transfer, size_t *len)
{
	char	   *body = transfer->body != NULL ? transfer->body : calloc(1, 1);

	*len = transfer->body_len;
	transfer->body = NULL;
	transfer->body_len = 0;
	transfer->body_size = 0;
	transfer->response.body = "";
	transfer->response.body_len = 0;
	return body;
}

/*
 * http_now_us is the monotonic clock in microseconds.
 */
int64_t
http_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/*
 * reset_transfer forgets the last request, but keeps handle and buffer. Only
 * a reset makes libcurl forget how often it has repeated a request over dead
 * connections, of which it allows five in the life of a handle.
 */
static void
reset_transfer(HttpTransfer *transfer)
{
	curl_easy_reset(transfer->easy);
	memset(&transfer->response, 0, sizeof(transfer->response));
	transfer->response.body = "";
	transfer->response.latency_us = -1;
	http_headers_reset(&transfer->response);
	transfer->body_len = 0;
	transfer->secret_body = false;
	transfer->header_bytes = 0;
	transfer->headers_complete = false;
	transfer->header_over_cap = false;
	transfer->body_over_cap = false;
	transfer->memory_exhausted = false;
	transfer->address_permitted = false;
	transfer->address_refused[0] = '\0';
	transfer->curl_message[0] = '\0';
}

/*
 * configure_client sets what is the same for all requests of a client.
 */
static CURLcode
configure_client(HttpTransfer *transfer)
{
	const HttpSettings *settings = transfer->settings;
	const HttpLimits *limits = &settings->limits;
	CURL	   *easy = transfer->easy;
	CURLcode	code = CURLE_OK;

	SET(CURLOPT_PRIVATE, transfer);
	SET(CURLOPT_ERRORBUFFER, transfer->curl_message);
	SET(CURLOPT_SHARE, settings->share);

	/* A process of PostgreSQL: no signals, no waiting for a resolver. */
	SET(CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075700
	SET(CURLOPT_QUICK_EXIT, 1L);
#endif

	/* Where it may go. */
	SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PROXY, "");		/* nor one from the environment */
	SET(CURLOPT_NOPROXY, "*");
	SET(CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	SET(CURLOPT_OPENSOCKETDATA, transfer);
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	SET(CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
	if (limits->ca_file != NULL)
		SET(CURLOPT_CAINFO, limits->ca_file);

	/* With a directory beside it, the file is read for every connection. */
	if (limits->ca_file != NULL || settings->certificate_file)
		SET(CURLOPT_CAPATH, NULL);

	/* How long and how much. */
	SET(CURLOPT_CONNECTTIMEOUT_MS, limits->connect_timeout_ms);
	SET(CURLOPT_LOW_SPEED_LIMIT, limits->low_speed_bytes);
	SET(CURLOPT_LOW_SPEED_TIME, limits->low_speed_seconds);
	SET(CURLOPT_MAXFILESIZE_LARGE, (curl_off_t) limits->max_body);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, transfer);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, transfer);

	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	if (settings->http2)
		SET(CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_2TLS);
	SET(CURLOPT_USERAGENT, limits->user_agent);
	SET(CURLOPT_ACCEPT_ENCODING, "");	/* whatever libcurl can decode */
	return code;
}

/*
 * configure_request sets what differs from one request to the next.
 */
static CURLcode
configure_request(HttpTransfer *transfer, const HttpRequest *request)
{
	HttpMessage *message = &transfer->message;
	bool		https = request->origin->origin.https;
	bool		fresh = request->at_most_once;
	long		timeout_ms = request->timeout_ms > 0 ? request->timeout_ms :
		transfer->settings->limits.total_timeout_ms;
	CURL	   *easy = transfer->easy;
	CURLcode	code = CURLE_OK;

	/* libcurl only reads the list: it may lie in our own memory. */
	for (int i = 0; i < message->header_count; i++)
	{
		transfer->headers[i].data = message->headers[i];
		transfer->headers[i].next = i + 1 < message->header_count ?
			&transfer->headers[i + 1] : NULL;
	}
	SET(CURLOPT_HTTPHEADER, &transfer->headers[0]);
	SET(CURLOPT_URL, request->url);
#if LIBCURL_VERSION_NUM >= 0x075500
	SET(CURLOPT_PROTOCOLS_STR, https ? "https" : "http");
#else
	SET(CURLOPT_PROTOCOLS, (long) (https ? CURLPROTO_HTTPS : CURLPROTO_HTTP));
#endif
	SET(CURLOPT_TIMEOUT_MS, timeout_ms);

	/* PIPEWAIT: better to wait for a stream than to shake hands again. */
	SET(CURLOPT_PIPEWAIT, https && !fresh ? 1L : 0L);
	SET(CURLOPT_FRESH_CONNECT, fresh ? 1L : 0L);
	SET(CURLOPT_FORBID_REUSE, fresh ? 1L : 0L);

	if (request->method == HTTP_POST)
	{
		SET(CURLOPT_POST, 1L);
		SET(CURLOPT_POSTFIELDS, message->body);
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) message->body_len);
	}
	return code;
}

/*
 * on_open_socket opens a socket only to an address that the rule permits:
 * the last moment to check, after all resolving, and the address checked is
 * the address used.
 */
static curl_socket_t
on_open_socket(void *transfer_ptr, curlsocktype purpose,
			   struct curl_sockaddr *address)
{
	HttpTransfer *transfer = transfer_ptr;
	const void *ip;

	if (purpose == CURLSOCKTYPE_IPCXN &&
		origin_rule_permits(&transfer->rule, &address->addr))
	{
		transfer->address_permitted = true;
		return socket(address->family, address->socktype | SOCK_CLOEXEC,
					  address->protocol);
	}

	ip = address->family == AF_INET6 ?
		(const void *) &((struct sockaddr_in6 *) &address->addr)->sin6_addr :
		(const void *) &((struct sockaddr_in *) &address->addr)->sin_addr;
	if (inet_ntop(address->family, ip, transfer->address_refused,
				  sizeof(transfer->address_refused)) == NULL)
		strcpy(transfer->address_refused, "(not IP)");
	return CURL_SOCKET_BAD;
}

/*
 * on_header receives one complete header line. A status line begins anew:
 * what came with "100 Continue" does not belong to the response. What follows
 * the empty line are trailers, which must not replace a header.
 */
static size_t
on_header(char *data, size_t size, size_t count, void *transfer_ptr)
{
	HttpTransfer *transfer = transfer_ptr;
	size_t		len = size * count;

	transfer->header_bytes += len;
	if (transfer->header_bytes > HTTP_MAX_HEADER_BYTES)
	{
		transfer->header_over_cap = true;
		return 0;
	}

	if (len >= 5 && memcmp(data, "HTTP/", 5) == 0)
	{
		transfer->headers_complete = false;
		http_headers_reset(&transfer->response);
	}
	else if (len <= 2)
		transfer->headers_complete = true;
	else if (!transfer->headers_complete)
		http_headers_line(&transfer->response, data, len);
	return len;
}

/*
 * on_body receives decoded bytes, so that the cap also holds against a small
 * body that unpacks to a huge one.
 */
static size_t
on_body(char *data, size_t size, size_t count, void *transfer_ptr)
{
	HttpTransfer *transfer = transfer_ptr;
	size_t		len = size * count;

	if (len > transfer->settings->limits.max_body - transfer->body_len)
	{
		transfer->body_over_cap = true;
		return 0;
	}
	if (!reserve_body(transfer, transfer->body_len + len))
	{
		transfer->memory_exhausted = true;
		return 0;
	}
	memcpy(transfer->body + transfer->body_len, data, len);
	transfer->body_len += len;
	return len;
}

/*
 * reserve_body makes room for len bytes and a terminator, doubling from the
 * size that recent responses needed.
 */
static bool
reserve_body(HttpTransfer *transfer, size_t len)
{
	size_t		wanted = transfer->body_size;
	char	   *larger;

	if (len < transfer->body_size)
		return true;
	if (wanted < transfer->settings->body_size_hint)
		wanted = transfer->settings->body_size_hint;
	if (wanted == 0)
		wanted = BODY_FIRST_SIZE;
	while (wanted <= len)
		wanted *= 2;

	larger = realloc(transfer->body, wanted);
	if (larger == NULL)
		return false;
	transfer->body = larger;
	transfer->body_size = wanted;
	return true;
}
