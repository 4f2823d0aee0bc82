/*-------------------------------------------------------------------------
 *
 * catalogue_entity.c
 *	  The statements of the catalogue's files that describe an entity.
 *
 * Owns: nothing; it fills an entity that the catalogue owns.
 * Must never guess: an unknown word is an error with file and line.
 *
 * IDENTIFICATION
 *	  test/simulator/catalogue_entity.c
 *
 *-------------------------------------------------------------------------
 */
#include "catalogue_file.h"

/*
 * read_generator takes a generator's name and arguments.
 */
static void
read_generator(catalogue_reader *r, cat_attribute *a)
{
	static const struct
	{
		const char *name;
		cat_generator generator;
		const char *args;		/* l list, t text, n number */
	}			known[] = {
		{"null", GEN_NULL, ""}, {"const", GEN_CONST, "t"}, {"pick", GEN_PICK, "l"},
		{"cycle", GEN_CYCLE, "l"}, {"bool", GEN_BOOL, "n"}, {"int", GEN_INT, "nn"},
		{"float", GEN_FLOAT, "nn"}, {"date", GEN_DATE, "nn"}, {"time", GEN_TIME, "nn"},
		{"created", GEN_CREATED, ""}, {"updated", GEN_UPDATED, ""},
		{"sequence", GEN_SEQUENCE, ""}, {"first", GEN_FIRST, ""},
		{"words", GEN_WORDS, "lnn"}, {"template", GEN_TEMPLATE, "t"},
		{"derived", GEN_DERIVED, "t"}, {"count", GEN_COUNT, "t"}, {"ref", GEN_REF, "t"},
		{"type_of", GEN_TYPE_OF, "t"},
	};
	char	   *name = reader_take(r);
	double	   *number = &a->lo;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
	{
		if (strcmp(known[i].name, name) != 0)
			continue;
		a->generator = known[i].generator;
		for (const char *arg = known[i].args; *arg; arg++)
		{
			if (*arg == 'l')
				a->list = reader_list(r);
			else if (*arg == 't')
				a->text = sim_strdup(reader_take(r));
			else
			{
				*number = reader_number(r);
				number = &a->hi;
			}
		}
		return;
	}
	reader_fail(r, "unknown generator", name);
}

/*
 * read_attribute: attribute NAME TYPE GENERATOR [modifiers].
 */
static void
read_attribute(catalogue_reader *r)
{
	static const char *const types[] = {"string", "id", "integer", "float", "boolean",
	"date", "date_time", "json", "array"};
	cat_entity *e = r->entity;
	cat_attribute *a;
	sim_buf		key = {0};
	char	   *type;
	size_t		t = 0;

	e->attributes = sim_grow(e->attributes, sizeof(*a) * (size_t) (e->attribute_count + 1));
	a = &e->attributes[e->attribute_count++];
	memset(a, 0, sizeof(*a));
	a->name = sim_strdup(reader_take(r));
	buf_json_str(&key, a->name);
	buf_char(&key, ':');
	a->key = key.data;
	a->key_len = key.len;
	type = reader_take(r);
	while (t < sizeof(types) / sizeof(types[0]) && strcmp(types[t], type) != 0)
		t++;
	if (t == sizeof(types) / sizeof(types[0]))
		reader_fail(r, "unknown type", type);
	a->type = (cat_type) t;
	read_generator(r, a);
	while (r->at < r->count)
	{
		if (reader_take_if(r, "nulls"))
			a->null_percent = reader_number(r);
		else if (reader_take_if(r, "when"))
		{
			a->when_name = sim_strdup(reader_take(r));
			a->when_value = reader_json(reader_take(r));
		}
		else if (reader_take_if(r, "since"))
			a->since = sim_strdup(reader_take(r));
		else if (reader_take_if(r, "fields_only"))
			a->fields_only = true;
		else if (reader_take_if(r, "hidden"))
			a->hidden = true;
		else if (reader_take_if(r, "number"))
			a->number = true;
		else if (reader_take_if(r, "changes"))
			a->changes = true;
		else if (reader_take_if(r, "single"))
			a->single = true;
		else
			reader_fail(r, "unknown modifier", r->words[r->at]);
	}
}

/*
 * read_to_one: to_one NAME TYPE [as ALIAS] GENERATOR [modifiers].
 */
