/*-------------------------------------------------------------------------
 *
 * origin.c
 *	  Parses origins and matches them with the list of allowed ones.
 *
 * Credentials go wherever this file says yes, so it is strict where URL
 * parsers are forgiving: what libcurl or a browser would repair (backslashes,
 * octal or shortened IPv4, percent escapes, user information, trailing dots)
 * is refused here, because two parsers that repair differently are how a
 * request reaches another host than the one that was checked.
 *
 * It owns nothing: pure functions without state, I/O or allocation. It must
 * never echo its input in an error, which may hold a password.
 *
 * IDENTIFICATION
 *	  src/origin.c
 *
 *-------------------------------------------------------------------------
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "net_address.h"
#include "origin.h"

/* RFC 1035: the longest label between two dots. */
#define MAX_LABEL 63

/* Allowed around the entries of a list, as in postgresql.conf. */
static const char list_blanks[] = " \t\r\n";

/* What stands in a URL before its path. */
typedef struct Authority
{
	Origin		origin;
	bool		explicit_port;
	const char *rest;			/* path, query, fragment, or "" */
} Authority;

typedef struct ListEntry
{
	Origin		origin;
	bool		any_port;
	bool		whole_origin;	/* written with its scheme */
} ListEntry;

static const char *parse_authority(const char *text, Authority *authority);
static const char *parse_host(const char *text, size_t len, Origin *origin);
static const char *parse_ipv6(const char *text, size_t len, Origin *origin);
static const char *parse_port(const char *text, size_t len, Origin *origin);
static const char *parse_entry(const char *text, size_t len, ListEntry *entry);
static const char *first_entry(const char *list);
static bool next_entry(const char **cursor, const char **text, size_t *len);
static bool host_is_numeric(const char *host);
static bool valid_name(const char *host);
static uint16_t default_port(bool https);


/*
 * origin_parse reads an origin that stands alone: no path beyond "/".
 */
bool
origin_parse(const char *text, Origin *origin, char *error, size_t error_len)
{
	Authority	authority;
	const char *problem = parse_authority(text, &authority);

	if (problem == NULL && strcmp(authority.rest, "") != 0 &&
		strcmp(authority.rest, "/") != 0)
		problem = "a base URL must not have a path, query or fragment";

	if (problem != NULL)
	{
		snprintf(error, error_len, "%s", problem);
		return false;
	}
	*origin = authority.origin;
	return true;
}

/*
 * origin_format writes the canonical text, which origin_parse reads back.
 */
void
origin_format(const Origin *origin, char *text, size_t len)
{
	bool		ipv6 = strchr(origin->host, ':') != NULL;
	char		port[8] = "";

	if (origin->port != default_port(origin->https))
		snprintf(port, sizeof(port), ":%u", (unsigned) origin->port);

	snprintf(text, len, "%s://%s%s%s%s", origin->https ? "https" : "http",
			 ipv6 ? "[" : "", origin->host, ipv6 ? "]" : "", port);
}

/*
 * origin_list_validate checks every entry of an allowed list and says what is
 * wrong with the first bad one.
 */
bool
origin_list_validate(const char *list, char *error, size_t error_len)
{
	const char *cursor = first_entry(list);
	const char *text;
	size_t		len;

	for (int number = 1; next_entry(&cursor, &text, &len); number++)
	{
		ListEntry	entry;
		const char *problem = parse_entry(text, len, &entry);

		if (problem != NULL)
		{
			snprintf(error, error_len, "entry %d: %s", number, problem);
			return false;
		}
	}
	return true;
}

/*
 * origin_allowed looks an origin up in the list. Where several entries match,
 * the one that grants more decides, so that their order does not matter.
 */
bool
origin_allowed(const char *list, const Origin *origin, OriginRule *rule)
{
	const char *cursor = first_entry(list);
	const char *text;
	size_t		len;
	bool		found = false;

	rule->origin = *origin;
	rule->allow_private = false;

	while (next_entry(&cursor, &text, &len))
	{
		ListEntry	entry;

		if (parse_entry(text, len, &entry) != NULL ||
			entry.origin.https != origin->https ||
			strcmp(entry.origin.host, origin->host) != 0 ||
			(!entry.any_port && entry.origin.port != origin->port))
			continue;

		found = true;
		if (entry.whole_origin)
			rule->allow_private = true;
	}
	return found;
}

/*
 * origin_same tells whether an absolute URL stays on the origin. Anything but
 * printable ASCII, and the backslash, is refused in the whole URL: parsers
 * differ in whether they strip, encode or split at these.
 */
