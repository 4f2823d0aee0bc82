/*-------------------------------------------------------------------------
 *
 * page_owner.c
 *		Whose data a page brings.
 *
 * IDENTIFICATION
 *		src/page_owner.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "errors.h"
#include "page_owner.h"
#include "session.h"

/*
 * is_org: PCO names the organisation on each page; another church's
 * token under the same org name must not mix their data.
 */
static bool
is_org(Job *job, const ParsedPage *page, Failure *failure)
{
	if (page->parent_type == NULL || page->parent_id == NULL ||
		strcmp(page->parent_type, "Organization") != 0)
		return true;
	if (job->org->pco_organization_id == NULL)
	{
		bool		durable = true;
		bool		ours;

		if (!session_begin("remembering an organisation"))
			return false;
		ours = org_remember_id(job->org, page->parent_id);
		session_commit(durable);
		if (ours)
			job->org->pco_organization_id = MemoryContextStrdup(job->context, page->parent_id);
		else
			job->org->pco_organization_id = MemoryContextStrdup(job->context, "another");
	}
	if (strcmp(job->org->pco_organization_id, page->parent_id) == 0)
		return true;

	failure->sqlstate = SQLSTATE_WRONG_ORG;
	failure->message = psprintf("the token belongs to Planning Center organisation %s, but the data of org "
								"\"%s\" came from another", page->parent_id, job->org->name);
	failure->hint = "Connect this token under an org name of its own.";
	return false;
}

bool
page_owner_is_org(Job *job, const ParsedPage *page)
{
	Failure		failure = {NULL, NULL, NULL};
	bool		durable = true;

	if (is_org(job, page, &failure))
		return true;
	if (failure.message != NULL && session_begin("stopping an organisation"))
	{
		(void) org_stop(job->org, &failure);
		session_commit(durable);
		job_end(job, "failed", &failure);
	}
	job->over = true;
	return false;
}
