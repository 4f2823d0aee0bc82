/*-------------------------------------------------------------------------
 *
 * job.c
 *		The life of a job in a lane: start, retry, end.
 *
 * Owns the job's memory, and the window of requests that are ahead of the
 * page that is due next.  job_fetch.c fills the window, job_page.c empties it.
 *
 * IDENTIFICATION
 *		src/job.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "errors.h"
#include "job.h"
#include "job_delta.h"
#include "job_fold.h"
#include "job_inquiry.h"
#include "job_reconcile.h"
#include "job_rights.h"
#include "job_row.h"
#include "queue_control.h"
#include "queue_fold.h"
#include "session.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

void
job_show_waiting(Job *job, const char *waiting)
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
fail_at_start(Job *job, Failure *failure)
{
	bool		durable = true;

	failure->activity = &activity_start_job;
	(void) queue_end_job(job->claim.job_id, job->claim.epoch, "failed", failure);
	session_commit(durable);
	job_free(job);
	return NULL;
}

/*
 * find_position: where the job goes on.  Called when all tables are there: the
 * position of a table that is made anew is the beginning.  False if the
 * manifest does not have the parent that it walks.
 */
static bool
find_position(Job *job)
{
	Entity	   *parent;

	job->position = queue_job_position(job->claim.job_id);
	if (job->position[0] == '\0')
		job->position = job_delta_position(job);
	if (job->entity->parent == NULL)
		return true;
	parent = manifest_load(job->entity->product, job->entity->parent);
	if (parent == NULL)
		return false;
	(void) tables_ensure(parent);
	job->walk = walk_create(job->entity, job->org->name, job->claim.ledger,
							checkpoint_parse(job->position)->parent, job->mode == JOB_DELTA);
	if (job->reconcile != NULL)
		walk_keep_ledger_of_ids(job->walk);
	return true;
}

/*
 * start: the part of job_start that can fail; NULL if the job ended at once.
 */
static Job *
start(Job *job)
{
	const ClaimedJob *claim = &job->claim;
	LiveJob    *live = job->live;
	MemoryContext context = job->context;
	MemoryContext transaction_context;
	Failure		failure;
	bool		durable = false;
	char	   *version;
	List	   *folded;

	if (!session_begin("starting a job"))
	{
		job_free(job);
		return NULL;
	}
	transaction_context = MemoryContextSwitchTo(context);
	job->claim.org = pstrdup(claim->org);
	job->claim.product = pstrdup(claim->product);
	job->claim.entity = pstrdup(claim->entity);
	job->claim.mode = pstrdup(claim->mode);
	job->position = pstrdup("");

	job->org = org_load(job->claim.org, &failure);
	if (job->org == NULL)
		return fail_at_start(job, &failure);

	if (job->inquiry != NULL)
		job->inquiry->begin(job);
	else
		job->entity = manifest_load(claim->product, claim->entity);
	if (job->entity == NULL || job->entity->path == NULL)
	{
		failure = (Failure) {"42704", "the manifest does not have the entity any more", NULL};
		return fail_at_start(job, &failure);
	}
	version = org_api_version(job->org->name, job->entity->product);
	if (version != NULL)
		job->entity->api_version = version;
	if (job->inquiry == NULL)
	{
		job->table = tables_ensure(job->entity);
		job_delta_begin(job);
		job_reconcile_begin(job);
		job_rights_begin(job);
		job->writer = writer_create(job->entity, job->org->name, job->table,
									claim->run_id, claim->job_id);
		folded = queue_folded_jobs(claim->job_id);
		if (folded != NIL)
		{
			/* each in a transaction of its own: what is wrong with one is its own business */
			MemoryContextSwitchTo(transaction_context);
			session_commit(durable);
			fold_start(job, folded);
			if (!session_begin("starting a job"))
			{
				job_free(job);
				return NULL;
			}
			transaction_context = MemoryContextSwitchTo(context);
		}
		if (!find_position(job))
		{
			failure = (Failure) {"42704", "the manifest does not have the entity's parent any more", NULL};
			return fail_at_start(job, &failure);
		}
	}
	MemoryContextSwitchTo(transaction_context);
	session_commit(durable);

	live->run_id = claim->run_id;
	live->fetched = claim->fetched;
	live->requests = claim->requests;
	live->expected = claim->expected;
	live->since = GetCurrentTimestamp();
	live->fetched_before = claim->fetched;
	live->budget_rate = budget_rate(job->org->budget_key) * job->org->rate_share / 100.0 * (JOB_PER_PAGE - 1);
	live->in_flight = 0;
	live->waiting[0] = '\0';
	live->job_id = claim->job_id;
	return job;
}

