/*-------------------------------------------------------------------------
 *
 * job_question.c
 *		What a job asks besides its list: requests that name their own path.
 *
 * IDENTIFICATION
 *		src/job_question.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "job_question.h"
#include "job_rights.h"
#include "page_owner.h"
#include "utils/memutils.h"

void
job_question_add(Job *job, const char *target, const char *id, const char *api_version)
{
	PageRequest *request;
	MemoryContext old;

	job_add_request(job, 0, NULL);
	request = job->window[job->n_window - 1];
	old = MemoryContextSwitchTo(job->context);
	request->target = pstrdup(target);
	request->asked = id ? pstrdup(id) : NULL;
	MemoryContextSwitchTo(old);
	request->api_version = api_version;
}

bool
job_question_bears(PageRequest *request, ResponseClass class, const Failure *failure)
{
	int			max_attempts = request->job->rights != NULL ? RIGHTS_ATTEMPTS : activity_sync_page.policy.max_attempts;
	bool		is_last = request->attempts + 1 >= max_attempts;

	if (class != RESPONSE_NOT_FOUND && class != RESPONSE_PERMANENT && !(class == RESPONSE_TRANSIENT && is_last))
		return false;
	job_question_refuse(request, failure->message);
	request->is_final = class != RESPONSE_TRANSIENT;
	request->is_gone = class == RESPONSE_NOT_FOUND;
	return true;
}

void
job_question_refuse(PageRequest *request, const char *refusal)
{
	request->refusal = MemoryContextStrdup(request->job->context, refusal);
}

bool
job_question_answer(Job *job, const PageRequest *request, const ParsedPage **page)
{
	static const PageLimits default_limits = {0};
	const HttpResponse *response;

	*page = NULL;
	if (request->refusal != NULL)
		return true;
	response = http_response(request->transfer);
	*page = page_parse((char *) response->body, response->body_len, &default_limits);
	return (*page)->problem != NULL || page_owner_is_org(job, *page);
}
