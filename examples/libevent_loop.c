/* SPDX-License-Identifier: MIT */
/*
 * The same in libevent: two mappings, one event that is the descriptor and the timer at once.
 *
 * libevent_loop GATEWAY[:PORT]|default TCP_PORT UDP_PORT
 */
#include <event2/event.h>
#include <natpmpc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "gateway.h"

struct program {
	struct event_base *base;
	struct event *event;
	natpmp_ctx *ctx;
};

static void wait_on(struct program *program)
{
	int ms = natpmp_timeout(program->ctx);
	struct timeval timeout = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	event_add(program->event, ms < 0 ? NULL : &timeout);
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct program *program = arg;

	(void)fd;
	(void)what;
	natpmp_process(program->ctx);
	wait_on(program);
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
	struct program *program = arg;

	(void)number;
	(void)what;
	event_base_loopbreak(program->base);
}

static void on_mapping(natpmp_lease *lease, const natpmp_state *before, const natpmp_state *now,
		       void *name)
{
	const natpmp_mapping *m = &now->mapping;

	(void)lease;
	(void)before;
	if (now->status == NATPMP_OK)
		printf("%s up %s:%u\n", (const char *)name, m->external_address, m->external_port);
	else
		printf("%s down: %s\n", (const char *)name, natpmp_strerror(now->status));
	fflush(stdout);
}

int main(int argc, char **argv)
{
	natpmp_options options = NATPMP_OPTIONS_INIT;
	struct program program = {0};
	struct event *term = NULL, *interrupt = NULL;
	natpmp_mapping tcp = {.protocol = NATPMP_TCP}, udp = {.protocol = NATPMP_UDP};
	natpmp_lease *lease;
	char gateway[64], tcp_name[] = "tcp", udp_name[] = "udp";
	int status;

	if (argc != 4) {
		fprintf(stderr, "usage: libevent_loop GATEWAY[:PORT]|default TCP_PORT UDP_PORT\n");
		return 2;
	}
	if (strcmp(argv[1], "default") != 0)
		name_gateway(&options, gateway, argv[1]);
	tcp.internal_port = (uint16_t)read_number(argv[2], 65535, "");
	udp.internal_port = (uint16_t)read_number(argv[3], 65535, "");

	program.base = event_base_new();
	status = program.base ? natpmp_new(&program.ctx, &options) : NATPMP_E_NO_MEMORY;
	if (!status)
		status = natpmp_hold(program.ctx, &tcp, on_mapping, tcp_name, &lease);
	if (!status)
		status = natpmp_hold(program.ctx, &udp, on_mapping, udp_name, &lease);
	if (status) {
		fprintf(stderr, "libevent_loop: %s\n", natpmp_strerror(status));
		goto cleanup;
	}
	program.event =
		event_new(program.base, natpmp_fd(program.ctx), EV_READ, on_ready, &program);
	term = evsignal_new(program.base, SIGTERM, on_signal, &program);
	interrupt = evsignal_new(program.base, SIGINT, on_signal, &program);
	event_add(term, NULL);
	event_add(interrupt, NULL);
	wait_on(&program);
	event_base_dispatch(program.base);
cleanup:
	natpmp_free(program.ctx); /* closes both mappings */
	if (program.event)
		event_free(program.event);
	if (term)
		event_free(term);
	if (interrupt)
		event_free(interrupt);
	if (program.base)
		event_base_free(program.base);
	return status != NATPMP_OK;
}
