/* SPDX-License-Identifier: MIT */
/* link_v4.h - client_on_link() with IPv4 addresses as numbers. */
#ifndef LINK_V4_H
#define LINK_V4_H

#include "core/client.h"

/* 0: no address. */
static inline void client_on_link_v4(struct client *client, instant now, int status,
				     uint32_t gateway, uint32_t own)
{
	struct ip_address address = ip_from_v4(gateway), own_address = ip_from_v4(own);

	client_on_link(client, now, status, &address, &own_address);
}

#endif
