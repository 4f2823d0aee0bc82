/*-------------------------------------------------------------------------
 *
 * job.h
 *		The life of a job in a lane: start, retry, end.
 *
 * claimed → requests under way, in order → page by page applied → ended.
 *
 * IDENTIFICATION
 *		src/job.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_JOB_H
#define SYNC_ENGINE_JOB_H

#include "budget.h"
#include "checkpoint.h"
#include "http.h"
#include "manifest.h"
#include "org.h"
#include "page_parser.h"
#include "queue.h"
#include "shmem.h"
#include "walk.h"
#include "watermark.h"
#include "writer.h"

/*
 * Requests of one job that may be ahead of the page it waits for.  At PCO's
 * five a second this covers six seconds of latency; it bounds what a crash
 * makes us ask again.
 */
#define JOB_MAX_WINDOW		32

/* Rows of a page: PCO's maximum; and the least that is worth a request. */
#define JOB_PER_PAGE		100
#define JOB_PER_PAGE_MIN	10

typedef enum RequestState
{
	REQUEST_PLANNED,			/* not sent, or to be sent again */
	REQUEST_IN_FLIGHT,
	REQUEST_ANSWERED			/* a page, waiting for its turn */
} RequestState;

/* What of its list a job reads. */
typedef enum JobMode
{
	JOB_FULL,
	JOB_DELTA					/* what has changed since the watermark */
} JobMode;

typedef struct Job Job;
typedef struct Inquiry Inquiry;
typedef struct Reconcile Reconcile;
typedef struct JobRights JobRights;

/* One page asked for, or to be asked for. */
typedef struct PageRequest
{
	Job		   *job;
	RequestState state;
	int64		offset;
	WalkParent *parent;			/* walk: whose list */
	char	   *url;			/* a redirect's target, or NULL */
	int			redirects;
	int			attempts;		/* failed ones */
	GovTime		not_before;
	GovTime		sent_at;
	bool		parent_is_gone; /* walk: 404, so there is nothing */
	bool		parent_is_forbidden;	/* walk: 403 */
	const char *target;			/* a question: path to ask instead of the list's, or NULL */
	const char *asked;			/* ... for which id, or NULL */
	const char *api_version;	/* ... of which version, or NULL: the entity's */
	const char *refusal;		/* ... and why there is no answer, or NULL */
	bool		is_final;		/* ... and would be none the next time */
	bool		is_gone;		/* ... because the API has it no more */
	HttpTransfer *transfer;
} PageRequest;

struct Job
{
	MemoryContext context;
	ClaimedJob	claim;
	Org		   *org;
	Entity	   *entity;			/* of an inquiry: what it asks about */
	DataTable	table;
	Writer	   *writer;
	const Inquiry *inquiry;		/* a question instead of a list; or NULL */
	char	   *target;			/* of an inquiry: path and query to ask */
	Reconcile  *reconcile;		/* looks for records that are gone; or NULL */
	JobRights  *rights;			/* asks first what the token may see; or NULL */
	List	   *folded;			/* jobs that come along (Folded *) */
	int			fold_suspects;	/* pages in a row that lack named records */
	JobMode		mode;
	ReadWay		way;			/* how its list is asked for, unless the server ignores that */
	const char *key;			/* ... by which key, or NULL */
	char	   *manifest_version;	/* of the columns that are read */
	int64		watermark;		/* of the reads before; or WATERMARK_NONE */
	int64		ceiling;		/* watermark that this read leaves, as watermark_ceiling() says */
	char	   *position;		/* the checkpoint as committed */
	int64		back;			/* rows to step back from it */
	int			per_page;		/* rows asked for; fewer if the API gives fewer */
	int64		page_bytes;		/* of the last answer; 0 = none yet */
	int64		total;			/* rows in the present window; -1 = unknown */
	int			run_ahead;		/* pages ahead: few until the list's size is
								 * known, and after its rows moved */

	PageRequest *window[JOB_MAX_WINDOW];	/* in the order of the list */
	int			n_window;

	Walk	   *walk;			/* of a nested entity, else NULL */
	bool		reads_parents;	/* the token may read some parent's list */
	int			forbidden_parents;	/* as long as that is not known */

	int			next_attempts;	/* of a request that is to be planned anew */
	GovTime		next_not_before;
	int			suspect_pages;	/* in a row */
	int			ignored_pages;	/* in a row */
	int			stuck_pages;	/* stepped back, and ended where we are */
	int64		dead_lettered;	/* by this lane */
	int64		unsaved_requests;	/* sent since the row was moved */
	int64		activity_id;	/* open row of retries; 0 = none */

	GovTime		wake_at;		/* nothing to do before; 0 = now */
	bool		over;			/* ended or given back; free it */
	LiveJob    *live;
	struct LaneOrg *lane_org;	/* what its org has under way in this lane */
};

/*
 * Begins a claimed job, an inquiry if one is given; NULL if it ended at once.  May
 * raise an error.
 */
extern Job *job_start(const ClaimedJob *claim, const Inquiry *inquiry, MemoryContext parent,
					  LiveJob *live);

/* Ends the job in a transaction of its own. */
extern void job_end(Job *job, const char *status, const Failure *failure);

/*
 * Gives the job back to the queue, naming what it waits for.  failed: it could not
 * write, and did not just wait for somebody.
 */
extern void job_postpone(Job *job, const char *reason, int milliseconds, bool failed);

/* Takes the job from this lane until it is resumed; it goes on from its checkpoint. */
extern void job_pause(Job *job);

/* Drops requests, and frees everything. */
extern void job_free(Job *job);

/*
 * Counts a failed attempt, and plans the request again or, after too many,
 * ends the job.
 */
extern void job_retry(Job *job, PageRequest *request, const Failure *failure);

/* Asks for smaller pages from now on. */
extern void job_shrink_pages(Job *job, int per_page);

/* Plans a request after those that are ahead; takes the parent over. */
extern void job_add_request(Job *job, int64 offset, WalkParent *parent);

/* Forgets requests: all that are ahead (their parents come again), or the one that is due. */
extern void job_drop_window(Job *job);
extern void job_drop_first(Job *job);

/* Walk: plans the next page of the parent whose page was due, before all others. */
extern void job_continue_first(Job *job, int64 offset);

/* After a commit: where the job stands now. */
extern void job_set_position(Job *job, const char *position);

/* Shows people what the job waits for: a text, "" for nothing, NULL as before. */
extern void job_show_waiting(Job *job, const char *waiting);

#endif							/* SYNC_ENGINE_JOB_H */
