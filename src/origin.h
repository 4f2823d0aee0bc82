/*-------------------------------------------------------------------------
 *
 * origin.h
 *	  Origins (scheme, host, port), the list of allowed ones, and which
 *	  network addresses a request may reach.
 *
 * Plain C without any PostgreSQL header: pure functions, callable from
 * anywhere.
 *
 * IDENTIFICATION
 *	  src/origin.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_ORIGIN_H
#define SYNC_ENGINE_ORIGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sockaddr;

/* RFC 1035: the longest name that DNS can carry, in presentation form. */
#define ORIGIN_MAX_HOST 253

/* "https://" + host + IPv6 brackets + ":65535" + NUL */
#define ORIGIN_MAX_TEXT (8 + ORIGIN_MAX_HOST + 2 + 6 + 1)

/*
 * Origin: normalised, so that two origins are the same if and only if their
 * fields are.
 */
typedef struct Origin
{
	bool		https;
	bool		host_is_address;	/* an IPv4 or IPv6 literal */
	uint16_t	port;
	char		host[ORIGIN_MAX_HOST + 1];	/* lower case; IPv6 canonical,
											 * without brackets */
} Origin;

/*
 * OriginRule: what the allowed list grants to one origin.
 */
typedef struct OriginRule
{
	Origin		origin;
	bool		allow_private;	/* loopback, RFC 1918, ULA, CGNAT as well */
} OriginRule;

/*
 * "https://api.example.com", "http://127.0.0.1:8080", "https://[::1]:8443/".
 * False with a message in error (lower case, no period) if text is not
 * strictly an origin.
 */
extern bool origin_parse(const char *text, Origin *origin,
						 char *error, size_t error_len);

/* Canonical text; the default port is left out. len >= ORIGIN_MAX_TEXT. */
extern void origin_format(const Origin *origin, char *text, size_t len);

/*
 * The allowed list: comma separated, blanks around entries are ignored, the
 * empty list allows nothing.
 *
 *	api.example.com			https on port 443, public addresses only
 *	https://host:8443		that origin, private addresses as well
 *	http://127.0.0.1:8080	that origin, in plain HTTP
 *	http://127.0.0.1:*		the same on any port
 */
extern bool origin_list_validate(const char *list,
								 char *error, size_t error_len);

/* False: not in the list (nothing is allowed by an invalid entry). */
extern bool origin_allowed(const char *list, const Origin *origin,
						   OriginRule *rule);

/*
 * Does this absolute URL (a redirect's target, links.next) stay on the
 * origin? False also for any URL that two parsers could read differently.
 */
extern bool origin_same(const char *url, const Origin *origin);

extern bool origin_address_is_public(const struct sockaddr *address);
extern bool origin_rule_permits(const OriginRule *rule,
								const struct sockaddr *address);

#endif							/* SYNC_ENGINE_ORIGIN_H */
