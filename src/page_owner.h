/*-------------------------------------------------------------------------
 *
 * page_owner.h
 *		Whose data a page brings.
 *
 * IDENTIFICATION
 *		src/page_owner.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_PAGE_OWNER_H
#define SYNC_ENGINE_PAGE_OWNER_H

#include "job.h"
#include "page_parser.h"

/*
 * Whether the page is of the job's organisation, as far as it says.  If not, the
 * organisation is stopped; the job is over then, as it is if that could not be found out.
 */
extern bool page_owner_is_org(Job *job, const ParsedPage *page);

#endif							/* SYNC_ENGINE_PAGE_OWNER_H */