bool
origin_same(const char *url, const Origin *origin)
{
	Authority	authority;

	for (const char *c = url; *c != '\0'; c++)
	{
		if (*c <= ' ' || *c >= 0x7f || *c == '\\')
			return false;
	}

	return parse_authority(url, &authority) == NULL &&
		authority.origin.https == origin->https &&
		authority.origin.port == origin->port &&
		strcmp(authority.origin.host, origin->host) == 0;
}

/*
 * origin_address_is_public is true for what is reachable on the internet.
 */
bool
origin_address_is_public(const struct sockaddr *address)
{
	return net_address_class(address) == NET_ADDRESS_PUBLIC;
}

/*
 * origin_rule_permits decides at the moment a socket opens, on the address
 * that the name resolved to: a check of the name alone would be void once its
 * DNS record points inside.
 */
bool
origin_rule_permits(const OriginRule *rule, const struct sockaddr *address)
{
	switch (net_address_class(address))
	{
		case NET_ADDRESS_PUBLIC:
			return true;
		case NET_ADDRESS_PRIVATE:
			return rule->allow_private;
		case NET_ADDRESS_NEVER:
			break;
	}
	return false;
}

/*
 * parse_authority reads scheme, host and port off the front of a URL.
 * Returns NULL, or what is wrong.
 */
static const char *
parse_authority(const char *text, Authority *authority)
{
	Origin	   *origin = &authority->origin;
	const char *problem;
	const char *port;
	size_t		len;
	size_t		host_len;

	memset(authority, 0, sizeof(*authority));

	if (strncasecmp(text, "https://", 8) == 0)
	{
		origin->https = true;
		text += 8;
	}
	else if (strncasecmp(text, "http://", 7) == 0)
		text += 7;
	else
		return "must begin with https:// or http://";

	len = strcspn(text, "/?#");
	authority->rest = text + len;

	if (memchr(text, '@', len) != NULL)
		return "must not contain user information";

	/* In brackets, colons belong to the address. */
	if (len > 0 && text[0] == '[')
	{
		const char *end = memchr(text, ']', len);

		if (end == NULL)
			return "IPv6 address without a closing bracket";
		host_len = (size_t) (end - text) + 1;
		problem = parse_ipv6(text + 1, host_len - 2, origin);
	}
	else
	{
		port = memchr(text, ':', len);
		host_len = port != NULL ? (size_t) (port - text) : len;
		problem = parse_host(text, host_len, origin);
	}
	if (problem != NULL)
		return problem;

	if (host_len == len)
	{
		origin->port = default_port(origin->https);
		return NULL;
	}
	if (text[host_len] != ':')
		return "unexpected text after the host";
	authority->explicit_port = true;
	return parse_port(text + host_len + 1, len - host_len - 1, origin);
}

/*
 * parse_host reads a DNS name or a dotted IPv4 address, in lower case.
 */
static const char *
parse_host(const char *text, size_t len, Origin *origin)
{
	struct in_addr address;

	if (len == 0)
		return "the host is missing";
	if (len > ORIGIN_MAX_HOST)
		return "the host is too long";

	for (size_t i = 0; i < len; i++)
	{
		char		c = text[i];

		origin->host[i] = (c >= 'A' && c <= 'Z') ? c - 'A' + 'a' : c;
	}
	origin->host[len] = '\0';

	if (!valid_name(origin->host))
		return "the host is not a valid name";

	if (host_is_numeric(origin->host))
	{
		/* inet_pton takes nothing but four decimals without leading zeros. */
		if (inet_pton(AF_INET, origin->host, &address) != 1)
			return "the host is not a dotted decimal IPv4 address";
		origin->host_is_address = true;
	}
	return NULL;
}

/*
 * parse_ipv6 reads an address from between brackets into its canonical form,
 * of which there is one for all ways to write it.
 */
static const char *
parse_ipv6(const char *text, size_t len, Origin *origin)
{
	char		copy[INET6_ADDRSTRLEN];
	struct in6_addr address;

	if (len >= sizeof(copy))
		return "not an IPv6 address";
	memcpy(copy, text, len);
	copy[len] = '\0';

	if (inet_pton(AF_INET6, copy, &address) != 1)
		return "not an IPv6 address";
	inet_ntop(AF_INET6, &address, origin->host, sizeof(origin->host));
	origin->host_is_address = true;
	return NULL;
}

/*
 * parse_port reads 1 to 65535, without sign or leading zero.
 */
