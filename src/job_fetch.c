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
#include "errors.h"
#include "guc.h"
#include "iso8601.h"
#include "job_check.h"
#include "job_fetch.h"
#include "job_page.h"
#include "response.h"
#include "session.h"
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

/* Parents listed at once for a walk. */
#define PARENTS_PER_LIST	500

static PageRequest *
add_request(Job *job, int64 offset, const char *parent)
{
	MemoryContext old = MemoryContextSwitchTo(job->context);
	PageRequest *request = palloc0(sizeof(PageRequest));

	request->job = job;
	request->state = REQUEST_PLANNED;
	request->offset = offset;
	request->parent = parent ? pstrdup(parent) : NULL;
	if (job->n_window == 0)
	{
		request->attempts = job->next_attempts;
		request->not_before = job->next_not_before;
		job->next_attempts = 0;
		job->next_not_before = 0;
	}
	job->window[job->n_window++] = request;
	MemoryContextSwitchTo(old);
	return request;
}

/*
 * list_parents: the next parents of a walk, from their data table.
 */
static void
list_parents(Job *job)
{
	Entity	   *parent;
	Oid			types[2] = {TEXTOID, TEXTOID};
	Datum		args[2];
	char		nulls[2] = {' ', ' '};
	const bool	read_only = true;
	bool		durable = false;
	MemoryContext old;

	if (!session_begin("listing the parents of a walk"))
	{
		job->over = true;
		return;
	}
	parent = manifest_load(job->entity->product, job->entity->parent);
	args[0] = CStringGetTextDatum(job->org->name);
	args[1] = job->last_parent ? CStringGetTextDatum(job->last_parent) : (Datum) 0;
	nulls[1] = job->last_parent ? ' ' : 'n';
	(void) SPI_execute_with_args(psprintf("SELECT id FROM %s WHERE org = $1 AND _deleted_at IS NULL "
										  "AND ($2 IS NULL OR id > $2) ORDER BY id LIMIT %d",
										  quote_qualified_identifier(parent->schema_name, parent->table_name),
										  PARENTS_PER_LIST),
								 2, types, args, nulls, read_only, 0);
	old = MemoryContextSwitchTo(job->context);
	for (uint64 i = 0; i < SPI_processed; i++)
		job->parents = lappend(job->parents, result_text(i, 1));
	if (SPI_processed > 0)
		job->last_parent = pstrdup(llast(job->parents));
	job->parents_listed = SPI_processed < PARENTS_PER_LIST;
	MemoryContextSwitchTo(old);
	session_commit(durable);
}

/*
 * plan_walk: one request for each of the next parents.
 */
static void
plan_walk(Job *job, int limit)
{
	Checkpoint *checkpoint = checkpoint_parse(job->position);

	while (job->n_window < limit)
	{
		char	   *parent;
		bool		in_progress;

		if (job->parents == NIL && !job->parents_listed)
			list_parents(job);
		if (job->parents == NIL || job->over)
			break;
		parent = linitial(job->parents);
		job->parents = list_delete_first(job->parents);
		in_progress = job->n_window == 0 && checkpoint->parent != NULL &&
			!checkpoint->parent_done && strcmp(checkpoint->parent, parent) == 0;
		checkpoint->back = in_progress ? job->back : 0;
		(void) add_request(job, in_progress ? checkpoint_offset(checkpoint, job->per_page, 0) : 0, parent);
		pfree(parent);
	}
}

/*
 * plan_list: the next page, and as many after it as the list has.
 */
static void
plan_list(Job *job, int limit)
{
	Checkpoint *checkpoint = checkpoint_parse(job->position);

	checkpoint->back = job->back;
	if (job->back > 0)
		limit = 1;				/* it is not known yet where we will be */
	else
		limit = Min(limit, 1 + job->run_ahead);

	while (job->n_window < limit)
	{
		int64		offset = checkpoint_offset(checkpoint, job->per_page, job->n_window);

		if (job->n_window > 0 &&
			((job->total >= 0 && offset + 1 >= job->total) ||
			 !checkpoint_in_window(checkpoint, job->keyset, offset)))
			break;
		(void) add_request(job, offset, NULL);
	}
}

