/*-------------------------------------------------------------------------
 *
 * reconcile_ask.c
 *		What a reconcile asks the API beside its list.
 *
 * Whether the read proves anything: who the token is, what it may do, and how many
 * records there are.  Then records by their ids: those that are missing here, and
 * those that may be gone.
 *
 * IDENTIFICATION
 *		src/reconcile_ask.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "errors.h"
#include "job_page.h"
#include "job_row.h"
#include "json_hash.h"
#include "lib/stringinfo.h"
#include "reconcile.h"
#include "session.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/* Candidates listed at once. */
#define IDS_PER_LIST	200

/* Records that are looked for before a 404 is taken for an answer. */
#define MAX_WITNESSES	3

/* Which products a token may read is asked again after this. */
#define ACCESS_AGAIN	"10 minutes"

static const PageLimits default_limits = {0};

/* Something that the read is judged by. */
typedef enum QuestionKind
{
	QUESTION_WHO,				/* the token's person in People */
	QUESTION_WHO_HERE,			/* ... and in the entity's product, if it has one */
	QUESTION_TOTAL,				/* how long the list is */
	QUESTION_PRODUCT			/* whether a product may be read */
} QuestionKind;

typedef struct Question
{
	QuestionKind kind;
	const char *target;
	const char *api_version;
	const char *product;
} Question;

/*
 * ask: plans a request; the texts are copied.
 */
static void
ask(Job *job, const char *target, const char *id, const char *api_version)
{
	PageRequest *request;
	MemoryContext old;

	job_add_request(job, 0, NULL);
	request = job->window[job->n_window - 1];
	old = MemoryContextSwitchTo(job->context);
	request->target = pstrdup(target);
	request->asked = id ? pstrdup(id) : NULL;
	MemoryContextSwitchTo(old);
	request->api_version = api_version;
}

/* ---- Whether the read proves anything ------------------------------------ */

static void
add_question(Job *job, QuestionKind kind, const char *product, const char *target, const char *api_version)
{
	Question   *question = palloc(sizeof(Question));

	question->kind = kind;
	question->target = target;
	question->product = product;
	question->api_version = api_version;
	job->reconcile->questions = lappend(job->reconcile->questions, question);
}

static const char *
version_of(const Job *job, const char *product, const char *pinned)
{
	const char *wanted = org_api_version(job->org->name, product);

	return wanted != NULL ? wanted : pinned;
}

/*
 * add_products: unless that was asked just now, by another job of the run or by
 * somebody.
 */
static void
add_products(Job *job, MemoryContext context)
{
	static Statement select_products = {
		"SELECT p.product, p.base_path, p.api_version FROM sync_engine.product p WHERE NOT EXISTS ("
		"  SELECT 1 FROM sync_engine.product_access a WHERE (a.org, a.product) = ($1, p.product) "
		"  AND a.checked_at > now() - interval '" ACCESS_AGAIN "') ORDER BY product",
		1, {TEXTOID}
	};
	Datum		args[1] = {CStringGetTextDatum(job->org->name)};
	uint64		n = statement_run(&select_products, args, NULL);
	char	  **texts = palloc(sizeof(char *) * Max(n, 1) * 3);
	MemoryContext old = MemoryContextSwitchTo(context);

	for (uint64 i = 0; i < n; i++)
	{
		for (int k = 0; k < 3; k++)
			texts[i * 3 + k] = result_text(i, k + 1);
	}
	for (uint64 i = 0; i < n; i++)
		add_question(job, QUESTION_PRODUCT, texts[i * 3], texts[i * 3 + 1],
					 version_of(job, texts[i * 3], texts[i * 3 + 2]));
	MemoryContextSwitchTo(old);
}

/*
 * begin_questions: false if the read has a flaw already, and the job has ended.
 */
