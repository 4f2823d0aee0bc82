/*-------------------------------------------------------------------------
 *
 * control.c
 *	  The control plane under /_sim/: settings, faults, statistics.
 *
 * Owns: nothing but the defaults for new organisations.
 * Must never hold a reply back, nor count as a request of the API.
 *
 * IDENTIFICATION
 *	  test/simulator/control.c
 *
 *-------------------------------------------------------------------------
 */
#include "control.h"

#include "control_data.h"
#include "disagree.h"
#include "documentation.h"
#include "mutate.h"
#include "odd.h"
#include "server.h"
#include "service.h"
#include "stats.h"
#include "view.h"

#include <stdlib.h>

uint64_t	control_seed = 1;
size_t		control_people = 1000;

/*
 * is_on reads a switch: on unless on=0.
 */
static bool
is_on(const sim_request *request)
{
	return request_number(request, "on", 1) != 0;
}

/*
 * do_health: GET /_sim/health
 */
static const char *
do_health(sim_request *request)
{
	buf_str(&request->reply.body, "ok\n");
	return NULL;
}

/*
 * do_org: POST /_sim/org creates or regenerates an organisation.
 */
static const char *
do_org(sim_request *request)
{
	const char *name = request_param(request, "org");
	const char *zone = request_param(request, "time_zone");
	sim_org    *org = org_find(name);
	uint64_t	seed = org ? org->seed : control_seed;
	size_t		people = org ? org->people : control_people;

	if (name == NULL || *name == '\0')
		return "org is missing";
	if (org != NULL)
		paging_forget(org);
	org = org_create(name, (uint64_t) request_number(request, "seed", (int64_t) seed),
					 (size_t) request_number(request, "people", (int64_t) people));
	if (zone != NULL)
	{
		free(org->zone);
		org->zone = sim_strdup(zone);
	}
	buf_printf(&request->reply.body,
			   "{\"org\":\"%s\",\"id\":\"%llu\",\"client_id\":\"%s\",\"secret\":\"%s\"}\n",
			   org->name, (unsigned long long) org->id, org->client, org->secret);
	return NULL;
}

/*
 * do_odd: POST /_sim/odd damages a record as served, or clears that.
 */
static const char *
do_odd(sim_request *request)
{
	const char *complaint;
	sim_table  *table = control_table(request, &complaint);
	uint64_t	id = (uint64_t) request_number(request, "id", 0);
	const char *kind = request_param(request, "kind");

	if (table == NULL)
		return complaint;
	if (request_param(request, "clear") != NULL)
		odd_clear(table, id);
	else if (kind == NULL || table_find(table, id) == NULL)
		return "kind or a known id is missing";
	else
		return odd_add(table, id, kind, request_param(request, "attr"));
	return NULL;
}

/*
 * do_fault: POST /_sim/fault arms a fault.
 */
static const char *
do_fault(sim_request *request)
{
	const char *path = request_param(request, "path");
	const char *kind = request_param(request, "kind");

	if (kind == NULL)
		return "kind is missing";
	return fault_add(path ? path : "/", request_param(request, "contains"), kind,
					 request_param(request, "org"),
					 request_param(request, "arg"), request_number(request, "count", 1),
					 request_number(request, "skip", 0));
}

/*
 * do_fault_clear: POST /_sim/fault/clear disarms all, and lets hanging
 * requests go.
 */
static const char *
do_fault_clear(sim_request *request)
{
	(void) request;
	fault_clear();
	server_release_hanging();
	return NULL;
}

/*
 * do_ignore: POST /_sim/ignore accepts parameters without heeding them.
 */
static const char *
do_ignore(sim_request *request)
{
	const char *complaint;
	sim_table  *table = control_table(request, &complaint);
	const char *key = request_param(request, "key");

	if (table == NULL)
		return complaint;
	if (key != NULL && strcmp(key, "where") == 0)
		table->ignore_where = is_on(request);
	else if (key != NULL && strcmp(key, "order") == 0)
		table->ignore_order = is_on(request);
	else if (key != NULL && strcmp(key, "include") == 0)
		table->ignore_include = is_on(request);
	else
		return "key must be where, order or include";
	return NULL;
}

/*
 * do_hide_meta: POST /_sim/hide_meta drops total_count.
 */
static const char *
do_hide_meta(sim_request *request)
{
	const char *complaint;
	sim_table  *table = control_table(request, &complaint);

	if (table == NULL)
		return complaint;
	table->hide_total = is_on(request);
	return NULL;
}

/*
 * do_disagree: POST /_sim/disagree
 */
static const char *
do_disagree(sim_request *request)
{
	const char *complaint;
	sim_table  *table = control_table(request, &complaint);

	if (table == NULL)
		return complaint;
	return disagree_add(table, request_param(request, "include"),
						request_param(request, "kind"), request_number(request, "times", 1));
}

/*
 * do_documentation: POST /_sim/documentation
 */
static const char *
do_documentation(sim_request *request)
{
	return documentation_change(request);
}

/*
 * set_forbidden forbids or allows an entity.
 */
static const char *
set_forbidden(sim_org *org, const char *entity, bool forbidden)
{
	sim_table  *table = org_table_of(org, entity);

	if (table == NULL)
		return "unknown entity";
	table->forbidden = forbidden;
	return NULL;
}

/*
 * set_product forbids or allows a product.
 */
static const char *
set_product(sim_org *org, const char *product, bool forbidden)
{
	int			number = catalogue_product(store_catalogue(), product, strlen(product));

	if (number < 0)
		return "unknown product";
	org->forbidden_products[number] = forbidden;
	return NULL;
}

/*
 * do_permission: POST /_sim/permission changes what a token may see.
 */
