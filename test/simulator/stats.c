/*-------------------------------------------------------------------------
 *
 * stats.c
 *	  What has been asked and answered.
 *
 * Owns: the counters, in total and per organisation, and the request log.
 * Must never count a request of the control plane.
 *
 * IDENTIFICATION
 *	  test/simulator/stats.c
 *
 *-------------------------------------------------------------------------
 */
#include "stats.h"

#include "map.h"

#include <stdio.h>
#include <stdlib.h>

/* The log keeps this many requests. */
#define LOG_RING 100000

/* Distinct paths counted one by one; reads by id must not eat the memory. */
#define MAX_PATHS 100000
#define OTHER_PATHS "(other)"

typedef struct sim_stats
{
	uint64_t	requests;
	uint64_t	rejected;		/* 429 because of the limit, not by fault */
	uint64_t	rows;
	sim_map		by_status;
	sim_map		by_path;
	sim_map		by_path_status;	/* "path status" */
} sim_stats;

typedef struct log_entry
{
	uint64_t	sequence;
	char	   *line;
} log_entry;

sim_rate	stats_anonymous;

static sim_stats total;
static sim_map by_org;
static uint64_t sequence;
static uint64_t concurrent;
static uint64_t most_concurrent;
static uint64_t connections;
static log_entry ring[LOG_RING];
static uint64_t logged;

/*
 * org_stats returns the counters of an organisation.
 */
static sim_stats *
org_stats(const char *org)
{
	sim_map_entry *entry = map_get(&by_org, org);

	if (entry->value == NULL)
		entry->value = sim_alloc0(sizeof(sim_stats));
	return entry->value;
}

/*
 * stats_arrived numbers a request and counts it.
 */
void
stats_arrived(sim_request *request)
{
	request->sequence = ++sequence;
	request->arrived = stamp_now();
	total.requests++;
	if (++concurrent > most_concurrent)
		most_concurrent = concurrent;
}

/*
 * stats_org_known counts a request for its organisation.
 */
void
stats_org_known(const sim_request *request)
{
	org_stats(request->org->name)->requests++;
}

/*
 * count_answer counts a reply in one set of counters.
 */
static void
count_answer(sim_stats *stats, const sim_request *request)
{
	char		status[8];
	sim_buf		both = {0};
	const char *path = request->path;

	if (stats->by_path.used >= MAX_PATHS && map_find(&stats->by_path, path) == NULL)
		path = OTHER_PATHS;
	snprintf(status, sizeof(status), "%d", request->reply.status);
	buf_printf(&both, "%s %s", path, status);
	map_get(&stats->by_status, status)->count++;
	map_get(&stats->by_path, path)->count++;
	map_get(&stats->by_path_status, both.data)->count++;
	stats->rows += request->reply.rows;
	buf_free(&both);
}

/*
 * stats_answered counts a reply and logs it; status 0 is no reply at all.
 */
void
stats_answered(const sim_request *request)
{
	log_entry  *entry = &ring[logged++ % LOG_RING];
	const char *offset = request_param(request, "offset");
	sim_buf		line = {0};

	count_answer(&total, request);
	if (request->org != NULL)
		count_answer(org_stats(request->org->name), request);
	buf_printf(&line, "%llu %lld %s %s %s %d %s\n", (unsigned long long) request->sequence,
			   (long long) request->arrived, request->org ? request->org->name : "-",
			   request->method, request->url, request->reply.status,
			   offset && *offset ? offset : "0");
	free(entry->line);
	entry->line = line.data;
	entry->sequence = request->sequence;
}

/*
 * stats_left notes that a request is over.
 */
void
stats_left(void)
{
	if (concurrent > 0)
		concurrent--;
}

/*
 * stats_connection counts an opened connection.
 */
void
stats_connection(void)
{
	connections++;
}

/*
 * stats_rejected counts a 429 that the limit itself made.
 */
void
stats_rejected(const sim_request *request)
{
	total.rejected++;
	if (request->org != NULL)
		org_stats(request->org->name)->rejected++;
}

/*
 * put_counts appends ,"name":{key: count, ...}.
 */