static void
read_to_one(catalogue_reader *r)
{
	cat_entity *e = r->entity;
	cat_to_one *t;

	e->to_one = sim_grow(e->to_one, sizeof(*t) * (size_t) (e->to_one_count + 1));
	t = &e->to_one[e->to_one_count++];
	memset(t, 0, sizeof(*t));
	t->name = sim_strdup(reader_take(r));
	t->target_name = sim_strdup(reader_take(r));
	if (reader_take_if(r, "as"))
		t->alias = sim_strdup(reader_take(r));
	if (reader_take_if(r, "none"))
		t->generator = TARGET_NONE;
	else if (reader_take_if(r, "parent"))
		t->generator = TARGET_PARENT;
	else if (reader_take_if(r, "group"))
	{
		t->generator = TARGET_GROUP;
		t->arg = (int) reader_number(r);
	}
	else if (reader_take_if(r, "random"))
		t->generator = TARGET_RANDOM;
	else if (reader_take_if(r, "gone"))
		t->generator = TARGET_GONE;
	else if (reader_take_if(r, "outside"))
		t->generator = TARGET_OUTSIDE;
	else if (reader_take_if(r, "parents"))
	{
		t->generator = TARGET_PARENTS;
		t->a_name = sim_strdup(reader_take(r));
	}
	else if (reader_take_if(r, "either"))
	{
		t->generator = TARGET_EITHER;
		t->a_name = sim_strdup(reader_take(r));
		t->b_name = sim_strdup(reader_take(r));
	}
	else if (reader_take_if(r, "organization"))
		t->generator = TARGET_ORGANIZATION;
	else
		reader_fail(r, "unknown target", reader_take(r));
	while (r->at < r->count)
	{
		if (reader_take_if(r, "nulls"))
			t->null_percent = reader_number(r);
		else if (reader_take_if(r, "hidden"))
			t->hidden = true;
		else if (reader_take_if(r, "silent"))
			t->silent = true;
		else if (reader_take_if(r, "owner"))
			t->owner = true;
		else if (reader_take_if(r, "heir"))
			t->heir = true;
		else if (reader_take_if(r, "refreshes"))
			t->refreshes = true;
		else if (reader_take_if(r, "polymorphic"))
			t->polymorphic = true;
		else
			reader_fail(r, "unknown modifier", r->words[r->at]);
	}
}

/*
 * read_edge: edge NAME one|many TYPE [as ALIAS] HOW [include] [always]
 * [documented] [unscoped].
 */
static void
read_edge(catalogue_reader *r)
{
	cat_entity *e = r->entity;
	cat_edge   *edge;

	e->edges = sim_grow(e->edges, sizeof(*edge) * (size_t) (e->edge_count + 1));
	edge = &e->edges[e->edge_count++];
	memset(edge, 0, sizeof(*edge));
	edge->name = sim_strdup(reader_take(r));
	edge->many = reader_take_if(r, "many");
	if (!edge->many && !reader_take_if(r, "one"))
		reader_fail(r, "expected one or many instead of", reader_take(r));
	edge->target_name = sim_strdup(reader_take(r));
	if (reader_take_if(r, "as"))
		edge->alias = sim_strdup(reader_take(r));
	if (reader_take_if(r, "where"))
	{
		edge->kind = EDGE_WHERE;
		edge->a_name = sim_strdup(reader_take(r));
	}
	else if (reader_take_if(r, "through"))
	{
		edge->kind = EDGE_THROUGH;
		edge->middle_name = sim_strdup(reader_take(r));
		edge->a_name = sim_strdup(reader_take(r));
		edge->b_name = sim_strdup(reader_take(r));
	}
	else if (reader_take_if(r, "ref"))
	{
		edge->kind = EDGE_REF;
		edge->a_name = sim_strdup(reader_take(r));
		if (reader_take_if(r, "then"))
			edge->b_name = sim_strdup(reader_take(r));
	}
	else if (reader_take_if(r, "some"))
	{
		edge->kind = EDGE_SOME;
		edge->lo = (int) reader_number(r);
		edge->hi = (int) reader_number(r);
	}
	else if (reader_take_if(r, "organization"))
		edge->kind = EDGE_ORGANIZATION;
	else if (!reader_take_if(r, "empty"))
		reader_fail(r, "unknown kind of edge", reader_take(r));
	while (r->at < r->count)
	{
		if (reader_take_if(r, "include"))
			edge->include = true;
		else if (reader_take_if(r, "always"))
			edge->always = true;
		else if (reader_take_if(r, "documented"))
			edge->documented = true;
		else if (reader_take_if(r, "unscoped"))
			edge->unscoped = true;
		else
			reader_fail(r, "unknown modifier", r->words[r->at]);
	}
}

/*
 * read_filter: filter NAME KIND [arguments].
 */
static void
read_filter(catalogue_reader *r)
{
	cat_entity *e = r->entity;
	cat_filter *f;

	e->filters = sim_grow(e->filters, sizeof(*f) * (size_t) (e->filter_count + 1));
	f = &e->filters[e->filter_count++];
	memset(f, 0, sizeof(*f));
	f->name = sim_strdup(reader_take(r));
	if (reader_take_if(r, "all"))
		f->kind = FILTER_ALL;
	else if (reader_take_if(r, "unhide"))
		f->kind = FILTER_UNHIDE;
	else if (reader_take_if(r, "only"))
		f->kind = FILTER_ONLY;
	else if (reader_take_if(r, "has"))
	{
		f->kind = FILTER_HAS;
		f->subject = sim_strdup(reader_take(r));
	}
	else if (reader_take_if(r, "nonnull"))
	{
		f->kind = FILTER_NONNULL;
		f->subject = sim_strdup(reader_take(r));
	}
	else if (reader_take_if(r, "since"))
	{
		f->kind = FILTER_SINCE;
		f->subject = sim_strdup(reader_take(r));
		f->value = sim_strdup(reader_take(r));
		f->seconds = (int) reader_number(r);
	}
	else
	{
		if (reader_take_if(r, "equals"))
			f->kind = FILTER_EQUALS;
		else if (reader_take_if(r, "not"))
			f->kind = FILTER_NOT;
		else
			reader_fail(r, "unknown kind of filter", reader_take(r));
		f->subject = sim_strdup(reader_take(r));
		f->value = reader_json(reader_take(r));
	}
}

