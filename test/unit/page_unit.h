/*-------------------------------------------------------------------------
 *
 * page_unit.h
 *	  What the unit tests of the page parser share.
 *
 * Documents are written with single quotes in place of double ones; the
 * functions here put that right.  Every body is parsed from memory of exactly
 * its length, so that the address sanitizer sees a byte read too far.
 *
 * IDENTIFICATION
 *	  test/unit/page_unit.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_PAGE_UNIT_H
#define SYNC_ENGINE_PAGE_UNIT_H

#include "lib/stringinfo.h"

#include "page_parser.h"
#include "unit.h"

static const PageLimits default_limits = {0};

/* One record around what is to be tested. */
#define ATTRIBUTES(text) \
	"{'data':[{'type':'T','id':'1','attributes':{" text "}}]}"
#define RELATIONSHIPS(text) \
	"{'data':[{'type':'T','id':'1','relationships':{" text "}}]}"

/* Text with its single quotes made double, in memory of its own. */
static inline char *
json(const char *text)
{
	char	   *copy = pstrdup(text);

	for (char *at = copy; *at != '\0'; at++)
		if (*at == '\'')
			*at = '"';
	return copy;
}

static inline ParsedPage *
parse_bytes(const char *bytes, size_t len, const PageLimits *limits)
{
	char	   *body = malloc(len);

	for (size_t i = 0; i < len; i++)
		body[i] = bytes[i] == '\'' ? '"' : bytes[i];
	return page_parse(body, len, limits);
}

static inline ParsedPage *
parse(const char *body)
{
	return parse_bytes(body, strlen(body), &default_limits);
}

/* The defect of the only record; a text no defect has if there is not one. */
static inline const char *
defect_of(const char *body)
{
	ParsedPage *page = parse(body);

	if (!CHECK_STR(page->problem, NULL) || !CHECK_INT(page->n_records, 1))
		return "(no record)";
	return page->records[0].defect;
}

#endif							/* SYNC_ENGINE_PAGE_UNIT_H */
