/* SPDX-License-Identifier: MIT */
#include "listen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TCP_LISTEN = 0x0a, UDP_UNCONNECTED = 0x07 }; /* the "st" of proc(5) */

/* "0: 0100007F:1F90 00000000:0000 0A ...": the number of the line, this end, the other, state. */
static bool is_of(char *line, unsigned long state, unsigned long port)
{
	char *rest = line, *word[4] = {NULL}, *colon;

	for (size_t i = 0; i < 4; i++) {
		word[i] = strtok_r(i ? NULL : line, " ", &rest);
		if (!word[i])
			return false;
	}
	colon = strchr(word[1], ':');
	return colon && strtoul(colon + 1, NULL, 16) == port && strtoul(word[3], NULL, 16) == state;
}

/* -1: there is no such file. */
static int look_into(const char *file, unsigned long state, unsigned long port)
{
	FILE *in = fopen(file, "re");
	char line[400];
	int found = 0;

	if (!in)
		return -1;
	while (!found && fgets(line, sizeof(line), in))
		found = is_of(line, state, port);
	fclose(in);
	return found;
}

bool is_listened_to(natpmp_family family, natpmp_protocol protocol, unsigned port)
{
	bool v4 = family == NATPMP_IPV4;
	int tcp = look_into(v4 ? "/proc/net/tcp" : "/proc/net/tcp6", TCP_LISTEN, port);
	int udp = look_into(v4 ? "/proc/net/udp" : "/proc/net/udp6", UDP_UNCONNECTED, port);

	/* A socket of IPv6 hears both, as a rule. */
	if (v4 && !tcp)
		tcp = look_into("/proc/net/tcp6", TCP_LISTEN, port) > 0;
	if (v4 && !udp)
		udp = look_into("/proc/net/udp6", UDP_UNCONNECTED, port) > 0;
	return (protocol & NATPMP_TCP && tcp) || (protocol & NATPMP_UDP && udp);
}
