/*-------------------------------------------------------------------------
 *
 * plan.h
 *		How a set of entities would be read: order, way, and cost.
 *
 * The same plan is carried out by planner.c and shown by sync_plan.
 *
 * IDENTIFICATION
 *		src/plan.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_PLAN_H
#define SYNC_ENGINE_PLAN_H

#include "depgraph.h"
#include "nodes/pg_list.h"

typedef struct PlannedEntity
{
	const char *name;			/* product.Entity */
	const char *product;
	const char *entity;
	const char *strategy;		/* as it will be read */
	const char *own_strategy;	/* as it would be read by itself */
	const char *mode;			/* full, delta or reconcile */
	const char *mode_reason;	/* why it is full although a delta was asked for, or NULL */
	const char *watermark;		/* delta: from when on, as text; or NULL */
	const char *path;
	const char *keyset_key;		/* NULL = none */
	const char *delta_key;		/* NULL = none */
	bool		single;
	int			parent;			/* node whose rows it walks, or -1 */
	int			folded_into;	/* node whose pages bring it, or -1 */
	const char *via;			/* by this include */
	const char *note;			/* what differed the last time, or NULL */
	const char *unseen;			/* why the token may not see it, or NULL */
	bool		may_fold;
	double		lists;			/* of a walk, when it was done last; -1 = never */
	bool		counted;		/* records is not a guess */
	double		records;		/* that are read */
	double		stored;			/* that there are */
	double		requests;
} PlannedEntity;

typedef struct SyncPlan
{
	int			n;
	PlannedEntity *nodes;
	int			n_edges;
	DepEdge    *edges;
	bool	   *skips;			/* per edge: the parent's failure skips the child */
	DepGraphResult *graph;
	const char *problem;		/* it cannot be ordered: why; or NULL */
} SyncPlan;

typedef struct PlanOptions
{
	bool		may_fold;		/* one may come with another's pages */
	bool		soft_edges;		/* containers before members, where that delays nobody */
	const char *mode;			/* auto, full, delta or reconcile */
	bool		only_named;		/* parents that nested ones walk are there already */
} PlanOptions;

/*
 * Plans the entities ('product.Entity' String nodes) and the parents that
 * nested ones walk, with what is known of the org's numbers (org may be NULL: no
 * numbers).  In the current memory context.
 */
extern SyncPlan *plan_build(List *names, const char *org, const PlanOptions *options);

/* Raises an error if there is no order. */
extern void plan_require_order(const SyncPlan *plan);

/* 'Person?include=emails' for a folded node; palloc'd. */
extern char *plan_via(const SyncPlan *plan, const PlannedEntity *node);

/* Why a node is read so: for people; palloc'd. */
extern char *plan_reason(const SyncPlan *plan, const PlannedEntity *node);

#endif							/* SYNC_ENGINE_PLAN_H */
