/*-------------------------------------------------------------------------
 *
 * document.h
 *	  Whole JSON:API documents: lists, single records, errors.
 *
 * IDENTIFICATION
 *	  test/simulator/document.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SIM_DOCUMENT_H
#define SIM_DOCUMENT_H

#include "query.h"

/* Whose list or member a document shows; row NULL: the organisation's. */
typedef struct sim_parent
{
	const sim_table *table;
	const sim_row *row;
	const cat_edge *edge;		/* that led to it */
} sim_parent;

extern void document_list(sim_request *request, sim_table *table,
						  const sim_rows *scope, const sim_parent *parent);
extern void document_single(sim_request *request, sim_table *table,
							const sim_row *row, const sim_parent *parent);
extern void document_error(sim_request *request, int status, const char *code,
						   const char *title, const char *detail);
extern void document_not_found(sim_request *request);
extern void document_forbidden(sim_request *request);

#endif							/* SIM_DOCUMENT_H */
