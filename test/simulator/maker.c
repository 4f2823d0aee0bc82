/*-------------------------------------------------------------------------
 *
 * maker.c
 *	  A record in the making: its values one by one.
 *
 * Every value is a pure function of organisation, seed, type, position,
 * attribute and salt, so values can be made in any order and made again.
 *
 * Owns: one set of value buffers per nesting of makers.
 * Must never use a clock or a random number generator.
 *
 * IDENTIFICATION
 *	  test/simulator/maker.c
 *
 *-------------------------------------------------------------------------
 */
#include "maker.h"

#include "edge.h"

#include <stdlib.h>

/*
 * maker_start returns a maker for a table's entity with nothing made yet.  It
 * is the only one of its kind and valid until the next call.
 */
sim_maker *
maker_start(sim_table *table)
{
	static sim_maker maker;
	static int	buffers;
	int			wanted = table->entity->attribute_count;

	if (buffers < wanted)
	{
		maker.values = sim_grow(maker.values, sizeof(sim_buf) * (size_t) wanted);
		memset(maker.values + buffers, 0, sizeof(sim_buf) * (size_t) (wanted - buffers));
		maker.made = sim_grow(maker.made, sizeof(bool) * (size_t) wanted);
		buffers = wanted;
	}
	maker.refs = sim_grow(maker.refs,
						  sizeof(uint64_t) * (size_t) (table->entity->to_one_count + 1));
	memset(maker.refs, 0, sizeof(uint64_t) * (size_t) (table->entity->to_one_count + 1));
	if (wanted > 0)
		memset(maker.made, 0, sizeof(bool) * (size_t) wanted);
	for (int i = 0; i < wanted; i++)
		buf_reset(&maker.values[i]);
	memset(&maker.head, 0, sizeof(maker.head));
	maker.root = hash_mix(table->org->seed ^ hash_text(table->org->name)) ^
		hash_text(table->entity->type);
	maker.table = table;
	maker.entity = table->entity;
	maker.salt = 0;
	maker.initial = false;
	return &maker;
}

/*
 * maker_load takes over what an existing row holds.
 */
void
maker_load(sim_maker *maker, const sim_row *row)
{
	maker->head = *row;
	memcpy(maker->refs, row_refs(row),
		   sizeof(uint64_t) * (size_t) maker->entity->to_one_count);
	for (int i = 0; i < maker->entity->attribute_count; i++)
	{
		size_t		len;
		const char *value = row_value(maker->entity, row, i, &len);

		buf_add(&maker->values[i], value, len);
		maker->made[i] = true;
	}
}

/*
 * maker_hash draws the number that decides about one thing of this row.
 */
uint64_t
maker_hash(const sim_maker *maker, uint64_t what)
{
	return hash_mix(hash_mix(maker->root + maker->head.position) +
					what * UINT64_C(0x2545f4914f6cdd1d) + maker->salt);
}

/*
 * percent tells whether a draw falls into a share of percent.
 */
static bool
percent(uint64_t hash, double share)
{
	return (double) (hash_mix(hash) % 10000) < share * 100;
}

/*
 * put_words appends some words of a list.
 */
static void
put_words(const cat_attribute *a, uint64_t hash, sim_buf *text)
{
	int			count = (int) a->lo + (int) (hash % (uint64_t) (a->hi - a->lo + 1));

	for (int i = 0; i < count; i++)
	{
		hash = hash_mix(hash);
		buf_str(text, i ? " " : "");
		buf_str(text, a->list->words[hash % (uint64_t) a->list->count]);
	}
}

/*
 * count_edge counts the rows of an edge, whoever may see them.
 */
static uint64_t
count_edge(const sim_maker *maker, int edge)
{
	const cat_edge *e = &maker->entity->edges[edge];
	sim_rows	rows = {0};
	uint64_t	count;

	if (maker->initial || e->kind != EDGE_WHERE)
		return 0;
	edge_children(org_table(maker->table->org, e->target), e->a, maker->head.id, &rows);
	count = rows.count;
	rows_free(&rows);
	return count;
}

/*
 * put_number appends a float without trailing zeros, which jsonb would keep.
 */
static void
put_number(sim_buf *out, double number)
{
	buf_printf(out, "%.6f", number);
	while (out->data[out->len - 1] == '0')
		out->len--;
	if (out->data[out->len - 1] == '.')
		out->len--;
	out->data[out->len] = '\0';
}

/*
 * make_text appends the bare text of a value; true if it is ready JSON.
 */
