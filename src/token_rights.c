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

/* In place of rights that could not be read: no others are the same. */
#define UNKNOWN	"unknown"

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
token_rights_is_due(const char *org, const char *product, int64 job_id)
{
	/*
	 * Of jobs that begin together the first one asks; one that has no entity asks
	 * something else.  A new credential may be another user's.
	 */
	static Statement is_due = {
		"SELECT NOT EXISTS (SELECT 1 FROM sync_engine.token_rights WHERE (org, product) = ($1, $2) "
		"    AND noted_at > greatest(now() - interval '10 minutes', "
		"      (SELECT updated_at FROM sync_engine.credential WHERE org = $1))) "
		"  AND NOT EXISTS (SELECT 1 FROM sync_engine.job j JOIN sync_engine.entity USING (product, entity) "
		"    WHERE j.org = $1 AND j.product = $2 AND j.job_id < $3 AND j.status = 'running' AND j.mode = 'full' "
		"    AND j.started_at > now() - interval '1 minute')",
		3, {TEXTOID, TEXTOID, INT8OID}
	};
	Datum		args[3] = {CStringGetTextDatum(org), CStringGetTextDatum(product), Int64GetDatum(job_id)};

	(void) statement_run(&is_due, args, NULL);
	return result_bool(0, 1);
}

void
token_rights_note(const char *org, const char *product, const char *rights)
{
	static Statement upsert = {
		"INSERT INTO sync_engine.token_rights (org, product, rights) VALUES ($1, $2, $3) "
		"ON CONFLICT (org, product, rights) DO UPDATE SET noted_at = now()",
		3, {TEXTOID, TEXTOID, TEXTOID}
	};
	Datum		args[3] = {CStringGetTextDatum(org), CStringGetTextDatum(product),
	CStringGetTextDatum(rights ? rights : UNKNOWN)};

	(void) statement_run(&upsert, args, NULL);
}

const char *
token_rights_doubt(const char *org, const char *product, const char *entity, const char *rights)
{
	/* what was noted without its products is compared without them */
	static Statement compare = {
		"SELECT count(*) = 0, coalesce(bool_or(r.rights = '" UNKNOWN "'), false), "
		"  coalesce(bool_or(r.rights NOT IN ($4, split_part($4, '.', 1))), false) "
		"FROM sync_engine.token_rights r WHERE (r.org, r.product) = ($1, $2) AND r.noted_at >= coalesce("
		"  (SELECT s.rights_accepted_at FROM sync_engine.sync_state s WHERE (s.org, s.product, s.entity) = ($1, $2, $3)), "
		"  '-infinity')",
		4, {TEXTOID, TEXTOID, TEXTOID, TEXTOID}
	};
	Datum		args[4] = {CStringGetTextDatum(org), CStringGetTextDatum(product), CStringGetTextDatum(entity)};

	if (rights == NULL)
		return "what the token may see could not be read";
	args[3] = CStringGetTextDatum(rights);
	(void) statement_run(&compare, args, NULL);
	if (result_bool(0, 1) || result_bool(0, 2))
		return "what the token might see when rows were read is not known";
	return result_bool(0, 3) ? "what the token may see has changed since rows were read" : NULL;
}

void
token_rights_accept(const char *org, const char *product, const char *entity, TimestampTz until)
{
	static Statement upsert = {
		"INSERT INTO sync_engine.sync_state AS s (org, product, entity, rights_accepted_at) VALUES ($1, $2, $3, $4) "
		"ON CONFLICT (org, product, entity) DO UPDATE "
		"SET rights_accepted_at = greatest(s.rights_accepted_at, $4)",
		4, {TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID}
	};
	Datum		args[4] = {CStringGetTextDatum(org), CStringGetTextDatum(product), CStringGetTextDatum(entity),
	TimestampTzGetDatum(until)};

	(void) statement_run(&upsert, args, NULL);
}
