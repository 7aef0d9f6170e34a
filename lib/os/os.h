/* SPDX-License-Identifier: MIT */
/*
 * os - what all headers here share. Each header has one source file per system, and shows no type,
 * flag or error number of a system, except errno where it says so. Ports are in host order.
 *
 * Functions block only where their comment says so. Programs that are executed do not inherit
 * handles.
 */
#ifndef OS_OS_H
#define OS_OS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/ip.h" /* an address is the same thing everywhere */

/* A socket or another thing to wait for. */
typedef int os_handle;
#define NO_HANDLE (-1)

enum os_family { OS_IPV4, OS_IPV6 };

/* The other end of a conversation. */
struct endpoint {
	struct ip_address address;
	unsigned scope; /* the interface, by its number, if the address needs one; else 0 */
	uint16_t port;
};

/* Is it a link-local IPv6 address, which means something else on each interface? */
static inline bool needs_scope(const struct ip_address *ip)
{
	return ip->bytes[0] == 0xfe && (ip->bytes[1] & 0xc0) == 0x80;
}

enum { OS_INTERFACE_LEN = 32 }; /* room for the name of a network interface and its final 0 */

enum os_status {
	OS_OK,
	OS_NO_ROUTE,     /* no way to that destination, or it is forbidden */
	OS_NO_INTERFACE, /* no network interface of that name */
	OS_NOT_OURS,     /* the source address is not this host's */
	OS_DENIED,       /* the system does not let this program ask */
	OS_NO_MEMORY,
	OS_FAILED /* anything else; errno has the system's number, for people to read */
};

#endif