static bool
begin_questions(Job *job)
{
	static Statement select_flaw = {
		"SELECT flaw FROM sync_engine.job WHERE job_id = $1", 1, {INT8OID}
	};
	Datum		args[1] = {Int64GetDatum(job->claim.job_id)};
	MemoryContext context = job->reconcile->context;
	const Entity *entity = job->entity;
	bool		in_people = strcmp(entity->product, "people") == 0;
	Entity	   *people;
	MemoryContext old;
	const bool	durable = false;
	char	   *flaw;

	if (!session_begin("looking at what was read"))
	{
		job->over = true;
		return false;
	}
	(void) statement_run(&select_flaw, args, NULL);
	flaw = result_text(0, 1);
	flaw = flaw ? MemoryContextStrdup(context, flaw) : NULL;
	old = MemoryContextSwitchTo(context);
	people = manifest_load_product("people");
	if (people != NULL)
		add_question(job, QUESTION_WHO, "people", psprintf("%s/me", people->path),
					 version_of(job, "people", people->api_version));
	if (!in_people)
		add_question(job, QUESTION_WHO_HERE, entity->product, psprintf("%s/me", entity->base_path), NULL);
	if (entity->parent == NULL && !entity->single)
		add_question(job, QUESTION_TOTAL, entity->product, psprintf("%s?per_page=1", entity->path), NULL);
	MemoryContextSwitchTo(old);
	add_products(job, context);
	session_commit(durable);
	job->reconcile->unreadable = people == NULL;
	if (flaw != NULL)
		reconcile_give_up(job, flaw);
	return flaw == NULL;
}

/*
 * is_permission: whether an attribute of the token's person says what it may see.
 */
static bool
is_permission(const char *name)
{
	return strstr(name, "permission") != NULL || strstr(name, "admin") != NULL || strstr(name, "access") != NULL ||
		strncmp(name, "can_", 4) == 0;
}

static uint64
hash_text(const char *text, uint64 seed)
{
	return hash_bytes_extended((const unsigned char *) text, strlen(text), seed);
}

/*
 * fold_person: into the fingerprint, in whatever order its attributes come.
 */
static void
fold_person(Reconcile *reconcile, const Question *question, const PageRecord *person)
{
	uint64		seed = hash_text(question->product, 1);

	reconcile->digest ^= hash_text(person->id, seed);
	for (int i = 0; i < person->n_fields; i++)
	{
		const PageField *field = &person->fields[i];

		if (is_permission(field->name))
			reconcile->digest ^= json_hash(&field->value, hash_text(field->name, seed));
	}
}

/*
 * store_access: for the other jobs of the run, and for people.
 */
static void
store_access(Job *job, const char *product, bool accessible, const char *detail)
{
	static Statement upsert = {
		"INSERT INTO sync_engine.product_access (org, product, accessible, detail) VALUES ($1, $2, $3, $4) "
		"ON CONFLICT (org, product) DO UPDATE SET accessible = $3, detail = $4, checked_at = now()",
		4, {TEXTOID, TEXTOID, BOOLOID, TEXTOID}
	};
	Datum		args[4] = {CStringGetTextDatum(job->org->name), CStringGetTextDatum(product), BoolGetDatum(accessible),
	CStringGetTextDatum(detail)};
	const bool	may_end = false;
	const bool	durable = false;

	if (!reconcile_begin_step(job, "noting what the token may read", may_end, job->position))
		return;
	(void) statement_run(&upsert, args, NULL);
	session_commit(durable);
	job->unsaved_requests = 0;
}

/*
 * answer_question: the answer that is due.
 */
static void
answer_question(Job *job, const PageRequest *request)
{
	Reconcile  *reconcile = job->reconcile;
	const Question *question = list_nth(reconcile->questions, reconcile->next_question - job->n_window);
	const ParsedPage *page = NULL;
	bool		is_known;

	if (request->refusal == NULL)
	{
		const HttpResponse *response = http_response(request->transfer);

		page = page_parse((char *) response->body, response->body_len, &default_limits);
		if (page->problem == NULL && !job_page_is_ours(job, page))
			return;
	}
	is_known = page != NULL && page->problem == NULL;
	switch (question->kind)
	{
		case QUESTION_WHO:
		case QUESTION_WHO_HERE:
			if (is_known && page->n_records == 1 && page->records[0].id != NULL)
				fold_person(reconcile, question, &page->records[0]);
			else if (question->kind == QUESTION_WHO || !request->is_gone)
				reconcile->unreadable = true;
			break;
		case QUESTION_TOTAL:
			reconcile->total = is_known ? page->total_count : -1;
			break;
		case QUESTION_PRODUCT:
			if (is_known || request->refusal != NULL)
				store_access(job, question->product, is_known,
							 is_known ? "the token can read it" : request->refusal);
			break;
	}
	if (!job->over)
		job_drop_first(job);
}

