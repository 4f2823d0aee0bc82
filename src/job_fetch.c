/*-------------------------------------------------------------------------
 *
 * job_fetch.c
 *		Asks for the pages of a job, and takes the answers.
 *
 * Requests are planned in the order of the list, several ahead of the page
 * that is due next, and sent when the budget admits them.  No transaction is
 * open while a request is under way.
 *
 * IDENTIFICATION
 *		src/job_fetch.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "audit.h"
#include "errors.h"
#include "guc.h"
#include "iso8601.h"
#include "job_delta.h"
#include "job_fetch.h"
#include "job_fold.h"
#include "job_inquiry.h"
#include "job_page.h"
#include "job_question.h"
#include "job_reconcile.h"
#include "job_rights.h"
#include "job_suspect.h"
#include "job_walk.h"
#include "job_way.h"
#include "response.h"
#include "session.h"
#include "url.h"
#include "utils/builtins.h"

#define MAX_REDIRECTS		3

/* Offsets above this come from the API's slow lane (PCO, March 2026). */
#define DEEP_OFFSET			30000

/*
 * When a page does not come so often, a smaller one is asked for: the API runs
 * into its own time limit on large ones.
 */
#define SHRINK_AFTER		2

/* A job that began with an old credential begins again with the new one. */
#define NEW_CREDENTIAL_MS	100

/*
 * A page that is heavy because of what comes along is halved so often before
 * the job goes on without.
 */
#define DROP_INCLUDE_BELOW	(JOB_PER_PAGE / 4)

/*
 * plan_list: the next page, and as many after it as the list has.
 */
static void
plan_list(Job *job, int limit)
{
	Checkpoint *checkpoint = checkpoint_parse(job->position);

	checkpoint->back = job->back;
	if (job->back > 0 || checkpoint->verify)
		limit = 1;				/* it is not known yet where we will be */
	else
		limit = Min(limit, 1 + job->run_ahead);

	while (job->n_window < limit)
	{
		int64		offset = checkpoint_offset(checkpoint, job->per_page, job->n_window);

		if (job->n_window > 0 &&
			((job->total >= 0 && offset + 1 >= job->total) ||
			 !checkpoint_in_window(checkpoint, job->way, offset)))
			break;
		job_add_request(job, offset, NULL);
	}
}

/*
 * append_path: the path with its parameters filled in.
 */
static void
append_path(StringInfo url, const char *path, const WalkParent *parent)
{
	int			param = 0;

	for (const char *c = path; *c != '\0'; c++)
	{
		if (*c != '{')
		{
			appendStringInfoChar(url, *c);
			continue;
		}
		url_append_escaped(url, parent->params[param++]);
		c = strchr(c, '}');
	}
}

/*
 * append_way: the order and the filter that a list is asked for with.
 */
static void
append_way(StringInfo url, const char *separator, ReadWay way, const char *key, const Checkpoint *checkpoint)
{
	if (way == READ_KEYSET || way == READ_NEWEST)
	{
		appendStringInfo(url, "%sorder=%s%s", separator, way == READ_NEWEST ? "-" : "", key);
		separator = "&";
	}
	if ((way == READ_KEYSET || way == READ_FILTERED) && checkpoint->has_anchor)
	{
		char		anchor[ISO8601_LEN];

		iso8601_format(checkpoint->anchor, anchor);
		appendStringInfo(url, "%swhere%%5B%s%%5D%%5Bgte%%5D=%s", separator, key, anchor);
	}
}

/*
 * request_url: absolute, in memory of the current context.
 */
