/*-------------------------------------------------------------------------
 *
 * entity_name.c
 *		Names of entities, as users write them and as the engine does.
 *
 * IDENTIFICATION
 *		src/entity_name.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "entity_name.h"
#include "lib/stringinfo.h"
#include "nodes/value.h"
#include "session.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/formatting.h"
#include "utils/varlena.h"

/* A misspelt name differs in a letter or two; more would be guessing. */
#define MAX_NEAR_DISTANCE	3
#define MAX_NEAR_NAMES		5

static bool
is_product(const char *name)
{
	static Statement select_product = {
		"SELECT 1 FROM sync_engine.product WHERE product = replace($1, '-', '_')",
		1, {TEXTOID}
	};
	Datum		args[1] = {CStringGetTextDatum(name)};

	return statement_run(&select_product, args, NULL) > 0;
}

/*
 * report_unknown: raises the error for a name that no product has, with the
 * names that are nearest to it.
 */
static void
report_unknown(const char *name)
{
	static Statement select_names = {
		"SELECT lower(entity), CASE WHEN product = 'people' THEN entity ELSE product || '.' || entity END "
		"FROM sync_engine.entity "
		"ORDER BY product = split_part($1, '.', 1) DESC, product = 'people' DESC, product, entity",
		1, {TEXTOID}
	};
	Datum		args[1] = {CStringGetTextDatum(name)};
	uint64		rows = statement_run(&select_names, args, NULL);
	const char *dot = strrchr(name, '.');
	char	   *wanted = asc_tolower(dot ? dot + 1 : name, strlen(dot ? dot + 1 : name));
	int			farthest = Min((int) strlen(wanted) / 3, MAX_NEAR_DISTANCE);
	int			n = 0;
	StringInfoData near_names;
	const bool	trusted = true;

	initStringInfo(&near_names);
	for (int distance = 0; distance <= farthest; distance++)
	{
		for (uint64 row = 0; row < rows && n < MAX_NEAR_NAMES; row++)
		{
			char	   *entity = result_text(row, 1);

			if (varstr_levenshtein_less_equal(wanted, strlen(wanted), entity, strlen(entity),
											  1, 1, 1, distance, trusted) == distance)
				appendStringInfo(&near_names, "%s%s", n++ > 0 ? ", " : "", result_text(row, 2));
		}
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("entity \"%s\" does not exist", name),
			 n > 0 ? errhint("Perhaps you meant %s.", near_names.data) :
			 dot != NULL && !is_product(pnstrdup(name, dot - name)) ?
			 errhint("There is no such product either: see sync_entities for the names.") :
			 is_product(name) ?
			 errhint("It is a product: name its entities, as in '%s.Organization'; see sync_entities.", name) :
			 errhint("See sync_entities for the names.")));
}

/*
 * resolve: one name to 'product.Entity', and why it cannot be synced, or NULL.
 */
static char *
resolve(const char *name, char **unreachable)
{
	static Statement select_candidates = {
		"SELECT product || '.' || entity, CASE WHEN NOT ready THEN coalesce(unreachable, 'it has no path') END "
		"FROM sync_engine.entity WHERE entity = $1 AND ($2 IS NULL OR product = replace($2, '-', '_')) "
		"ORDER BY product = 'people' DESC, product",
		2, {TEXTOID, TEXTOID}
	};
	const char *dot = strchr(name, '.');
	Datum		args[2] = {CStringGetTextDatum(dot ? dot + 1 : name),
	dot ? CStringGetTextDatum(pnstrdup(name, dot - name)) : (Datum) 0};
	char		nulls[2] = {' ', dot ? ' ' : 'n'};
	uint64		rows = statement_run(&select_candidates, args, nulls);
	char	   *resolved;

	if (rows == 0)
		report_unknown(name);
	resolved = result_text(0, 1);
	if (rows > 1 && strncmp(resolved, "people.", 7) != 0)
	{
		StringInfoData candidates;

		initStringInfo(&candidates);
		for (uint64 row = 0; row < rows; row++)
			appendStringInfo(&candidates, "%s'%s'", row > 0 ? ", " : "", result_text(row, 1));
		ereport(ERROR,
				(errcode(ERRCODE_AMBIGUOUS_PARAMETER),
				 errmsg("entity \"%s\" is ambiguous", name),
				 errdetail("Several products have it: %s.", candidates.data),
				 errhint("Write the product before the name, as in '%s'.", resolved)));
	}
	*unreachable = result_text(0, 2);
	return resolved;
}

char *
entity_name_resolve(const char *name)
{
	char	   *unreachable;

	return resolve(name, &unreachable);
}

List *
entity_names_resolve(List *names)
{
	static Statement select_ready = {
		"SELECT product || '.' || entity FROM sync_engine.entity WHERE ready ORDER BY 1",
		0, {0}
	};
	List	   *resolved = NIL;
	ListCell   *cell;

	foreach(cell, names)
	{
		char	   *unreachable;
		char	   *name;

		if (strcmp(lfirst(cell), "*") == 0)
		{
			uint64		rows = statement_run(&select_ready, NULL, NULL);

			for (uint64 row = 0; row < rows; row++)
				resolved = list_append_unique(resolved, makeString(result_text(row, 1)));
			continue;
		}
		name = resolve(lfirst(cell), &unreachable);
		if (unreachable != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("entity \"%s\" cannot be synced: %s", name, unreachable),
					 errhint("See sync_entities for the entities that can.")));
		resolved = list_append_unique(resolved, makeString(name));
	}
	return resolved;
}