/*
 * fold_access: which products the token may read.
 */
static void
fold_access(Job *job)
{
	static Statement select_access = {
		"SELECT string_agg(product, ' ' ORDER BY product) FROM sync_engine.product_access WHERE org = $1 AND accessible",
		1, {TEXTOID}
	};
	Datum		args[1] = {CStringGetTextDatum(job->org->name)};
	char	   *products;

	(void) statement_run(&select_access, args, NULL);
	products = result_text(0, 1);
	job->reconcile->digest ^= hash_text(products ? products : "", 2);
}

/*
 * conclude: all questions are answered.
 */
static void
conclude(Job *job)
{
	Reconcile  *reconcile = job->reconcile;
	bool		is_list = job->entity->parent == NULL && !job->entity->single;
	bool		is_first = reconcile->phase == RECONCILE_PROVE;
	const char *fingerprint = NULL;
	const bool	may_end = false;
	const bool	durable = false;

	if (is_list && reconcile->total < 0)
	{
		reconcile_give_up(job, "the API does not count its list");
		return;
	}
	if (!session_begin("folding what the token may see"))
	{
		job->over = true;
		return;
	}
	fold_access(job);
	session_commit(durable);
	if (!reconcile->unreadable)
		fingerprint = MemoryContextStrdup(job->context, psprintf(UINT64_FORMAT, reconcile->digest));
	if (is_first)
	{
		reconcile->fingerprint = fingerprint;
		job->claim.expected = is_list ? reconcile->total : -1;
		reconcile_move_on(job, RECONCILE_JUDGE);
		return;
	}
	if (!reconcile->approval && (fingerprint == NULL || reconcile->fingerprint == NULL ||
								 strcmp(fingerprint, reconcile->fingerprint) != 0))
	{
		reconcile_finish(job, "held", "what the token may see has changed meanwhile");
		return;
	}

	/* all that the second read has shown was struck as it came */
	if (!reconcile_begin_step(job, "confirming candidates", may_end, reconcile_position(job, RECONCILE_APPLY)))
		return;
	delete_batch_confirm_rest(reconcile->batch, "a second complete read did not show it either");
	session_commit(durable);
	reconcile_enter(job, RECONCILE_APPLY);
}

void
reconcile_plan_questions(Job *job, int limit)
{
	Reconcile  *reconcile = job->reconcile;

	if (reconcile->questions == NIL && !begin_questions(job))
		return;
	while (job->n_window < limit && reconcile->next_question < list_length(reconcile->questions))
	{
		const Question *question = list_nth(reconcile->questions, reconcile->next_question++);

		ask(job, question->target, NULL, question->api_version);
	}
	if (job->n_window == 0)
		conclude(job);
}

/* ---- Records by their ids ------------------------------------------------ */

/*
 * path_of: of one record.
 */
static char *
path_of(const Job *job, const char *id)
{
	const char *path = job->reconcile->get_path;
	const char *brace = strstr(path, "{id}");
	StringInfoData target;

	initStringInfo(&target);
	if (brace == NULL)
		elog(ERROR, "path \"%s\" of entity \"%s\" has no {id}", path, job->entity->name);
	appendBinaryStringInfo(&target, path, (int) (brace - path));
	for (const char *c = id; *c != '\0'; c++)
	{
		if (isalnum((unsigned char) *c) || strchr("-_.~", *c) != NULL)
			appendStringInfoChar(&target, *c);
		else
			appendStringInfo(&target, "%%%02X", (unsigned char) *c);
	}
	appendStringInfoString(&target, brace + strlen("{id}"));
	return target.data;
}

/*
 * keep_ids: copies in the memory of the phase.
 */
static List *
keep_ids(const Job *job, List *ids)
{
	MemoryContext old = MemoryContextSwitchTo(job->reconcile->context);
	List	   *kept = NIL;
	ListCell   *cell;

	foreach(cell, ids)
		kept = lappend(kept, pstrdup(lfirst(cell)));
	MemoryContextSwitchTo(old);
	return kept;
}

/*
 * missing_ids: those that the judgement has noted.
 */