static char *
request_url(const Job *job, const PageRequest *request)
{
	Checkpoint *checkpoint = checkpoint_parse(job->position);
	char	   *include = fold_include(job);
	StringInfoData url;
	const char *separator = "?";

	if (request->url != NULL)
		return request->url;
	if (request->target != NULL)
		return psprintf("%s%s", job->org->base_url, request->target);
	if (job->inquiry != NULL)
		return psprintf("%s%s", job->org->base_url, job->target);

	if (checkpoint->verify)
		return psprintf("%s%s?per_page=1", job->org->base_url, job->entity->path);

	initStringInfo(&url);
	appendStringInfoString(&url, job->org->base_url);
	append_path(&url, job->entity->path, request->parent);
	if (!job->entity->single || request->offset > 0)
	{
		appendStringInfo(&url, "?per_page=%d&offset=" INT64_FORMAT, job->per_page, request->offset);
		separator = "&";
	}
	if (include != NULL)
	{
		appendStringInfo(&url, "%sinclude=%s", separator, include);
		separator = "&";
	}
	if (job->reconcile != NULL && !job->entity->single)
		appendStringInfoString(&url, job_reconcile_fields(job));
	append_way(&url, separator, checkpoint_way(checkpoint, job->way), job->key, checkpoint);
	return url.data;
}

/*
 * retry: a page, or a question that can still be asked again.
 */
static void
retry(Job *job, PageRequest *request, const Failure *failure)
{
	if (job->inquiry != NULL && request->attempts + 1 == job->inquiry->max_attempts)
		inquiry_finish(job, NULL, failure);
	else
		job_retry(job, request, failure);
}

/*
 * send: asks the budget, and starts the request.  False if it must wait.
 */
static bool
send(Job *job, PageRequest *request, HttpClient *client)
{
	GovernorRequest governed = {
		.deep_offset = request->offset > DEEP_OFFSET,
		.max_in_flight = guc_max_requests_per_org,
		.share_percent = job->claim.audit ? Max(AUDIT_SHARE * job->org->rate_share / 100, 1) : job->org->rate_share,
	};
	HttpRequest http = {
		.method = HTTP_GET,
		.origin = &job->org->rule,
		.user = job->org->credential.client_id,
		.password = job->org->credential.secret,
		.api_version = request->api_version ? request->api_version : job->entity->api_version,
		.timeout_ms = job->inquiry != NULL ? job->inquiry->timeout_ms : job->rights != NULL ? RIGHTS_TIMEOUT_MS : 0,
	};
	GovernorDecision decision = budget_admit(job->org->budget_key, governed, &request->sent_at);

	if (!decision.admitted)
	{
		static const char *const holds[] = {
			[GOVERNOR_HOLD_NONE] = "",
			[GOVERNOR_HOLD_COOLDOWN] = "the API asked for a pause (429)",
			[GOVERNOR_HOLD_BREAKER] = "the API does not answer",
			[GOVERNOR_HOLD_CONCURRENCY] = "requests under way",
			[GOVERNOR_HOLD_PACE] = "rate limit",
			[GOVERNOR_HOLD_WINDOW] = "rate limit",
			[GOVERNOR_HOLD_DEEP] = "rate limit of deep offsets",
		};

		job_show_waiting(job, holds[decision.held_by]);
		job->wake_at = Min(job->wake_at, decision.retry_at);
		return false;
	}

	http.url = request_url(job, request);
	request->transfer = http_start(client, &http, request);
	if (request->transfer == NULL)
	{
		Failure		failure = {SQLSTATE_TRANSPORT, pstrdup(http_start_error(client)), NULL};

		budget_abandon(job->org->budget_key, request->sent_at);
		retry(job, request, &failure);
		return false;
	}
	request->state = REQUEST_IN_FLIGHT;
	job->claim.requests++;
	job->unsaved_requests++;
	job_show_waiting(job, "");
	return true;
}

