#include <natpmpc.h>
#include <stdio.h>

static int serve(natpmp_lease *lease, const natpmp_mapping *mapping, void *arg)
{
	natpmp_state state;

	(void)arg;
	printf("listen on %u, press Enter to end\en", mapping->internal_port);
	getchar();
	if (natpmp_lease_state(lease, &state) == NATPMP_OK)
		printf("it is %s\en", state.status == NATPMP_OK ? "up" : "down");
	return 0;
}

int main(void)
{
	natpmp_ctx *ctx;
	natpmp_mapping wanted = {.protocol = NATPMP_TCP_UDP};
	int status = natpmp_new(&ctx, NULL);

	if (status == NATPMP_OK)
		status = natpmp_with_mapping(ctx, &wanted, serve, NULL);
	if (status < 0)
		fprintf(stderr, "%s\en", natpmp_strerror(status));
	natpmp_free(ctx);
	return status != 0;
}