static List *
missing_ids(const Job *job)
{
	static Statement select_missing = {
		"SELECT ids, n::bigint FROM sync_engine.seen_page WHERE job_id = $1 AND page = 0",
		1, {INT8OID}
	};
	Datum		args[1] = {Int64GetDatum(job->claim.job_id)};
	SeenSet    *set = seen_set_create(0);
	List	   *ids = NIL;
	bytea	   *packed;
	bool		isnull;

	if (statement_run(&select_missing, args, NULL) == 0)
		return NIL;
	packed = DatumGetByteaPP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	if (!seen_set_add(set, VARDATA_ANY(packed), VARSIZE_ANY_EXHDR(packed), (int) result_int64(0, 2, 0)))
		return NIL;
	seen_set_sort(set);
	for (int64 i = 0; i < seen_set_count(set); i++)
		ids = lappend(ids, (char *) seen_set_id(set, i));
	return ids;
}

/*
 * find_witnesses: rows that are no candidates.  If the API does not find them by
 * their ids either, the path is wrong, and no 404 says anything.
 */
static List *
find_witnesses(const Job *job)
{
	Oid			types[2] = {TEXTOID, TIMESTAMPTZOID};
	Datum		args[2] = {CStringGetTextDatum(job->org->name)};
	const bool	read_only = true;
	List	   *ids = NIL;
	List	   *witnesses = NIL;
	ListCell   *cell;
	MemoryContext context = CurrentMemoryContext;

	session_become_table_owner();
	(void) SPI_execute_with_args(psprintf("SELECT id FROM %s WHERE org = $1 AND _deleted_at IS NULL "
										  "ORDER BY org, id LIMIT %d",
										  quote_qualified_identifier(job->entity->schema_name, job->entity->table_name),
										  IDS_PER_LIST),
								 1, types, args, NULL, read_only, 0);
	MemoryContextSwitchTo(context);
	for (uint64 i = 0; i < SPI_processed; i++)
		ids = lappend(ids, result_text(i, 1));
	session_become_extension_owner();
	foreach(cell, delete_batch_others(job->reconcile->batch, delete_ids_array(ids)))
	{
		if (list_length(witnesses) < MAX_WITNESSES)
			witnesses = lappend(witnesses, lfirst(cell));
	}
	return witnesses;
}

/*
 * list_ids: the next ones to ask for.
 */
static void
list_ids(Job *job)
{
	Reconcile  *reconcile = job->reconcile;
	bool		confirms = reconcile->phase == RECONCILE_CONFIRM;
	const bool	durable = false;
	List	   *ids;

	if (!session_begin("listing records to ask for"))
	{
		job->over = true;
		return;
	}
	if (confirms)
	{
		if (reconcile->last == NULL)
		{
			reconcile->witnesses = keep_ids(job, find_witnesses(job));
			/* people have approved of deleting all that there is */
			reconcile->proven = reconcile->witnesses == NIL && reconcile->approval;
		}
		ids = delete_batch_candidates(reconcile->batch, "proposed", reconcile->last ? reconcile->last : "", IDS_PER_LIST);
	}
	else
		ids = missing_ids(job);
	reconcile->todo = keep_ids(job, ids);
	reconcile->all_listed = !confirms || list_length(ids) < IDS_PER_LIST;
	if (ids != NIL)
		reconcile->last = llast(reconcile->todo);
	session_commit(durable);
}

/*
 * end_confirming: deletes what is confirmed, if nothing is left in doubt.
 */
static void
end_confirming(Job *job)
{
	const bool	durable = false;
	int64		in_doubt;
	char	   *why;

	if (!session_begin("counting what was confirmed"))
	{
		job->over = true;
		return;
	}
	in_doubt = delete_batch_count_status(job->reconcile->batch, "proposed");
	why = delete_batch_a_detail(job->reconcile->batch);
	why = MemoryContextStrdup(job->reconcile->context, why ? why : "");
	session_commit(durable);
	if (in_doubt > 0)
		reconcile_finish(job, "held", psprintf(INT64_FORMAT " records could not be confirmed to be gone: %s",
											   in_doubt, why));
	else
		reconcile_move_on(job, RECONCILE_APPLY);
}

