/*-------------------------------------------------------------------------
 *
 * delete_archive.h
 *		The table that deleted rows move to.
 *
 * IDENTIFICATION
 *		src/delete_archive.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_DELETE_ARCHIVE_H
#define SYNC_ENGINE_DELETE_ARCHIVE_H

#include "manifest.h"

/* Names for SQL, palloc'd. */
extern char *delete_data_table(const Entity *entity);
extern char *delete_archive_table(const Entity *entity);

/*
 * The columns of the data table as a list in SQL, each with that prefix; those
 * that are computed are left out.
 */
extern char *delete_columns(const Entity *entity, const char *prefix);

/*
 * Makes the archive, or gives it the columns that the data table has got since.
 * Within a transaction, as the extension's owner.
 */
extern void delete_archive_ensure(const Entity *entity);

#endif							/* SYNC_ENGINE_DELETE_ARCHIVE_H */
