/*-------------------------------------------------------------------------
 *
 * org.h
 *		Organisations: where they are read from, and with what credential.
 *
 * IDENTIFICATION
 *		src/org.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_ORG_H
#define SYNC_ENGINE_ORG_H

#include "credential.h"
#include "origin.h"
#include "queue.h"
#include "utils/jsonb.h"

/* Characters of an org's name; a CHECK of its table says the same. */
#define ORG_MAX_NAME	200

typedef struct Org
{
	char	   *name;
	char	   *base_url;
	OriginRule	rule;
	Credential	credential;
	uint64		budget_key;
	int			rate_share;		/* percent of the rate limit */
	int			weight;			/* of its claims beside those of others */
	char	   *pco_organization_id;	/* NULL before the first contact */
	TimestampTz connected_at;	/* of the credential */
} Org;

/*
 * Loads an org into the current memory context.  NULL with the failure if it
 * cannot be synced: stopped, disconnected, host not allowed, no key, a copy
 * of the cluster that made the credential.
 */
extern Org *org_load(const char *name, Failure *failure);

/* Wipes the secret. */
extern void org_forget_secret(Org *org);

/*
 * Stops an org until somebody acts; false if it has another credential by now,
 * which is not to blame.
 */
extern bool org_stop(const Org *org, const Failure *failure);

/* Remembers PCO's id of the organisation; false if another one is stored. */
extern bool org_remember_id(Org *org, const char *pco_organization_id);

/* Seals a credential and stores it, for use in this cluster and database. */
extern void org_store_credential(const char *name, const Credential *credential);

/* Lets this cluster and database use the credentials that it carries. */
extern void org_adopt_credentials(void);

/* Raises an error unless the text is a base URL on an allowed host. */
extern char *org_check_base_url(const char *base_url);

/* Raises an error unless these are options that we know. */
extern void org_check_options(Jsonb *options);

/*
 * The API version that the org's options ask of a product, palloc'd; NULL if
 * they ask none.
 */
extern char *org_api_version(const char *name, const char *product);

/* Raises an error if the versions in the org's options make no sense. */
extern void org_check_api_versions(const char *name);

/* Whether the token may read a product; refusal: why not, or NULL.  Within a transaction. */
extern void org_note_access(const char *org, const char *product, const char *refusal);

#endif							/* SYNC_ENGINE_ORG_H */
