/* SPDX-License-Identifier: MIT */
/*
 * Hold mappings in a loop of one's own: poll() on the library's one descriptor beside one's own,
 * here standard input; the end of it ends the program.
 *
 * poll_loop GATEWAY[:PORT]|default INTERNAL_PORT[/udp]...
 */
#include <natpmpc.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gateway.h"

static void on_event(natpmp_lease *lease, const natpmp_state *before, const natpmp_state *now,
		     void *arg)
{
	const natpmp_mapping *m = &now->mapping;

	(void)lease;
	(void)before;
	(void)arg;
	if (now->status == NATPMP_OK)
		printf("up %s:%u %s:%u\n", m->external_address, m->external_port,
		       m->internal_address, m->internal_port);
	else
		printf("down %u: %s\n", m->internal_port, natpmp_strerror(now->status));
	fflush(stdout);
}

static int hold(natpmp_ctx *ctx, const char *text)
{
	natpmp_mapping wanted = {
		.protocol = strstr(text, "/udp") ? NATPMP_UDP : NATPMP_TCP,
		.internal_port = (uint16_t)read_number(text, 65535, "/"),
	};
	natpmp_lease *lease; /* natpmp_free() lets go of it, so nobody keeps it here */

	return natpmp_hold(ctx, &wanted, on_event, NULL, &lease);
}

static void loop(natpmp_ctx *ctx)
{
	struct pollfd fds[2] = {
		{.fd = natpmp_fd(ctx), .events = POLLIN},
		{.fd = STDIN_FILENO, .events = POLLIN},
	};
	char input[256];
	bool more = true;

	while (more) {
		poll(fds, 2, natpmp_timeout(ctx));
		natpmp_process(ctx);
		if (fds[1].revents)
			more = read(STDIN_FILENO, input, sizeof(input)) > 0;
	}
}

int main(int argc, char **argv)
{
	natpmp_options options = NATPMP_OPTIONS_INIT;
	natpmp_ctx *ctx;
	char gateway[64];
	int status;

	if (argc < 3) {
		fprintf(stderr, "usage: poll_loop GATEWAY[:PORT]|default INTERNAL_PORT[/udp]...\n");
		return 2;
	}
	if (strcmp(argv[1], "default") != 0)
		name_gateway(&options, gateway, argv[1]);
	status = natpmp_new(&ctx, &options);
	for (int i = 2; i < argc && status == NATPMP_OK; i++)
		status = hold(ctx, argv[i]);
	if (status == NATPMP_OK)
		loop(ctx);
	else
		fprintf(stderr, "poll_loop: %s\n", natpmp_strerror(status));
	natpmp_free(ctx);
	return status != NATPMP_OK;
}
