/*-------------------------------------------------------------------------
 *
 * privacy.h
 *		A stand-in for values that are not to be stored.
 *
 * IDENTIFICATION
 *		src/privacy.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_PRIVACY_H
#define SYNC_ENGINE_PRIVACY_H

/*
 * HMAC-SHA-256 of a value in hexadecimal, palloc'd.  The key is derived from
 * sync_engine.key_file: equal values give equal digests, so that they can be
 * joined and counted, and nobody without the file can guess at them.
 */
extern char *privacy_digest(const char *value, int len);

#endif							/* SYNC_ENGINE_PRIVACY_H */