Datum
entity_names_array(List *names)
{
	int			n = list_length(names);
	Datum	   *values = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		values[i] = CStringGetTextDatum(strVal(list_nth(names, i)));
	return PointerGetDatum(construct_array(values, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* names_of: the first column of the last result. */
static List *
names_of(uint64 rows)
{
	List	   *names = NIL;

	for (uint64 row = 0; row < rows; row++)
		names = lappend(names, makeString(result_text(row, 1)));
	return names;
}

List *
entity_names_with_parents(List *names)
{
	static Statement close_over_parents = {
		"WITH RECURSIVE wanted(product, entity) AS ("
		"  SELECT split_part(u, '.', 1), split_part(u, '.', 2) FROM unnest($1) u "
		"  UNION SELECT m.product, m.parent FROM wanted w "
		"  JOIN sync_engine.entity m USING (product, entity) WHERE m.parent IS NOT NULL) "
		"SELECT product || '.' || entity FROM wanted ORDER BY 1",
		1, {TEXTARRAYOID}
	};
	Datum		args[1] = {entity_names_array(names)};

	return names_of(statement_run(&close_over_parents, args, NULL));
}

List *
entity_names_person_walks(List *names)
{
	static Statement select_walks = {
		"WITH RECURSIVE walk(product, entity) AS ("
		"  SELECT e.product, e.entity FROM sync_engine.entity e WHERE e.parent = 'Person' "
		"    AND NOT EXISTS (SELECT 1 FROM sync_engine.include i WHERE i.complete "
		"      AND (i.product, i.parent, i.entity) = (e.product, e.parent, e.entity)) "
		"  UNION SELECT e.product, e.entity FROM walk w "
		"  JOIN sync_engine.entity e ON e.product = w.product AND e.parent = w.entity) "
		"SELECT product || '.' || entity FROM walk WHERE product || '.' || entity = ANY ($1) ORDER BY 1",
		1, {TEXTARRAYOID}
	};
	Datum		args[1] = {entity_names_array(names)};

	return names_of(statement_run(&select_walks, args, NULL));
}

List *
entity_names_resting_on(List *names, List *others)
{
	static Statement select_resting = {
		"WITH RECURSIVE resting(product, entity) AS ("
		"  SELECT split_part(u, '.', 1), split_part(u, '.', 2) FROM unnest($2) u "
		"  UNION SELECT e.product, e.entity FROM resting r "
		"  JOIN sync_engine.entity e ON e.product = r.product AND e.parent = r.entity) "
		"SELECT product || '.' || entity FROM resting WHERE product || '.' || entity = ANY ($1) ORDER BY 1",
		2, {TEXTARRAYOID, TEXTARRAYOID}
	};
	Datum		args[2] = {entity_names_array(names), entity_names_array(others)};

	return names_of(statement_run(&select_resting, args, NULL));
}

/*
 * has_overrides: the built-in manifest is sound; its test says so.
 */
static bool
has_overrides(void)
{
	static Statement select_changed = {
		"SELECT 1 FROM sync_engine.manifest_product WHERE source <> 'builtin' "
		"UNION ALL SELECT 1 FROM sync_engine.manifest_entity WHERE source <> 'builtin' "
		"UNION ALL SELECT 1 FROM sync_engine.manifest_attribute WHERE source <> 'builtin' "
		"UNION ALL SELECT 1 FROM sync_engine.manifest_relationship WHERE source <> 'builtin' "
		"UNION ALL SELECT 1 FROM sync_engine.manifest_edge WHERE source <> 'builtin' "
		"UNION ALL SELECT 1 FROM sync_engine.manifest_include WHERE source <> 'builtin' LIMIT 1",
		0, {0}
	};

	return statement_run(&select_changed, NULL, NULL) > 0;
}

/*
 * select_problems: of these entities; name, problem and hint in each row.
 */
static uint64
select_problems(List *names)
{
	static Statement select = {
		"SELECT DISTINCT ON (1) p.product || '.' || p.entity, p.problem, p.hint "
		"FROM sync_engine.manifest_problems() p WHERE p.product || '.' || p.entity = ANY ($1) ORDER BY 1, 2",
		1, {TEXTARRAYOID}
	};
	Datum		args[1] = {entity_names_array(names)};

	return statement_run(&select, args, NULL);
}

void
entity_names_validate(List *names)
{
	if (!has_overrides() || select_problems(entity_names_with_parents(names)) == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
			 errmsg("the manifest of entity \"%s\" is not sound: %s", result_text(0, 1), result_text(0, 2)),
			 result_text(0, 3) ? errhint("%s", result_text(0, 3)) : 0));
}

List *
entity_names_sound(List *names)
{
	List	   *unsound = NIL;
	uint64		n;

	if (!has_overrides())
		return names;
	n = select_problems(entity_names_with_parents(names));
	for (uint64 row = 0; row < n; row++)
	{
		unsound = lappend(unsound, makeString(result_text(row, 1)));
		ereport(WARNING,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("entity \"%s\", and what hangs on it, is left out: %s", result_text(row, 1),
						result_text(row, 2)),
				 result_text(row, 3) ? errhint("%s", result_text(row, 3)) : 0));
	}
	return list_difference(names, entity_names_resting_on(names, unsound));
}