static const char *
do_permission(sim_request *request)
{
	const bool	forbidden = true;
	const bool	allowed = false;
	sim_org    *org = org_find(request_param(request, "org"));
	const char *complaint = NULL;
	const char *name;

	if (org == NULL)
		return "unknown org";
	org->visible_percent = (int) request_number(request, "visible_percent", org->visible_percent);
	for (int i = 0; i < store_catalogue()->entity_count; i++)
		view_drop_all(&org->tables[i]);	/* they were built for other eyes */
	if ((name = request_param(request, "forbid")) != NULL)
		complaint = set_forbidden(org, name, forbidden);
	if (complaint == NULL && (name = request_param(request, "allow")) != NULL)
		complaint = set_forbidden(org, name, allowed);
	if (complaint == NULL && (name = request_param(request, "forbid_product")) != NULL)
		complaint = set_product(org, name, forbidden);
	if (complaint == NULL && (name = request_param(request, "allow_product")) != NULL)
		complaint = set_product(org, name, allowed);
	return complaint;
}

/*
 * do_latency: POST /_sim/latency
 */
static const char *
do_latency(sim_request *request)
{
	service_latency = request_number(request, "ms", 0);
	service_jitter = request_number(request, "jitter", 0);
	return NULL;
}

/*
 * do_rate: POST /_sim/rate
 */
static const char *
do_rate(sim_request *request)
{
	const char *spelling = request_param(request, "spelling");
	const char *retry = request_param(request, "retry_after");

	rate_settings.limit = (uint64_t) request_number(request, "limit",
													(int64_t) rate_settings.limit);
	rate_settings.deep_limit = (uint64_t) request_number(request, "deep_limit",
														 (int64_t) rate_settings.deep_limit);
	rate_settings.period = request_number(request, "period",
										  rate_settings.period / USECS_PER_SEC) * USECS_PER_SEC;
	if (spelling != NULL)
		rate_settings.plain_number = strcmp(spelling, "number") == 0;
	if (retry != NULL && strcmp(retry, "absent") == 0)
		rate_settings.retry_after = RETRY_AFTER_ABSENT;
	else if (retry != NULL && strcmp(retry, "garbage") == 0)
		rate_settings.retry_after = RETRY_AFTER_GARBAGE;
	else if (retry != NULL && strcmp(retry, "int") == 0)
		rate_settings.retry_after = RETRY_AFTER_INT;
	else if (retry != NULL)
		return "retry_after must be int, absent or garbage";
	return NULL;
}

/*
 * do_clock: POST /_sim/clock
 */
static const char *
do_clock(sim_request *request)
{
	stamp_set_api_clock(request_number(request, "ahead", 0) * USECS_PER_SEC);
	return NULL;
}

/*
 * do_down: POST /_sim/down
 */
static const char *
do_down(sim_request *request)
{
	server_go_down(request_number(request, "seconds", 0));
	return NULL;
}

/*
 * do_stats: GET /_sim/stats
 */
static const char *
do_stats(sim_request *request)
{
	const char *org = request_param(request, "org");

	if (org != NULL && org_find(org) == NULL)
		return "unknown org";
	stats_json(org, &request->reply.body);
	return NULL;
}

/*
 * do_stats_reset: POST /_sim/stats/reset
 */
static const char *
do_stats_reset(sim_request *request)
{
	(void) request;
	stats_reset();
	return NULL;
}

/*
 * do_log: GET /_sim/log
 */
static const char *
do_log(sim_request *request)
{
	stats_log((uint64_t) request_number(request, "after", 0), &request->reply.body);
	return NULL;
}

/*
 * control_answer answers a request of the control plane.
 */
void
control_answer(sim_request *request)
{
	static const struct
	{
		const char *name;
		bool		post;
		const char *(*act) (sim_request *request);
	}			known[] = {
		{"health", false, do_health}, {"org", true, do_org}, {"mutate", true, control_mutate},
		{"merge", true, control_merge}, {"demote_email", true, control_demote},
		{"while_paging", true, control_while_paging}, {"odd", true, do_odd},
		{"fault", true, do_fault}, {"fault/clear", true, do_fault_clear},
		{"ignore", true, do_ignore}, {"hide_meta", true, do_hide_meta},
		{"disagree", true, do_disagree}, {"documentation", true, do_documentation},
		{"permission", true, do_permission}, {"latency", true, do_latency},
		{"rate", true, do_rate}, {"clock", true, do_clock}, {"down", true, do_down}, {"stats", false, do_stats},
		{"stats/reset", true, do_stats_reset}, {"log", false, do_log},
		{"oracle", false, control_oracle}, {"oracle/columns", false, control_columns},
		{"oracle/digest", false, control_digest}, {"record", false, control_record},
		{"entities", false, control_entities},
	};
	const char *complaint = "unknown control";
	sim_reply  *reply = &request->reply;

	request_parse(request);
	reply->status = 404;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
	{
		if (strcmp(request->path + strlen(CONTROL_PREFIX), known[i].name) != 0)
			continue;
		reply->status = 400;
		if (known[i].post && strcmp(request->method, "POST") != 0)
			complaint = "use POST";
		else
			complaint = known[i].act(request);
	}
	if (complaint == NULL)
	{
		reply->status = 200;
		if (reply->body.len == 0 && strcmp(request->method, "POST") == 0)
			buf_str(&reply->body, "{}\n");
	}
	else
	{
		buf_reset(&reply->body);
		buf_printf(&reply->body, "%s\n", complaint);
	}
	reply_header(reply, "Content-Type", reply->body.len > 0 && strchr("{[", *reply->body.data)
				 ? "application/json" : "text/plain; charset=utf-8");
}
