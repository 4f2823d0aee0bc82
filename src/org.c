/*-------------------------------------------------------------------------
 *
 * org.c
 *		Organisations: where they are read from, and with what credential.
 *
 * IDENTIFICATION
 *		src/org.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "errors.h"
#include "guc.h"
#include "miscadmin.h"
#include "org.h"
#include "session.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

/* Keys of sync_connect's options; an unknown key is more likely a slip. */
static const struct
{
	const char *name;
	enum jbvType type;
	double		min;			/* of a number */
	double		max;
}			known_options[] = {
	{"api_versions", jbvObject},
	{"delete_behaviour", jbvString},
	{"delete_threshold_count", jbvNumeric, 0, PG_INT32_MAX},
	{"delete_threshold_percent", jbvNumeric, 0, 100},
	{"entities", jbvArray},
	{"exclude", jbvArray},
	{"rate_share", jbvNumeric, 1, 100},
	{"secret_file", jbvString},
	{"weight", jbvNumeric, 1, 100},
};

static Failure
stopped(const char *message, const char *hint)
{
	Failure		failure = {SQLSTATE_ORG_STOPPED, message, hint};

	return failure;
}

void
org_store_credential(const char *name, const Credential *credential)
{
	static Statement upsert = {
		"INSERT INTO sync_engine.credential (org, kind, sealed, system_identifier, database_oid) "
		"VALUES ($1, 'personal_access_token', $2, $3, $4) "
		"ON CONFLICT (org) DO UPDATE SET kind = EXCLUDED.kind, sealed = EXCLUDED.sealed, "
		"  system_identifier = EXCLUDED.system_identifier, database_oid = EXCLUDED.database_oid, "
		"  updated_at = now()",
		4, {TEXTOID, BYTEAOID, INT8OID, OIDOID}
	};
	Datum		args[4] = {CStringGetTextDatum(name), PointerGetDatum(credential_seal(name, credential)),
	Int64GetDatum((int64) GetSystemIdentifier()), ObjectIdGetDatum(MyDatabaseId)};

	(void) statement_run(&upsert, args, NULL);
}

void
org_adopt_credentials(void)
{
	static Statement adopt = {
		"UPDATE sync_engine.credential SET system_identifier = $1, database_oid = $2 "
		"WHERE (system_identifier, database_oid) IS DISTINCT FROM ($1, $2)",
		2, {INT8OID, OIDOID}
	};
	Datum		args[2] = {Int64GetDatum((int64) GetSystemIdentifier()), ObjectIdGetDatum(MyDatabaseId)};

	(void) statement_run(&adopt, args, NULL);
}

char *
org_check_base_url(const char *base_url)
{
	Origin		origin;
	OriginRule	rule;
	char		error[256];
	char		canonical[ORIGIN_MAX_TEXT];

	if (!origin_parse(base_url, &origin, error, sizeof(error)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("base_url is not valid: %s", error),
				 errhint("Write a scheme and a host, as in https://api.planningcenteronline.com.")));
	origin_format(&origin, canonical, sizeof(canonical));
	if (!origin_allowed(guc_allowed_hosts, &origin, &rule))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("base_url %s is not in sync_engine.allowed_hosts", canonical),
				 errhint("An administrator can add it: ALTER SYSTEM SET sync_engine.allowed_hosts = '%s, %s'.",
						 guc_allowed_hosts, origin.https ? origin.host : canonical)));
	return pstrdup(canonical);
}

/*
 * check_number: whether the value is within the option's limits.
 */
static void
check_number(int option, Numeric value)
{
	double		number = DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow,
															NumericGetDatum(value)));

	if (number < known_options[option].min || number > known_options[option].max)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"%s\" must be from %.0f to %.0f", known_options[option].name,
						known_options[option].min, known_options[option].max)));
}

/*
 * check_names: whether the array holds strings only; which entities they name
 * is for the manifest to say.
 */
static void
check_names(const char *name, JsonbContainer *array)
{
	for (uint32 i = 0; i < JsonContainerSize(array); i++)
	{
		if (getIthJsonbValueFromContainer(array, i)->type != jbvString)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("option \"%s\" must be an array of strings", name),
					 errhint("Name entities, as in [\"Person\", \"giving.Donation\"].")));
	}
}

static void
check_delete_behaviour(const JsonbValue *value)
{
	char	   *behaviour = pnstrdup(value->val.string.val, value->val.string.len);

	if (strcmp(behaviour, "soft") != 0 && strcmp(behaviour, "hard") != 0 &&
		strcmp(behaviour, "archive") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"delete_behaviour\" cannot be \"%s\"", behaviour),
				 errhint("Write one of: soft, hard, archive.")));
}

