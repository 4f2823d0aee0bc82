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
	SOURCE_PARENT				/* id of the parent whose list it came in */
} ColumnSource;

typedef struct EntityColumn
{
	const char *name;			/* of the column */
	const char *member;			/* of the attribute or relationship */
	const char *shadowed;		/* attribute of the column's own name, or NULL */
	ColumnType	type;
	ColumnSource source;
	bool		hashed;			/* a change of it is a change of the record */
} EntityColumn;

typedef struct Entity
{
	const char *product;
	const char *name;			/* JSON:API type */
	const char *path;			/* of the list; {x_id} = the parent's id */
	const char *parent;			/* entity that the path walks, or NULL */
	const char *base_path;		/* of the product */
	const char *api_version;
	const char *strategy;
	const char *keyset_key;		/* order and where key to read by, or NULL */
	const char *schema_name;	/* pco_people */
	const char *table_name;		/* person */
	const char *view_name;		/* in schema pco */
	int			n_columns;
	EntityColumn *columns;
	int			updated_at;		/* index of the column, or -1 */
} Entity;

/* Loads an entity into the current memory context; NULL if unknown. */
extern Entity *manifest_load(const char *product, const char *name);

/* The root of a product, as an entity without columns; NULL if unknown. */
extern Entity *manifest_load_product(const char *product);

/*
 * Resolves names as a user writes them ('Person', 'giving.Person',
 * 'check-ins.CheckIn', '*') into 'product.Entity'; raises an error that names
 * the candidates for an unknown or ambiguous one.  NIL = the org's profile.
 */
extern List *manifest_resolve(List *names);

/* 'CheckInTime' → 'check_in_time' */
extern char *manifest_snake_case(const char *name);

#endif							/* SYNC_ENGINE_MANIFEST_H */
