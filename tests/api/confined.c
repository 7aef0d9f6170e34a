/* SPDX-License-Identifier: MIT */
/* A program that may not use AF_NETLINK: a service with RestrictAddressFamilies=AF_INET, or a
 * sandbox. A filter answers socket(AF_NETLINK) with the error that such things give. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "client.h"
#include "sandbox.h"

static void note_line(void *arg, const char *line)
{
	unsigned *count = arg;

	*count += strstr(line, "changes of routes are not noticed") != NULL;
}

/* All of it works, but for the news of routes. */
static void works_with_a_named_gateway(int error)
{
	natpmp_options options = NATPMP_OPTIONS_INIT;
	struct responder *r = responder_start();
	char address[NATPMP_ADDRESS_LEN];
	struct events events = {0};
	unsigned told = 0;
	natpmp_probe probe;
	natpmp_link link;
	natpmp_ctx *ctx;

	sandbox_deny_family(AF_NETLINK, error);
	options.gateway = "127.0.0.1";
	options.gateway_port = responder_port(r);
	options.deadline = SOON;
	options.log = note_line;
	options.log_arg = &told;
	ok(natpmp_new(&ctx, &options));
	for (int i = 0; i < 2; i++) { /* on an open context, too */
		natpmp_mapping m = wanted(NATPMP_TCP_UDP, 80, 60);
		ok(natpmp_map(ctx, &m));
		ck_assert_str_eq(m.internal_address, "127.0.0.1");
		ok(natpmp_unmap(ctx, &m));
		ok(natpmp_external_address(ctx, address));
		ok(natpmp_get_link(ctx, &link));
		ck_assert_str_eq(link.internal_address, "127.0.0.1");
		ok(natpmp_get_probe(ctx, &probe));
		ok(probe.status);
	}
	for (uint16_t port = 81; port < 84; port++)
		hold_up(ctx, NATPMP_TCP, port, &events);
	ck_assert_uint_eq(told, 1);                   /* once for all */
	ck_assert_int_le(natpmp_timeout(ctx), 60000); /* looked at now and then instead */
	ok(natpmp_free(ctx));
	for (uint16_t port = 81; port < 84; port++)
		ck_assert_uint_eq(responder_deleted(r, NATPMP_TCP, port), 1);
	responder_stop(r);
}

/* Nothing was mapped before. */
static void holds_with_a_named_gateway(int error)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), SOON);
	natpmp_mapping m = wanted(NATPMP_UDP, 53, 60);

	sandbox_deny_family(AF_NETLINK, error);
	hold_up(ctx, NATPMP_TCP, 80, NULL);
	ok(natpmp_map(ctx, &m));
	ok(natpmp_free(ctx));
	responder_stop(r);
}

static void needs_a_named_gateway(int error)
{
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 60);
	char address[NATPMP_ADDRESS_LEN];
	struct events events = {0};
	natpmp_lease *lease;
	natpmp_link link;
	natpmp_ctx *ctx;

	sandbox_deny_family(AF_NETLINK, error);
	ok(natpmp_new(&ctx, NULL));
	ck_assert_int_eq(natpmp_map(ctx, &m), NATPMP_E_NETLINK);
	ck_assert_int_eq(natpmp_unmap(ctx, &m), NATPMP_E_NETLINK);
	ck_assert_int_eq(natpmp_external_address(ctx, address), NATPMP_E_NETLINK);
	ck_assert_int_eq(natpmp_get_link(ctx, &link), NATPMP_E_NETLINK);
	ok(natpmp_hold(ctx, &m, note_event, &events, &lease));
	ck_assert(drive(ctx, &events, 1, SOON));
	ck_assert_int_eq(events.at[0].now.status, NATPMP_E_NETLINK);
	ck_assert_ptr_nonnull(strstr(natpmp_strerror(NATPMP_E_NETLINK), "AF_NETLINK"));
	ok(natpmp_free(ctx));
}

START_TEST(H15_named_gateway)
{
	works_with_a_named_gateway(EAFNOSUPPORT);
}

START_TEST(H15_named_gateway_acces)
{
	works_with_a_named_gateway(EACCES);
}

START_TEST(H15_named_gateway_perm)
{
	works_with_a_named_gateway(EPERM);
}

START_TEST(H15_hold_comes_first)
{
	holds_with_a_named_gateway(EAFNOSUPPORT);
}

START_TEST(H15_no_named_gateway)
{
	needs_a_named_gateway(EAFNOSUPPORT);
}

START_TEST(H15_no_named_gateway_acces)
{
	needs_a_named_gateway(EACCES);
}

START_TEST(H15_no_named_gateway_perm)
{
	needs_a_named_gateway(EPERM);
}

int main(void)
{
	return RUN_TESTS("api-confined", H15_named_gateway, H15_named_gateway_acces,
			 H15_named_gateway_perm, H15_hold_comes_first, H15_no_named_gateway,
			 H15_no_named_gateway_acces, H15_no_named_gateway_perm);
}
