/*-------------------------------------------------------------------------
 *
 * md5.c
 *	  The digest that PostgreSQL's md5() gives.
 *
 * Owns: nothing.  Must never be used for anything but comparing tables.
 *
 * IDENTIFICATION
 *	  test/simulator/md5.c
 *
 *-------------------------------------------------------------------------
 */
#include "oracle.h"

#include <stdio.h>

#include <openssl/evp.h>

/*
 * oracle_md5 writes the digest of data as 32 hexadecimal digits.
 */
void
oracle_md5(const char *data, size_t len, char hex[33])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int digest_len = 0;

	EVP_Digest(data, len, digest, &digest_len, EVP_md5(), NULL);
	for (unsigned int i = 0; i < digest_len; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}
