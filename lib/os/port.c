/* SPDX-License-Identifier: MIT */
#include "os/port.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

/* Bind to that port, 0 = any; returns the port, 0 on failure. */
static uint16_t bind_to(int *fd, int type, uint16_t port)
{
	struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(port)};
	socklen_t len = sizeof(here);

	*fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	if (*fd < 0 || bind(*fd, (struct sockaddr *)&here, sizeof(here)) < 0 ||
	    getsockname(*fd, (struct sockaddr *)&here, &len) < 0)
		return 0;
	return ntohs(here.sin_port);
}

uint16_t port_pick(bool tcp, bool udp)
{
	uint16_t port = 0;

	for (int tries = 0; tries < 16 && !port; tries++) {
		int first = -1, second = -1;

		port = bind_to(&first, tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
		if (port && tcp && udp)
			port = bind_to(&second, SOCK_DGRAM, port);
		if (first >= 0)
			close(first);
		if (second >= 0)
			close(second);
	}
	return port;
}
