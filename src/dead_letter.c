/*-------------------------------------------------------------------------
 *
 * dead_letter.c
 *		Records that could not be stored: kept with what came and why.
 *
 * IDENTIFICATION
 *		src/dead_letter.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "dead_letter.h"
#include "session.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/resowner.h"

/*
 * private_attributes: those whose values must not be kept as they came, as an
 * array of text; *n of them.
 */
static Datum
private_attributes(const Entity *entity, int *n)
{
	Datum	   *names = palloc(sizeof(Datum) * Max(entity->n_columns, 1));

	*n = 0;
	for (int i = 0; i < entity->n_columns; i++)
	{
		if (entity->columns[i].privacy != PRIVACY_KEEP)
			names[(*n)++] = CStringGetTextDatum(entity->columns[i].member);
	}
	return PointerGetDatum(construct_array(names, *n, TEXTOID, -1, false, TYPALIGN_INT));
}

/*
 * without_private: a payload less the attributes that must not be kept.  What
 * is not laid out as a record cannot be sorted through, and goes as a whole.
 */
static Datum
without_private(const Entity *entity, Datum payload)
{
	static Statement strip = {
		"SELECT CASE WHEN jsonb_typeof($1) <> 'object' THEN NULL "
		"  WHEN jsonb_typeof($1->'attributes') = 'object' "
		"  THEN jsonb_set($1, '{attributes}', ($1->'attributes') - $2) "
		"  ELSE $1 - 'attributes' END",
		2, {JSONBOID, TEXTARRAYOID}
	};
	int			n;
	Datum		args[2] = {payload, private_attributes(entity, &n)};
	bool		isnull;
	Datum		stripped;

	if (n == 0)
		return payload;
	(void) statement_run(&strip, args, NULL);
	stripped = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	if (isnull)
		return DirectFunctionCall1(jsonb_in, CStringGetDatum("{}"));
	return stripped;
}

/*
 * payload_jsonb: the payload as jsonb; as a JSON string of its text where
 * jsonb cannot hold it (a number out of numeric's range, say).
 */
static Datum
payload_jsonb(const char *payload)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile Datum jsonb = (Datum) 0;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		jsonb = DirectFunctionCall1(jsonb_in, CStringGetDatum(payload));
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		StringInfoData quoted;

		MemoryContextSwitchTo(context);
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		initStringInfo(&quoted);
		escape_json(&quoted, payload);
		jsonb = DirectFunctionCall1(jsonb_in, CStringGetDatum(quoted.data));
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return jsonb;
}

void
dead_letter_add(const char *org, const Entity *entity, int64 run_id, int64 job_id,
				const DeadLetter *letter)
{
	static Statement upsert = {
		"INSERT INTO sync_engine.dead_letter AS d "
		"  (org, product, entity, record_id, payload, reason, sqlstate, run_id, job_id) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) "
		"ON CONFLICT (org, product, entity, coalesce(record_id, md5(payload::text))) "
		"  WHERE closed_at IS NULL "
		"DO UPDATE SET payload = EXCLUDED.payload, reason = EXCLUDED.reason, "
		"  sqlstate = EXCLUDED.sqlstate, run_id = EXCLUDED.run_id, job_id = EXCLUDED.job_id "
		"WHERE (d.payload, d.reason) IS DISTINCT FROM (EXCLUDED.payload, EXCLUDED.reason) "
		"  OR (d.record_id IS NULL AND d.run_id <> EXCLUDED.run_id)",
		9, {TEXTOID, TEXTOID, TEXTOID, TEXTOID, JSONBOID, TEXTOID, TEXTOID, INT8OID, INT8OID}
	};
	Datum		args[9];
	char		nulls[9] = {' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' '};

	args[0] = CStringGetTextDatum(org);
	args[1] = CStringGetTextDatum(entity->product);
	args[2] = CStringGetTextDatum(entity->name);
	args[3] = letter->record_id ? CStringGetTextDatum(letter->record_id) : (Datum) 0;
	nulls[3] = letter->record_id ? ' ' : 'n';
	args[4] = without_private(entity, payload_jsonb(letter->payload));
	args[5] = CStringGetTextDatum(letter->reason);
	args[6] = CStringGetTextDatum(letter->sqlstate);
	args[7] = Int64GetDatum(run_id);
	args[8] = Int64GetDatum(job_id);
	(void) statement_run(&upsert, args, nulls);
}

int64
dead_letter_count_open(const char *org, const Entity *entity)
{
	static Statement count = {
		"SELECT count(*) FROM sync_engine.dead_letter "
		"WHERE org = $1 AND product = $2 AND entity = $3 AND closed_at IS NULL",
		3, {TEXTOID, TEXTOID, TEXTOID}
	};
	Datum		args[3] = {CStringGetTextDatum(org), CStringGetTextDatum(entity->product),
	CStringGetTextDatum(entity->name)};

	(void) statement_run(&count, args, NULL);
	return result_int64(0, 1, 0);
}

int64
dead_letter_close(const char *org, const Entity *entity, Datum ids)
{
	static Statement close_letters = {
		"UPDATE sync_engine.dead_letter SET closed_at = now() "
		"WHERE org = $1 AND product = $2 AND entity = $3 AND closed_at IS NULL "
		"AND record_id = ANY ($4)",
		4, {TEXTOID, TEXTOID, TEXTOID, TEXTARRAYOID}
	};
	Datum		args[4] = {CStringGetTextDatum(org), CStringGetTextDatum(entity->product),
	CStringGetTextDatum(entity->name), ids};

	return (int64) statement_run(&close_letters, args, NULL);
}

void
dead_letter_close_unmet(const char *org, const Entity *entity, int64 run_id, int64 job_id)
{
	static Statement close_letters = {
		"UPDATE sync_engine.dead_letter SET closed_at = now() "
		"WHERE org = $1 AND product = $2 AND entity = $3 AND closed_at IS NULL "
		"AND record_id IS NULL AND run_id <> $4 "
		"AND (SELECT mode = 'full' FROM sync_engine.job WHERE job_id = $5)",
		5, {TEXTOID, TEXTOID, TEXTOID, INT8OID, INT8OID}
	};
	Datum		args[5] = {CStringGetTextDatum(org), CStringGetTextDatum(entity->product),
	CStringGetTextDatum(entity->name), Int64GetDatum(run_id), Int64GetDatum(job_id)};

	(void) statement_run(&close_letters, args, NULL);
}
