/*-------------------------------------------------------------------------
 *
 * job_inquiry.c
 *		Jobs that ask one question of the API instead of reading a list.
 *
 * check: may the token read a product?  The answer's status is the result.
 * probe: how many records does a list have?  One record, and total_count.
 * drift: the same, and do we have as many?
 * refresh: what does the API's documentation say of a product?
 * record: what does a record say now?
 * children: and what do a person's children?
 *
 * IDENTIFICATION
 *		src/job_inquiry.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "audit.h"
#include "catalog/pg_type.h"
#include "errors.h"
#include "job_children.h"
#include "job_documentation.h"
#include "job_inquiry.h"
#include "job_record.h"
#include "job_row.h"
#include "moved_children.h"
#include "session.h"
#include "utils/builtins.h"

/* Somebody waits for a plan; a list that does not answer is not counted. */
#define PROBE_ATTEMPTS		2
#define PROBE_TIMEOUT_MS	5000

/* An inquiry's job has this before the entity's name: it is not that entity's job. */
#define TOTAL_OF	"total of "

static void
ask_access(Job *job)
{
	job->entity = manifest_load_product(job->claim.product);
	if (job->entity != NULL)
		job->target = pstrdup(job->entity->path);
}

static InquiryResult
store_access(Job *job, const HttpResponse *response, const Failure *failure)
{
	org_note_access(job->org->name, job->claim.product, failure == NULL ? NULL : failure->message);
	return INQUIRY_DONE;
}

static void
ask_total(Job *job)
{
	job->entity = manifest_load(job->claim.product, job->claim.entity + strlen(TOTAL_OF));
	if (job->entity != NULL)
		job->target = psprintf("%s?per_page=1", job->entity->path);
}

/*
 * store_total: a list that cannot be counted has no total; why not is seen when
 * it is read.
 */
static InquiryResult
store_total(Job *job, const HttpResponse *response, const Failure *failure)
{
	static Statement upsert_total = {
		"INSERT INTO sync_engine.sync_state AS s (org, product, entity, total, counted_at, unseen) "
		"VALUES ($1, $2, $3, $4, now(), $5) "
		"ON CONFLICT (org, product, entity) DO UPDATE SET total = $4, counted_at = now(), unseen = $5",
		5, {TEXTOID, TEXTOID, TEXTOID, INT8OID, TEXTOID}
	};
	static const PageLimits default_limits = {0};
	Datum		args[5];
	char		nulls[5] = {' ', ' ', ' ', ' ', ' '};
	bool		unseen = failure != NULL && (strcmp(failure->sqlstate, SQLSTATE_NO_ACCESS) == 0 ||
											 strcmp(failure->sqlstate, SQLSTATE_NO_SUCH_LIST) == 0);
	int64		total = -1;

	if (failure == NULL)
	{
		ParsedPage *page = page_parse((char *) response->body, response->body_len, &default_limits);

		total = page->problem != NULL ? -1 : page->is_collection ? page->total_count : page->n_records;
	}
	args[0] = CStringGetTextDatum(job->org->name);
	args[1] = CStringGetTextDatum(job->claim.product);
	args[2] = CStringGetTextDatum(job->entity->name);
	args[3] = Int64GetDatum(total);
	nulls[3] = total < 0 ? 'n' : ' ';
	args[4] = unseen ? CStringGetTextDatum(failure->message) : (Datum) 0;
	nulls[4] = unseen ? ' ' : 'n';
	(void) statement_run(&upsert_total, args, nulls);
	job->total = total;
	return INQUIRY_DONE;
}

static InquiryResult
store_drift(Job *job, const HttpResponse *response, const Failure *failure)
{
	InquiryResult result = store_total(job, response, failure);

	if (job->total >= 0)
		audit_compare(job->org->name, job->claim.product, job->entity->name, job->total);
	return result;
}

static const Inquiry inquiries[] = {
	{"check", 0, 0, ask_access, store_access},
	{"probe", PROBE_ATTEMPTS, PROBE_TIMEOUT_MS, ask_total, store_total},
	{"drift", 0, 0, ask_total, store_drift},
	{"refresh", 0, 0, documentation_ask, documentation_store},
	{"record", RECORD_ATTEMPTS, 0, record_ask, NULL, record_finish},
	{CHILDREN_KIND, 0, 0, children_ask, NULL, children_finish},
};

const Inquiry *
inquiry_find(const char *strategy)
{
	for (int i = 0; i < lengthof(inquiries); i++)
	{
		if (strcmp(inquiries[i].strategy, strategy) == 0)
			return &inquiries[i];
	}
	return NULL;
}

void
inquiry_finish(Job *job, const HttpResponse *response, const Failure *failure)
{
	bool		durable = true;
	InquiryResult result;

	if (job->inquiry->finish != NULL)
	{
		job->inquiry->finish(job, response, failure);
		return;
	}
	if (!session_begin("noting what the API answered"))
	{
		job->over = true;
		return;
	}
	queue_lock_runs(job->claim.job_id);
	result = job->inquiry->store(job, response, failure);
	job_row_save_requests(job);
	if (result != INQUIRY_GOES_ON)
	{
		job->over = true;
		(void) queue_end_job(job->claim.job_id, job->claim.epoch,
							 result == INQUIRY_DONE ? "succeeded" : "failed",
							 result == INQUIRY_DONE ? NULL : failure);
	}
	session_commit(durable);
	if (result == INQUIRY_GOES_ON)
		job_drop_first(job);
}
