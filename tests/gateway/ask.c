/* SPDX-License-Identifier: MIT */
#include "ask.h"

#include "journal.h"
#include "model.h"
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATIENCE = 3000 }; /* ms */

static bool wait_for(int fd, uint64_t deadline)
{
	struct pollfd wanted = {.fd = fd, .events = POLLIN};
	uint64_t now = journal_now();

	return now < deadline && poll(&wanted, 1, (int)(deadline - now)) > 0;
}

/* False when it was neither an answer nor a refusal. */
static bool print_next(int fd)
{
	uint8_t bytes[2 * MODEL_PACKET_MAX];
	union endpoint from;
	socklen_t size = sizeof(from);
	char text[TEXT_ENDPOINT];
	ssize_t len = recvfrom(fd, bytes, sizeof(bytes), 0, &from.any, &size);

	if (len < 0) {
		bool refused = errno == ECONNREFUSED;

		(void)recv(fd, bytes, sizeof(bytes),
			   MSG_ERRQUEUE); /* or poll() reports it for ever */
		if (refused)
			puts("refused");
		return refused;
	}
	for (ssize_t i = 0; i < len; i++)
		printf("%02x", bytes[i]);
	printf(" from %s\n", text_of_endpoint(&from, text));
	return true;
}

int ask(const union endpoint *from, const union endpoint *to, const uint8_t *bytes, size_t len,
	unsigned count)
{
	uint64_t deadline = journal_now() + PATIENCE;
	int on = 1;
	int status = 2;
	bool ipv6 = to->any.sa_family == AF_INET6;
	int fd = socket(to->any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	/* Not connected, since strangers shall be heard too; so ask for ICMP errors. */
	if (fd < 0 ||
	    setsockopt(fd, ipv6 ? IPPROTO_IPV6 : IPPROTO_IP, ipv6 ? IPV6_RECVERR : IP_RECVERR, &on,
		       sizeof(on)) < 0 ||
	    bind(fd, &from->any, endpoint_size(from)) < 0 ||
	    sendto(fd, bytes, len, 0, &to->any, endpoint_size(to)) < 0) {
		fprintf(stderr, "gatewayd: cannot ask: %s\n", strerror(errno));
		goto cleanup;
	}
	while (count && wait_for(fd, deadline))
		if (print_next(fd))
			count--;
	status = count ? 1 : 0;
cleanup:
	if (fd >= 0)
		close(fd);
	return status;
}
