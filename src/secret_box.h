/*-------------------------------------------------------------------------
 *
 * secret_box.h
 *	  Authenticated encryption of credentials at rest, and its key file.
 *
 * A sealed secret is: version byte, 12-byte random nonce, ciphertext, 16-byte
 * tag (AES-256-GCM). Plain C without any PostgreSQL header; nothing here
 * throws or hands out allocated memory.
 *
 * IDENTIFICATION
 *	  src/secret_box.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_SECRET_BOX_H
#define SYNC_ENGINE_SECRET_BOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SECRET_BOX_KEY_LEN		32
#define SECRET_BOX_NONCE_LEN	12
#define SECRET_BOX_TAG_LEN		16

/* sealed length = plain length + this */
#define SECRET_BOX_OVERHEAD		(1 + SECRET_BOX_NONCE_LEN + SECRET_BOX_TAG_LEN)

/*
 * aad binds the box to its place (organisation, kind of secret): it is not
 * stored, and the box opens only with the same. *out_len is the room in out
 * on entry and the length written on return.
 */
extern bool secret_box_seal(const uint8_t key[SECRET_BOX_KEY_LEN],
							const void *aad, size_t aad_len,
							const void *plain, size_t len,
							uint8_t *out, size_t *out_len);

/* False on any tampering, a foreign key or aad, an unknown version. */
extern bool secret_box_open(const uint8_t key[SECRET_BOX_KEY_LEN],
							const void *aad, size_t aad_len,
							const uint8_t *sealed, size_t sealed_len,
							void *out, size_t *out_len);

/*
 * The key file: exactly 32 raw bytes, a regular file (no symbolic link) of
 * our own user, closed to group and others. On false, error says why (lower
 * case, no period).
 */
extern bool secret_box_load_key(const char *path,
								uint8_t key[SECRET_BOX_KEY_LEN],
								char *error, size_t error_len);

/* Makes a random key unless the path exists: an existing file is kept. */
extern bool secret_box_create_key(const char *path,
								  char *error, size_t error_len);

#endif							/* SYNC_ENGINE_SECRET_BOX_H */
