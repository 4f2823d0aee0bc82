/*-------------------------------------------------------------------------
 *
 * lane_send.c
 *		Who of a lane's jobs may send requests.
 *
 * A lane may have so many requests under way, and these may hold so many bytes
 * until their pages are applied.  Organisations share both by weight; what one
 * does not use is for the others.  The jobs of one take turns.
 *
 * IDENTIFICATION
 *		src/lane_send.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "guc.h"
#include "job_fetch.h"
#include "lane.h"
#include "utils/memutils.h"

/* What the first page of a list is taken to need, before one is known. */
#define GUESSED_PAGE_BYTES	(128 * 1024)

/* The whole lane's: what is under way, and who shares it. */
typedef struct Load
{
	int			under_way;
	int64		buffered;
	int			weights;
} Load;

/* What a job may have sent, and in how many requests at once. */
typedef struct Allowance
{
	int			requests;
	int			window;
} Allowance;

void
lane_join_org(Job *job)
{
	LaneOrg    *org = NULL;
	ListCell   *cell;
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	foreach(cell, lane.orgs)
	{
		if (strcmp(((LaneOrg *) lfirst(cell))->name, job->claim.org) == 0)
			org = lfirst(cell);
	}
	if (org == NULL)
	{
		org = palloc0(sizeof(LaneOrg));
		org->name = pstrdup(job->claim.org);
		lane.orgs = lappend(lane.orgs, org);
	}
	org->weight = job->org->weight;
	org->n_jobs++;
	job->lane_org = org;
	MemoryContextSwitchTo(old);
}

void
lane_leave_org(Job *job)
{
	LaneOrg    *org = job->lane_org;

	if (--org->n_jobs > 0)
		return;
	lane.orgs = list_delete_ptr(lane.orgs, org);
	pfree(org->name);
	pfree(org);
}

static int64
page_bytes(const Job *job)
{
	return job->page_bytes > 0 ? job->page_bytes : GUESSED_PAGE_BYTES;
}

/*
 * weigh: what all have under way.
 */
static Load
weigh(void)
{
	Load		load = {0};
	ListCell   *cell;

	foreach(cell, lane.orgs)
	{
		LaneOrg    *org = lfirst(cell);

		org->under_way = 0;
		org->buffered = 0;
		load.weights += org->weight;
	}
	for (int i = 0; i < lane.n_jobs; i++)
	{
		Job		   *job = lane.jobs[i];

		for (int k = 0; k < job->n_window; k++)
		{
			const PageRequest *request = job->window[k];

			if (request->state == REQUEST_PLANNED)
				continue;
			job->lane_org->under_way++;
			job->lane_org->buffered += request->state == REQUEST_ANSWERED && request->transfer != NULL ?
				(int64) http_response(request->transfer)->body_len : page_bytes(job);
		}
	}
	foreach(cell, lane.orgs)
	{
		load.under_way += ((LaneOrg *) lfirst(cell))->under_way;
		load.buffered += ((LaneOrg *) lfirst(cell))->buffered;
	}
	return load;
}

/*
 * allowance: what a job may send now, of its org's share or of what is left over
 * for all.  However large its pages, one alone may always be under way.
 */
static Allowance
allowance(const Job *job, const Load *load, bool of_share)
{
	const LaneOrg *org = job->lane_org;
	double		share = (double) org->weight / load->weights;
	int64		max_bytes = guc_max_buffer * INT64CONST(1024);
	int			requests = guc_max_requests - load->under_way;
	int64		bytes = max_bytes - load->buffered;
	Allowance	allowed;

	allowed.window = Max((int) (guc_max_requests * share / org->n_jobs), 2);
	if (of_share)
	{
		requests = Min(requests, Max((int) (guc_max_requests * share), 2) - org->under_way);
		bytes = Min(bytes, (int64) (max_bytes * share) - org->buffered);
	}
	requests = (int) Min((int64) requests, bytes / page_bytes(job));
	if (load->under_way == 0)
		requests = Max(requests, 1);
	allowed.requests = Max(requests, 0);
	return allowed;
}

static bool
send_step(Job *job, void *arg)
{
	Allowance  *allowed = arg;

	job_fetch_send(job, lane.client, allowed->window, &allowed->requests);
	return true;
}

/*
 * send_some: lets a job send so many; the load grows by what it does.  Whether it
 * did.
 */
static bool
send_some(Job *job, Load *load, bool of_share, int most)
{
	Allowance	allowed = allowance(job, load, of_share);
	int			before = Min(allowed.requests, most);
	int			sent;

	allowed.requests = before;
	(void) lane_run_step(send_step, job, &allowed, &activity_sync_page);
	sent = before - allowed.requests;
	if (sent > 0)
		lane_drive();
	job->lane_org->has_sent = job->lane_org->has_sent || sent > 0;
	job->lane_org->under_way += sent;
	job->lane_org->buffered += sent * page_bytes(job);
	load->under_way += sent;
	load->buffered += sent * page_bytes(job);
	return sent > 0;
}

void
lane_send_first(Job *job)
{
	Load		load;
	const bool	of_share = true;

	/* a second job of the org would take the place of another org, whose first one begins next */
	if (job->lane_org->has_sent)
		return;
	load = weigh();
	(void) send_some(job, &load, of_share, 1);
}

GovTime
lane_send_requests(void)
{
	GovTime		wake_at = PG_INT64_MAX;
	Load		load = weigh();
	int			first = lane.first;

	/*
	 * First who has never sent any, then who has nothing under way, or an org would
	 * wait for all jobs of the others; then of the shares, then of what is left.  The
	 * next time who comes after those that could.
	 */
	for (int pass = 0; pass < 4; pass++)
	{
		bool		of_share = pass < 3;

		for (int i = 0; i < lane.n_jobs; i++)
		{
			int			place = (first + i) % lane.n_jobs;
			Job		   *job = lane.jobs[place];
			bool		has_turn = pass == 0 ? !job->lane_org->has_sent :
				pass == 1 ? job->lane_org->under_way == 0 : of_share || list_length(lane.orgs) > 1;

			if (job->over || !has_turn)
				continue;
			if (send_some(job, &load, of_share, pass < 2 ? 1 : INT_MAX) && of_share)
				lane.first = place + 1;
			wake_at = Min(wake_at, job->wake_at);
		}
	}
	return wake_at;
}