Job *
job_start(const ClaimedJob *claim, const Inquiry *inquiry, MemoryContext parent, LiveJob *live)
{
	MemoryContext context = AllocSetContextCreate(parent, "job", ALLOCSET_DEFAULT_SIZES);
	Job		   *job = MemoryContextAllocZero(context, sizeof(Job));
	Job		   *volatile started = NULL;

	job->context = context;
	job->claim = *claim;
	job->live = live;
	job->total = -1;
	job->per_page = JOB_PER_PAGE;
	job->inquiry = inquiry;
	PG_TRY();
	{
		started = start(job);
	}
	PG_CATCH();
	{
		job_free(job);			/* it holds a secret */
		PG_RE_THROW();
	}
	PG_END_TRY();
	return started;
}

void
job_add_request(Job *job, int64 offset, WalkParent *parent)
{
	MemoryContext old = MemoryContextSwitchTo(job->context);
	PageRequest *request = palloc0(sizeof(PageRequest));

	request->job = job;
	request->state = REQUEST_PLANNED;
	request->offset = offset;
	request->parent = parent;
	if (job->n_window == 0)
	{
		request->attempts = job->next_attempts;
		request->not_before = job->next_not_before;
		job->next_attempts = 0;
		job->next_not_before = 0;
	}
	job->window[job->n_window++] = request;
	MemoryContextSwitchTo(old);
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
	if (request->target != NULL)
		pfree((char *) request->target);
	if (request->asked != NULL)
		pfree((char *) request->asked);
	if (request->refusal != NULL)
		pfree((char *) request->refusal);
	pfree(request);
}

void
job_drop_window(Job *job)
{
	for (int i = job->n_window - 1; i >= 0; i--)
	{
		/* its parent is to be asked again, before those that follow */
		if (job->window[i]->parent != NULL)
			walk_push_back(job->walk, job->window[i]->parent);
		job->window[i]->parent = NULL;
		drop_request(job->window[i]);
	}
	job->n_window = 0;
}

void
job_set_position(Job *job, const char *position)
{
	char	   *copy = MemoryContextStrdup(job->context, position);

	pfree(job->position);
	job->position = copy;
}

void
job_drop_first(Job *job)
{
	drop_request(job->window[0]);
	job->n_window--;
	memmove(&job->window[0], &job->window[1], sizeof(PageRequest *) * job->n_window);
}

void
job_continue_first(Job *job, int64 offset)
{
	PageRequest *request = job->window[0];

	http_release(request->transfer);
	if (request->url != NULL)
		pfree(request->url);
	*request = (PageRequest) {.job = job,.state = REQUEST_PLANNED,.offset = offset,.parent = request->parent};
}

void
job_shrink_pages(Job *job, int per_page)
{
	job->per_page = Max(per_page, JOB_PER_PAGE_MIN);
	job_drop_window(job);
}

void
job_free(Job *job)
{
	for (int i = 0; i < job->n_window; i++)
		drop_request(job->window[i]);
	job->n_window = 0;
	if (job->writer != NULL)
		writer_destroy(job->writer);
	fold_free(job);
	job_reconcile_free(job);
	if (job->org != NULL)
		org_forget_secret(job->org);
	job->live->job_id = 0;
	MemoryContextDelete(job->context);
}

void
job_retry(Job *job, PageRequest *request, const Failure *failure)
{
	int			delay_ms;

	http_release(request->transfer);
	request->transfer = NULL;
	request->state = REQUEST_PLANNED;

	request->attempts++;
	if (request->attempts >= activity_sync_page.policy.max_attempts)
	{
		job_end(job, "failed", failure);
		return;
	}

	delay_ms = activity_delay_ms(&activity_sync_page, request->attempts);
	request->not_before = budget_now() + delay_ms * INT64CONST(1000);
	job_show_waiting(job, failure->message);
	job_row_retry(job, request->attempts, failure, delay_ms);
}

void
job_end(Job *job, const char *status, const Failure *failure)
{
	bool		durable = true;

	job->over = true;
	if (!session_begin("ending a job"))
		return;
	job_row_save_requests(job);
	(void) queue_end_job(job->claim.job_id, job->claim.epoch, status, failure);
	session_commit(durable);
}

void
job_postpone(Job *job, const char *reason, int milliseconds, bool failed)
{
	bool		durable = false;

	if (job->claim.attempts == 0)	/* once; the row says it as long as it lasts */
		ereport(LOG,
				(errmsg("sync_engine: %s of org \"%s\" waits: %s", job->claim.entity,
						job->claim.org, reason)));
	job->over = true;
	if (!session_begin("giving a job back"))
		return;
	(void) queue_release_job(job->claim.job_id, job->claim.epoch, reason, milliseconds, failed);
	session_commit(durable);
}

void
job_pause(Job *job)
{
	bool		durable = true;

	job->over = true;
	if (!session_begin("pausing a job"))
		return;
	job_row_save_requests(job);
	queue_pause_job(job->claim.job_id, job->claim.epoch);
	session_commit(durable);
}
