/*-------------------------------------------------------------------------
 *
 * template.c
 *	  Texts with references, as the catalogue writes them.
 *
 * {first_name} an attribute of the same record, {person.first_name} one of a
 * to-one's target, {n} the position from 1, {k} the number among siblings,
 * {id}, {d4} four digits, {x8} eight hex digits, {list:words} a word of a
 * list, {org.name}, {org.zone}.  A filter may follow: |ascii |digits |dashed.
 *
 * Owns: nothing.  Must never draw from anything but the hash it is given.
 *
 * IDENTIFICATION
 *	  test/simulator/template.c
 *
 *-------------------------------------------------------------------------
 */
#include "fold.h"
#include "json.h"
#include "maker.h"

#include <ctype.h>
#include <stdlib.h>

/*
 * put_value appends the text of a JSON value; null appends nothing.
 */
static void
put_value(sim_buf *out, const char *value, size_t len)
{
	if (len > 0 && *value != 'n')
		json_text(out, value, len);
}

/*
 * put_target appends an attribute of a to-one's target.
 */
static void
put_target(sim_maker *maker, const char *slot, const char *attribute, sim_buf *out)
{
	int			to_one = entity_to_one(maker->entity, slot);
	sim_org    *org = maker->table->org;
	sim_table  *target;
	const sim_row *row;
	const char *value;
	size_t		len;
	int			number;

	if (to_one < 0 || maker->entity->to_one[to_one].target < 0)
		return;
	target = org_table(org, maker->entity->to_one[to_one].target);
	row = maker->refs[to_one] ? table_find(target, maker->refs[to_one]) : NULL;
	number = entity_attribute(target->entity, attribute);
	if (row == NULL || number < 0)
		return;
	value = row_value(target->entity, row, number, &len);
	put_value(out, value, len);
}

/*
 * put_random appends count digits in a base.
 */
static void
put_random(sim_buf *out, uint64_t hash, int count, unsigned base)
{
	for (int i = 0; i < count; i++)
	{
		if (i % 12 == 0)
			hash = hash_mix(hash);
		buf_char(out, "0123456789abcdef"[hash % base]);
		hash /= base;
	}
}

/*
 * put_word appends a random word of a list.
 */
static void
put_word(sim_buf *out, uint64_t hash, const char *name)
{
	for (const cat_list *list = store_catalogue()->lists; list; list = list->next)
		if (strcmp(list->name, name) == 0 && list->count > 0)
			buf_str(out, list->words[hash % (uint64_t) list->count]);
}

/*
 * put_reference appends what one {reference} stands for.
 */
static void
put_reference(sim_maker *maker, uint64_t hash, char *name, sim_buf *out)
{
	char	   *dot = strchr(name, '.');
	int			attribute;

	if (strcmp(name, "n") == 0)
		buf_u64(out, maker->head.position + 1);
	else if (strcmp(name, "k") == 0)
		buf_u64(out, maker->head.ordinal + 1);
	else if (strcmp(name, "id") == 0)
		buf_u64(out, maker->head.id);
	else if (strcmp(name, "org.name") == 0)
		buf_str(out, maker->table->org->name);
	else if (strcmp(name, "org.zone") == 0)
		buf_str(out, maker->table->org->zone);
	else if ((*name == 'd' || *name == 'x') && isdigit((unsigned char) name[1]))
		put_random(out, hash, atoi(name + 1), *name == 'd' ? 10 : 16);
	else if (strncmp(name, "list:", 5) == 0)
		put_word(out, hash, name + 5);
	else if (dot != NULL)
	{
		*dot = '\0';
		put_target(maker, name, dot + 1, out);
	}
	else if ((attribute = entity_attribute(maker->entity, name)) >= 0)
	{
		maker_value(maker, attribute);
		put_value(out, maker->values[attribute].data, maker->values[attribute].len);
	}
}

/*
 * apply_filter rewrites what stands in out from a place on.
 */
static void
apply_filter(sim_buf *out, size_t from, const char *filter)
{
	sim_buf		text = {0};

	buf_add(&text, out->data ? out->data + from : "", out->len - from);
	out->len = from;
	if (strcmp(filter, "ascii") == 0)
		fold_ascii(out, text.data, text.len);
	else
		for (size_t i = 0; i < text.len; i++)
		{
			if (isdigit((unsigned char) text.data[i]) ||
				(strcmp(filter, "dashed") == 0 && text.data[i] == '-'))
				buf_char(out, text.data[i]);
			else if (strcmp(filter, "dashed") == 0 && text.data[i] == ')')
				buf_char(out, '-');
		}
	buf_free(&text);
}

/*
 * template_expand appends a template's text.
 */
void
template_expand(sim_maker *maker, uint64_t hash, const char *text, sim_buf *out)
{
	while (*text)
	{
		size_t		plain = strcspn(text, "{");
		const char *end;
		char		name[64];
		char	   *filter;
		size_t		from;

		buf_add(out, text, plain);
		text += plain;
		if (*text == '\0')
			break;
		end = strchr(text, '}');
		if (end == NULL || end[-1] == '{' || !isalpha((unsigned char) text[1]))
		{
			buf_char(out, *text++); /* a brace of JSON, not of ours */
			continue;
		}
		buf_copy_part(name, sizeof(name), text + 1, end);
		filter = strchr(name, '|');
		if (filter != NULL)
			*filter++ = '\0';
		from = out->len;
		hash = hash_mix(hash);
		put_reference(maker, hash, name, out);
		if (filter != NULL)
			apply_filter(out, from, filter);
		text = end + 1;
	}
}
