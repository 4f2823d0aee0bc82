/*-------------------------------------------------------------------------
 *
 * catalogue.h
 *	  What the simulated API consists of: products, entities, attributes,
 *	  relationships, edges, filters and how their values are generated.
 *
 * IDENTIFICATION
 *	  test/simulator/catalogue.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SIM_CATALOGUE_H
#define SIM_CATALOGUE_H

#include "text.h"

typedef enum cat_type
{
	TYPE_STRING,
	TYPE_ID,
	TYPE_INTEGER,
	TYPE_FLOAT,
	TYPE_BOOLEAN,
	TYPE_DATE,
	TYPE_DATE_TIME,
	TYPE_JSON,
	TYPE_ARRAY
} cat_type;

typedef struct cat_list
{
	char	   *name;
	char	  **words;
	int			count;
	struct cat_list *next;
} cat_list;

typedef enum cat_generator
{
	GEN_NULL,
	GEN_CONST,					/* text */
	GEN_PICK,					/* a random word of the list */
	GEN_CYCLE,					/* the list's word for this row's position */
	GEN_BOOL,					/* true in lo percent */
	GEN_INT,					/* lo..hi */
	GEN_FLOAT,					/* lo..hi, text holds nothing, decimals six */
	GEN_DATE,					/* a day of the years lo..hi */
	GEN_TIME,					/* a second of the years lo..hi */
	GEN_CREATED,				/* the row's own stamps */
	GEN_UPDATED,
	GEN_SEQUENCE,				/* position, from 1 */
	GEN_FIRST,					/* true for a parent's first child */
	GEN_WORDS,					/* lo..hi words of the list */
	GEN_TEMPLATE,				/* text with {references}, made once */
	GEN_DERIVED,				/* the same, made again upon each change */
	GEN_COUNT,					/* rows of the edge in text; derived */
	GEN_REF,					/* id of the to-one in text; derived */
	GEN_TYPE_OF					/* type of the to-one's target; derived */
} cat_generator;

typedef struct cat_attribute
{
	char	   *name;
	char	   *key;			/* "name": ready for output */
	size_t		key_len;
	cat_type	type;
	cat_generator generator;
	const cat_list *list;
	char	   *text;
	double		lo;
	double		hi;
	double		null_percent;
	char	   *when_name;		/* null unless that attribute has when_value */
	char	   *when_value;		/* as JSON */
	int			when;			/* its number, or -1 */
	int			link;			/* to-one or edge that text names, or -1 */
	bool		fields_only;	/* shown only when named in fields[] */
	bool		hidden;			/* orderable, never shown */
	bool		number;			/* an id sent as a JSON number */
	bool		changes;		/* a plain update may pick it */
	bool		single;			/* true for one row per owner */
	char	   *since;			/* API version that brought it */
} cat_attribute;

typedef enum cat_target
{
	TARGET_NONE,				/* always null */
	TARGET_PARENT,				/* the row this one was made for */
	TARGET_GROUP,				/* parents in groups of arg, then the next group */
	TARGET_RANDOM,
	TARGET_GONE,				/* an id that no row ever has */
	TARGET_OUTSIDE,				/* an id of a type that is not served here */
	TARGET_PARENTS,				/* what the parent's to-one a points to */
	TARGET_EITHER,				/* what to-one a points to, else what b does */
	TARGET_ORGANIZATION
} cat_target;

typedef struct cat_to_one
{
	char	   *name;
	char	   *target_name;
	int			target;			/* entity, or -1 when not in the catalogue */
	char	   *alias;			/* type name that stands in the data, if another */
	cat_target	generator;
	int			arg;
	char	   *a_name;
	char	   *b_name;
	int			a;
	int			b;
	double		null_percent;
	bool		hidden;			/* neither in records nor a column */
	bool		silent;			/* a column, but never in records */
	bool		owner;			/* goes, moves and is seen with its target */
	bool		heir;			/* a member takes the place of a gone target */
	bool		refreshes;		/* derived attributes of the target follow */
	bool		polymorphic;
} cat_to_one;

typedef enum cat_edge_kind
{
	EDGE_NONE,					/* documented, nothing behind it here */
	EDGE_WHERE,					/* rows whose to-one a is this row */
	EDGE_THROUGH,				/* rows of middle: to-one a is this, b is it */
	EDGE_REF,					/* this row's to-one a, then perhaps b of that */
	EDGE_SOME,					/* lo..hi rows of the target, drawn once and for all */
	EDGE_ORGANIZATION
} cat_edge_kind;

