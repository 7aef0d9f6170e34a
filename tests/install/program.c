/* SPDX-License-Identifier: MIT */
/* A program of somebody who has the header and the library only; C and C++. LIBNATPMP: together
 * with that other library, LIBNATPMP_FIRST: the headers in the other order. */
#ifdef LIBNATPMP_FIRST
#include <natpmp.h>
#endif
#include <natpmpc.h>
#ifdef LIBNATPMP
#include <natpmp.h>
#endif
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* Names that the library has for itself: a program may use them all the same. */
int heap_set = 1, gateway_init = 2, grant_state = 3, lease_init = 4, client_hold = 5;
int registry_find = 6, udp_send = 7, clock_ms = 8;

static int body(natpmp_lease *lease, const natpmp_mapping *mapping, void *arg)
{
	(void)lease;
	(void)mapping;
	(void)arg;
	return 0;
}

static void on_event(natpmp_lease *lease, const natpmp_state *before, const natpmp_state *now,
		     void *arg)
{
	(void)lease;
	(void)before;
	(void)now;
	(void)arg;
}

static void on_change(natpmp_ctx *ctx, const natpmp_gateway *now, void *arg)
{
	(void)ctx;
	(void)now;
	(void)arg;
}

static void done(void *arg, int status)
{
	(void)arg;
	(void)status;
}

/* Every function has a definition and the type that is expected; NULL is answered politely. */
static int use_all(natpmp_ctx *ctx)
{
	/* as C++11 has it, too */
	natpmp_mapping mapping = {NATPMP_TCP, 80, 0, 60, 0, "", "", NATPMP_DIALECT_AUTO, {0}};
	char address[NATPMP_ADDRESS_LEN];
	natpmp_lease *lease = NULL;
	natpmp_state state;
	natpmp_probe probe;
	natpmp_link link;
	int refused = 0;

	refused += natpmp_map(NULL, &mapping) == NATPMP_E_INVALID;
	refused += natpmp_unmap(NULL, &mapping) == NATPMP_E_INVALID;
	refused += natpmp_unmap_all(NULL, NATPMP_TCP_UDP) == NATPMP_E_INVALID;
	refused += natpmp_external_address(NULL, address) == NATPMP_E_INVALID;
	refused += natpmp_hold(NULL, &mapping, on_event, NULL, &lease) == NATPMP_E_INVALID;
	refused += natpmp_retry(NULL) == NATPMP_E_INVALID;
	refused += natpmp_lease_state(NULL, &state) == NATPMP_E_INVALID;
	refused += natpmp_process(NULL) == NATPMP_E_INVALID;
	refused += natpmp_with_mapping(NULL, &mapping, body, NULL) == NATPMP_E_INVALID;
	refused += natpmp_start_unmap(NULL, &mapping, done, NULL) == NATPMP_E_INVALID;
	refused += natpmp_watch(NULL, on_change, NULL) == NATPMP_E_INVALID;
	refused += natpmp_get_link(NULL, &link) == NATPMP_E_INVALID;
	refused += natpmp_get_probe(NULL, &probe) == NATPMP_E_INVALID;
	return refused == 13 && natpmp_release(NULL) == NATPMP_OK && natpmp_fd(ctx) >= 0 &&
	       natpmp_timeout(ctx) == -1 && natpmp_classify("10.0.0.1") == NATPMP_ADDRESS_PRIVATE &&
	       natpmp_strerror(NATPMP_OK) != NULL;
}

#if defined(LIBNATPMP) || defined(LIBNATPMP_FIRST)
static int use_libnatpmp(void)
{
	natpmp_t other;

	return initnatpmp(&other, 1, htonl(INADDR_LOOPBACK)) == 0 && closenatpmp(&other) == 0;
}
#endif

int main(void)
{
	natpmp_options options = NATPMP_OPTIONS_INIT;
	natpmp_ctx *ctx;
	int used;

	options.gateway = "127.0.0.1";
	if (natpmp_new(&ctx, &options) != NATPMP_OK)
		return 1;
	used = use_all(ctx);
	natpmp_free(ctx);
#if defined(LIBNATPMP) || defined(LIBNATPMP_FIRST)
	used = used && use_libnatpmp();
#endif
	printf("%s %s %d.%d.%d\n", natpmp_version(), NATPMPC_VERSION, NATPMPC_VERSION_MAJOR,
	       NATPMPC_VERSION_MINOR, NATPMPC_VERSION_PATCH);
	return used ? 0 : 2;
}
