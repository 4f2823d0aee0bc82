/*-------------------------------------------------------------------------
 *
 * errors.h
 *		SQLSTATEs of the extension.
 *
 * Class SE is ours.  An answer of the API that fails a job keeps its HTTP
 * status in the code (SE401, SE503), so that a reader of sync_errors knows
 * it without the text.  Where PostgreSQL has a fitting code, we use that.
 *
 * IDENTIFICATION
 *		src/errors.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_ERRORS_H
#define SYNC_ENGINE_ERRORS_H

#include "utils/elog.h"

/* the server could not be reached, or broke off */
#define SQLSTATE_TRANSPORT		"SE000"
/* it answered 200 with something that is no page */
#define SQLSTATE_BAD_PAGE		"SE001"
/* the organisation is stopped until somebody acts */
#define SQLSTATE_ORG_STOPPED	"SE002"
/* too many records of one job could not be stored */
#define SQLSTATE_TOO_MANY_BAD	"SE003"
/* a hard dependency failed, or a user stopped the work */
#define SQLSTATE_SKIPPED		"SE004"
/* the token belongs to another organisation than before */
#define SQLSTATE_WRONG_ORG		"SE005"
/* a record that the API sent is no sound resource object */
#define SQLSTATE_BAD_RECORD		"SE006"

/* its process was lost again and again while it applied a page */
#define SQLSTATE_CRASHED		"SE007"

/* deletes that somebody has to decide on */
#define SQLSTATE_DELETES_HELD	"SE012"

/* HTTP answers are SE and their status; these two mean «nothing for this token» */
#define SQLSTATE_NO_ACCESS		"SE403"
#define SQLSTATE_NO_SUCH_LIST	"SE404"

#define ERRCODE_SYNC_ORG_STOPPED		MAKE_SQLSTATE('S', 'E', '0', '0', '2')

#endif							/* SYNC_ENGINE_ERRORS_H */
