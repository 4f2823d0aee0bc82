/*-------------------------------------------------------------------------
 *
 * oracle.h
 *	  The truth in PostgreSQL's COPY format.
 *
 * IDENTIFICATION
 *	  test/simulator/oracle.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SIM_ORACLE_H
#define SIM_ORACLE_H

#include "store.h"

extern const char *oracle_copy(sim_table *table, const char *columns,
							   const char *filter, sim_buf *out, size_t *rows);
extern void oracle_columns(const cat_entity *entity, sim_buf *out);
extern void oracle_record(const sim_table *table, const sim_row *row, sim_buf *out);
extern void oracle_md5(const char *bytes, size_t len, char hex[33]);

#endif							/* SIM_ORACLE_H */
