/*-------------------------------------------------------------------------
 *
 * job.c
 *		A job in a lane: its requests, and what becomes of the answers.
 *
 * Owns the window of requests that are ahead of the page that is due next.
 * No transaction is open while a request is under way; pages are applied one
 * by one, in the order of the list, by job_page.c.
 *
 * IDENTIFICATION
 *		src/job.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/pg_prng.h"
#include "errors.h"
#include "guc.h"
#include "iso8601.h"
#include "job.h"
#include "job_page.h"
#include "response.h"
#include "session.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/*
 * Attempts of one page before its job fails.  With the delays below, the last
 * one is about three minutes after the first: a short outage passes.
 */
#define MAX_ATTEMPTS		9
#define RETRY_DELAY_MIN_MS	500
#define RETRY_DELAY_MAX_MS	60000

#define MAX_REDIRECTS		3

/* Offsets above this come from the API's slow lane (PCO, March 2026). */
#define DEEP_OFFSET			30000

/* Parents listed at once for a walk. */
#define PARENTS_PER_LIST	500

static void
set_live(Job *job, const char *waiting)
{
	int			in_flight = 0;

	for (int i = 0; i < job->n_window; i++)
	{
		if (job->window[i]->state == REQUEST_IN_FLIGHT)
			in_flight++;
	}
	job->live->in_flight = in_flight;
	job->live->requests = job->claim.requests;
	if (waiting != NULL)
		strlcpy(job->live->waiting, waiting, sizeof(job->live->waiting));
}

/*
 * fail_at_start: ends a job that cannot begin.
 */
static Job *
fail_at_start(Job *job, const Failure *failure)
{
	bool		durable = true;

	(void) queue_end_job(job->claim.job_id, job->claim.epoch, "failed", failure);
	session_commit(durable);
	job_free(job);
	return NULL;
}

Job *
job_start(const ClaimedJob *claim, MemoryContext parent, LiveJob *live)
{
	MemoryContext context = AllocSetContextCreate(parent, "job", ALLOCSET_DEFAULT_SIZES);
	MemoryContext transaction_context;
	Failure		failure;
	Job		   *job = MemoryContextAllocZero(context, sizeof(Job));
	bool		durable = false;
	Checkpoint *checkpoint;

	job->context = context;
	job->claim = *claim;
	job->live = live;
	job->total = -1;
	job->is_check = strcmp(claim->strategy, "check") == 0;

	if (!session_begin("starting a job"))
	{
		job_free(job);
		return NULL;
	}
	transaction_context = MemoryContextSwitchTo(context);
	job->claim.org = pstrdup(claim->org);
	job->claim.product = pstrdup(claim->product);
	job->claim.entity = pstrdup(claim->entity);
	job->position = pstrdup(claim->position);

	job->org = org_load(job->claim.org, &failure);
	if (job->org == NULL)
		return fail_at_start(job, &failure);

	job->entity = job->is_check ? job_check_entity(claim->product) :
		manifest_load(claim->product, claim->entity);
	if (job->entity == NULL || job->entity->path == NULL)
	{
		failure = (Failure) {"42704", "the manifest does not have the entity any more", NULL};
		return fail_at_start(job, &failure);
	}

	if (!job->is_check)
	{
		job->keyset = job->entity->keyset_key != NULL;
		job->table = tables_ensure(job->entity);
		if (job->entity->parent != NULL)
			(void) tables_ensure(manifest_load(job->entity->product, job->entity->parent));
		job->writer = writer_create(job->entity, job->org->name, job->table,
									claim->run_id, claim->job_id);
		checkpoint = checkpoint_parse(job->position);
		if (checkpoint->parent != NULL)
		{
			job->last_parent = pstrdup(checkpoint->parent);
			if (!checkpoint->parent_done)
				job->parents = list_make1(pstrdup(checkpoint->parent));
		}
	}
	MemoryContextSwitchTo(transaction_context);
	session_commit(durable);

	live->run_id = claim->run_id;
	live->fetched = claim->fetched;
	live->requests = claim->requests;
	live->expected = claim->expected;
	live->in_flight = 0;
	live->waiting[0] = '\0';
	live->job_id = claim->job_id;
	return job;
}

