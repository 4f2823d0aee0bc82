/*-------------------------------------------------------------------------
 *
 * response.h
 *		What an HTTP answer means: one table for all errors of the API.
 *
 * IDENTIFICATION
 *		src/response.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_RESPONSE_H
#define SYNC_ENGINE_RESPONSE_H

#include "http.h"
#include "queue.h"

typedef enum ResponseClass
{
	RESPONSE_PAGE,				/* a JSON document, to be parsed */
	RESPONSE_REDIRECT,
	RESPONSE_THROTTLED,			/* 429: wait; no attempt is burned */
	RESPONSE_TRANSIENT,			/* try again, with backoff */
	RESPONSE_UNAUTHORIZED,		/* the credential is refused: stop the org */
	RESPONSE_NOT_FOUND,
	RESPONSE_PERMANENT			/* trying again will not help */
} ResponseClass;

/*
 * Classifies an answer; for all but pages and redirects *failure says what
 * happened, in memory of the current context.  The body may be overwritten.
 */
extern ResponseClass response_classify(const HttpResponse *response, const char *org,
									   Failure *failure);

#endif							/* SYNC_ENGINE_RESPONSE_H */
