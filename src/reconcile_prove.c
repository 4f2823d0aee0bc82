/*-------------------------------------------------------------------------
 *
 * reconcile_prove.c
 *		Whether the read of a reconcile proves anything.
 *
 * After a read the API is asked who the token is and what it may do, which products
 * it may read, and how many records there are.  A read with a flaw ends the job; the
 * rights of the token are compared, by the judgement, with those that rows were read
 * with.
 *
 * IDENTIFICATION
 *		src/reconcile_prove.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "job_question.h"
#include "job_rights.h"
#include "reconcile.h"
#include "session.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/* Which products a token may read is asked again after this. */
#define ACCESS_AGAIN	"10 minutes"

/* Something that the read is judged by. */
typedef enum QuestionKind
{
	QUESTION_RIGHTS,			/* what the token may see in a product */
	QUESTION_TOTAL,				/* how long the list is */
	QUESTION_PRODUCT			/* whether a product may be read */
} QuestionKind;

typedef struct Question
{
	QuestionKind kind;
	const char *target;
	const char *api_version;
	const char *product;
} Question;

static void
add_question(Job *job, QuestionKind kind, const char *product, const char *target, const char *api_version)
{
	Question   *question = palloc(sizeof(Question));

	question->kind = kind;
	question->target = target;
	question->product = product;
	question->api_version = api_version;
	job->reconcile->questions = lappend(job->reconcile->questions, question);
}

static const char *
version_of(const Job *job, const char *product, const char *pinned)
{
	const char *wanted = org_api_version(job->org->name, product);

	return wanted != NULL ? wanted : pinned;
}

/*
 * add_products: unless that was asked just now, by another job of the run or by
 * somebody.
 */
static void
add_products(Job *job, MemoryContext context)
{
	static Statement select_products = {
		"SELECT p.product, p.base_path, p.api_version FROM sync_engine.product p WHERE NOT EXISTS ("
		"  SELECT 1 FROM sync_engine.product_access a WHERE (a.org, a.product) = ($1, p.product) "
		"  AND a.checked_at > now() - interval '" ACCESS_AGAIN "') ORDER BY product",
		1, {TEXTOID}
	};
	Datum		args[1] = {CStringGetTextDatum(job->org->name)};
	uint64		n = statement_run(&select_products, args, NULL);
	char	  **texts = palloc(sizeof(char *) * Max(n, 1) * 3);
	MemoryContext old = MemoryContextSwitchTo(context);

	for (uint64 i = 0; i < n; i++)
	{
		for (int k = 0; k < 3; k++)
			texts[i * 3 + k] = result_text(i, k + 1);
	}
	for (uint64 i = 0; i < n; i++)
		add_question(job, QUESTION_PRODUCT, texts[i * 3], texts[i * 3 + 1],
					 version_of(job, texts[i * 3], texts[i * 3 + 2]));
	MemoryContextSwitchTo(old);
}

/*
 * begin_questions: false if the read has a flaw already, and the job has ended.
 */
static bool
begin_questions(Job *job)
{
	static Statement select_flaw = {
		"SELECT flaw FROM sync_engine.job WHERE job_id = $1", 1, {INT8OID}
	};
	Datum		args[1] = {Int64GetDatum(job->claim.job_id)};
	MemoryContext context = job->reconcile->context;
	const Entity *entity = job->entity;
	ListCell   *cell;
	MemoryContext old;
	const bool	durable = false;
	char	   *flaw;

	if (!session_begin("looking at what was read"))
	{
		job->over = true;
		return false;
	}
	(void) statement_run(&select_flaw, args, NULL);
	flaw = result_text(0, 1);
	flaw = flaw ? MemoryContextStrdup(context, flaw) : NULL;
	old = MemoryContextSwitchTo(context);
	foreach(cell, token_rights_questions(job->org->name, entity))
	{
		const RightsQuestion *question = lfirst(cell);

		add_question(job, QUESTION_RIGHTS, question->product, question->target, question->api_version);
	}
	if (entity->parent == NULL && !entity->single)
		add_question(job, QUESTION_TOTAL, entity->product, psprintf("%s?per_page=1", entity->path), NULL);
	MemoryContextSwitchTo(old);
	add_products(job, context);
	session_commit(durable);
	if (flaw != NULL)
		reconcile_give_up(job, flaw);
	return flaw == NULL;
}

