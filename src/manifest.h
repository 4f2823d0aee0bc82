/*-------------------------------------------------------------------------
 *
 * manifest.h
 *		What the manifest says of an entity, as structs.
 *
 * IDENTIFICATION
 *		src/manifest.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_MANIFEST_H
#define SYNC_ENGINE_MANIFEST_H

#include "nodes/pg_list.h"

/* How a value is stored. */
typedef enum ColumnType
{
	COLUMN_TEXT,
	COLUMN_TIMESTAMP,
	COLUMN_DATE,
	COLUMN_BIGINT,
	COLUMN_NUMERIC,
	COLUMN_BOOLEAN,
	COLUMN_JSONB,
	COLUMN_TEXT_ARRAY
} ColumnType;

/* Where in a record a value comes from. */
typedef enum ColumnSource
{
	SOURCE_ATTRIBUTE,
	SOURCE_LINK_ID,				/* to-one relationship */
	SOURCE_LINK_TYPE,			/* its type, where polymorphic */
	SOURCE_LINK_IDS,			/* to-many relationship */
	SOURCE_PARENT				/* parameter of the path it came from */
} ColumnSource;

/* What the user wants of a value that is nobody's business. */
typedef enum ColumnPrivacy
{
	PRIVACY_KEEP,
	PRIVACY_DROP,				/* never stored: the column is NULL */
	PRIVACY_HASH				/* a keyed digest is stored in its place */
} ColumnPrivacy;

/* How the API tells what has changed. */
typedef enum EntityDelta
{
	DELTA_NONE,					/* it does not */
	DELTA_KEYSET,				/* its list is ordered and filtered by the time of change */
	DELTA_FILTERED,				/* ... only filtered */
	DELTA_NEWEST,				/* ... only ordered */
	DELTA_PARENTS				/* a walk: parents that have changed, and others in turn */
} EntityDelta;

typedef struct EntityColumn
{
	const char *name;			/* of the column */
	const char *member;			/* of the attribute or relationship */
	const char *shadowed;		/* attribute of the column's own name, or NULL */
	ColumnType	type;
	ColumnSource source;
	ColumnPrivacy privacy;
	int			param;			/* path parameter of the same name, or -1 */
	bool		hashed;			/* a change of it is a change of the record */
} EntityColumn;

typedef struct Entity
{
	const char *product;
	const char *name;			/* JSON:API type */
	const char *path;			/* of the list, with {parameters} */
	bool		single;			/* the path gives one record, not a list */
	const char *parent;			/* entity whose rows are walked, or NULL */
	int			n_params;
	char	  **params;			/* names of the path's parameters */
	char	  **parent_columns; /* of the parent's table, one for each */
	bool		shared;			/* several parents can bring the same record */
	List	   *aliases;		/* other types its records may carry (char *) */
	const char *base_path;		/* of the product */
	const char *api_version;
	const char *strategy;
	const char *keyset_key;		/* order and where key to read by, or NULL */
	EntityDelta delta;
	const char *delta_key;		/* by which time, or NULL */
	const char *schema_name;	/* pco_people */
	const char *table_name;		/* person */
	const char *view_name;		/* in schema pco */
	int			n_columns;
	EntityColumn *columns;
	int			updated_at;		/* index of the column, or -1 */
} Entity;

/* Loads an entity into the current memory context; NULL if unknown. */
extern Entity *manifest_load(const char *product, const char *name);

/* The same by 'product.Entity'; raises an error if unknown. */
extern Entity *manifest_load_named(const char *name);

/* The root of a product, as an entity without columns; NULL if unknown. */
extern Entity *manifest_load_product(const char *product);

/* 'CheckInTime' → 'check_in_time' */
extern char *manifest_snake_case(const char *name);

#endif							/* SYNC_ENGINE_MANIFEST_H */
