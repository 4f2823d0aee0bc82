/*-------------------------------------------------------------------------
 *
 * http_multi.h
 *	  A curl multi handle behind one file descriptor and one timeout.
 *
 * Internal to http.c and http_multi.c.
 *
 * IDENTIFICATION
 *	  src/http_multi.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_HTTP_MULTI_H
#define SYNC_ENGINE_HTTP_MULTI_H

#include <curl/curl.h>

#include "http.h"

typedef struct HttpMulti
{
	CURLM	   *multi;
	int			epoll_fd;
	int64_t		timer_us;		/* when libcurl wants a call; -1 = never */
} HttpMulti;

extern void http_multi_init(HttpMulti *loop);

/* False with a message; to be closed in both cases. */
extern bool http_multi_open(HttpMulti *loop, const HttpLimits *limits,
							char *error, size_t error_len);
extern void http_multi_close(HttpMulti *loop);

extern CURLMcode http_multi_add(HttpMulti *loop, CURL *easy);
extern void http_multi_remove(HttpMulti *loop, CURL *easy);
extern long http_multi_timeout_ms(const HttpMulti *loop);

/* Anything but CURLM_OK: the handle is of no more use. */
extern CURLMcode http_multi_serve(HttpMulti *loop);

#endif							/* SYNC_ENGINE_HTTP_MULTI_H */
