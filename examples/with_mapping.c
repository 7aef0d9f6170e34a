/* SPDX-License-Identifier: MIT */
/*
 * The gem's example,
 *     NATPMP.map 633, 13033, 10, :tcp do |map| ... end
 * in C: hold a mapping for as long as a function runs. Here the function reads lines until the
 * end of its input, and for each tells the mapping as it is then.
 *
 * with_mapping INTERNAL EXTERNAL LIFETIME tcp|udp|both [GATEWAY[:PORT]]
 */
#include <natpmpc.h>
#include <stdio.h>
#include <string.h>

#include "gateway.h"

static void print(const natpmp_state *state)
{
	const natpmp_mapping *m = &state->mapping;

	if (state->status == NATPMP_OK)
		printf("up %s:%u %s:%u %u\n", m->external_address, m->external_port,
		       m->internal_address, m->internal_port, m->lifetime);
	else
		printf("down %s\n", natpmp_strerror(state->status));
	fflush(stdout);
}

static int body(natpmp_lease *lease, const natpmp_mapping *mapping, void *arg)
{
	natpmp_state state = {.status = NATPMP_OK, .mapping = *mapping};
	char line[80];

	(void)arg;
	print(&state);
	while (fgets(line, sizeof(line), stdin)) {
		natpmp_lease_state(lease, &state);
		print(&state);
	}
	return 0; /* and the mapping is closed */
}

int main(int argc, char **argv)
{
	natpmp_options options = NATPMP_OPTIONS_INIT;
	natpmp_mapping wanted = {0};
	natpmp_ctx *ctx;
	char gateway[64];
	int status;

	if (argc < 5) {
		fprintf(stderr, "usage: with_mapping INTERNAL EXTERNAL LIFETIME tcp|udp|both "
				"[GATEWAY[:PORT]]\n");
		return 2;
	}
	wanted.internal_port = (uint16_t)read_number(argv[1], 65535, "");
	wanted.external_port = (uint16_t)read_number(argv[2], 65535, "");
	wanted.lifetime = (uint32_t)read_number(argv[3], UINT32_MAX, "");
	wanted.protocol = !strcmp(argv[4], "udp")   ? NATPMP_UDP
			  : !strcmp(argv[4], "tcp") ? NATPMP_TCP
						    : NATPMP_TCP_UDP;
	name_gateway(&options, gateway, argc > 5 ? argv[5] : NULL);

	status = natpmp_new(&ctx, &options);
	if (status == NATPMP_OK)
		status = natpmp_with_mapping(ctx, &wanted, body, NULL);
	if (status != NATPMP_OK)
		fprintf(stderr, "with_mapping: %s\n", natpmp_strerror(status));
	natpmp_free(ctx);
	return status != NATPMP_OK;
}
