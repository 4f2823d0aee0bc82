/*-------------------------------------------------------------------------
 *
 * job_check.c
 *		The job that asks whether a token may read a product.
 *
 * It has one request, for the product's root, and no page: the answer itself
 * is the result.
 *
 * IDENTIFICATION
 *		src/job_check.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "job_check.h"
#include "session.h"
#include "utils/builtins.h"

void
job_check_finish(Job *job, const Failure *failure)
{
	static Statement upsert_access = {
		"INSERT INTO sync_engine.product_access (org, product, accessible, detail) VALUES ($1, $2, $3, $4) "
		"ON CONFLICT (org, product) DO UPDATE SET accessible = $3, detail = $4, checked_at = now()",
		4, {TEXTOID, TEXTOID, BOOLOID, TEXTOID}
	};
	Datum		args[4];
	bool		durable = true;

	job->over = true;
	if (!session_begin("noting what a token can reach"))
		return;
	queue_lock_runs(job->claim.job_id);
	args[0] = CStringGetTextDatum(job->org->name);
	args[1] = CStringGetTextDatum(job->claim.product);
	args[2] = BoolGetDatum(failure == NULL);
	args[3] = CStringGetTextDatum(failure == NULL ? "the token can read it" : failure->message);
	(void) statement_run(&upsert_access, args, NULL);
	job_save_requests(job);
	(void) queue_end_job(job->claim.job_id, job->claim.epoch, "succeeded", NULL);
	session_commit(durable);
}
