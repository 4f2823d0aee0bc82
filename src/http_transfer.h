/*-------------------------------------------------------------------------
 *
 * http_transfer.h
 *	  One request and its response: what http.c has many of.
 *
 * Internal to the http files, the only ones that include curl.
 *
 * IDENTIFICATION
 *	  src/http_transfer.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_HTTP_TRANSFER_H
#define SYNC_ENGINE_HTTP_TRANSFER_H

#include <curl/curl.h>
#include <netinet/in.h>
#include <sys/queue.h>

#include "http_message.h"

/* A response's header section takes about 2 kB; no honest one comes near. */
#define HTTP_MAX_HEADER_BYTES	(64 * 1024)

/* Each state has its list; RUNNING is the only one that libcurl knows of. */
typedef enum TransferState
{
	TRANSFER_IDLE,				/* given back, waiting for its next use */
	TRANSFER_RUNNING,
	TRANSFER_DONE,				/* complete, for http_next_done */
	TRANSFER_DELIVERED			/* the caller has it */
} TransferState;

/*
 * HttpSettings: what all transfers of a client share.
 */
typedef struct HttpSettings
{
	HttpLimits	limits;			/* its strings are our copies */
	CURLSH	   *share;			/* TLS sessions */
	bool		http2;			/* libcurl was built with it */
	bool		certificate_file;	/* its certificates are in a file */
	size_t		body_size_hint; /* the largest buffer that was kept */
} HttpSettings;

/* False with a message; to be freed in both cases, zero before. */
extern bool http_settings_init(HttpSettings *settings,
							   const HttpLimits *limits,
							   char *error, size_t error_len);
extern void http_settings_free(HttpSettings *settings);

struct HttpTransfer
{
	/* http.c's */
	TAILQ_ENTRY(HttpTransfer) link;
	TransferState state;
	HttpClient *client;

	CURL	   *easy;
	HttpSettings *settings;
	void	   *owner;
	OriginRule	rule;

	HttpMessage message;
	struct curl_slist headers[HTTP_MAX_REQUEST_HEADERS];

	HttpResponse response;
	char	   *body;
	size_t		body_len;
	size_t		body_size;		/* allocated */
	bool		secret_body;	/* may answer a token request */

	size_t		header_bytes;
	bool		headers_complete;
	bool		header_over_cap;
	bool		body_over_cap;
	bool		memory_exhausted;

	bool		address_permitted;	/* at least one socket was opened */
	char		address_refused[INET6_ADDRSTRLEN];	/* the last such, or "" */
	char		curl_message[CURL_ERROR_SIZE];
};

extern HttpTransfer *http_transfer_create(HttpSettings *settings);
extern void http_transfer_destroy(HttpTransfer *transfer);

/* Makes the easy handle ready to run; NULL, or why the request is refused. */
extern const char *http_transfer_prepare(HttpTransfer *transfer,
										 const HttpRequest *request,
										 void *owner);

/* Fills in the response; the easy handle is still in the multi handle. */
extern void http_transfer_finish(HttpTransfer *transfer, CURLcode code);

/* Wipes what is secret and keeps what the next request can use. */
extern void http_transfer_recycle(HttpTransfer *transfer);

/* The monotonic clock in microseconds. */
extern int64_t http_now_us(void);

#endif							/* SYNC_ENGINE_HTTP_TRANSFER_H */
