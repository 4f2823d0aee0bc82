/*-------------------------------------------------------------------------
 *
 * odd.c
 *	  Records that are served damaged.
 *
 * Facts: rows with a null or missing id occur; ids and attributes arrive with
 * another JSON type than documented; alias type names; free text may hold what
 * PostgreSQL cannot store.  Only the served record is damaged, not the truth.
 *
 * Owns: the list of oddities of each table.  Must never touch a row.
 *
 * IDENTIFICATION
 *	  test/simulator/odd.c
 *
 *-------------------------------------------------------------------------
 */
#include "odd.h"

#include <stdlib.h>

/* Size of the text of a huge record. */
#define HUGE_TEXT (1024 * 1024)

static const char *const kind_names[] = {
	"null_id", "missing_id", "numeric_id", "nul", "lone_surrogate", "wrong_type",
	"number_for_text", "bad_utf8", "unknown_attribute", "missing_attribute",
	"duplicate", "huge", "alias_type"
};

/*
 * wants_attribute tells whether a kind damages one attribute, and whether that
 * should be a text.
 */
static bool
wants_attribute(sim_odd_kind kind, bool *text)
{
	*text = kind != ODD_WRONG_TYPE;
	return kind == ODD_NUL || kind == ODD_LONE_SURROGATE || kind == ODD_WRONG_TYPE ||
		kind == ODD_NUMBER_FOR_TEXT || kind == ODD_BAD_UTF8 ||
		kind == ODD_MISSING_ATTRIBUTE || kind == ODD_HUGE;
}

/*
 * odd_add makes a record odd; returns a complaint or NULL.
 */
const char *
odd_add(sim_table *table, uint64_t id, const char *kind, const char *attribute)
{
	const cat_entity *entity = table->entity;
	sim_odd    *odd;
	bool		text;
	size_t		k = 0;

	while (k < sizeof(kind_names) / sizeof(kind_names[0]) && strcmp(kind_names[k], kind) != 0)
		k++;
	if (k == sizeof(kind_names) / sizeof(kind_names[0]))
		return "unknown kind";
	if (attribute != NULL && entity_attribute(entity, attribute) < 0)
		return "unknown attribute";
	odd = sim_alloc0(sizeof(*odd));
	odd->id = id;
	odd->kind = (sim_odd_kind) k;
	odd->attribute = entity_attribute(entity, attribute);
	if (wants_attribute(odd->kind, &text) && odd->attribute < 0)
		for (int i = 0; i < entity->attribute_count && odd->attribute < 0; i++)
			if ((entity->attributes[i].type == TYPE_STRING) == text &&
				!entity->attributes[i].fields_only && !entity->attributes[i].hidden)
				odd->attribute = i;
	odd->next = table->odds;
	table->odds = odd;
	return NULL;
}

/*
 * odd_clear makes a record, or with id 0 every record, as it was.
 */
void
odd_clear(sim_table *table, uint64_t id)
{
	for (sim_odd **link = &table->odds; *link != NULL;)
	{
		sim_odd    *odd = *link;

		if (id != 0 && odd->id != id)
		{
			link = &odd->next;
			continue;
		}
		*link = odd->next;
		free(odd);
	}
}

/*
 * odd_find returns what is odd about a record, or NULL.
 */
const sim_odd *
odd_find(const sim_table *table, uint64_t id)
{
	const sim_odd *odd = table->odds;

	while (odd != NULL && odd->id != id)
		odd = odd->next;
	return odd;
}

/*
 * odd_value appends the damaged value of an attribute; false if the attribute
 * keeps its own.
 */
bool
odd_value(const sim_odd *odd, int attribute, sim_buf *out)
{
	if (odd->attribute != attribute)
		return false;
	switch (odd->kind)
	{
		case ODD_NUL:
			buf_str(out, "\"nul \\u0000 inside\"");
			return true;
		case ODD_LONE_SURROGATE:
			buf_str(out, "\"lone \\ud83d surrogate\"");
			return true;
		case ODD_WRONG_TYPE:
			buf_str(out, "\"banana\"");
			return true;
		case ODD_NUMBER_FOR_TEXT:
			buf_str(out, "12345");
			return true;
		case ODD_BAD_UTF8:
			buf_str(out, "\"bad \xc3\x28 bytes\"");
			return true;
		case ODD_HUGE:
			buf_char(out, '"');
			buf_reserve(out, HUGE_TEXT);
			memset(out->data + out->len, 'x', HUGE_TEXT);
			out->len += HUGE_TEXT;
			buf_char(out, '"');
			return true;
		default:
			return false;
	}
}
