/*-------------------------------------------------------------------------
 *
 * credential.h
 *		Stored credentials: sealed at rest, opened only in lanes.
 *
 * IDENTIFICATION
 *		src/credential.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_CREDENTIAL_H
#define SYNC_ENGINE_CREDENTIAL_H

/* PCO's client ids and secrets are 64 hex digits; leave room. */
#define CREDENTIAL_MAX_PART		1024

typedef struct Credential
{
	char		client_id[CREDENTIAL_MAX_PART];
	char		secret[CREDENTIAL_MAX_PART];
} Credential;

/* Makes the key file if there is none; called by the postmaster at start. */
extern void credential_create_key(void);

/* Seals a credential for an org; raises an error without a key. */
extern bytea *credential_seal(const char *org, const Credential *credential);

/*
 * Opens what credential_seal made.  False, with a message and a hint, when
 * the key is missing or another.
 */
extern bool credential_open(const char *org, const bytea *sealed, Credential *credential,
							char **error, char **hint);

/* Names the rate budget that a credential shares: its token user at an origin. */
extern uint64 credential_budget_key(const Credential *credential, const char *base_url);

#endif							/* SYNC_ENGINE_CREDENTIAL_H */
