#include <natpmpc.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

static void on_event(natpmp_lease *lease, const natpmp_state *before,
		     const natpmp_state *now, void *arg)
{
	(void)lease, (void)before, (void)arg;
	if (now->status == NATPMP_OK)
		printf("%s:%u\en", now->mapping.external_address,
		       now->mapping.external_port);
	else
		printf("down: %s\en", natpmp_strerror(now->status));
}

int main(void)
{
	natpmp_ctx *ctx;
	natpmp_lease *lease;
	natpmp_mapping wanted = {.protocol = NATPMP_UDP, .internal_port = 6881};
	int status = natpmp_new(&ctx, NULL);

	if (status == NATPMP_OK)
		status = natpmp_hold(ctx, &wanted, on_event, NULL, &lease);
	while (status == NATPMP_OK) {
		struct pollfd fds[2] = {
			{.fd = natpmp_fd(ctx), .events = POLLIN},
			{.fd = STDIN_FILENO, .events = POLLIN},
		};

		poll(fds, 2, natpmp_timeout(ctx));
		status = natpmp_process(ctx);
		if (fds[1].revents)
			break;
	}
	natpmp_free(ctx);
	return status != NATPMP_OK;
}
