/* SPDX-License-Identifier: MIT */
#include "client.h"

#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SKIPPED = 77 };

natpmp_ctx *client(uint16_t port, uint32_t deadline)
{
	return client_of(NATPMP_DIALECT_NATPMP, port, deadline);
}

natpmp_ctx *client_of(natpmp_dialect dialect, uint16_t port, uint32_t deadline)
{
	natpmp_options options = NATPMP_OPTIONS_INIT;
	natpmp_ctx *ctx;

	options.gateway = "127.0.0.1";
	options.gateway_port = port;
	options.deadline = deadline;
	options.dialect = dialect;
	ok(natpmp_new(&ctx, &options));
	return ctx;
}

natpmp_mapping wanted(natpmp_protocol protocol, uint16_t internal_port, uint32_t lifetime)
{
	return (natpmp_mapping){
		.protocol = protocol, .internal_port = internal_port, .lifetime = lifetime};
}

void note_event(natpmp_lease *lease, const natpmp_state *before, const natpmp_state *now, void *arg)
{
	struct events *events = arg;

	ck_assert_uint_lt(events->count, EVENTS_MAX);
	events->at[events->count].lease = lease;
	events->at[events->count].before = *before;
	events->at[events->count].now = *now;
	events->count++;
}

/* One round of the loop that the header describes. */
static void turn(natpmp_ctx *ctx, uint64_t until)
{
	struct pollfd fd = {.fd = natpmp_fd(ctx), .events = POLLIN};
	uint64_t now = now_ms();
	int rest = until > now ? (int)(until - now) : 0, timeout = natpmp_timeout(ctx);

	poll(&fd, 1, timeout < 0 || timeout > rest ? rest : timeout);
	ok(natpmp_process(ctx));
}

bool drive(natpmp_ctx *ctx, const struct events *events, size_t count, unsigned ms)
{
	uint64_t until = now_ms() + ms;

	while (events->count < count && now_ms() < until)
		turn(ctx, until);
	return events->count >= count;
}

bool drive_to(natpmp_ctx *ctx, natpmp_lease *lease, int status, unsigned ms)
{
	uint64_t until = now_ms() + ms;
	natpmp_state state;

	ok(natpmp_lease_state(lease, &state));
	while (state.status != status && now_ms() < until) {
		turn(ctx, until);
		ok(natpmp_lease_state(lease, &state));
	}
	return state.status == status;
}

natpmp_lease *hold_up(natpmp_ctx *ctx, natpmp_protocol protocol, uint16_t port,
		      struct events *events)
{
	natpmp_mapping mapping = wanted(protocol, port, 7200);
	natpmp_lease *lease;

	ok(natpmp_hold(ctx, &mapping, events ? note_event : NULL, events, &lease));
	ck_assert(drive_to(ctx, lease, NATPMP_OK, SOON));
	return lease;
}

static bool raise_loopback(void)
{
	struct ifreq lo = {.ifr_name = "lo"};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return false;
	bool up = ioctl(fd, SIOCGIFFLAGS, &lo) == 0;
	lo.ifr_flags |= IFF_UP | IFF_RUNNING;
	up = up && ioctl(fd, SIOCSIFFLAGS, &lo) == 0;
	close(fd);
	return up;
}

int enter_network(void)
{
	const char *no_skip = getenv("NATPMPC_NO_SKIP");
	bool entered = unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0;

	if (entered && raise_loopback())
		return 0;
	fprintf(stderr, "no network namespace to be had\n");
	return no_skip && strcmp(no_skip, "1") == 0 ? EXIT_FAILURE : SKIPPED;
}