static void
drop_request(PageRequest *request)
{
	if (request->state == REQUEST_IN_FLIGHT)
		budget_abandon(request->job->org->budget_key, request->sent_at);
	http_release(request->transfer);
	if (request->parent != NULL)
		pfree(request->parent);
	if (request->url != NULL)
		pfree(request->url);
	pfree(request);
}

void
job_drop_window(Job *job)
{
	for (int i = job->n_window - 1; i >= 0; i--)
	{
		/* its parent is to be asked again, before those that follow */
		if (job->window[i]->parent != NULL &&
			(job->parents == NIL || strcmp(linitial(job->parents), job->window[i]->parent) != 0))
		{
			MemoryContext old = MemoryContextSwitchTo(job->context);

			job->parents = lcons(pstrdup(job->window[i]->parent), job->parents);
			MemoryContextSwitchTo(old);
		}
		drop_request(job->window[i]);
	}
	job->n_window = 0;
}

void
job_drop_first(Job *job)
{
	drop_request(job->window[0]);
	job->n_window--;
	memmove(&job->window[0], &job->window[1], sizeof(PageRequest *) * job->n_window);
}

void
job_free(Job *job)
{
	for (int i = 0; i < job->n_window; i++)
		drop_request(job->window[i]);
	job->n_window = 0;
	if (job->writer != NULL)
		writer_destroy(job->writer);
	if (job->org != NULL)
		org_forget_secret(job->org);
	job->live->job_id = 0;
	MemoryContextDelete(job->context);
}