static void
put_counts(const char *name, const sim_map *map, sim_buf *out)
{
	bool		first = true;

	buf_printf(out, ",\"%s\":{", name);
	for (size_t i = 0; i < map->cap; i++)
	{
		if (map->entries[i].key == NULL)
			continue;
		buf_str(out, first ? "" : ",");
		first = false;
		buf_json_str(out, map->entries[i].key);
		buf_printf(out, ":%llu", (unsigned long long) map->entries[i].count);
	}
	buf_char(out, '}');
}

/*
 * put_path_counts appends ,"by_path_status":{path: {status: count}}.
 */
static void
put_path_counts(const sim_stats *stats, sim_buf *out)
{
	sim_buf		key = {0};
	bool		first = true;

	buf_str(out, ",\"by_path_status\":{");
	for (size_t i = 0; i < stats->by_path.cap; i++)
	{
		const char *path = stats->by_path.entries[i].key;
		bool		first_status = true;

		if (path == NULL)
			continue;
		buf_str(out, first ? "" : ",");
		first = false;
		buf_json_str(out, path);
		buf_str(out, ":{");
		for (size_t j = 0; j < stats->by_status.cap; j++)
		{
			const char *status = stats->by_status.entries[j].key;
			sim_map_entry *entry;

			if (status == NULL)
				continue;
			buf_reset(&key);
			buf_printf(&key, "%s %s", path, status);
			entry = map_find(&stats->by_path_status, key.data);
			if (entry == NULL)
				continue;
			buf_printf(out, "%s\"%s\":%llu", first_status ? "" : ",", status,
					   (unsigned long long) entry->count);
			first_status = false;
		}
		buf_char(out, '}');
	}
	buf_char(out, '}');
	buf_free(&key);
}

/*
 * stats_json appends the counters of one organisation, or of all (NULL).
 */
void
stats_json(const char *org, sim_buf *out)
{
	const sim_stats *stats = org ? org_stats(org) : &total;
	size_t		most = org ? 0 : stats_anonymous.every.most;

	for (const sim_org *each = org_first(); each != NULL; each = each->next)
		if ((org == NULL || strcmp(each->name, org) == 0) && each->rate.every.most > most)
			most = each->rate.every.most;
	buf_printf(out, "{\"requests\":%llu", (unsigned long long) stats->requests);
	put_counts("by_status", &stats->by_status, out);
	put_counts("by_path", &stats->by_path, out);
	put_path_counts(stats, out);
	buf_printf(out, ",\"most_in_window\":%zu,\"rejected_429_self\":%llu,\"rows_served\":%llu",
			   most, (unsigned long long) stats->rejected, (unsigned long long) stats->rows);
	buf_printf(out, ",\"most_concurrent\":%llu,\"connections_opened\":%llu}\n",
			   (unsigned long long) most_concurrent, (unsigned long long) connections);
}

/*
 * stats_log appends the lines of requests answered since one, oldest first.
 */
void
stats_log(uint64_t after, sim_buf *out)
{
	uint64_t	first = logged > LOG_RING ? logged - LOG_RING : 0;

	buf_reserve(out, 0);
	for (uint64_t i = first; i < logged; i++)
		if (ring[i % LOG_RING].sequence > after)
			buf_str(out, ring[i % LOG_RING].line);
}

/*
 * stats_free releases one set of counters.
 */
static void
stats_free(sim_stats *stats)
{
	map_clear(&stats->by_status);
	map_clear(&stats->by_path);
	map_clear(&stats->by_path_status);
	memset(stats, 0, sizeof(*stats));
}

/*
 * stats_reset starts all counters anew; log and sequence go on.
 */
void
stats_reset(void)
{
	stats_free(&total);
	for (size_t i = 0; i < by_org.cap; i++)
		if (by_org.entries[i].key != NULL)
		{
			stats_free(by_org.entries[i].value);
			free(by_org.entries[i].value);
		}
	map_clear(&by_org);
	for (sim_org *org = org_first(); org != NULL; org = org->next)
		rate_forget_most(&org->rate);
	rate_forget_most(&stats_anonymous);
	most_concurrent = concurrent;
	connections = 0;
}

/*
 * stats_stop frees everything.
 */
void
stats_stop(void)
{
	stats_reset();
	for (size_t i = 0; i < LOG_RING; i++)
		free(ring[i].line);
	memset(ring, 0, sizeof(ring));
	rate_free(&stats_anonymous);
}
