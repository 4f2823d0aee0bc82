/*-------------------------------------------------------------------------
 *
 * privacy.c
 *		A stand-in for values that are not to be stored.
 *
 * IDENTIFICATION
 *		src/privacy.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hmac.h"
#include "common/sha2.h"
#include "guc.h"
#include "privacy.h"
#include "secret_box.h"

/* The file's key seals credentials; what is made of it here must not. */
#define PRIVACY_PURPOSE		"sync_engine privacy 1"

static void
digest(const uint8 *key, size_t key_len, const char *value, size_t len, uint8 *out)
{
	pg_hmac_ctx *hmac = pg_hmac_create(PG_SHA256);

	if (hmac == NULL || pg_hmac_init(hmac, key, key_len) < 0 ||
		pg_hmac_update(hmac, (const uint8 *) value, len) < 0 ||
		pg_hmac_final(hmac, out, PG_SHA256_DIGEST_LENGTH) < 0)
		elog(ERROR, "could not make a digest: %s", pg_hmac_error(hmac));
	pg_hmac_free(hmac);
}

/*
 * privacy_key: read once per process.
 */
static const uint8 *
privacy_key(void)
{
	static uint8 key[PG_SHA256_DIGEST_LENGTH];
	static bool loaded = false;
	uint8_t		master[SECRET_BOX_KEY_LEN];
	char		error[256];

	if (loaded)
		return key;
	if (!secret_box_load_key(guc_key_file, master, error, sizeof(error)))
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("could not read the key file of sync_engine: %s", error),
				 errhint("Restore the file named by sync_engine.key_file.")));
	digest(master, sizeof(master), PRIVACY_PURPOSE, strlen(PRIVACY_PURPOSE), key);
	explicit_bzero(master, sizeof(master));
	loaded = true;
	return key;
}

char *
privacy_digest(const char *value, int len)
{
	uint8		bytes[PG_SHA256_DIGEST_LENGTH];
	char	   *hex = palloc(2 * PG_SHA256_DIGEST_LENGTH + 1);

	digest(privacy_key(), PG_SHA256_DIGEST_LENGTH, value, len, bytes);
	for (int i = 0; i < PG_SHA256_DIGEST_LENGTH; i++)
		snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
	return hex;
}
