/*-------------------------------------------------------------------------
 *
 * token_rights.h
 *		What a token may see, and what it might see when rows were read.
 *
 * A token acts as its user: what the user may not see is left out of lists without
 * a word (api.md, "A token acts as its user"), so a loss of rights looks like
 * deletes.  Whoever reads everything notes the rights that it reads with; a
 * reconcile deletes only if its own are those of all who have read since the last
 * one whose result was accepted.
 *
 * IDENTIFICATION
 *		src/token_rights.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_TOKEN_RIGHTS_H
#define SYNC_ENGINE_TOKEN_RIGHTS_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "manifest.h"
#include "nodes/pg_list.h"
#include "page_parser.h"

/* Something that tells what the token may see. */
typedef struct RightsQuestion
{
	const char *product;
	const char *target;			/* path */
	const char *api_version;	/* NULL = that of the entity it is asked for */
} RightsQuestion;

/* What has been answered so far: zero to begin with. */
typedef struct TokenRights
{
	uint64		digest;
	bool		is_known;		/* one product at least has shown the token's person */
	bool		is_incomplete;	/* a question has got no answer */
} TokenRights;

/*
 * Who the token is, in People and in the entity's product: a list of
 * RightsQuestion, in the present memory.  Within a transaction.
 */
extern List *token_rights_questions(const char *org, const Entity *entity);

/* A product's answer: its person, or NULL where it has said that it shows none. */
extern void token_rights_fold(TokenRights *rights, const char *product, const PageRecord *person);

/*
 * The answers as a text, or NULL if they do not tell.  products: which ones the
 * token may read, or NULL if that was not asked.  Palloc'd.
 */
extern const char *token_rights_format(const TokenRights *rights, const char *products);

/*
 * Within a transaction: whether this job, which reads everything, is the one that
 * asks for its product.
 */
extern bool token_rights_is_due(const char *org, const char *product, int64 job_id);

/* Notes rights that rows are read with; NULL = unknown. */
extern void token_rights_note(const char *org, const char *product, const char *rights);

/* Why rows that the token does not show need not be gone, or NULL. */
extern const char *token_rights_doubt(const char *org, const char *product, const char *entity, const char *rights);

/* What was read until then is all that the token's rights of then show. */
extern void token_rights_accept(const char *org, const char *product, const char *entity, TimestampTz until);

#endif							/* SYNC_ENGINE_TOKEN_RIGHTS_H */
