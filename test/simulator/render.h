/*-------------------------------------------------------------------------
 *
 * render.h
 *	  Records as JSON:API resource objects.
 *
 * IDENTIFICATION
 *	  test/simulator/render.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SIM_RENDER_H
#define SIM_RENDER_H

#include "include.h"
#include "request.h"

/* What of an entity the request wants to see. */
typedef struct sim_shape
{
	const cat_entity *entity;
	int		   *attributes;		/* to show, in order */
	int			attribute_count;
	char	   *fields;			/* ",a,b," if fields[Type] limits, else NULL */
	char	   *root;			/* origin and product, before the collection */
	struct sim_shape *next;
} sim_shape;

/* Where a record stands: that decides about its links and relationships. */
typedef enum sim_form
{
	FORM_LISTED,
	FORM_SINGLE,
	FORM_INCLUDED
} sim_form;

extern sim_shape *shape_of(sim_request *request, const cat_entity *entity);
extern bool shape_knows(const sim_request *request, const cat_entity *entity,
						const char *name);
extern void shapes_free(sim_shape *shapes);
extern uint64_t shown_org_id(const sim_request *request);
extern void render_record(sim_request *request, const sim_table *table,
						  const sim_row *row, sim_form form,
						  const sim_inclusion *inclusion, sim_buf *out);

#endif							/* SIM_RENDER_H */
