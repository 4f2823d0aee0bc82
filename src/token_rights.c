/*-------------------------------------------------------------------------
 *
 * token_rights.c
 *		What a token may see, and what it might see when rows were read.
 *
 * Rights are a text: a digest of the token's person and of their attributes that
 * are about permissions, and, after a point, one of the products that the token
 * may read.  A full read asks for the first part alone: it is two requests, not one
 * for each product.
 *
 * IDENTIFICATION
 *		src/token_rights.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "json_hash.h"
#include "org.h"
#include "session.h"
#include "token_rights.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* In place of rights that could not be read, and, with a job's id, of those that it asks for. */
#define UNKNOWN	"unknown"
#define ASKED	"asked "

static void
add_question(List **questions, const char *product, const char *base_path, const char *api_version)
{
	RightsQuestion *question = palloc(sizeof(RightsQuestion));

	question->product = product;
	question->target = psprintf("%s/me", base_path);
	question->api_version = api_version;
	*questions = lappend(*questions, question);
}

List *
token_rights_questions(const char *org, const Entity *entity)
{
	List	   *questions = NIL;
	Entity	   *people = manifest_load_product("people");
	const char *version = org_api_version(org, "people");

	if (people != NULL)
		add_question(&questions, "people", people->path, version != NULL ? version : people->api_version);
	if (strcmp(entity->product, "people") != 0)
		add_question(&questions, entity->product, entity->base_path, NULL);
	return questions;
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

void
token_rights_fold(TokenRights *rights, const char *product, const PageRecord *person)
{
	uint64		seed = hash_text(product, 1);

	if (person == NULL)
	{
		rights->digest ^= seed;
		return;
	}
	rights->is_known = true;
	rights->digest ^= hash_text(person->id, seed);
	for (int i = 0; i < person->n_fields; i++)
	{
		const PageField *field = &person->fields[i];

		/* in whatever order they come */
		if (is_permission(field->name))
			rights->digest ^= json_hash(&field->value, hash_text(field->name, seed));
	}
}

const char *
token_rights_format(const TokenRights *rights, const char *products)
{
	if (!rights->is_known || rights->is_incomplete)
		return NULL;
	if (products == NULL)
		return psprintf(UINT64_FORMAT, rights->digest);
	return psprintf(UINT64_FORMAT "." UINT64_FORMAT, rights->digest, hash_text(products, 2));
}

bool
token_rights_begin_asking(const char *org, const char *product, int64 job_id)
{
	/*
	 * What was noted, or is being asked, holds for a while; but not for another
	 * credential, which may be another user's, nor if a reconcile has said since that
	 * it does not count.
	 */
	static Statement ask = {
		"INSERT INTO sync_engine.token_rights (org, product, rights) SELECT $1, $2, '" ASKED "' || $3 "
		"WHERE NOT EXISTS (SELECT 1 FROM sync_engine.token_rights r WHERE (r.org, r.product) = ($1, $2) "
		"  AND r.noted_at > greatest(now() - interval '10 minutes', "
		"    (SELECT updated_at FROM sync_engine.credential WHERE org = $1), "
		"    (SELECT max(rights_accepted_at) FROM sync_engine.sync_state WHERE (org, product) = ($1, $2))) "
		"  AND (r.rights NOT LIKE '" ASKED "%' OR EXISTS (SELECT 1 FROM sync_engine.job j WHERE (j.org, j.product) = ($1, $2) "
		"    AND j.job_id <> $3 AND r.rights = '" ASKED "' || j.job_id AND j.status = 'running'))) "
		"ON CONFLICT (org, product, rights) DO UPDATE SET noted_at = now()",
		3, {TEXTOID, TEXTOID, INT8OID}
	};
	Datum		args[3] = {CStringGetTextDatum(org), CStringGetTextDatum(product), Int64GetDatum(job_id)};

	return statement_run(&ask, args, NULL) > 0;
}

void
token_rights_note(const char *org, const char *product, int64 job_id, const char *rights)
{
	static Statement upsert = {
		"WITH asked AS (DELETE FROM sync_engine.token_rights "
		"  WHERE (org, product, rights) = ($1, $2, '" ASKED "' || $4) RETURNING first_noted_at, noted_at) "
		"INSERT INTO sync_engine.token_rights AS r (org, product, rights, first_noted_at, noted_at) "
		"SELECT $1, $2, $3, coalesce(a.first_noted_at, now()), coalesce(a.noted_at, now()) "
		"FROM (SELECT) one LEFT JOIN asked a ON true "
		"ON CONFLICT (org, product, rights) DO UPDATE SET noted_at = greatest(r.noted_at, EXCLUDED.noted_at)",
		4, {TEXTOID, TEXTOID, TEXTOID, INT8OID}
	};
	Datum		args[4] = {CStringGetTextDatum(org), CStringGetTextDatum(product),
	CStringGetTextDatum(rights ? rights : UNKNOWN), Int64GetDatum(job_id)};

	(void) statement_run(&upsert, args, NULL);
}

bool
token_rights_are_asked(const char *org, const char *product)
{
	static Statement is_asked = {
		"SELECT 1 FROM sync_engine.token_rights r JOIN sync_engine.job j ON r.rights = '" ASKED "' || j.job_id "
		"WHERE (r.org, r.product) = ($1, $2) AND (j.org, j.product) = ($1, $2) AND j.status = 'running'",
		2, {TEXTOID, TEXTOID}
	};
	Datum		args[2] = {CStringGetTextDatum(org), CStringGetTextDatum(product)};

	return statement_run(&is_asked, args, NULL) > 0;
}

const char *
token_rights_doubt(const char *org, const char *product, const char *entity, const char *rights, TimestampTz oldest)
{
	/* what was noted without its products is compared without them */
	static Statement compare = {
		"WITH accepted AS (SELECT (SELECT rights_accepted_at FROM sync_engine.sync_state "
		"    WHERE (org, product, entity) = ($1, $2, $3)) AS at) "
		"SELECT (SELECT at IS NULL FROM accepted) AND count(*) FILTER (WHERE first_noted_at <= $5) = 0, "
		"  coalesce(bool_or(is_unknown), false), "
		"  coalesce(bool_or(NOT is_unknown AND rights NOT IN ($4, split_part($4, '.', 1))), false) "
		"FROM (SELECT *, rights = '" UNKNOWN "' OR rights LIKE '" ASKED "%' AS is_unknown FROM sync_engine.token_rights "
		"  WHERE (org, product) = ($1, $2) AND noted_at >= coalesce((SELECT at FROM accepted), '-infinity')) r",
		5, {TEXTOID, TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID}
	};
	Datum		args[5] = {CStringGetTextDatum(org), CStringGetTextDatum(product), CStringGetTextDatum(entity)};

	if (rights == NULL)
		return "what the token may see could not be read";
	args[3] = CStringGetTextDatum(rights);
	args[4] = TimestampTzGetDatum(oldest);
	(void) statement_run(&compare, args, NULL);
	if (result_bool(0, 1) || result_bool(0, 2))
		return "what the token might see when rows were read is not known";
	return result_bool(0, 3) ? "what the token may see has changed since rows were read" : NULL;
}

void
token_rights_accept(const char *org, const char *product, const char *entity, TimestampTz before)
{
	static Statement upsert = {
		"INSERT INTO sync_engine.sync_state AS s (org, product, entity, rights_accepted_at) VALUES ($1, $2, $3, $4) "
		"ON CONFLICT (org, product, entity) DO UPDATE "
		"SET rights_accepted_at = greatest(s.rights_accepted_at, $4)",
		4, {TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID}
	};
	Datum		args[4] = {CStringGetTextDatum(org), CStringGetTextDatum(product), CStringGetTextDatum(entity),
	TimestampTzGetDatum(before)};

	(void) statement_run(&upsert, args, NULL);
}

void
token_rights_forget_accepted(const char *org, const char *product, const char *entity)
{
	static Statement update = {
		"UPDATE sync_engine.sync_state SET rights_accepted_at = NULL WHERE (org, product, entity) = ($1, $2, $3)",
		3, {TEXTOID, TEXTOID, TEXTOID}
	};
	Datum		args[3] = {CStringGetTextDatum(org), CStringGetTextDatum(product), CStringGetTextDatum(entity)};

	(void) statement_run(&update, args, NULL);
}
