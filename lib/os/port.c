/* SPDX-License-Identifier: MIT */
#include "os/port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PICKS_MAX = 16 };

/* Bind to that port, 0: any. Returns the port; 0: errno says why not. */
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

static void close_both(int first, int second)
{
	int saved = errno;

	if (first >= 0)
		close(first);
	if (second >= 0)
		close(second);
	errno = saved;
}

/* Bind for each protocol to that port, 0: any. Returns the port; 0: errno says why not. */
static uint16_t bind_for_a_moment(bool tcp, bool udp, uint16_t port)
{
	int first = -1, second = -1;

	port = bind_to(&first, tcp ? SOCK_STREAM : SOCK_DGRAM, port);
	if (port && tcp && udp)
		port = bind_to(&second, SOCK_DGRAM, port);
	close_both(first, second);
	return port;
}

enum os_status port_try(bool tcp, bool udp, uint16_t port)
{
	if (bind_for_a_moment(tcp, udp, port))
		return OS_OK;
	if (errno == EADDRINUSE || errno == EACCES)
		errno = 0;
	return OS_FAILED;
}

enum os_status port_pick(bool tcp, bool udp, uint16_t *port)
{
	*port = 0;
	for (int picks = 0; picks < PICKS_MAX && !*port; picks++) {
		*port = bind_for_a_moment(tcp, udp, 0);
		if (!*port && errno != EADDRINUSE)
			return OS_FAILED;
	}
	errno = 0;
	return *port ? OS_OK : OS_FAILED;
}
