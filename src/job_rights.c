/*-------------------------------------------------------------------------
 *
 * job_rights.c
 *		What the token may see, asked before everything is read with it.
 *
 * Before, not after: a right that is lost while the read goes on is missed by the next
 * reconcile.  One that is gained while it goes on, and lost again before the next one,
 * is not.
 *
 * IDENTIFICATION
 *		src/job_rights.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "job_question.h"
#include "job_rights.h"
#include "session.h"
#include "utils/memutils.h"

struct JobRights
{
	List	   *questions;		/* (RightsQuestion *) */
	int			next_question;
	TokenRights rights;			/* as answered so far */
};

void
job_rights_begin(Job *job)
{
	MemoryContext old;

	if (job->mode != JOB_FULL || job->reconcile != NULL ||
		!token_rights_begin_asking(job->org->name, job->entity->product, job->claim.job_id))
		return;
	old = MemoryContextSwitchTo(job->context);
	job->rights = palloc0(sizeof(JobRights));
	job->rights->questions = token_rights_questions(job->org->name, job->entity);
	MemoryContextSwitchTo(old);
}

/*
 * conclude: all questions are answered; the job goes on to its list.
 */
static void
conclude(Job *job)
{
	const bool	durable = false;

	if (!session_begin("noting what the token may see"))
	{
		job->over = true;
		return;
	}
	token_rights_note(job->org->name, job->entity->product, job->claim.job_id,
					  token_rights_format(&job->rights->rights, NULL));
	session_commit(durable);
	job->rights = NULL;			/* its memory is the job's */
	job->wake_at = budget_now();
}

void
job_rights_plan(Job *job, int limit)
{
	JobRights  *rights = job->rights;

	while (job->n_window < limit && rights->next_question < list_length(rights->questions))
	{
		const RightsQuestion *question = list_nth(rights->questions, rights->next_question++);

		job_question_add(job, question->target, NULL, question->api_version);
	}
	if (job->n_window == 0)
		conclude(job);
}

void
job_rights_take(TokenRights *rights, const char *product, const PageRequest *request, const ParsedPage *page)
{
	if (page != NULL && page->problem == NULL && page->n_records == 1 && page->records[0].id != NULL)
		token_rights_fold(rights, product, &page->records[0]);
	else if (page == NULL && request->is_final)
		token_rights_fold(rights, product, NULL);	/* it says so itself */
	else
		rights->is_incomplete = true;
}

void
job_rights_answer(Job *job, PageRequest *request)
{
	JobRights  *rights = job->rights;
	const RightsQuestion *question = list_nth(rights->questions, rights->next_question - job->n_window);
	const ParsedPage *page;

	if (!job_question_answer(job, request, &page))
		return;
	job_rights_take(&rights->rights, question->product, request, page);
	job_drop_first(job);
}