typedef struct cat_edge
{
	char	   *name;
	char	   *target_name;
	char	   *middle_name;
	char	   *a_name;
	char	   *b_name;
	int			target;			/* entity, or -1 when not in the catalogue */
	int			middle;
	int			a;
	int			b;
	cat_edge_kind kind;
	char	   *alias;			/* type name that relationships carry, if another */
	int			lo;
	int			hi;
	bool		many;
	bool		unscoped;		/* also lists what the target hides */
	bool		include;		/* may stand in include= */
	bool		always;			/* its ids stand in every record */
	bool		documented;		/* as a relationship, though only an include shows it */
} cat_edge;

typedef enum cat_filter_kind
{
	FILTER_ALL,					/* changes nothing */
	FILTER_EQUALS,
	FILTER_NOT,
	FILTER_NONNULL,
	FILTER_SINCE,				/* stamp >= parameter, default lo seconds ago */
	FILTER_UNHIDE,				/* also shows what the entity hides */
	FILTER_ONLY,				/* shows nothing but what the entity hides */
	FILTER_HAS					/* the edge has rows */
} cat_filter_kind;

typedef struct cat_filter
{
	char	   *name;
	cat_filter_kind kind;
	char	   *subject;		/* attribute or edge */
	char	   *value;			/* JSON to compare with, or parameter name */
	int			seconds;
} cat_filter;

typedef struct cat_search
{
	char	   *name;
	char	  **parts;			/* words:attr, prefix:edge.attr, ... any matches */
	int			count;
} cat_search;

typedef enum cat_rows
{
	ROWS_NONE,
	ROWS_PEOPLE,				/* the size of the organisation */
	ROWS_FIXED,
	ROWS_SHARE,					/* one per so many people, fixed at least */
	ROWS_PER,					/* a cyclic pattern of children per parent */
	ROWS_ORGANIZATION,			/* one, with the organisation's id */
	ROWS_ME						/* one, with the id of the token's person */
} cat_rows;

typedef struct cat_names
{
	char	  **names;
	int			count;
} cat_names;

/* A parameter of the path that lists an entity: to-ones that lead to its id. */
typedef struct cat_param
{
	char	   *name;			/* as a column */
	cat_names	hops;
} cat_param;

typedef struct cat_entity
{
	int			number;
	int			product;
	char	   *type;
	char	   *collection;		/* NULL for nested-only entities */
	char	   *html;			/* prefix of links.html, the id follows */
	cat_rows	rows;
	int			fixed;
	int			share;			/* people per row */
	char	   *per_name;
	int			per;			/* parent entity */
	int			first;			/* parents that have rows; 0: all */
	char	   *having_name;
	int			having;			/* to-one a parent must have set, or -1 */
	int		   *pattern;
	int			pattern_len;
	cat_attribute *attributes;
	int			attribute_count;
	cat_to_one *to_one;
	int			to_one_count;
	cat_edge   *edges;
	int			edge_count;
	cat_filter *filters;
	int			filter_count;
	cat_search *searches;
	int			search_count;
	cat_names	where;
	cat_names	order;
	char	   *hide;			/* attribute: rows where it is set are not listed */
	char	   *nested_slot;	/* canonical parent: to-one and the parent's edge */
	char	   *nested_edge;
	int			nested;			/* the to-one's number, or -1 */
	bool		nested_many;	/* the edge gives a list */
	char	   *link;			/* collection in links of what has none */
	char	   *since;			/* API version that brought it */
	bool		single;			/* its collection's path gives one record */
	bool		thin;			/* an included copy lacks its references */
	bool		shaded;			/* something above it may be hidden */
	cat_param  *params;
	int			param_count;
	char	   *seen_type;		/* where its records can be found, and */
	cat_names	seen;			/* the edges from there, if not by nested */
	char	   *merge_keep;		/* this entity logs merges: its two to-ones */
	char	   *merge_remove;
	int			owner;			/* to-one that owns a row, or -1 */
	bool		derived;		/* has attributes that follow other rows */
} cat_entity;

typedef struct cat_product
{
	char	   *name;			/* as in paths; "_" equals "-" */
	cat_names	versions;
} cat_product;

typedef struct catalogue
{
	cat_product *products;
	int			product_count;
	cat_entity *entities;
	int			entity_count;
	cat_list   *lists;
} catalogue;

extern catalogue *catalogue_load(const char *directory);
extern int	catalogue_product(const catalogue *cat, const char *name, size_t len);
extern int	catalogue_entity(const catalogue *cat, int product, const char *type);
extern const cat_entity *catalogue_find(const catalogue *cat, const char *name);
extern int	entity_attribute(const cat_entity *entity, const char *name);
extern int	entity_to_one(const cat_entity *entity, const char *name);
extern int	entity_edge(const cat_entity *entity, const char *name);
extern const char *product_newest(const cat_product *product);

#endif							/* SIM_CATALOGUE_H */
