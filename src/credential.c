/*-------------------------------------------------------------------------
 *
 * credential.c
 *		Stored credentials: sealed at rest, opened only in lanes.
 *
 * The key lies in a file, by default in the data directory, and is never in
 * a table or a dump.  The org's name is authenticated with the secret, so a
 * sealed value cannot be moved to another org's row.
 *
 * IDENTIFICATION
 *		src/credential.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "compat.h"
#include "credential.h"
#include "guc.h"
#include "miscadmin.h"
#include "secret_box.h"

/* A relative key_file is in the data directory: the working directory of every server process. */

void
credential_create_key(void)
{
	char		error[256];

	/* a server without the key still starts; sync_connect then says why */
	if (!secret_box_create_key(guc_key_file, error, sizeof(error)))
		ereport(WARNING,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("could not make the key file \"%s\" of sync_engine: %s", guc_key_file, error),
				 errhint("Credentials cannot be stored or used until sync_engine.key_file can be read.")));
}

bytea *
credential_seal(const char *org, const Credential *credential)
{
	uint8_t		key[SECRET_BOX_KEY_LEN];
	char		error[256];
	char		plain[2 * CREDENTIAL_MAX_PART];
	size_t		id_len = strlen(credential->client_id) + 1;
	size_t		plain_len = id_len + strlen(credential->secret) + 1;
	bytea	   *sealed = palloc(VARHDRSZ + plain_len + SECRET_BOX_OVERHEAD);
	size_t		sealed_len = plain_len + SECRET_BOX_OVERHEAD;
	bool		ok;

	if (!secret_box_load_key(guc_key_file, key, error, sizeof(error)))
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("could not read the key file of sync_engine: %s", error),
				 errhint("The server makes sync_engine.key_file when it starts; see that it can.")));

	memcpy(plain, credential->client_id, id_len);
	memcpy(plain + id_len, credential->secret, plain_len - id_len);
	ok = secret_box_seal(key, org, strlen(org), plain, plain_len,
						 (uint8_t *) VARDATA(sealed), &sealed_len);
	explicit_bzero(key, sizeof(key));
	explicit_bzero(plain, sizeof(plain));
	if (!ok)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not encrypt the credential")));
	SET_VARSIZE(sealed, VARHDRSZ + sealed_len);
	return sealed;
}

bool
credential_open(const char *org, const bytea *sealed, Credential *credential,
				char **error, char **hint)
{
	uint8_t		key[SECRET_BOX_KEY_LEN];
	char		reason[256];
	char		plain[2 * CREDENTIAL_MAX_PART];
	size_t		plain_len = sizeof(plain);
	bool		ok;

	if (!secret_box_load_key(guc_key_file, key, reason, sizeof(reason)))
	{
		*error = psprintf("could not read the key file of sync_engine: %s", reason);
		*hint = "Restore the file named by sync_engine.key_file, or call sync_connect again.";
		return false;
	}
	ok = secret_box_open(key, org, strlen(org), (const uint8_t *) VARDATA_ANY(sealed),
						 VARSIZE_ANY_EXHDR(sealed), plain, &plain_len);
	explicit_bzero(key, sizeof(key));
	if (!ok)
	{
		*error = psprintf("the stored credential cannot be opened with this server's key");
		*hint = "Restore the file named by sync_engine.key_file, or call sync_connect again.";
		return false;
	}
	strlcpy(credential->client_id, plain, sizeof(credential->client_id));
	strlcpy(credential->secret, plain + strlen(plain) + 1, sizeof(credential->secret));
	explicit_bzero(plain, sizeof(plain));
	return true;
}

uint64
credential_budget_key(const Credential *credential, const char *base_url)
{
	uint64		key;

	key = hash_bytes_extended((const unsigned char *) credential->client_id,
							  strlen(credential->client_id), 0);
	key = hash_bytes_extended((const unsigned char *) base_url, strlen(base_url), key);
	return key == 0 ? 1 : key;	/* 0 marks a free slot */
}
