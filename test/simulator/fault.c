/*-------------------------------------------------------------------------
 *
 * fault.c
 *	  Failures on demand: which request meets which.
 *
 * Owns: the list of faults; a spent one stays until cleared, since a delayed
 * request may still point to it.  Must never decide what a fault looks like.
 *
 * IDENTIFICATION
 *	  test/simulator/fault.c
 *
 *-------------------------------------------------------------------------
 */
#include "fault.h"

#include <stdlib.h>

static const char *const kind_names[] = {
	"429", "429_no_retry_after", "429_garbage", "500", "502_html", "503", "504", "400", "403",
	"403_html", "401", "404", "reset_mid_body", "truncated_json", "empty_200",
	"wrong_content_type", "hang", "slow_body", "redirect", "stale", "empty_list",
	"truncated_list", "wrong_organization", "close_connection"
};

static sim_fault *faults;
static sim_fault *cleared;

/*
 * fault_add arms a fault; returns a complaint or NULL.
 */
const char *
fault_add(const char *path, const char *contains, const char *kind, const char *org,
		  const char *arg, int64_t count, int64_t skip)
{
	sim_fault **link = &faults;
	sim_fault  *fault;
	size_t		k = 0;

	while (k < FAULT_NONE && strcmp(kind_names[k], kind) != 0)
		k++;
	if (k == FAULT_NONE)
		return "unknown kind";
	fault = sim_alloc0(sizeof(*fault));
	fault->path = sim_strdup(path);
	fault->contains = sim_strdup(contains);
	fault->org = sim_strdup(org);
	fault->arg = sim_strdup(arg);
	fault->kind = (sim_fault_kind) k;
	fault->skip = skip;
	fault->left = count;
	fault->forever = count == 0;
	while (*link != NULL)
		link = &(*link)->next;
	*link = fault;
	return NULL;
}

/*
 * fault_take returns the fault that a request meets, or NULL.  The oldest
 * matching fault counts; one that still lets requests pass hides no other.
 */
const sim_fault *
fault_take(const char *url, const char *org)
{
	for (sim_fault *fault = faults; fault != NULL; fault = fault->next)
	{
		if (strncmp(url, fault->path, strlen(fault->path)) != 0 ||
			(fault->contains != NULL && strstr(url, fault->contains) == NULL) ||
			(fault->org != NULL && (org == NULL || strcmp(org, fault->org) != 0)) ||
			(!fault->forever && fault->left == 0))
			continue;
		if (fault->skip > 0)
		{
			fault->skip--;
			continue;
		}
		if (!fault->forever)
			fault->left--;
		return fault;
	}
	return NULL;
}

/*
 * fault_clear disarms every fault.  Their memory is kept until the next call,
 * for requests that are still being answered.
 */
void
fault_clear(void)
{
	while (cleared != NULL)
	{
		sim_fault  *fault = cleared;

		cleared = fault->next;
		free(fault->path);
		free(fault->contains);
		free(fault->org);
		free(fault->arg);
		free(fault);
	}
	cleared = faults;
	faults = NULL;
}
