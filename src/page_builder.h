/*-------------------------------------------------------------------------
 *
 * page_builder.h
 *	  Puts a page together from the values that the parser comes by.
 *
 * IDENTIFICATION
 *	  src/page_builder.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_PAGE_BUILDER_H
#define SYNC_ENGINE_PAGE_BUILDER_H

#include "page_parser.h"
#include "page_shape.h"

/*
 * PageArray: grows by doubling.  Items move, so nothing points to them before
 * the page is complete; each belongs to the last item of the array above it.
 */
typedef struct PageArray
{
	char	   *items;
	size_t		item_size;
	int			count;
	int			capacity;
} PageArray;

/*
 * PageRange: a part of an array, as long as that may still move.
 */
typedef struct PageRange
{
	int			first;
	int			count;
	bool		seen;			/* it is in the document, if only as null */
} PageRange;

typedef struct PageBuilder
{
	ParsedPage *page;
	int			max_records;

	PageArray	records;		/* of PageRecord: data and included */
	PageArray	fields;			/* of PageField, of all records */
	PageArray	links;			/* of PageLink, of all records */
	PageArray	ids;			/* of const char *, of all links */
	PageArray	types;			/* likewise */
	PageArray	names;			/* of const char *, of the can_ lists */
	PageArray	errors;			/* of PageError */

	PageRange	data;			/* in records */
	PageRange	included;		/* in records */
	PageRange  *current;		/* the one of these two that is being read */
	PageRange	can_order_by;	/* in names */
	PageRange	can_query_by;	/* in names */
	PageRange	can_include;	/* in names */
	PageRange  *can;			/* the one of these that is being read */

	bool		in_record;
	const char *identifier_type;	/* of the identifier being read */
	const char *identifier_id;
	bool		identifier_is_null;
} PageBuilder;

extern void page_builder_init(PageBuilder *builder, ParsedPage *page,
							  int max_records);
extern PageRole page_builder_open(PageBuilder *builder, PageRole role,
							  const PageField *value);
extern void page_builder_close(PageBuilder *builder, PageRole role,
							   const PageField *value);
extern void page_builder_complain(PageBuilder *builder, const char *complaint);
extern void page_builder_finish(PageBuilder *builder);

#endif							/* SYNC_ENGINE_PAGE_BUILDER_H */