void
org_check_options(Jsonb *options)
{
	JsonbIterator *iterator;
	JsonbValue	value;
	JsonbIteratorToken token;
	const bool	skip_nested = true;

	if (!JB_ROOT_IS_OBJECT(options))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("options must be a JSON object")));

	iterator = JsonbIteratorInit(&options->root);
	token = JsonbIteratorNext(&iterator, &value, skip_nested);
	while ((token = JsonbIteratorNext(&iterator, &value, skip_nested)) == WJB_KEY)
	{
		char	   *name = pnstrdup(value.val.string.val, value.val.string.len);
		int			option = -1;
		enum jbvType type;

		for (int i = 0; i < lengthof(known_options); i++)
		{
			if (strcmp(known_options[i].name, name) == 0)
				option = i;
		}
		if (option < 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("option \"%s\" does not exist", name),
					 errhint("Options are api_versions, delete_behaviour, delete_threshold_count, "
							 "delete_threshold_percent, entities, exclude, rate_share, secret_file, weight.")));

		(void) JsonbIteratorNext(&iterator, &value, skip_nested);
		type = value.type == jbvBinary ?
			(JsonContainerIsObject(value.val.binary.data) ? jbvObject : jbvArray) : value.type;
		if (type != known_options[option].type)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("option \"%s\" must be %s", name,
							known_options[option].type == jbvNumeric ? "a number" :
							known_options[option].type == jbvString ? "a string" :
							known_options[option].type == jbvArray ? "an array" : "an object")));
		switch (type)
		{
			case jbvNumeric:
				check_number(option, value.val.numeric);
				break;
			case jbvArray:
				check_names(name, value.val.binary.data);
				break;
			default:
				if (strcmp(name, "delete_behaviour") == 0)
					check_delete_behaviour(&value);
				break;
		}
	}
}

/*
 * open_credential: the credential's part of org_load.
 */
static bool
open_credential(Org *org, Failure *failure)
{
	static Statement select_credential = {
		"SELECT sealed, system_identifier = $2 AND database_oid = $3 "
		"FROM sync_engine.credential WHERE org = $1",
		3, {TEXTOID, INT8OID, OIDOID}
	};
	Datum		args[3] = {CStringGetTextDatum(org->name), Int64GetDatum((int64) GetSystemIdentifier()),
	ObjectIdGetDatum(MyDatabaseId)};
	bytea	   *sealed;
	char	   *error;
	char	   *hint;
	bool		isnull;

	if (statement_run(&select_credential, args, NULL) == 0)
	{
		*failure = stopped("the organisation has no credential", "Call sync_connect.");
		return false;
	}
	if (!result_bool(0, 2))
	{
		*failure = stopped("this is a copy of the database that the credentials were stored in",
						   "Call sync_adopt() if this copy may use them, or sync_connect with others.");
		return false;
	}
	sealed = DatumGetByteaPP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	if (!credential_open(org->name, sealed, &org->credential, &error, &hint))
	{
		*failure = stopped(error, hint);
		return false;
	}
	org->budget_key = credential_budget_key(&org->credential, org->base_url);
	return true;
}

Org *
org_load(const char *name, Failure *failure)
{
	static Statement select_org = {
		"SELECT base_url, status, error, hint, pco_organization_id, (options->>'rate_share')::numeric::int, connected_at, "
		"  (options->>'weight')::numeric::int FROM sync_engine.org WHERE org = $1",
		1, {TEXTOID}
	};
	Datum		args[1] = {CStringGetTextDatum(name)};
	Org		   *org = palloc0(sizeof(Org));
	Origin		origin;
	char		error[256];
	char	   *status;

	if (statement_run(&select_org, args, NULL) == 0)
	{
		*failure = stopped("the organisation does not exist any more", NULL);
		return NULL;
	}
	org->name = pstrdup(name);
	org->base_url = result_text(0, 1);
	org->pco_organization_id = result_text(0, 5);
	org->rate_share = (int) result_int64(0, 6, 100);
	org->connected_at = result_timestamp(0, 7, DT_NOBEGIN);
	org->weight = (int) result_int64(0, 8, 1);
	status = result_text(0, 2);
	if (strcmp(status, "stopped") == 0)
	{
		*failure = stopped(result_text(0, 3), result_text(0, 4));
		return NULL;
	}
	if (strcmp(status, "disconnected") == 0)
	{
		*failure = stopped("the organisation is disconnected", "Call sync_connect.");
		return NULL;
	}
	if (!origin_parse(org->base_url, &origin, error, sizeof(error)) ||
		!origin_allowed(guc_allowed_hosts, &origin, &org->rule))
	{
		*failure = stopped(psprintf("%s is not in sync_engine.allowed_hosts", org->base_url),
						   "An administrator can add it to sync_engine.allowed_hosts.");
		return NULL;
	}
	return open_credential(org, failure) ? org : NULL;
}

