/*-------------------------------------------------------------------------
 *
 * record.h
 *		One record of a page as column values.
 *
 * IDENTIFICATION
 *		src/record.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_RECORD_H
#define SYNC_ENGINE_RECORD_H

#include "datatype/timestamp.h"
#include "manifest.h"
#include "page_parser.h"

/* The record laid against the entity's columns; nothing is converted yet. */
typedef struct Record
{
	const PageRecord *source;
	const char *const *params;	/* of the path it came from; NULL = none known */
	const PageField **fields;	/* per column: its attribute, or NULL */
	const PageLink **links;		/* per column: its relationship, or NULL */
	int			n_extra;
	const PageField **extra;	/* attributes that the manifest does not know */
	uint64		hash;
	bool		has_updated_at;
	TimestampTz updated_at;
} Record;

typedef struct RecordMapper RecordMapper;

extern RecordMapper *record_mapper_create(const Entity *entity, uint64 shape);

/*
 * Lays a sound record against the columns, and hashes what would be stored.
 * The hash depends on values, not on the order of members.
 */
extern void record_map(RecordMapper *mapper, const PageRecord *source,
					   const char *const *params, Record *record);

/* Whether the record says anything of a column, be it null. */
extern bool record_tells(const Entity *entity, const Record *record, int column);

/*
 * Converts a column's value to its Datum.
 * False with a palloc'd problem if it does not fit the type.  May raise a data
 * error (class 22) for json and numeric.
 */
extern bool record_value(const Entity *entity, const Record *record, int column,
						 Datum *value, bool *isnull, char **problem);

/* The unknown attributes as one jsonb, or NULL. */
extern Datum record_extra(const Record *record, bool *isnull);

extern const char *record_json_type(const JsonSlice *value);

#endif							/* SYNC_ENGINE_RECORD_H */