static const char *
parse_port(const char *text, size_t len, Origin *origin)
{
	static const char *const problem = "the port is not a number from 1 to 65535";
	unsigned	port = 0;

	if (len == 0 || len > 5 || text[0] == '0')
		return problem;
	for (size_t i = 0; i < len; i++)
	{
		if (text[i] < '0' || text[i] > '9')
			return problem;
		port = port * 10 + (unsigned) (text[i] - '0');
	}
	if (port > UINT16_MAX)
		return problem;
	origin->port = (uint16_t) port;
	return NULL;
}

/*
 * parse_entry reads one entry of the allowed list.
 */
static const char *
parse_entry(const char *text, size_t len, ListEntry *entry)
{
	static const char any_port[] = ":*";
	const size_t any_port_len = sizeof(any_port) - 1;
	char		copy[ORIGIN_MAX_TEXT + 1];
	Authority	authority;
	const char *problem;

	memset(entry, 0, sizeof(*entry));
	if (len == 0)
		return "is empty";
	if (len >= sizeof(copy))
		return "is too long";
	memcpy(copy, text, len);
	copy[len] = '\0';

	entry->whole_origin = strstr(copy, "://") != NULL;
	if (!entry->whole_origin)
	{
		entry->origin.https = true;
		entry->origin.port = default_port(entry->origin.https);
		problem = parse_host(copy, len, &entry->origin);
		if (problem != NULL)
			return problem;
		if (entry->origin.host_is_address &&
			net_address_literal_class(entry->origin.host) != NET_ADDRESS_PUBLIC)
			return "is not a public address; to allow it, write the whole"
				" origin, as https://host:port";
		return NULL;
	}

	if (len > any_port_len &&
		strcmp(copy + len - any_port_len, any_port) == 0)
	{
		entry->any_port = true;
		copy[len - any_port_len] = '\0';
	}

	problem = parse_authority(copy, &authority);
	if (problem != NULL)
		return problem;
	if (authority.rest[0] != '\0' && strcmp(authority.rest, "/") != 0)
		return "must not have a path, query or fragment";
	if (entry->any_port &&
		(authority.explicit_port || authority.rest[0] != '\0'))
		return "the port is not a number from 1 to 65535";
	if (authority.origin.host_is_address &&
		net_address_literal_class(authority.origin.host) == NET_ADDRESS_NEVER)
		return "is an address that can never be allowed";

	entry->origin = authority.origin;
	return NULL;
}

/*
 * first_entry is where next_entry begins; NULL for the empty list.
 */
static const char *
first_entry(const char *list)
{
	return list[strspn(list, list_blanks)] != '\0' ? list : NULL;
}

/*
 * next_entry cuts one entry off a list, without the blanks around it. The
 * cursor is NULL after the last, so that a trailing comma leaves an empty one.
 */
static bool
next_entry(const char **cursor, const char **text, size_t *len)
{
	const char *start = *cursor;
	size_t		span;

	if (start == NULL)
		return false;

	span = strcspn(start, ",");
	*cursor = start[span] == ',' ? start + span + 1 : NULL;

	while (span > 0 && strchr(list_blanks, *start) != NULL)
	{
		start++;
		span--;
	}
	while (span > 0 && strchr(list_blanks, start[span - 1]) != NULL)
		span--;

	*text = start;
	*len = span;
	return true;
}

/*
 * valid_name checks for lower-case letters, digits and hyphens in labels that are neither
 * empty nor too long. That leaves no room for percent escapes, for
 * internationalised names not in punycode, or for a trailing dot.
 */
static bool
valid_name(const char *host)
{
	for (;;)
	{
		size_t		len = strcspn(host, ".");

		if (len == 0 || len > MAX_LABEL || host[0] == '-' ||
			host[len - 1] == '-')
			return false;
		if (strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789-") < len)
			return false;
		if (host[len] == '\0')
			return true;
		host += len + 1;
	}
}

/*
 * host_is_numeric tells whether a resolver could take a valid name for an
 * IPv4 address in some notation (127.1, 0x7f.1, 017700000001): its last label
 * is a decimal, octal or hexadecimal number. No top-level domain is one.
 */
static bool
host_is_numeric(const char *host)
{
	const char *dot = strrchr(host, '.');
	const char *last = dot != NULL ? dot + 1 : host;

	if (strncmp(last, "0x", 2) == 0)
		return last[2 + strspn(last + 2, "0123456789abcdef")] == '\0';
	return last[strspn(last, "0123456789")] == '\0';
}

/*
 * default_port is the one that a URL leaves out.
 */
static uint16_t
default_port(bool https)
{
	return https ? 443 : 80;
}
