/*-------------------------------------------------------------------------
 *
 * activity.c
 *		The kinds of step that runs and jobs are made of, and how each is retried.
 *
 * IDENTIFICATION
 *		src/activity.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "activity.h"
#include "common/pg_prng.h"

/*
 * What the engine does by itself fails because the server lacks something (disk,
 * memory, connections), which takes a person minutes to mend.
 */
#define WITHIN_THE_SERVER	{8, 1000, 60000}

/*
 * With these delays, the last attempt is about three minutes after the first: a
 * short outage of the API passes.
 */
#define OVER_THE_NETWORK	{9, 500, 60000}

const Activity activity_load_manifest = {"load_manifest", WITHIN_THE_SERVER};
const Activity activity_build_dependency_graph = {"build_dependency_graph", WITHIN_THE_SERVER};
const Activity activity_create_jobs = {"create_jobs", WITHIN_THE_SERVER};

const Activity activity_start_job = {"start_job", WITHIN_THE_SERVER};
const Activity activity_sync_page = {"sync_page", OVER_THE_NETWORK};
const Activity activity_write_page = {"write_page", WITHIN_THE_SERVER};
const Activity activity_update_status = {"update_status", WITHIN_THE_SERVER};

int
activity_delay_ms(const Activity *activity, int attempts)
{
	int			doublings = Min(Max(attempts - 1, 0), 20);
	int64		delay = Min((int64) activity->policy.first_delay_ms << doublings,
							activity->policy.longest_delay_ms);

	return (int) (delay / 2 + pg_prng_double(&pg_global_prng_state) * (delay / 2));
}