/*
 * request_url: absolute, in memory of the current context.
 */
static char *
request_url(const Job *job, const PageRequest *request)
{
	Checkpoint *checkpoint = checkpoint_parse(job->position);
	const char *path = job->entity->path;
	const char *open = strchr(path, '{');
	StringInfoData url;

	if (request->url != NULL)
		return request->url;

	initStringInfo(&url);
	appendStringInfoString(&url, job->org->base_url);
	if (open != NULL)
	{
		appendBinaryStringInfo(&url, path, open - path);
		for (const char *c = request->parent; *c != '\0'; c++)
		{
			if (isalnum((unsigned char) *c) || strchr("-_.~", *c) != NULL)
				appendStringInfoChar(&url, *c);
			else
				appendStringInfo(&url, "%%%02X", (unsigned char) *c);
		}
		appendStringInfoString(&url, strchr(open, '}') + 1);
	}
	else
		appendStringInfoString(&url, path);
	if (job->is_check)
		return url.data;

	appendStringInfo(&url, "?per_page=%d&offset=" INT64_FORMAT, job->per_page, request->offset);
	if (job->keyset && !checkpoint->plain)
	{
		appendStringInfo(&url, "&order=%s", job->entity->keyset_key);
		if (checkpoint->has_anchor)
		{
			char		anchor[ISO8601_LEN];

			iso8601_format(checkpoint->anchor, anchor);
			appendStringInfo(&url, "&where%%5B%s%%5D%%5Bgte%%5D=%s", job->entity->keyset_key, anchor);
		}
	}
	return url.data;
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
		.share_percent = job->org->rate_share,
	};
	HttpRequest http = {
		.method = HTTP_GET,
		.origin = &job->org->rule,
		.user = job->org->credential.client_id,
		.password = job->org->credential.secret,
		.api_version = job->entity->api_version,
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
		job_retry(job, request, &failure);
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

	job->wake_at = PG_INT64_MAX;
	if (limit > 0)
	{
		if (job->is_check)
		{
			if (job->n_window == 0)
				(void) add_request(job, 0, NULL);
		}
		else if (job->entity->parent != NULL)
			plan_walk(job, limit);
		else
			plan_list(job, limit);
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

	/* a walk over no parents, or whose last parents were done before */
	if (job->n_window == 0 && job->entity->parent != NULL && job->parents_listed &&
		job->parents == NIL && !job->over)
		job_end(job, "succeeded", NULL);
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
		job_postpone(job, "the organisation has a new credential", NEW_CREDENTIAL_MS);
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
 * shrink_pages: halves the page.  The requests ahead are planned anew; the one
 * that failed keeps its place, its attempts and its time.
 */
static void
shrink_pages(Job *job, const PageRequest *failed)
{
	int			attempts = failed->attempts;
	GovTime		not_before = failed->not_before;

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
	Failure		failure;
	bool		shrink;

	budget_response(job->org->budget_key, &governed);
	request->state = REQUEST_ANSWERED;
	job_show_waiting(job, NULL);

	switch (response_classify(response, job->org->name, &failure))
	{
		case RESPONSE_PAGE:
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
				job->per_page > JOB_PER_PAGE_MIN && !job->is_check;
			job_retry(job, request, &failure);
			if (shrink && !job->over)
				shrink_pages(job, request);
			break;
		case RESPONSE_UNAUTHORIZED:
			stop_org(job, &failure);
			break;
		case RESPONSE_NOT_FOUND:
			if (request->parent != NULL)
				request->parent_is_gone = true;
			else
				job_end(job, "failed", &failure);
			break;
		case RESPONSE_PERMANENT:
			if (job->keyset && (response->status == 400 || response->status == 422) &&
				job_page_restart_plain(job, failure.message))
				break;
			if (job->is_check)
				job_check_finish(job, &failure);
			else
				job_end(job, "failed", &failure);
			break;
	}
}

bool
job_fetch_apply(Job *job)
{
	if (job->over || job->n_window == 0 || job->window[0]->state != REQUEST_ANSWERED)
		return false;
	if (job->is_check)
		job_check_finish(job, NULL);
	else
		job_page_apply(job, job->window[0]);
	return true;
}