/*
 * store_access: for the other jobs of the run, and for people.
 */
static void
store_access(Job *job, const char *product, const char *refusal)
{
	const bool	may_end = false;
	const bool	durable = false;

	if (!reconcile_begin_step(job, "noting what the token may read", may_end, job->position))
		return;
	org_note_access(job->org->name, product, refusal);
	session_commit(durable);
	job->unsaved_requests = 0;
}

void
reconcile_answer_question(Job *job, const PageRequest *request)
{
	Reconcile  *reconcile = job->reconcile;
	const Question *question = list_nth(reconcile->questions, reconcile->next_question - job->n_window);
	const ParsedPage *page;
	bool		is_known;

	if (!job_question_answer(job, request, &page))
		return;
	is_known = page != NULL && page->problem == NULL;
	switch (question->kind)
	{
		case QUESTION_RIGHTS:
			job_rights_take(&reconcile->token_rights, question->product, request, page);
			break;
		case QUESTION_TOTAL:
			reconcile->total = is_known ? page->total_count : -1;
			break;
		case QUESTION_PRODUCT:
			if (is_known || (request->refusal != NULL && request->is_final))
				store_access(job, question->product, is_known ? NULL : request->refusal);
			else
				reconcile->token_rights.is_incomplete = true;
			break;
	}
	if (!job->over)
		job_drop_first(job);
}

/*
 * list_accessible: the products that the token may read.
 */
static const char *
list_accessible(Job *job)
{
	static Statement select_access = {
		"SELECT string_agg(product, ' ' ORDER BY product) FROM sync_engine.product_access WHERE org = $1 AND accessible",
		1, {TEXTOID}
	};
	Datum		args[1] = {CStringGetTextDatum(job->org->name)};
	const char *products;

	(void) statement_run(&select_access, args, NULL);
	products = result_text(0, 1);
	return products != NULL ? products : "";
}

/*
 * conclude: all questions are answered.
 */
static void
conclude(Job *job)
{
	Reconcile  *reconcile = job->reconcile;
	bool		is_list = job->entity->parent == NULL && !job->entity->single;
	bool		is_first = reconcile->phase == RECONCILE_PROVE;
	const char *rights;
	const bool	may_end = false;
	const bool	durable = false;

	if (is_list && reconcile->total < 0)
	{
		reconcile_give_up(job, "the API does not count its list");
		return;
	}
	if (!session_begin("looking at what the token may read"))
	{
		job->over = true;
		return;
	}
	rights = token_rights_format(&reconcile->token_rights, list_accessible(job));
	rights = rights != NULL ? MemoryContextStrdup(job->context, rights) : NULL;
	session_commit(durable);
	if (is_first)
	{
		reconcile->rights = rights;
		job->claim.expected = is_list ? reconcile->total : -1;
		reconcile_move_on(job, RECONCILE_JUDGE);
		return;
	}
	if (!reconcile->approval && (rights == NULL || reconcile->rights == NULL ||
								 strcmp(rights, reconcile->rights) != 0))
	{
		reconcile_finish(job, "held", "what the token may see has changed meanwhile");
		return;
	}

	/* all that the second read has shown was struck as it came */
	if (!reconcile_begin_step(job, "confirming candidates", may_end, reconcile_position(job, RECONCILE_APPLY)))
		return;
	delete_batch_confirm_rest(reconcile->batch, "a second complete read did not show it either");
	session_commit(durable);
	reconcile_enter(job, RECONCILE_APPLY);
}

void
reconcile_plan_questions(Job *job, int limit)
{
	Reconcile  *reconcile = job->reconcile;

	if (reconcile->questions == NIL && !begin_questions(job))
		return;
	while (job->n_window < limit && reconcile->next_question < list_length(reconcile->questions))
	{
		const Question *question = list_nth(reconcile->questions, reconcile->next_question++);

		job_question_add(job, question->target, NULL, question->api_version);
	}
	if (job->n_window == 0)
		conclude(job);
}
