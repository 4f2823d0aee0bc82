/*-------------------------------------------------------------------------
 *
 * page_shape.h
 *	  The shape of a JSON:API document, as a table.
 *
 * IDENTIFICATION
 *	  src/page_shape.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_PAGE_SHAPE_H
#define SYNC_ENGINE_PAGE_SHAPE_H

/*
 * PageRole: what a value is to us.
 */
typedef enum PageRole
{
	ROLE_IGNORED = 0,
	ROLE_DOCUMENT,
	ROLE_DATA,					/* if an object, it has ROLE_RECORD instead */
	ROLE_INCLUDED,				/* is read as ROLE_DATA */
	ROLE_RECORD,
	ROLE_TYPE,
	ROLE_ID,
	ROLE_ATTRIBUTES,
	ROLE_ATTRIBUTE,
	ROLE_RELATIONSHIPS,
	ROLE_RELATIONSHIP,
	ROLE_LINK_DATA,				/* if an object, ROLE_IDENTIFIER instead */
	ROLE_IDENTIFIER,
	ROLE_IDENTIFIER_TYPE,
	ROLE_IDENTIFIER_ID,
	ROLE_RECORD_LINKS,
	ROLE_RECORD_SELF,
	ROLE_PAGE_LINKS,
	ROLE_PAGE_SELF,
	ROLE_PAGE_NEXT,
	ROLE_META,
	ROLE_TOTAL_COUNT,
	ROLE_COUNT,
	ROLE_META_NEXT,
	ROLE_NEXT_OFFSET,
	ROLE_PARENT,
	ROLE_PARENT_TYPE,
	ROLE_PARENT_ID,
	ROLE_CAN_ORDER_BY,
	ROLE_CAN_QUERY_BY,
	ROLE_CAN_INCLUDE,
	ROLE_CAN_NAME,
	ROLE_ERRORS,				/* if an object, ROLE_ERROR instead */
	ROLE_ERROR,
	ROLE_ERROR_STATUS,
	ROLE_ERROR_CODE,
	ROLE_ERROR_TITLE,
	ROLE_ERROR_DETAIL,
	ROLE_OAUTH_ERROR,
	ROLE_OAUTH_DESCRIPTION,
	N_ROLES
} PageRole;

/*
 * PageMember: a value that matters, in the list of the value it stands in.  The
 * last of each list has no name: it stands for elements, and for every name
 * that the list does not have.
 */
typedef struct PageMember
{
	const char *name;
	PageRole	role;
	int			kinds;			/* what it may be: bits, 1 << JsonKind */
	const char *complaint;		/* if it is of another kind; NULL: it is then
								 * as good as absent */
} PageMember;

extern const PageMember *page_member(PageRole container, const char *name);

#endif							/* SYNC_ENGINE_PAGE_SHAPE_H */
