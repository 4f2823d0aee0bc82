/*-------------------------------------------------------------------------
 *
 * page_shape.c
 *	  The shape of a JSON:API document, as a table.
 *
 * Which values matter, where they stand, what kinds of JSON they may be, and
 * what is to be said if they are of another.  To read one more member is one
 * more line here and one more case in page_parser.c.
 *
 * Data only; it must never depend on a document.
 *
 * IDENTIFICATION
 *	  src/page_shape.c
 *
 *-------------------------------------------------------------------------
 */
#ifdef FRONTEND
#include "postgres_fe.h"
#else
#include "postgres.h"
#endif

#include "page_parser.h"
#include "page_shape.h"

#define NULL_		(1 << JSON_KIND_NULL)
#define STRING		(1 << JSON_KIND_STRING)
#define NUMBER		(1 << JSON_KIND_NUMBER)
#define OBJECT		(1 << JSON_KIND_OBJECT)
#define ARRAY		(1 << JSON_KIND_ARRAY)
#define ANY			(~0)

#define THE_REST_IS_IGNORED {NULL, ROLE_IGNORED, ANY, NULL}

static const PageMember ignored_members[] = {
	THE_REST_IS_IGNORED
};

static const PageMember document_members[] = {
	{"data", ROLE_DATA, OBJECT | ARRAY | NULL_,
	"data is neither an object nor an array"},
	{"included", ROLE_INCLUDED, ARRAY | NULL_, "included is not an array"},
	{"links", ROLE_PAGE_LINKS, OBJECT, NULL},
	{"meta", ROLE_META, OBJECT, NULL},
	{"errors", ROLE_ERRORS, OBJECT | ARRAY, NULL},
	{"error", ROLE_OAUTH_ERROR, STRING, NULL},
	{"error_description", ROLE_OAUTH_DESCRIPTION, STRING, NULL},
	THE_REST_IS_IGNORED
};

static const PageMember records_members[] = {
	{NULL, ROLE_RECORD, ANY, NULL}
};

static const PageMember record_members[] = {
	{"type", ROLE_TYPE, STRING, "type is not a string"},
	{"id", ROLE_ID, STRING | NUMBER | NULL_, "id is not a string"},
	{"attributes", ROLE_ATTRIBUTES, OBJECT | NULL_,
	"attributes is not an object"},
	{"relationships", ROLE_RELATIONSHIPS, OBJECT | NULL_,
	"relationships is not an object"},
	{"links", ROLE_RECORD_LINKS, OBJECT, NULL},
	THE_REST_IS_IGNORED
};

static const PageMember attributes_members[] = {
	{NULL, ROLE_ATTRIBUTE, ANY, NULL}
};

static const PageMember relationships_members[] = {
	{NULL, ROLE_RELATIONSHIP, OBJECT | NULL_, "relationship is not an object"}
};

static const PageMember relationship_members[] = {
	{"data", ROLE_LINK_DATA, OBJECT | ARRAY | NULL_,
	"relationship data is neither an object nor an array"},
	THE_REST_IS_IGNORED
};

static const PageMember link_data_members[] = {
	{NULL, ROLE_IDENTIFIER, OBJECT, "relationship data holds no identifier"}
};

static const PageMember identifier_members[] = {
	{"type", ROLE_IDENTIFIER_TYPE, STRING, "relationship type is not a string"},
	{"id", ROLE_IDENTIFIER_ID, STRING | NUMBER | NULL_,
	"relationship id is not a string"},
	THE_REST_IS_IGNORED
};

static const PageMember record_links_members[] = {
	{"self", ROLE_RECORD_SELF, STRING, NULL},
	THE_REST_IS_IGNORED
};

static const PageMember page_links_members[] = {
	{"self", ROLE_PAGE_SELF, STRING, NULL},
	{"next", ROLE_PAGE_NEXT, STRING, NULL},
	THE_REST_IS_IGNORED
};

static const PageMember meta_members[] = {
	{"total_count", ROLE_TOTAL_COUNT, NUMBER | STRING, NULL},
	{"count", ROLE_COUNT, NUMBER | STRING, NULL},
	{"next", ROLE_META_NEXT, OBJECT, NULL},
	{"parent", ROLE_PARENT, OBJECT, NULL},
	{"can_order_by", ROLE_CAN_ORDER_BY, ARRAY, NULL},
	{"can_query_by", ROLE_CAN_QUERY_BY, ARRAY, NULL},
	{"can_include", ROLE_CAN_INCLUDE, ARRAY, NULL},
	THE_REST_IS_IGNORED
};

static const PageMember meta_next_members[] = {
	{"offset", ROLE_NEXT_OFFSET, NUMBER | STRING, NULL},
	THE_REST_IS_IGNORED
};

static const PageMember parent_members[] = {
	{"type", ROLE_PARENT_TYPE, STRING, NULL},
	{"id", ROLE_PARENT_ID, STRING | NUMBER, NULL},
	THE_REST_IS_IGNORED
};

static const PageMember can_members[] = {
	{NULL, ROLE_CAN_NAME, STRING, NULL}
};

static const PageMember errors_members[] = {
	{NULL, ROLE_ERROR, OBJECT | STRING, NULL}
};

static const PageMember error_members[] = {
	{"status", ROLE_ERROR_STATUS, STRING | NUMBER, NULL},
	{"code", ROLE_ERROR_CODE, STRING | NUMBER, NULL},
	{"title", ROLE_ERROR_TITLE, STRING, NULL},
	{"detail", ROLE_ERROR_DETAIL, STRING, NULL},
	THE_REST_IS_IGNORED
};

/* What stands in a value of each role; nothing in those that are missing. */
static const PageMember *const members_of[N_ROLES] = {
	[ROLE_DOCUMENT] = document_members,
	[ROLE_DATA] = records_members,
	[ROLE_RECORD] = record_members,
	[ROLE_ATTRIBUTES] = attributes_members,
	[ROLE_RELATIONSHIPS] = relationships_members,
	[ROLE_RELATIONSHIP] = relationship_members,
	[ROLE_LINK_DATA] = link_data_members,
	[ROLE_IDENTIFIER] = identifier_members,
	[ROLE_RECORD_LINKS] = record_links_members,
	[ROLE_PAGE_LINKS] = page_links_members,
	[ROLE_META] = meta_members,
	[ROLE_META_NEXT] = meta_next_members,
	[ROLE_PARENT] = parent_members,
	[ROLE_CAN_ORDER_BY] = can_members,
	[ROLE_CAN_QUERY_BY] = can_members,
	[ROLE_CAN_INCLUDE] = can_members,
	[ROLE_ERRORS] = errors_members,
	[ROLE_ERROR] = error_members
};

/*
 * page_member finds what a value is that stands in a container under a name;
 * name is NULL for the elements of an array.
 */
const PageMember *
page_member(PageRole container, const char *name)
{
	const PageMember *member = members_of[container];

	if (member == NULL)
		return ignored_members;
	while (member->name != NULL &&
		   (name == NULL || strcmp(member->name, name) != 0))
		member++;
	return member;
}
