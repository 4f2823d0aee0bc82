/*-------------------------------------------------------------------------
 *
 * token_rights.h
 *		What a token may see, and what it might see when rows were read.
 *
 * A token acts as its user: what the user may not see is left out of lists without
 * a word, so a loss of rights looks like deletes.  Whoever reads everything notes
 * the rights that it reads with; a reconcile deletes only if its own are those of
 * all who have read since the last one whose result was accepted.
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
 * Within the transaction that starts it: whether this job, which reads everything,
 * asks for its product.  From then on the others need not: if it gets no answer,
 * that stays on record, as rights that nobody knows.
 */
extern bool token_rights_begin_asking(const char *org, const char *product, int64 job_id);

/* Notes rights that rows are read with, NULL = unknown; the job asks no more. */
extern void token_rights_note(const char *org, const char *product, int64 job_id, const char *rights);

/* Whether a job that runs is about to note some. */
extern bool token_rights_are_asked(const char *org, const char *product);

/*
 * Why rows that the token does not show need not be gone, or NULL.  oldest: when
 * the first of them was written.
 */
extern const char *token_rights_doubt(const char *org, const char *product, const char *entity, const char *rights,
									  TimestampTz oldest);

/* What was noted before does not count any more for the entity. */
extern void token_rights_accept(const char *org, const char *product, const char *entity, TimestampTz before);

/* It counts again. */
extern void token_rights_forget_accepted(const char *org, const char *product, const char *entity);

#endif							/* SYNC_ENGINE_TOKEN_RIGHTS_H */
