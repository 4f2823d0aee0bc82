/*-------------------------------------------------------------------------
 *
 * http_settings.c
 *	  What all transfers of a client share, and whether the libcurl at hand
 *	  will do.
 *
 * It owns the process-wide initialisation of libcurl, the copy of the limits
 * and the cache of TLS sessions. It must never run in the postmaster: libcurl
 * is initialised after the fork, in the process that uses it.
 *
 * IDENTIFICATION
 *	  src/http_settings.c
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "http_transfer.h"

/*
 * 7.68 is the oldest that a supported distribution carries (Ubuntu 20.04).
 */
#if LIBCURL_VERSION_NUM < 0x074400
#error "sync_engine needs libcurl 7.68 or later"
#endif

static bool limits_are_positive(const HttpLimits *limits);
static bool init_library(char *error, size_t error_len);
static bool copy_limits(HttpSettings *settings, const HttpLimits *limits);
static bool has_certificate_file(void);


/*
 * http_settings_init
 */
bool
http_settings_init(HttpSettings *settings, const HttpLimits *limits,
				   char *error, size_t error_len)
{
	if (!limits_are_positive(limits))
	{
		snprintf(error, error_len, "every HTTP limit must be positive");
		return false;
	}
	if (!init_library(error, error_len))
		return false;

	/*
	 * Connections and resolved names are the multi handle's own. Sharing
	 * needs no lock functions: only one thread touches TLS sessions.
	 */
	settings->share = curl_share_init();
	if (settings->share == NULL ||
		curl_share_setopt(settings->share, CURLSHOPT_SHARE,
						  CURL_LOCK_DATA_SSL_SESSION) != CURLSHE_OK ||
		!copy_limits(settings, limits))
	{
		snprintf(error, error_len, "out of memory");
		return false;
	}
	settings->http2 = (curl_version_info(CURLVERSION_NOW)->features &
					   CURL_VERSION_HTTP2) != 0;
	settings->certificate_file = has_certificate_file();
	return true;
}

/*
 * http_settings_free
 */
void
http_settings_free(HttpSettings *settings)
{
	curl_share_cleanup(settings->share);
	free((char *) settings->limits.user_agent);
	free((char *) settings->limits.ca_file);
}

/*
 * limits_are_positive: to libcurl 0 means "no limit", which must not come
 * about by omission.
 */
static bool
limits_are_positive(const HttpLimits *limits)
{
	return limits->max_connections > 0 &&
		limits->max_connections_per_host > 0 &&
		limits->max_body > 0 &&
		limits->connect_timeout_ms > 0 &&
		limits->total_timeout_ms > 0 &&
		limits->low_speed_bytes > 0 &&
		limits->low_speed_seconds > 0 &&
		limits->user_agent != NULL;
}

/*
 * init_library prepares the library, once per process, and refuses one that would
 * break a promise of http.c.
 */
static bool
init_library(char *error, size_t error_len)
{
	static bool initialised = false;
	const curl_version_info_data *version;

	if (!initialised)
	{
		/* libcurl would write every TLS session's secrets to that file. */
		unsetenv("SSLKEYLOGFILE");

		if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		{
			snprintf(error, error_len, "could not initialise libcurl");
			return false;
		}
		initialised = true;
	}

	/* The last byte of a version number is the patch level. */
	version = curl_version_info(CURLVERSION_NOW);
	if (version->version_num >> 8 < LIBCURL_VERSION_NUM >> 8)
	{
		snprintf(error, error_len,
				 "libcurl %s is older than the %s this was built with",
				 version->version, LIBCURL_VERSION);
		return false;
	}
	if ((version->features & CURL_VERSION_ASYNCHDNS) == 0)
	{
		snprintf(error, error_len, "libcurl %s can only resolve names by"
				 " blocking", version->version);
		return false;
	}
	if ((version->features & CURL_VERSION_SSL) == 0)
	{
		snprintf(error, error_len, "libcurl %s has no TLS", version->version);
		return false;
	}
	return true;
}

/*
 * copy_limits
 */
static bool
copy_limits(HttpSettings *settings, const HttpLimits *limits)
{
	HttpLimits *copy = &settings->limits;

	*copy = *limits;
	copy->user_agent = strdup(limits->user_agent);
	if (limits->ca_file != NULL)
		copy->ca_file = strdup(limits->ca_file);
	return copy->user_agent != NULL &&
		(copy->ca_file != NULL || limits->ca_file == NULL);
}

/*
 * has_certificate_file tells whether libcurl has the system's certificates in
 * one file. It keeps what it has read, but not if it looks into a directory,
 * too, as some distributions build it, which have the same in both.
 */
static bool
has_certificate_file(void)
{
#if LIBCURL_VERSION_NUM >= 0x074600
	const curl_version_info_data *version = curl_version_info(CURLVERSION_NOW);

	return version->age >= CURLVERSION_SEVENTH && version->cainfo != NULL &&
		access(version->cainfo, R_OK) == 0;
#else
	return false;
#endif
}