/*
 * read_rows: rows none | people | fixed N | share PEOPLE LEAST | organization | me |
 * per TYPE [every N | first N] [having TO_ONE] COUNT...
 */
static void
read_rows(catalogue_reader *r)
{
	cat_entity *e = r->entity;

	if (reader_take_if(r, "people"))
		e->rows = ROWS_PEOPLE;
	else if (reader_take_if(r, "none"))
		e->rows = ROWS_NONE;
	else if (reader_take_if(r, "organization"))
		e->rows = ROWS_ORGANIZATION;
	else if (reader_take_if(r, "me"))
		e->rows = ROWS_ME;
	else if (reader_take_if(r, "fixed"))
	{
		e->rows = ROWS_FIXED;
		e->fixed = (int) reader_number(r);
	}
	else if (reader_take_if(r, "share"))
	{
		e->rows = ROWS_SHARE;
		e->share = (int) reader_number(r);
		e->fixed = (int) reader_number(r);
	}
	else if (reader_take_if(r, "per"))
	{
		int			zeros = 0;

		e->rows = ROWS_PER;
		e->per_name = sim_strdup(reader_take(r));
		if (reader_take_if(r, "every"))
			zeros = (int) reader_number(r) - 1;
		if (reader_take_if(r, "first"))
			e->first = (int) reader_number(r);
		if (reader_take_if(r, "having"))
			e->having_name = sim_strdup(reader_take(r));
		e->pattern = sim_alloc0(sizeof(int) * (size_t) (r->count + zeros + 1));
		if (r->at == r->count)
			e->pattern[e->pattern_len++] = 1;
		while (r->at < r->count)
			e->pattern[e->pattern_len++] = (int) reader_number(r);
		e->pattern_len += zeros;
	}
	else
		reader_fail(r, "unknown number of rows", reader_take(r));
}

/*
 * entity_statement handles the statements that belong to an entity.
 */
void
entity_statement(catalogue_reader *r, const char *statement)
{
	cat_entity *e = r->entity;

	if (e == NULL)
		reader_fail(r, "no entity to hold", statement);
	if (strcmp(statement, "attribute") == 0)
		read_attribute(r);
	else if (strcmp(statement, "to_one") == 0)
		read_to_one(r);
	else if (strcmp(statement, "edge") == 0)
		read_edge(r);
	else if (strcmp(statement, "filter") == 0)
		read_filter(r);
	else if (strcmp(statement, "rows") == 0)
		read_rows(r);
	else if (strcmp(statement, "order") == 0)
		reader_rest(r, &e->order);
	else if (strcmp(statement, "where") == 0)
		reader_rest(r, &e->where);
	else if (strcmp(statement, "html") == 0)
		e->html = sim_strdup(reader_take(r));
	else if (strcmp(statement, "hide") == 0)
		e->hide = sim_strdup(reader_take(r));
	else if (strcmp(statement, "nested") == 0)
	{
		e->nested_slot = sim_strdup(reader_take(r));
		e->nested_edge = sim_strdup(reader_take(r));
	}
	else if (strcmp(statement, "link") == 0)
		e->link = sim_strdup(reader_take(r));
	else if (strcmp(statement, "since") == 0)
		e->since = sim_strdup(reader_take(r));
	else if (strcmp(statement, "single") == 0)
		e->single = true;
	else if (strcmp(statement, "thin") == 0)
		e->thin = true;
	else if (strcmp(statement, "param") == 0)
	{
		cat_param  *p;

		e->params = sim_grow(e->params, sizeof(*p) * (size_t) (e->param_count + 1));
		p = &e->params[e->param_count++];
		memset(p, 0, sizeof(*p));
		p->name = sim_strdup(reader_take(r));
		reader_rest(r, &p->hops);
	}
	else if (strcmp(statement, "seen") == 0)
	{
		e->seen_type = sim_strdup(reader_take(r));
		reader_rest(r, &e->seen);
	}
	else if (strcmp(statement, "merge_log") == 0)
	{
		e->merge_keep = sim_strdup(reader_take(r));
		e->merge_remove = sim_strdup(reader_take(r));
	}
	else if (strcmp(statement, "search") == 0)
	{
		cat_names	parts = {0};
		cat_search *s;

		e->searches = sim_grow(e->searches, sizeof(*s) * (size_t) (e->search_count + 1));
		s = &e->searches[e->search_count++];
		s->name = sim_strdup(reader_take(r));
		reader_rest(r, &parts);
		s->parts = parts.names;
		s->count = parts.count;
	}
	else
		reader_fail(r, "unknown statement", statement);
}
