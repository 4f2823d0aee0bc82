/*-------------------------------------------------------------------------
 *
 * attribute.h
 *		One attribute's value, as its column stores it.
 *
 * IDENTIFICATION
 *		src/attribute.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_ATTRIBUTE_H
#define SYNC_ENGINE_ATTRIBUTE_H

#include "datatype/timestamp.h"
#include "manifest.h"
#include "page_parser.h"

#define DAYS_1970_TO_2000	(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE)

/*
 * Converts a value to its column's type, or to the digest that is stored in
 * its place.  False with a palloc'd problem if it does not fit.  May raise a
 * data error (class 22) for json and numeric.
 */
extern bool attribute_convert(const EntityColumn *column, const JsonSlice *value,
							  Datum *datum, bool *isnull, char **problem);

/* What stands for a value with privacy hash; palloc'd. */
extern char *attribute_digest(const JsonSlice *value);

#endif							/* SYNC_ENGINE_ATTRIBUTE_H */
