/* SPDX-License-Identifier: MIT */
/* Open a mapping and leave it to its lifetime: map INTERNAL_PORT [GATEWAY[:PORT]] */
#include <natpmpc.h>
#include <stdio.h>

#include "gateway.h"

int main(int argc, char **argv)
{
	natpmp_options options = NATPMP_OPTIONS_INIT;
	natpmp_mapping m = {.protocol = NATPMP_TCP};
	natpmp_ctx *ctx;
	char gateway[64];
	int status;

	if (argc < 2) {
		fprintf(stderr, "usage: map INTERNAL_PORT [GATEWAY[:PORT]]\n");
		return 2;
	}
	m.internal_port = (uint16_t)read_number(argv[1], 65535, "");
	name_gateway(&options, gateway, argc > 2 ? argv[2] : NULL);

	status = natpmp_new(&ctx, &options);
	if (status == NATPMP_OK)
		status = natpmp_map(ctx, &m);
	if (status == NATPMP_OK)
		printf("%s:%u is %s:%u for %u s\n", m.external_address, m.external_port,
		       m.internal_address, m.internal_port, m.lifetime);
	else
		fprintf(stderr, "map: %s\n", natpmp_strerror(status));
	natpmp_free(ctx);
	return status != NATPMP_OK;
}
