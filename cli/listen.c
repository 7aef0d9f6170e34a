/* SPDX-License-Identifier: MIT */
#include "listen.h"

#include <stdio.h>

enum { TCP_LISTEN = 0x0a, UDP_UNCONNECTED = 0x07 }; /* the "st" of proc(5) */

/* -1: there is no such file. */
static int look_into(const char *file, unsigned state, unsigned port)
{
	FILE *in = fopen(file, "re");
	unsigned its_port, its_state;
	char line[400];
	int found = 0;

	if (!in)
		return -1;
	while (!found && fgets(line, sizeof(line), in))
		found = sscanf(line, " %*u: %*[0-9A-Fa-f]:%x %*s %x", &its_port, &its_state) == 2 &&
			its_port == port && its_state == state;
	fclose(in);
	return found;
}

bool is_listened_to(natpmp_protocol protocol, unsigned port)
{
	int tcp = look_into("/proc/net/tcp", TCP_LISTEN, port);
	int udp = look_into("/proc/net/udp", UDP_UNCONNECTED, port);

	if (!tcp)
		tcp = look_into("/proc/net/tcp6", TCP_LISTEN, port) > 0;
	if (!udp)
		udp = look_into("/proc/net/udp6", UDP_UNCONNECTED, port) > 0;
	return (protocol & NATPMP_TCP && tcp) || (protocol & NATPMP_UDP && udp);
}
