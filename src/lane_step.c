/*-------------------------------------------------------------------------
 *
 * lane_step.c
 *		A step of one job; an error in it is that job's alone.
 *
 * IDENTIFICATION
 *		src/lane_step.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "job_suspect.h"
#include "lane.h"
#include "lane_slot.h"
#include "session.h"
#include "storage/ipc.h"
#include "utils/elog.h"
#include "utils/timestamp.h"

/* So often in a row may writing a page take too long. */
#define MAX_TIMEOUTS		3

/* Between steps that take less than this the sockets need not be looked at. */
#define DRIVE_EVERY_US		1000

static GovTime driven_at = 0;

ErrorData *
lane_recover(void)
{
	ErrorData  *error = session_recover(lane.context);

	lane_slot->applying_since = 0;
	return error;
}

/*
 * is_passing: somebody got in the way, or cancelled a statement of ours; the
 * page can simply be applied again.
 */
static bool
is_passing(int sqlerrcode)
{
	return sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED ||
		sqlerrcode == ERRCODE_T_R_SERIALIZATION_FAILURE ||
		sqlerrcode == ERRCODE_QUERY_CANCELED;
}

/*
 * is_shortage: the server lacks disk, memory or the like, which somebody may mend.
 */
static bool
is_shortage(int sqlerrcode)
{
	int			category = ERRCODE_TO_CATEGORY(sqlerrcode);

	return category == ERRCODE_INSUFFICIENT_RESOURCES || category == ERRCODE_SYSTEM_ERROR;
}

/*
 * give_up: ends a job that an error of ours, or of the server's, does not let go on.
 */
static void
give_up(Job *job, const ErrorData *error, const Activity *activity)
{
	Failure		failure = {pstrdup(unpack_sql_state(error->sqlerrcode)), error->message, error->hint, activity};

	if (error->context != NULL)
		ereport(LOG,
				(errmsg("sync_engine: an error in a step of job " INT64_FORMAT ": %s",
						job->claim.job_id, error->message),
				 errcontext("%s", error->context)));
	job_end(job, "failed", &failure);
}

/*
 * handle_error: what an error in one job's step means for that job.
 */
static void
handle_error(Job *job, ErrorData *error, const Activity *activity, bool timed_out)
{
	int			failures = job->claim.failures + 1;
	const bool	waited = false;
	const bool	failed = true;

	PG_TRY();
	{
		if (timed_out && failures >= MAX_TIMEOUTS)
		{
			Failure		failure = {"57014", psprintf("writing took too long again and again (%s)", error->message),
			"Look for a trigger on the data table that does not come to an end.", activity};

			job_end(job, "failed", &failure);
		}
		else if (timed_out)
			job_postpone(job, "writing took too long", ERROR_RETRY_MS, failed);
		else if (error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE)
			job_postpone(job, psprintf("somebody holds a lock (%s)", error->message), ERROR_RETRY_MS, waited);
		else if (is_passing(error->sqlerrcode))
			job_postpone(job, error->message, CONFLICT_RETRY_MS, waited);
		else if (is_shortage(error->sqlerrcode) && failures < activity->policy.max_attempts)
			job_postpone(job, error->message, activity_delay_ms(activity, failures), failed);
		else
			give_up(job, error, activity);
	}
	PG_CATCH();
	{
		/* cannot even say so: leave it to the next lane */
		error = lane_recover();
		ereport(LOG,
				(errmsg("sync_engine: could not give up a job: %s", error->message)));
		proc_exit(1);
	}
	PG_END_TRY();
}

void
lane_drive(void)
{
	http_drive(lane.client);
	driven_at = budget_now();
}

/*
 * lane_run_step: the requests under way do not wait for the steps of all others:
 * one that leaves later than it was admitted may be one too many where it arrives.
 */
bool
lane_run_step(bool (*step) (Job *job, void *arg), Job *job, void *arg, const Activity *activity)
{
	volatile bool result = false;
	TimestampTz begun = GetCurrentTimestamp();
	TimestampTz outer = lane_slot->applying_since;	/* a step can be part of looking for work */

	lane_leave_if_barred();
	lane_slot->applying_job = job->claim.job_id;
	lane_slot->applying_since = begun;
	PG_TRY();
	{
		result = step(job, arg);
	}
	PG_CATCH();
	{
		ErrorData  *error = lane_recover();
		bool		timed_out = error->sqlerrcode == ERRCODE_QUERY_CANCELED &&
			TimestampDifferenceExceeds(begun, GetCurrentTimestamp(), SESSION_TIMEOUT_MS - 1);

		handle_error(job, error, activity, timed_out);
	}
	PG_END_TRY();
	lane_slot->applying_job = 0;
	lane_slot->applying_since = outer;
	suspect_let_go();
	if (budget_now() - driven_at >= DRIVE_EVERY_US)
		lane_drive();
	return result;
}
