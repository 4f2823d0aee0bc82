/*-------------------------------------------------------------------------
 *
 * store.h
 *	  The truth: organisations, their tables and rows.
 *
 * IDENTIFICATION
 *	  test/simulator/store.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SIM_STORE_H
#define SIM_STORE_H

#include "catalogue.h"
#include "rate.h"
#include "stamp.h"

struct sim_view;
struct sim_odd;

/*
 * One version of a record.  Rows never change: a mutation puts a new row in
 * the place of the old one, which stays reachable as `older` for replies of a
 * stale replica.  The ids of the to-ones, the value offsets and the values (as
 * JSON text) follow the struct in the same allocation.
 */
typedef struct sim_row
{
	uint64_t	id;
	int64_t		created;
	int64_t		updated;		/* may be STAMP_NULL */
	struct sim_row *older;
	uint64_t	batch;			/* deletion that took it */
	uint32_t	position;		/* in the order of generation */
	uint32_t	ordinal;		/* among its parent's children */
	uint32_t	version;
	bool		inserted;		/* not there before its first version */
	bool		deleted;
	bool		merged;			/* deleted by a merge: no way back */
} sim_row;

typedef struct sim_table
{
	struct sim_org *org;
	const cat_entity *entity;
	sim_row   **rows;			/* by id, deleted ones included */
	size_t		count;
	size_t		cap;
	uint32_t	next_position;
	size_t		initial;		/* rows that were generated */
	struct sim_view *views;
	struct sim_odd *odds;
	bool		ignore_where;
	bool		ignore_order;
	bool		ignore_include;
	bool		hide_total;
	bool		forbidden;
} sim_table;

typedef struct sim_org
{
	char	   *name;
	char	   *client;
	char	   *secret;
	char	   *zone;
	uint64_t	id;
	uint64_t	seed;
	size_t		people;
	bool	   *generated;		/* per product */
	int			visible_percent;
	bool	   *forbidden_products;
	sim_table  *tables;			/* one per catalogue entity */
	uint64_t	changes;		/* mutations so far, drives their choices */
	uint64_t	batches;		/* deletions so far */
	sim_rate	rate;
	struct sim_org *next;
} sim_org;

typedef enum sim_column_kind
{
	COLUMN_NONE,
	COLUMN_ID,
	COLUMN_CREATED,
	COLUMN_UPDATED,
	COLUMN_ATTRIBUTE,
	COLUMN_TO_ONE
} sim_column_kind;

typedef struct sim_column
{
	sim_column_kind kind;
	int			number;			/* of the attribute or to-one */
} sim_column;

/* row.c */
extern sim_row *row_make(const cat_entity *entity, const sim_row *like,
						 const uint64_t *refs, const sim_buf *values);
extern const char *row_value(const cat_entity *entity, const sim_row *row,
							 int attribute, size_t *len);
extern bool row_is_null(const cat_entity *entity, const sim_row *row, int attribute);
extern sim_column row_column(const cat_entity *entity, const char *name);
extern bool row_number(const cat_entity *entity, const sim_row *row,
					   sim_column column, int64_t *number);
extern cat_type row_column_type(const cat_entity *entity, sim_column column);
extern const char *entity_target_type(const cat_entity *entity,
									  const uint64_t *refs, int to_one);
extern int	row_compare(const cat_entity *entity, const sim_row *a,
						const sim_row *b, sim_column column);

/*
 * row_refs returns the ids of a row's to-ones; 0 stands for null.
 */
static inline uint64_t *
row_refs(const sim_row *row)
{
	return (uint64_t *) (row + 1);
}

/* store.c */
extern void store_start(const catalogue *cat);
extern const catalogue *store_catalogue(void);
extern sim_org *org_create(const char *name, uint64_t seed, size_t people);
extern sim_org *org_find(const char *name);
extern sim_org *org_by_client(const char *client, size_t len);
extern sim_org *org_first(void);
extern void org_clear(sim_org *org);
extern void store_stop(void);
extern sim_table *org_table(sim_org *org, int entity);
extern sim_table *org_table_of(sim_org *org, const char *entity);
extern sim_row *table_find(const sim_table *table, uint64_t id);
extern sim_row *table_find_live(const sim_table *table, uint64_t id);
extern void table_append(sim_table *table, sim_row *row);
extern void table_replace(sim_table *table, sim_row *old, sim_row *new);

#endif							/* SIM_STORE_H */
