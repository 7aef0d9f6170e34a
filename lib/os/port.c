/* SPDX-License-Identifier: MIT */
#include "os/port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PICKS_MAX = 16 };

static int bind_v4(int fd, uint16_t port)
{
	struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(port)};

	return bind(fd, (struct sockaddr *)&here, sizeof(here));
}

/* For both families, whatever the system's default is. */
static int bind_v6(int fd, uint16_t port)
{
	struct sockaddr_in6 here = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int off = 0;

	if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0)
		return -1;
	return bind(fd, (struct sockaddr *)&here, sizeof(here));
}

/* Bind to that port, 0: any. Returns the port; 0: errno says why not. */
static uint16_t bind_to(int *fd, enum os_family family, int type, uint16_t port)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} here = {.v6 = {0}};
	socklen_t len = sizeof(here);
	bool is_v6 = family == OS_IPV6;

	*fd = socket(is_v6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC, 0);
	if (*fd < 0 || (is_v6 ? bind_v6(*fd, port) : bind_v4(*fd, port)) < 0 ||
	    getsockname(*fd, &here.any, &len) < 0)
		return 0;
	return ntohs(is_v6 ? here.v6.sin6_port : here.v4.sin_port);
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
static uint16_t bind_for_a_moment(enum os_family family, bool tcp, bool udp, uint16_t port)
{
	int first = -1, second = -1;

	port = bind_to(&first, family, tcp ? SOCK_STREAM : SOCK_DGRAM, port);
	if (port && tcp && udp)
		port = bind_to(&second, family, SOCK_DGRAM, port);
	close_both(first, second);
	return port;
}

enum os_status port_try(enum os_family family, bool tcp, bool udp, uint16_t port)
{
	if (bind_for_a_moment(family, tcp, udp, port))
		return OS_OK;
	if (errno == EADDRINUSE || errno == EACCES)
		errno = 0;
	return OS_FAILED;
}

enum os_status port_pick(enum os_family family, bool tcp, bool udp, uint16_t *port)
{
	*port = 0;
	for (int picks = 0; picks < PICKS_MAX && !*port; picks++) {
		*port = bind_for_a_moment(family, tcp, udp, 0);
		if (!*port && errno != EADDRINUSE)
			return OS_FAILED;
	}
	errno = 0;
	return *port ? OS_OK : OS_FAILED;
}