static bool
make_text(sim_maker *maker, const cat_attribute *a, uint64_t hash, sim_buf *out)
{
	int64_t		span;

	switch (a->generator)
	{
		case GEN_PICK:
			buf_str(out, a->list->words[hash % (uint64_t) a->list->count]);
			return false;
		case GEN_CYCLE:
			buf_str(out, a->list->words[maker->head.position % (uint32_t) a->list->count]);
			return false;
		case GEN_WORDS:
			put_words(a, hash, out);
			return false;
		case GEN_CONST:
			buf_str(out, a->text);
			return false;
		case GEN_TEMPLATE:
		case GEN_DERIVED:
			template_expand(maker, hash, a->text, out);
			return false;
		case GEN_BOOL:
			buf_str(out, percent(hash, a->lo) ? "true" : "false");
			return true;
		case GEN_FIRST:
			buf_str(out, maker->head.ordinal == 0 ? "true" : "false");
			return true;
		case GEN_INT:
			buf_printf(out, "%lld", (long long) a->lo +
					   (long long) (hash % (uint64_t) (a->hi - a->lo + 1)));
			return true;
		case GEN_FLOAT:
			put_number(out, a->lo + (a->hi - a->lo) * (double) (hash >> 11) / 9007199254740992.0);
			return true;
		case GEN_SEQUENCE:
			buf_u64(out, maker->head.position + 1);
			return true;
		case GEN_COUNT:
			buf_u64(out, count_edge(maker, a->link));
			return true;
		case GEN_DATE:
		case GEN_TIME:
			span = stamp_of_year((int) a->hi + 1) - stamp_of_year((int) a->lo);
			span = stamp_of_year((int) a->lo) + (int64_t) (hash % (uint64_t) span);
			if (a->generator == GEN_TIME)
				stamp_iso(out, span);
			else
				day_iso(out, span / USECS_PER_DAY);
			return false;
		case GEN_TYPE_OF:
			buf_str(out, entity_target_type(maker->entity, maker->refs, a->link));
			return false;
		case GEN_REF:
			if (maker->refs[a->link] == 0)
				break;
			buf_u64(out, maker->refs[a->link]);
			return a->number;
		default:
			break;
	}
	buf_str(out, "null");
	return true;
}

/*
 * maker_value makes one value unless it stands already.
 */
void
maker_value(sim_maker *maker, int attribute)
{
	const cat_attribute *a = &maker->entity->attributes[attribute];
	sim_buf    *value = &maker->values[attribute];
	uint64_t	hash = maker_hash(maker, (uint64_t) attribute + 1);
	sim_buf		text = {0};

	if (maker->made[attribute])
		return;
	maker->made[attribute] = true;
	buf_reset(value);
	if (a->generator == GEN_CREATED || a->generator == GEN_UPDATED)
		return;					/* the stamps stand in the head */
	if (a->when >= 0)
		maker_value(maker, a->when);
	if ((a->null_percent > 0 && percent(hash, a->null_percent)) ||
		(a->when >= 0 && strcmp(maker->values[a->when].data, a->when_value) != 0))
	{
		buf_str(value, "null");
		return;
	}
	hash = hash_mix(hash);
	if (make_text(maker, a, hash, &text) || a->type == TYPE_JSON || a->type == TYPE_ARRAY ||
		a->type == TYPE_BOOLEAN || a->type == TYPE_INTEGER || a->type == TYPE_FLOAT)
		buf_add(value, text.data ? text.data : "", text.len);
	else
		buf_json(value, text.data ? text.data : "", text.len);
	buf_free(&text);
}

/*
 * maker_renew makes one value again, and sees to it that it is another.
 */
void
maker_renew(sim_maker *maker, int attribute)
{
	cat_type	type = maker->entity->attributes[attribute].type;
	sim_buf    *value = &maker->values[attribute];
	char	   *old = sim_strdup(value->data ? value->data : "");

	maker->made[attribute] = false;
	maker_value(maker, attribute);
	if (value->len == 0 || strcmp(old, value->data) == 0)
	{
		buf_reset(value);
		if (type == TYPE_STRING)
			buf_printf(value, "\"changed %llu\"", (unsigned long long) maker->salt);
		else if (type == TYPE_BOOLEAN)
			buf_str(value, strcmp(old, "true") == 0 ? "false" : "true");
		else if (type == TYPE_INTEGER || type == TYPE_FLOAT)
			buf_printf(value, "%lld", atoll(old) + 1);
		else
			buf_str(value, old);
	}
	free(old);
}

/*
 * maker_derive makes all values again that follow other values.
 */
void
maker_derive(sim_maker *maker)
{
	const cat_entity *entity = maker->entity;

	for (int i = 0; i < entity->attribute_count; i++)
		if (entity->attributes[i].generator == GEN_DERIVED ||
			entity->attributes[i].generator == GEN_COUNT ||
			entity->attributes[i].generator == GEN_TYPE_OF ||
			entity->attributes[i].generator == GEN_REF)
			maker->made[i] = false;
	for (int i = 0; i < entity->attribute_count; i++)
		maker_value(maker, i);
}

/*
 * maker_finish makes what is still missing and returns the row.
 */
sim_row *
maker_finish(sim_maker *maker)
{
	for (int i = 0; i < maker->entity->attribute_count; i++)
		maker_value(maker, i);
	return row_make(maker->entity, &maker->head, maker->refs, maker->values);
}