void
job_fetch_send(Job *job, HttpClient *client, int window, int *room)
{
	GovTime		now = budget_now();
	int			limit = Min(Min(JOB_MAX_WINDOW, window),
									Min(guc_max_requests_per_org, job->n_window + *room));
	bool		asks = job->rights != NULL || (job->reconcile != NULL && !job_reconcile_reads(job));

	job->wake_at = PG_INT64_MAX;
	if (limit > 0)
	{
		if (job->rights != NULL)
			job_rights_plan(job, limit);
		else if (asks)
			job_reconcile_plan(job, limit);
		else if (job->inquiry != NULL)
		{
			if (job->n_window == 0)
				job_add_request(job, 0, NULL);
		}
		else if (job->walk != NULL)
			job_walk_plan(job, limit);
		else
			plan_list(job, limit);
	}
	if (job->walk != NULL && !asks && job->n_window == 0 && limit > 0 && !job->over)
	{
		if (!walk_is_exhausted(job->walk))
		{
			job->wake_at = now; /* let others have their turn, and look on */
			return;
		}
		job_walk_end(job);
	}

	for (int i = 0; i < job->n_window && !job->over && *room > 0; i++)
	{
		PageRequest *request = job->window[i];

		if (request->state != REQUEST_PLANNED)
			continue;
		if (request->not_before > now)
		{
			job->wake_at = Min(job->wake_at, request->not_before);
			continue;
		}
		if (!send(job, request, client))
			break;
		(*room)--;
	}
}

/*
 * follow_redirect: within the same origin only, or the credential would go to
 * somebody else.
 */
static void
follow_redirect(Job *job, PageRequest *request, const HttpResponse *response)
{
	Failure		failure = {psprintf("SE%03d", response->status), NULL, NULL};
	MemoryContext old;

	if (!origin_same(response->location, &job->org->rule.origin))
		failure.message = "the API redirects to another host";
	else if (++request->redirects > MAX_REDIRECTS)
		failure.message = "the API redirects in a circle";
	if (failure.message != NULL)
	{
		if (request->target != NULL)
			job_question_refuse(request, failure.message);
		else
			job_end(job, "failed", &failure);
		return;
	}
	old = MemoryContextSwitchTo(job->context);
	if (request->url != NULL)
		pfree(request->url);
	request->url = pstrdup(response->location);
	MemoryContextSwitchTo(old);
	http_release(request->transfer);
	request->transfer = NULL;
	request->state = REQUEST_PLANNED;
}

/*
 * stop_org: an authentication error concerns every job of the org.
 */
static void
stop_org(Job *job, const Failure *failure)
{
	bool		durable = true;
	bool		stopped;

	if (!session_begin("stopping an organisation"))
		return;
	stopped = org_stop(job->org, failure);
	session_commit(durable);
	if (stopped)
		job_end(job, "failed", failure);
	else
		job_postpone(job, "the organisation has a new credential", NEW_CREDENTIAL_MS, false);
}

/*
 * end_unseen: what the token may not see, or the API does not have, is left
 * out of a run that asks for everything; one that asks for it by name fails.
 * What came along nevertheless is there; whether that is all cannot be told.
 */
static void
end_unseen(Job *job, const Failure *failure)
{
	bool		came_along = checkpoint_parse(job->position)->verify && job->claim.fetched > 0;

	job_end(job, came_along ? "partial" : job->claim.everything ? "skipped" : "failed", failure);
}

/*
 * is_too_much: an answer that a smaller page might spare us.
 */
static bool
is_too_much(const HttpResponse *response)
{
	return response->error == HTTP_ERROR_TOO_LARGE || response->error == HTTP_ERROR_TIMEOUT ||
		(response->error == HTTP_ERROR_NONE && response->status >= 500);
}

/*
 * shrink_pages: halves the page; at last asks for what comes along no more.  The
 * requests ahead are planned anew; the one
 * that failed keeps its place, its attempts and its time.
 */
static void
shrink_pages(Job *job, const PageRequest *failed)
{
	int			attempts = failed->attempts;
	GovTime		not_before = failed->not_before;

	if (job->folded != NIL && job->per_page / 2 < DROP_INCLUDE_BELOW)
	{
		fold_drop_all(job, "the API fails with so much in a page");
		job_shrink_pages(job, JOB_PER_PAGE);
		return;
	}
	job_shrink_pages(job, job->per_page / 2);
	job->next_attempts = attempts;
	job->next_not_before = not_before;
}