void
reconcile_plan_ids(Job *job, int limit)
{
	Reconcile  *reconcile = job->reconcile;
	bool		confirms = reconcile->phase == RECONCILE_CONFIRM;

	if (reconcile->todo == NIL && !reconcile->all_listed)
		list_ids(job);
	if (job->over)
		return;
	if (confirms && !reconcile->proven && reconcile->todo != NIL)
	{
		if (reconcile->witnesses == NIL)
			reconcile_finish(job, "held", "no record that is there is found by its id, so a 404 proves nothing");
		else if (job->n_window == 0)
			ask(job, path_of(job, linitial(reconcile->witnesses)), linitial(reconcile->witnesses), NULL);
		return;
	}
	while (job->n_window < limit && reconcile->todo != NIL)
	{
		const char *id = linitial(reconcile->todo);

		reconcile->todo = list_delete_first(reconcile->todo);
		ask(job, path_of(job, id), id, NULL);
	}
	if (job->n_window > 0)
		return;
	if (!reconcile->all_listed)
		job->wake_at = budget_now();
	else if (confirms)
		end_confirming(job);
	else
		reconcile_after_fetch(job);
}

/*
 * write_record: as the API has it now.
 */
static bool
write_record(Job *job, const ParsedPage *page)
{
	WriteItem	item = {&page->records[0], NULL};
	WriteCounts counts;
	const bool	thin = true;	/* it may lack what the list form has */
	const bool	durable = false;

	if (!session_begin("writing a record"))
	{
		job->over = true;
		return false;
	}
	if (!job_row_move(job, job->position, 1, job->claim.expected))
	{
		session_abort();
		job->over = true;
		return false;
	}
	if (!job_page_may_write(job))
		return false;
	writer_trust(job->writer, true);
	writer_write(job->writer, page, &item, 1, thin, &counts);
	writer_trust(job->writer, false);
	job_row_count(job, &counts);
	job_row_close_retry(job);
	session_commit(durable);
	job->claim.fetched++;
	job->unsaved_requests = 0;
	job->activity_id = 0;
	return true;
}

/*
 * note_candidate: what the API has said of it.
 */
static bool
note_candidate(Job *job, const char *id, bool is_gone, const char *detail)
{
	int64		batch = job->reconcile->batch;
	const bool	may_end = false;
	const bool	durable = false;

	if (!reconcile_begin_step(job, "noting whether a record is gone", may_end, job->position))
		return false;
	if (is_gone)
		delete_batch_mark(batch, delete_ids_array(list_make1((char *) id)), "confirmed", "the API has it no more (404)");
	else
		delete_batch_note(batch, id, detail);
	job_row_close_retry(job);
	session_commit(durable);
	job->unsaved_requests = 0;
	job->activity_id = 0;
	return true;
}

/*
 * answer_id: the answer that is due to a record that was asked for.
 */
static void
answer_id(Job *job, PageRequest *request)
{
	Reconcile  *reconcile = job->reconcile;
	bool		confirms = reconcile->phase == RECONCILE_CONFIRM;
	bool		is_witness = confirms && !reconcile->proven;
	const ParsedPage *page = NULL;
	bool		is_it = false;
	bool		done = true;

	if (request->refusal == NULL)
	{
		const HttpResponse *response = http_response(request->transfer);
		Failure		failure = {SQLSTATE_BAD_PAGE, NULL, NULL};

		page = page_parse((char *) response->body, response->body_len, &default_limits);
		if (page->problem != NULL)
		{
			failure.message = psprintf("the API answered with no record: %s", page->problem);
			job_retry(job, request, &failure);
			return;
		}
		if (!job_page_is_ours(job, page))
			return;
		is_it = page->n_records == 1 && page->records[0].id != NULL &&
			strcmp(page->records[0].id, request->asked) == 0 && writer_takes_type(job->writer, page->records[0].type);
	}
	if (is_witness && is_it)
		reconcile->proven = true;
	else if (is_witness)
		reconcile->witnesses = list_delete_first(reconcile->witnesses);
	else if (is_it)
		done = write_record(job, page);
	else if (confirms)
		done = note_candidate(job, request->asked, request->is_gone,
							  request->refusal ? request->refusal : "the API answered with another record");
	if (done && !job->over)
		job_drop_first(job);
}

void
reconcile_take_answer(Job *job, PageRequest *request)
{
	if (request->asked != NULL)
		answer_id(job, request);
	else
		answer_question(job, request);
}
