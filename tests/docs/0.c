#include <natpmpc.h>
#include <stdio.h>

int main(void)
{
	natpmp_ctx *ctx;
	natpmp_mapping m = {.protocol = NATPMP_TCP, .internal_port = 6881};
	int status = natpmp_new(&ctx, NULL);

	if (status == NATPMP_OK)
		status = natpmp_map(ctx, &m);
	if (status == NATPMP_OK)
		printf("%s:%u\en", m.external_address, m.external_port);
	else
		fprintf(stderr, "%s\en", natpmp_strerror(status));
	natpmp_free(ctx);
	return status != NATPMP_OK;
}