void
job_fetch_take(Job *job, PageRequest *request)
{
	const HttpResponse *response = http_response(request->transfer);
	GovernorResponse governed = {
		.sent_at = request->sent_at,
		.latency = response->finished_at_us - request->sent_at,
		.status = response->error == HTTP_ERROR_NONE ? response->status : 0,
		.transport_error = response->error != HTTP_ERROR_NONE,
		.deep_offset = request->offset > DEEP_OFFSET,
		.limit = response->rate_limit,
		.period_us = response->rate_period_us,
		.count = response->rate_count,
		.retry_after_s = response->retry_after,
	};
	ResponseClass class;
	Failure		failure;
	bool		shrink;

	budget_response(job->org->budget_key, &governed);
	if (response->body_len > 0 && request->target == NULL)
		job->page_bytes = response->body_len;
	request->state = REQUEST_ANSWERED;
	job_show_waiting(job, NULL);

	class = response_classify(response, job->org->name, &failure);
	if (request->target != NULL && job_question_bears(request, class, &failure))
		return;
	switch (class)
	{
		case RESPONSE_PAGE:
			job_delta_see_clock(job, response->server_date);
			break;
		case RESPONSE_REDIRECT:
			follow_redirect(job, request, response);
			break;
		case RESPONSE_THROTTLED:
			/* the budget waits; this is no failed attempt */
			http_release(request->transfer);
			request->transfer = NULL;
			request->state = REQUEST_PLANNED;
			break;
		case RESPONSE_TRANSIENT:
			shrink = is_too_much(response) && request->attempts + 1 >= SHRINK_AFTER &&
				job->per_page > JOB_PER_PAGE_MIN && job->inquiry == NULL && request->target == NULL;
			retry(job, request, &failure);
			if (shrink && !job->over)
				shrink_pages(job, request);
			break;
		case RESPONSE_UNAUTHORIZED:
			stop_org(job, &failure);
			break;
		case RESPONSE_NOT_FOUND:
			if (request->parent != NULL)
				request->parent_is_gone = true;
			else if (job->inquiry != NULL)
				inquiry_finish(job, response, &failure);
			else
				end_unseen(job, &failure);
			break;
		case RESPONSE_PERMANENT:
			if (response->status == 403 && request->parent != NULL && job_walk_bears_refusal(job))
			{
				request->parent_is_forbidden = true;
				break;
			}
			if (job->folded != NIL && (response->status == 400 || response->status == 422))
			{
				if (request->attempts == 0)
				{
					/* children without a list of their own are dear to read otherwise */
					job_retry(job, request, &failure);
					break;
				}
				fold_drop_all(job, failure.message);
				job_drop_window(job);
				break;
			}
			if (job->inquiry == NULL && job->walk == NULL && job->way != READ_BY_ID && (response->status == 400 || response->status == 422) &&
				job_way_restart_plain(job, failure.message))
				break;
			if (job->inquiry != NULL)
				inquiry_finish(job, response, &failure);
			else if (response->status == 403)
				end_unseen(job, &failure);
			else
				job_end(job, "failed", &failure);
			break;
	}
}

bool
job_fetch_can_apply(const Job *job)
{
	return !job->over && job->n_window > 0 && job->window[0]->state == REQUEST_ANSWERED;
}

void
job_fetch_apply(Job *job)
{
	if (job->claim.suspect && !suspect_mark(job))
	{
		job->over = true;
		return;
	}
	if (job->inquiry != NULL)
		inquiry_finish(job, http_response(job->window[0]->transfer), NULL);
	else if (job->rights != NULL)
		job_rights_answer(job, job->window[0]);
	else if (job->window[0]->target != NULL)
		job_reconcile_answer(job, job->window[0]);
	else
		job_page_apply(job, job->window[0]);
	if (job->claim.suspect && !job->over)
		suspect_unmark(job);
}
