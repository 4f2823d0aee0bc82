/*-------------------------------------------------------------------------
 *
 * net_address.c
 *	  Classifies IPv4 and IPv6 addresses by the IANA special-purpose
 *	  registries.
 *
 * Pure functions without state or I/O: it must never resolve a name. An
 * address that carries another one (v4-mapped, NAT64) counts as that one.
 *
 * IDENTIFICATION
 *	  src/net_address.c
 *
 *-------------------------------------------------------------------------
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "net_address.h"

static NetAddressClass ipv4_class(const uint8_t *address);
static NetAddressClass ipv6_class(const uint8_t *address);
static bool has_prefix(const uint8_t *address, const uint8_t *prefix, int bits);


/*
 * net_address_literal_class classifies a host that is an address.
 */
NetAddressClass
net_address_literal_class(const char *host)
{
	struct in_addr ipv4;
	struct in6_addr ipv6;

	if (inet_pton(AF_INET, host, &ipv4) == 1)
		return ipv4_class((const uint8_t *) &ipv4.s_addr);
	if (inet_pton(AF_INET6, host, &ipv6) == 1)
		return ipv6_class(ipv6.s6_addr);
	return NET_ADDRESS_NEVER;
}

/*
 * net_address_class classifies a socket address; other families never connect.
 */
NetAddressClass
net_address_class(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET)
	{
		struct sockaddr_in ipv4;

		memcpy(&ipv4, address, sizeof(ipv4));
		return ipv4_class((const uint8_t *) &ipv4.sin_addr.s_addr);
	}
	if (address->sa_family == AF_INET6)
	{
		struct sockaddr_in6 ipv6;

		memcpy(&ipv6, address, sizeof(ipv6));
		return ipv6_class(ipv6.sin6_addr.s6_addr);
	}
	return NET_ADDRESS_NEVER;
}

/*
 * ipv4_class follows the IANA special-purpose registry (RFC 6890): what is
 * not listed is public.
 */
static NetAddressClass
ipv4_class(const uint8_t *address)
{
	static const struct
	{
		uint8_t		prefix[4];
		int			bits;
		NetAddressClass class;
	}			ranges[] = {
		{{0, 0, 0, 0}, 8, NET_ADDRESS_NEVER},	/* "this network" */
		{{10, 0, 0, 0}, 8, NET_ADDRESS_PRIVATE},
		{{100, 64, 0, 0}, 10, NET_ADDRESS_PRIVATE}, /* carrier-grade NAT */
		{{127, 0, 0, 0}, 8, NET_ADDRESS_PRIVATE},
		{{169, 254, 0, 0}, 16, NET_ADDRESS_NEVER},	/* link-local, metadata */
		{{172, 16, 0, 0}, 12, NET_ADDRESS_PRIVATE},
		{{192, 0, 0, 0}, 24, NET_ADDRESS_NEVER},	/* protocol assignments */
		{{192, 0, 2, 0}, 24, NET_ADDRESS_NEVER},	/* documentation */
		{{192, 88, 99, 0}, 24, NET_ADDRESS_NEVER},	/* 6to4 relays */
		{{192, 168, 0, 0}, 16, NET_ADDRESS_PRIVATE},
		{{198, 18, 0, 0}, 15, NET_ADDRESS_PRIVATE}, /* benchmarking networks */
		{{198, 51, 100, 0}, 24, NET_ADDRESS_NEVER}, /* documentation */
		{{203, 0, 113, 0}, 24, NET_ADDRESS_NEVER},	/* documentation */
		{{224, 0, 0, 0}, 4, NET_ADDRESS_NEVER}, /* multicast */
		{{240, 0, 0, 0}, 4, NET_ADDRESS_NEVER}, /* reserved, broadcast */
	};

	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
	{
		if (has_prefix(address, ranges[i].prefix, ranges[i].bits))
			return ranges[i].class;
	}
	return NET_ADDRESS_PUBLIC;
}

/*
 * ipv6_class: only 2000::/3 is in use for global addresses, so here what is
 * not listed is refused.
 */
static NetAddressClass
ipv6_class(const uint8_t *address)
{
	static const struct
	{
		uint8_t		prefix[16];
		int			bits;
		NetAddressClass class;
	}			ranges[] = {
		{{[15] = 1}, 128, NET_ADDRESS_PRIVATE}, /* ::1 */
		{{0xfc}, 7, NET_ADDRESS_PRIVATE},	/* unique local */
		{{0x20, 0x01, 0x00, 0x00}, 23, NET_ADDRESS_NEVER},	/* Teredo, ORCHID */
		{{0x20, 0x01, 0x0d, 0xb8}, 32, NET_ADDRESS_NEVER},	/* documentation */
		{{0x20, 0x02}, 16, NET_ADDRESS_NEVER},	/* 6to4 */
		{{0x3f, 0xff}, 20, NET_ADDRESS_NEVER},	/* documentation */
		{{0x20}, 3, NET_ADDRESS_PUBLIC},
	};

	/* Prefixes of IPv6 that only carry an IPv4 address behind them. */
	static const uint8_t v4_mapped[16] = {[10] = 0xff, [11] = 0xff};
	static const uint8_t nat64[16] = {0x00, 0x64, 0xff, 0x9b};

	if (has_prefix(address, v4_mapped, 96) || has_prefix(address, nat64, 96))
		return ipv4_class(address + 12);

	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
	{
		if (has_prefix(address, ranges[i].prefix, ranges[i].bits))
			return ranges[i].class;
	}
	return NET_ADDRESS_NEVER;
}

/*
 * has_prefix compares the first bits of two addresses in network order.
 */
static bool
has_prefix(const uint8_t *address, const uint8_t *prefix, int bits)
{
	int			whole = bits / 8;
	int			rest = bits % 8;

	return memcmp(address, prefix, (size_t) whole) == 0 &&
		(rest == 0 ||
		 ((address[whole] ^ prefix[whole]) >> (8 - rest)) == 0);
}