void
org_forget_secret(Org *org)
{
	explicit_bzero(&org->credential, sizeof(org->credential));
}

bool
org_stop(const Org *org, const Failure *failure)
{
	static Statement stop = {
		"UPDATE sync_engine.org SET status = 'stopped', sqlstate = $2, error = $3, hint = $4 "
		"WHERE org = $1 AND connected_at = $5",
		5, {TEXTOID, TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID}
	};
	Datum		args[5] = {CStringGetTextDatum(org->name), CStringGetTextDatum(failure->sqlstate),
		CStringGetTextDatum(failure->message),
		CStringGetTextDatum(failure->hint ? failure->hint : ""),
	TimestampTzGetDatum(org->connected_at)};

	return statement_run(&stop, args, NULL) > 0;
}

bool
org_remember_id(Org *org, const char *pco_organization_id)
{
	static Statement remember = {
		"UPDATE sync_engine.org SET pco_organization_id = $2 "
		"WHERE org = $1 AND pco_organization_id IS NULL",
		2, {TEXTOID, TEXTOID}
	};
	static Statement reread = {
		"SELECT pco_organization_id FROM sync_engine.org WHERE org = $1",
		1, {TEXTOID}
	};
	Datum		args[2] = {CStringGetTextDatum(org->name), CStringGetTextDatum(pco_organization_id)};
	char	   *stored;

	(void) statement_run(&remember, args, NULL);
	if (statement_run(&reread, args, NULL) == 0)
		return false;
	stored = result_text(0, 1);
	return stored != NULL && strcmp(stored, pco_organization_id) == 0;
}

char *
org_api_version(const char *name, const char *product)
{
	static Statement select_version = {
		"SELECT value FROM sync_engine.org, jsonb_each_text(options->'api_versions') "
		"WHERE org = $1 AND replace(key, '-', '_') = $2",
		2, {TEXTOID, TEXTOID}
	};
	Datum		args[2] = {CStringGetTextDatum(name), CStringGetTextDatum(product)};

	return statement_run(&select_version, args, NULL) > 0 ? result_text(0, 1) : NULL;
}

void
org_check_api_versions(const char *name)
{
	static Statement select_wrong = {
		"SELECT key, value, EXISTS (SELECT 1 FROM sync_engine.product p WHERE p.product = replace(key, '-', '_')) "
		"FROM sync_engine.org, jsonb_each_text(options->'api_versions') WHERE org = $1 "
		"AND NOT (coalesce(value, '') ~ '^\\d{4}-\\d{2}-\\d{2}$' "
		"  AND EXISTS (SELECT 1 FROM sync_engine.product p WHERE p.product = replace(key, '-', '_'))) LIMIT 1",
		1, {TEXTOID}
	};
	Datum		args[1] = {CStringGetTextDatum(name)};

	if (statement_run(&select_wrong, args, NULL) == 0)
		return;
	if (!result_bool(0, 3))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"api_versions\" names product \"%s\", which does not exist", result_text(0, 1)),
				 errhint("See sync_entities for the products.")));
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("option \"api_versions\" has no version for product \"%s\": \"%s\"", result_text(0, 1),
					result_text(0, 2) ? result_text(0, 2) : ""),
			 errhint("Versions are dates, as in {\"people\": \"2025-11-10\"}.")));
}

void
org_note_access(const char *org, const char *product, const char *refusal)
{
	static Statement upsert = {
		"INSERT INTO sync_engine.product_access (org, product, accessible, detail) VALUES ($1, $2, $3, $4) "
		"ON CONFLICT (org, product) DO UPDATE SET accessible = $3, detail = $4, checked_at = now()",
		4, {TEXTOID, TEXTOID, BOOLOID, TEXTOID}
	};
	Datum		args[4] = {CStringGetTextDatum(org), CStringGetTextDatum(product), BoolGetDatum(refusal == NULL),
	CStringGetTextDatum(refusal == NULL ? "the token can read it" : refusal)};

	(void) statement_run(&upsert, args, NULL);
}