static PageRequest *
add_request(Job *job, int64 offset, const char *parent)
{
	MemoryContext old = MemoryContextSwitchTo(job->context);
	PageRequest *request = palloc0(sizeof(PageRequest));

	request->job = job;
	request->state = REQUEST_PLANNED;
	request->offset = offset;
	request->parent = parent ? pstrdup(parent) : NULL;
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
		(void) add_request(job, in_progress ? checkpoint_offset(checkpoint, JOB_PER_PAGE, 0) : 0, parent);
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
	else if (job->total < 0)
		limit = Min(limit, 1 + job->run_ahead);

	while (job->n_window < limit)
	{
		int64		offset = checkpoint_offset(checkpoint, JOB_PER_PAGE, job->n_window);

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

	appendStringInfo(&url, "?per_page=%d&offset=" INT64_FORMAT, JOB_PER_PAGE, request->offset);
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

		set_live(job, holds[decision.held_by]);
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
	set_live(job, "");
	return true;
}

void
job_send(Job *job, HttpClient *client, int *room)
{
	GovTime		now = budget_now();
	int			limit = Min(JOB_MAX_WINDOW, Min(guc_max_requests_per_org, job->n_window + *room));

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
 * record_retry: the attempt becomes visible, with the time of the next.
 */
static void
record_retry(Job *job, int attempts, const Failure *failure, int delay_ms)
{
	static Statement move_job = {
		"UPDATE sync_engine.job SET attempts = $3, requests = requests + $4 "
		"WHERE job_id = $1 AND epoch = $2 AND status = 'running'",
		4, {INT8OID, INT8OID, INT4OID, INT8OID}
	};
	static Statement insert_activity = {
		"INSERT INTO sync_engine.activity (run_id, job_id, kind, status, attempts, error, sqlstate, hint, "
		"  next_attempt_at) "
		"VALUES ($1, $2, 'sync_page', 'retrying', $3, $4, $5, $6, clock_timestamp() + $7 * interval '1 ms') "
		"RETURNING activity_id",
		7, {INT8OID, INT8OID, INT4OID, TEXTOID, TEXTOID, TEXTOID, INT4OID}
	};
	static Statement update_activity = {
		"UPDATE sync_engine.activity SET attempts = $3, error = $4, sqlstate = $5, hint = $6, "
		"  next_attempt_at = clock_timestamp() + $7 * interval '1 ms' "
		"WHERE activity_id = $1 AND job_id = $2",
		7, {INT8OID, INT8OID, INT4OID, TEXTOID, TEXTOID, TEXTOID, INT4OID}
	};
	Datum		args[7];
	char		nulls[7] = {' ', ' ', ' ', ' ', ' ', failure->hint ? ' ' : 'n', ' '};
	bool		durable = false;

	if (!session_begin("noting a failed attempt"))
	{
		job->over = true;
		return;
	}
	args[0] = Int64GetDatum(job->claim.job_id);
	args[1] = Int64GetDatum(job->claim.epoch);
	args[2] = Int32GetDatum(attempts);
	args[3] = Int64GetDatum(job->unsaved_requests);
	if (statement_run(&move_job, args, NULL) == 0)
	{
		session_abort();
		job->over = true;
		return;
	}
	job->unsaved_requests = 0;

	args[0] = Int64GetDatum(job->activity_id == 0 ? job->claim.run_id : job->activity_id);
	args[1] = Int64GetDatum(job->claim.job_id);
	args[2] = Int32GetDatum(attempts);
	args[3] = CStringGetTextDatum(failure->message);
	args[4] = CStringGetTextDatum(failure->sqlstate);
	args[5] = failure->hint ? CStringGetTextDatum(failure->hint) : (Datum) 0;
	args[6] = Int32GetDatum(delay_ms);
	if (job->activity_id != 0)
		(void) statement_run(&update_activity, args, nulls);
	else
	{
		(void) statement_run(&insert_activity, args, nulls);
		job->activity_id = result_int64(0, 1, 0);
	}
	session_commit(durable);
}

void
job_retry(Job *job, PageRequest *request, const Failure *failure)
{
	int			delay_ms;

	http_release(request->transfer);
	request->transfer = NULL;
	request->state = REQUEST_PLANNED;

	request->attempts++;
	if (request->attempts >= MAX_ATTEMPTS)
	{
		job_end(job, "failed", failure);
		return;
	}

	/* exponential, with jitter so that jobs do not come back together */
	delay_ms = Min(RETRY_DELAY_MAX_MS, RETRY_DELAY_MIN_MS << (request->attempts - 1));
	delay_ms = delay_ms / 2 + (int) (pg_prng_double(&pg_global_prng_state) * (delay_ms / 2));
	request->not_before = budget_now() + delay_ms * INT64CONST(1000);
	set_live(job, failure->message);
	record_retry(job, request->attempts, failure, delay_ms);
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

	if (!session_begin("stopping an organisation"))
		return;
	org_stop(job->org->name, failure);
	session_commit(durable);
}

void
job_take_response(Job *job, PageRequest *request)
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

	budget_response(job->org->budget_key, &governed);
	request->state = REQUEST_ANSWERED;
	set_live(job, NULL);

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
			job_retry(job, request, &failure);
			break;
		case RESPONSE_UNAUTHORIZED:
			stop_org(job, &failure);
			job_end(job, "failed", &failure);
			break;
		case RESPONSE_NOT_FOUND:
			if (request->parent != NULL)
				request->parent_is_gone = true;
			else
				job_end(job, "failed", &failure);
			break;
		case RESPONSE_PERMANENT:
			if (job->is_check)
				job_check_finish(job, request, &failure);
			else
				job_end(job, "failed", &failure);
			break;
	}
}

bool
job_apply_next(Job *job)
{
	if (job->over || job->n_window == 0 || job->window[0]->state != REQUEST_ANSWERED)
		return false;
	if (job->is_check)
		job_check_finish(job, job->window[0], NULL);
	else
		job_page_apply(job, job->window[0]);
	return true;
}

void
job_end(Job *job, const char *status, const Failure *failure)
{
	bool		durable = true;

	job->over = true;
	if (!session_begin("ending a job"))
		return;
	job_page_save_requests(job);
	(void) queue_end_job(job->claim.job_id, job->claim.epoch, status, failure);
	session_commit(durable);
}

void
job_postpone(Job *job, const char *reason, int milliseconds)
{
	bool		durable = false;

	ereport(LOG,
			(errmsg("sync_engine: %s of org \"%s\" waits: %s", job->claim.entity, job->claim.org, reason)));
	job->over = true;
	if (!session_begin("giving a job back"))
		return;
	(void) queue_release_job(job->claim.job_id, job->claim.epoch, reason, milliseconds);
	session_commit(durable);
}
