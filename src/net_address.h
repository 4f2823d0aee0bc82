/*-------------------------------------------------------------------------
 *
 * net_address.h
 *	  Which network addresses lie on the internet, and which do not.
 *
 * IDENTIFICATION
 *	  src/net_address.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_NET_ADDRESS_H
#define SYNC_ENGINE_NET_ADDRESS_H

struct sockaddr;

/*
 * NetAddressClass: PRIVATE needs a rule that allows it. NEVER is what no API
 * is served from and what attacks aim at: link-local (cloud metadata
 * services), multicast, unspecified, reserved, and tunnels that hide another
 * address.
 */
typedef enum NetAddressClass
{
	NET_ADDRESS_PUBLIC,
	NET_ADDRESS_PRIVATE,
	NET_ADDRESS_NEVER
} NetAddressClass;

extern NetAddressClass net_address_class(const struct sockaddr *address);

/* Of a dotted IPv4 or an IPv6 address (no brackets); else NEVER. */
extern NetAddressClass net_address_literal_class(const char *host);

#endif							/* SYNC_ENGINE_NET_ADDRESS_H */
