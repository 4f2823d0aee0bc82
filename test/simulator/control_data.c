/*-------------------------------------------------------------------------
 *
 * control_data.c
 *	  The control plane's requests that read or change records.
 *
 * Owns: nothing.  Must never write JSON:API: these replies are for tests.
 *
 * IDENTIFICATION
 *	  test/simulator/control_data.c
 *
 *-------------------------------------------------------------------------
 */
#include "control_data.h"

#include "mutate.h"
#include "oracle.h"
#include "reach.h"

#include <stdlib.h>

/*
 * control_table finds the table that org= and entity= name.
 */
sim_table *
control_table(const sim_request *request, const char **complaint)
{
	sim_org    *org = org_find(request_param(request, "org"));
	sim_table  *table = org ? org_table_of(org, request_param(request, "entity")) : NULL;

	*complaint = org ? "unknown entity" : "unknown org";
	return table;
}

/*
 * read_at reads at=now|ISO; false if it is neither.
 */
static bool
read_at(const sim_request *request, int64_t *at)
{
	const char *text = request_param(request, "at");
	int64_t		last;

	*at = stamp_api_now();
	return text == NULL || strcmp(text, "now") == 0 || stamp_parse(text, "UTC", at, &last);
}

/*
 * control_mutate: POST /_sim/mutate
 */
const char *
control_mutate(sim_request *request)
{
	const char *complaint;
	sim_table  *table = control_table(request, &complaint);
	sim_mutation mutation = {
		.op = request_param(request, "op"),
		.id = (uint64_t) request_number(request, "id", 0),
		.count = (uint64_t) request_number(request, "count", 1),
		.attribute = request_param(request, "attr"),
		.value = request_param(request, "value"),
		.null = request_number(request, "null", 0) != 0,
		.stamp = request_number(request, "stamp", 1) != 0
	};
	sim_rows	affected = {0};
	sim_buf    *out = &request->reply.body;

	if (table == NULL)
		return complaint;
	if (mutation.op == NULL)
		return "op is missing";
	if (!read_at(request, &mutation.at))
		return "at is no time stamp";
	complaint = mutate_apply(table, &mutation, &affected);
	if (complaint == NULL)
	{
		buf_char(out, '[');
		for (size_t i = 0; i < affected.count; i++)
			buf_printf(out, "%s\"%llu\"", i ? "," : "",
					   (unsigned long long) affected.rows[i]->id);
		buf_str(out, "]\n");
	}
	rows_free(&affected);
	return complaint;
}

/*
 * control_merge: POST /_sim/merge
 */
const char *
control_merge(sim_request *request)
{
	sim_org    *org = org_find(request_param(request, "org"));
	const char *complaint;
	uint64_t	merger;
	int64_t		at;

	if (org == NULL)
		return "unknown org";
	if (!read_at(request, &at))
		return "at is no time stamp";
	complaint = mutate_merge(org, (uint64_t) request_number(request, "keep", 0),
							 (uint64_t) request_number(request, "remove", 0), at, &merger);
	if (complaint == NULL)
		buf_printf(&request->reply.body, "{\"merger\":\"%llu\"}\n", (unsigned long long) merger);
	return complaint;
}

/*
 * control_demote: POST /_sim/demote_email
 */
const char *
control_demote(sim_request *request)
{
	sim_org    *org = org_find(request_param(request, "org"));
	const char *complaint;
	uint64_t	promoted;
	int64_t		at;

	if (org == NULL)
		return "unknown org";
	if (!read_at(request, &at))
		return "at is no time stamp";
	complaint = mutate_demote(org, (uint64_t) request_number(request, "id", 0), at, &promoted);
	if (complaint == NULL)
		buf_printf(&request->reply.body, "{\"promoted\":\"%llu\"}\n",
				   (unsigned long long) promoted);
	return complaint;
}

/*
 * control_while_paging: POST /_sim/while_paging
 */
const char *
control_while_paging(sim_request *request)
{
	const char *complaint;
	sim_table  *table = control_table(request, &complaint);

	if (table == NULL)
		return complaint;
	paging_plan_changes(table, (uint64_t) request_number(request, "every", 1),
						(uint64_t) request_number(request, "insert", 0),
						(uint64_t) request_number(request, "update", 0),
						(uint64_t) request_number(request, "delete", 0),
						request_number(request, "times", -1));
	return NULL;
}

/*
 * control_oracle: GET /_sim/oracle
 */
const char *
control_oracle(sim_request *request)
{
	static sim_buf complaint_text;
	const char *complaint;
	sim_table  *table = control_table(request, &complaint);
	const char *unknown;
	size_t		rows;

	if (table == NULL)
		return complaint;
	unknown = oracle_copy(table, request_param(request, "columns"),
						  request_param(request, "filter"), &request->reply.body, &rows);
	if (unknown == NULL)
		return NULL;
	buf_reset(&complaint_text);
	buf_printf(&complaint_text, "unknown column: %s", unknown);
	return complaint_text.data;
}

/*
 * control_digest: GET /_sim/oracle/digest
 */
const char *
control_digest(sim_request *request)
{
	const char *complaint;
	sim_table  *table = control_table(request, &complaint);
	sim_buf		text = {0};
	size_t		rows;
	char		hex[33];

	if (table == NULL)
		return complaint;
	if (oracle_copy(table, request_param(request, "columns"),
					request_param(request, "filter"), &text, &rows) != NULL)
		complaint = "unknown column";
	else
	{
		oracle_md5(text.data, text.len, hex);
		buf_printf(&request->reply.body, "%zu %s\n", rows, hex);
		complaint = NULL;
	}
	buf_free(&text);
	return complaint;
}

/*
 * control_columns: GET /_sim/oracle/columns
 */
const char *
control_columns(sim_request *request)
{
	const char *name = request_param(request, "entity");
	const cat_entity *entity = name ? catalogue_find(store_catalogue(), name) : NULL;

	if (entity == NULL)
		return "unknown entity";
	oracle_columns(entity, &request->reply.body);
	return NULL;
}

/*
 * control_entities: GET /_sim/entities tells of every type how its records are
 * reached and how many there are.
 */
const char *
control_entities(sim_request *request)
{
	const catalogue *cat = store_catalogue();
	const char *name = request_param(request, "org");
	sim_org    *org = name ? org_find(name) : org_first();

	if (org == NULL)
		return "unknown org";
	for (int i = 0; i < cat->entity_count; i++)
	{
		const cat_entity *entity = &cat->entities[i];
		sim_rows	rows = {0};

		reach_rows(org_table(org, i), NULL, &rows);
		buf_printf(&request->reply.body, "%s\t%s\t%s\t%zu\n", cat->products[entity->product].name,
				   entity->type, reach_word(entity), rows.count);
		rows_free(&rows);
	}
	return NULL;
}

/*
 * control_record: GET /_sim/record
 */
const char *
control_record(sim_request *request)
{
	const char *complaint;
	sim_table  *table = control_table(request, &complaint);
	const sim_row *row;

	if (table == NULL)
		return complaint;
	row = table_find(table, (uint64_t) request_number(request, "id", 0));
	if (row == NULL)
		return "no such record";
	oracle_record(table, row, &request->reply.body);
	return NULL;
}
