/* SPDX-License-Identifier: MIT */
/* The caller's mistakes, function by function; nothing is sent because of any of them. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"

static void no_event(natpmp_lease *lease, const natpmp_state *before, const natpmp_state *now,
		     void *arg)
{
	(void)lease;
	(void)before;
	(void)now;
	(void)arg;
	ck_abort_msg("an event");
}

static int no_body(natpmp_lease *lease, const natpmp_mapping *mapping, void *arg)
{
	(void)lease;
	(void)mapping;
	(void)arg;
	ck_abort_msg("the body ran");
	return 0;
}

static int new_with(const natpmp_options *options)
{
	natpmp_ctx *ctx = (natpmp_ctx *)(void *)&ctx; /* anything but NULL */
	int status = natpmp_new(&ctx, options);

	ck_assert((status == NATPMP_OK) == (ctx != NULL));
	natpmp_free(ctx);
	return status;
}

START_TEST(new_checks_its_options)
{
	natpmp_options options = NATPMP_OPTIONS_INIT;

	ok(new_with(NULL));
	ok(new_with(&options));
	ck_assert_int_eq(natpmp_new(NULL, &options), NATPMP_E_INVALID);
	options.size = 0;
	ck_assert_int_eq(new_with(&options), NATPMP_E_INVALID);
	options.size = sizeof(options.size);
	ck_assert_int_eq(new_with(&options), NATPMP_E_INVALID);
	options.size = sizeof(options) + 8; /* of a later version */
	ck_assert_int_eq(new_with(&options), NATPMP_E_INVALID);
	options.size = SIZE_MAX;
	ck_assert_int_eq(new_with(&options), NATPMP_E_INVALID);
	for (size_t size = 0; size < sizeof(options); size++) { /* there is no earlier one */
		options.size = size;
		ck_assert_int_eq(new_with(&options), NATPMP_E_INVALID);
	}
}

/* A later version will mean something by these. */
START_TEST(reserved_is_zero)
{
	natpmp_options options = NATPMP_OPTIONS_INIT;
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 60);
	natpmp_lease *lease;
	natpmp_ctx *ctx;

	ok(natpmp_new(&ctx, &options));
	options.dialect = (natpmp_dialect)3;
	ck_assert_int_eq(new_with(&options), NATPMP_E_INVALID);
	for (size_t i = 0; i < sizeof(m.reserved) / sizeof(m.reserved[0]); i++) {
		m.reserved[i] = 1;
		ck_assert_int_eq(natpmp_map(ctx, &m), NATPMP_E_INVALID);
		ck_assert_int_eq(natpmp_hold(ctx, &m, NULL, NULL, &lease), NATPMP_E_INVALID);
		ck_assert_int_eq(natpmp_with_mapping(ctx, &m, no_body, NULL), NATPMP_E_INVALID);
		m.reserved[i] = 0;
	}
	natpmp_free(ctx);
}

START_TEST(new_checks_addresses)
{
	static const char *const bad[] = {
		"",          "router.lan",   "1.2.3",           "1.2.3.4.5",      "0.0.0.0",
		"224.0.0.1", "239.0.0.1",    "255.255.255.255", "240.0.0.1",      "::1",
		"1.2.3.4 ",  "1.2.3.4:5351", "fe80::1%lo",      "::ffff:1.2.3.4", "1.2.3.4%lo"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		natpmp_options options = NATPMP_OPTIONS_INIT;
		options.gateway = bad[i];
		ck_assert_msg(new_with(&options) == NATPMP_E_ADDRESS, "gateway %s", bad[i]);
		options.gateway = NULL;
		options.source = bad[i];
		ck_assert_msg(new_with(&options) == NATPMP_E_ADDRESS, "source %s", bad[i]);
	}
	natpmp_options options = NATPMP_OPTIONS_INIT;
	options.interface = "";
	ck_assert_int_eq(new_with(&options), NATPMP_E_INVALID);
	options.interface = "a-name-of-more-than-31-characters";
	ck_assert_int_eq(new_with(&options), NATPMP_E_INVALID);
	options.interface = "no-such-thing"; /* may yet come */
	options.gateway = "192.0.2.1";
	options.source = "192.0.2.2";
	ok(new_with(&options));
}

START_TEST(new_checks_ipv6_addresses)
{
	static const char *const bad[] = {
		"",        "router.lan", "1.2.3.4",   "::ffff:1.2.3.4",
		"::",      "ff02::1",    "fe80::1",   "2001:db8::1 ",
		"fe80::g", "[::1]",      "::1/128",   "2001:db8::1:2:3:4:5:6:7",
		"%lo",     "1.2.3.4%lo", "ff02::1%lo"};
	static const char *const good[] = {"::1", "2001:db8::1", "fd00::1"};
	natpmp_options options = NATPMP_OPTIONS_INIT;

	options.family = NATPMP_IPV6;
	ok(new_with(&options));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		options.gateway = bad[i];
		ck_assert_msg(new_with(&options) == NATPMP_E_ADDRESS, "gateway %s", bad[i]);
		options.gateway = NULL;
		options.source = bad[i];
		ck_assert_msg(new_with(&options) == NATPMP_E_ADDRESS, "source %s", bad[i]);
		options.source = NULL;
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		options.gateway = options.source = good[i];
		ok(new_with(&options));
	}
}

/* A link-local address means something on a link only. */
START_TEST(new_checks_the_scope)
{
	natpmp_options options = NATPMP_OPTIONS_INIT;

	options.family = NATPMP_IPV6;
	options.gateway = "fe80::1%no-such-thing"; /* may yet come */
	ok(new_with(&options));
	options.interface = "no-such-thing";
	ok(new_with(&options));
	options.interface = "another";
	ck_assert_int_eq(new_with(&options), NATPMP_E_INVALID);
	options.gateway = "fe80::1";
	ok(new_with(&options));
	options.interface = NULL;
	options.gateway = "2001:db8::1%lo";
	ok(new_with(&options));
	options.gateway = "fe80::1%";
	ck_assert_int_eq(new_with(&options), NATPMP_E_INVALID);
	options.gateway = "fe80::1%a-name-of-more-than-31-characters";
	ck_assert_int_eq(new_with(&options), NATPMP_E_INVALID);
	options.gateway = NULL;
	options.source = "fe80::1%lo";
	ck_assert_int_eq(new_with(&options), NATPMP_E_ADDRESS);
}

START_TEST(new_checks_dialect_and_family)
{
	static const struct {
		int family, dialect, vpn_ports;
		bool is_good;
	} table[] = {
		{NATPMP_IPV4, NATPMP_DIALECT_AUTO, 0, true},
		{NATPMP_IPV4, NATPMP_DIALECT_NATPMP, 0, true},
		{NATPMP_IPV4, NATPMP_DIALECT_PCP, 0, true},
		{NATPMP_IPV4, NATPMP_DIALECT_AUTO, 1, true},
		{NATPMP_IPV4, NATPMP_DIALECT_NATPMP, 1, true},
		{NATPMP_IPV4, NATPMP_DIALECT_PCP, 1, false},
		{NATPMP_IPV6, NATPMP_DIALECT_AUTO, 0, true},
		{NATPMP_IPV6, NATPMP_DIALECT_PCP, 0, true},
		{NATPMP_IPV6, NATPMP_DIALECT_NATPMP, 0, false},
		{NATPMP_IPV6, NATPMP_DIALECT_AUTO, 1, false},
		{NATPMP_IPV6, NATPMP_DIALECT_PCP, 1, false},
		{2, NATPMP_DIALECT_AUTO, 0, false},
		{-1, NATPMP_DIALECT_AUTO, 0, false},
		{NATPMP_IPV4, 3, 0, false},
		{NATPMP_IPV4, -1, 0, false},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		natpmp_options options = NATPMP_OPTIONS_INIT;

		options.family = (natpmp_family)table[i].family;
		options.dialect = (natpmp_dialect)table[i].dialect;
		options.vpn_ports = table[i].vpn_ports;
		ck_assert_msg(new_with(&options) ==
				      (table[i].is_good ? NATPMP_OK : NATPMP_E_INVALID),
			      "row %zu", i);
	}
}

START_TEST(new_checks_the_secret)
{
	natpmp_options options = NATPMP_OPTIONS_INIT;
	const uint8_t secret[100] = {1};

	options.secret = secret;
	for (options.secret_size = 0; options.secret_size <= sizeof(secret); options.secret_size++)
		ck_assert_int_eq(new_with(&options),
				 options.secret_size >= 16 && options.secret_size <= 64
					 ? NATPMP_OK
					 : NATPMP_E_INVALID);
	options.secret_size = SIZE_MAX;
	ck_assert_int_eq(new_with(&options), NATPMP_E_INVALID);
	options.secret = NULL;
	options.secret_size = 16;
	ck_assert_int_eq(new_with(&options), NATPMP_E_INVALID);
}

/* Nothing in the options is kept. */
START_TEST(new_copies_its_options)
{
	struct responder *r = responder_start();
	natpmp_options options = NATPMP_OPTIONS_INIT;
	char gateway[] = "127.0.0.1", source[] = "127.0.0.1", interface[] = "lo";
	char address[NATPMP_ADDRESS_LEN];
	natpmp_ctx *ctx;

	options.gateway = gateway;
	options.source = source;
	options.interface = interface;
	options.gateway_port = responder_port(r);
	ok(natpmp_new(&ctx, &options));
	memset(gateway, 'x', strlen(gateway));
	memset(source, 'x', strlen(source));
	memset(interface, 'x', strlen(interface));
	memset(&options, 0xff, sizeof(options));
	ok(natpmp_external_address(ctx, address));
	ck_assert_str_eq(address, "203.0.113.5");
	natpmp_free(ctx);
	responder_stop(r);
}

START_TEST(N39_only_tcp_and_udp)
{
	static const int bad[] = {0, 4, 5, 6, 7, 17, -1, INT_MAX, INT_MIN};
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 300);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		natpmp_mapping m = wanted((natpmp_protocol)bad[i], 80, 60);
		natpmp_lease *lease = (natpmp_lease *)(void *)&m;

		ck_assert_int_eq(natpmp_map(ctx, &m), NATPMP_E_INVALID);
		ck_assert_int_eq(natpmp_unmap(ctx, &m), NATPMP_E_INVALID);
		ck_assert_int_eq(natpmp_unmap_all(ctx, m.protocol), NATPMP_E_INVALID);
		ck_assert_int_eq(natpmp_start_unmap(ctx, &m, NULL, NULL), NATPMP_E_INVALID);
		ck_assert_int_eq(natpmp_hold(ctx, &m, no_event, NULL, &lease), NATPMP_E_INVALID);
		ck_assert_ptr_null(lease);
		ck_assert_int_eq(natpmp_with_mapping(ctx, &m, no_body, NULL), NATPMP_E_INVALID);
	}
	natpmp_free(ctx);
	ck_assert_uint_eq(responder_heard(r), 0);
	responder_stop(r);
}

START_TEST(null_arguments)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 300);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 60);
	natpmp_lease *lease;
	natpmp_link link;
	natpmp_probe probe;
	natpmp_state state;
	char address[NATPMP_ADDRESS_LEN];

	ck_assert_int_eq(natpmp_map(NULL, &m), NATPMP_E_INVALID);
	ck_assert_int_eq(natpmp_map(ctx, NULL), NATPMP_E_INVALID);
	ck_assert_int_eq(natpmp_unmap(NULL, &m), NATPMP_E_INVALID);
	ck_assert_int_eq(natpmp_unmap(ctx, NULL), NATPMP_E_INVALID);
	ck_assert_int_eq(natpmp_unmap_all(NULL, NATPMP_TCP), NATPMP_E_INVALID);
	ck_assert_int_eq(natpmp_external_address(NULL, address), NATPMP_E_INVALID);
	ck_assert_int_eq(natpmp_external_address(ctx, NULL), NATPMP_E_INVALID);
	ck_assert_int_eq(natpmp_hold(NULL, &m, no_event, NULL, &lease), NATPMP_E_INVALID);
	ck_assert_ptr_null(lease);
	ck_assert_int_eq(natpmp_hold(ctx, NULL, no_event, NULL, &lease), NATPMP_E_INVALID);
	ck_assert_int_eq(natpmp_hold(ctx, &m, no_event, NULL, NULL), NATPMP_E_INVALID);
	ck_assert_int_eq(natpmp_with_mapping(NULL, &m, no_body, NULL), NATPMP_E_INVALID);
	ck_assert_int_eq(natpmp_with_mapping(ctx, NULL, no_body, NULL), NATPMP_E_INVALID);
	ck_assert_int_eq(natpmp_with_mapping(ctx, &m, NULL, NULL), NATPMP_E_INVALID);
	ck_assert_int_eq(natpmp_process(NULL), NATPMP_E_INVALID);
	ck_assert_int_lt(natpmp_fd(NULL), 0);
	ck_assert_int_eq(natpmp_timeout(NULL), -1);
	ck_assert_int_eq(natpmp_lease_state(NULL, &state), NATPMP_E_INVALID);
	ck_assert_int_eq(natpmp_start_unmap(NULL, &m, NULL, NULL), NATPMP_E_INVALID);
	ck_assert_int_eq(natpmp_start_unmap(ctx, NULL, NULL, NULL), NATPMP_E_INVALID);
	ck_assert_int_eq(natpmp_watch(NULL, NULL, NULL), NATPMP_E_INVALID);
	ok(natpmp_watch(ctx, NULL, NULL)); /* nobody watched */
	ck_assert_int_eq(natpmp_retry(NULL), NATPMP_E_INVALID);
	ck_assert_int_eq(natpmp_get_link(NULL, &link), NATPMP_E_INVALID);
	ck_assert_int_eq(natpmp_get_link(ctx, NULL), NATPMP_E_INVALID);
	ck_assert_int_eq(natpmp_get_probe(NULL, &probe), NATPMP_E_INVALID);
	ck_assert_int_eq(natpmp_get_probe(ctx, NULL), NATPMP_E_INVALID);
	ok(natpmp_release(NULL));
	natpmp_free(NULL);
	ck_assert_uint_eq(responder_heard(r), 0);

	ok(natpmp_hold(ctx, &m, NULL, NULL, &lease)); /* no callback: fine */
	ck_assert_int_eq(natpmp_lease_state(lease, NULL), NATPMP_E_INVALID);
	natpmp_free(ctx);
	responder_stop(r);
}

/* It would delete everything of this host. */
START_TEST(N38_unmap_refuses_internal_port_0)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 300);
	natpmp_mapping m = wanted(NATPMP_TCP, 0, 0);

	ck_assert_int_eq(natpmp_unmap(ctx, &m), NATPMP_E_INVALID);
	ck_assert_int_eq(natpmp_start_unmap(ctx, &m, NULL, NULL), NATPMP_E_INVALID);
	ck_assert_uint_eq(responder_heard(r), 0);
	natpmp_free(ctx);
	responder_stop(r);
}

/* One flag at most, and none that is not known; "any port" takes no port's name. */
START_TEST(flags_are_checked)
{
	static const struct {
		uint32_t flags;
		uint16_t external_port;
	} bad[] = {
		{NATPMP_ANY_PORT | NATPMP_EXACT_PORT, 0},
		{NATPMP_ANY_PORT, 80},
		{4, 0},
		{NATPMP_EXACT_PORT | 8, 80},
		{UINT32_MAX, 0},
	};
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), SOON);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		natpmp_mapping m = wanted(NATPMP_TCP, 80, 60);
		natpmp_lease *lease;

		m.flags = bad[i].flags;
		m.external_port = bad[i].external_port;
		ck_assert_int_eq(natpmp_map(ctx, &m), NATPMP_E_INVALID);
		ck_assert_int_eq(natpmp_hold(ctx, &m, NULL, NULL, &lease), NATPMP_E_INVALID);
		ck_assert_int_eq(natpmp_with_mapping(ctx, &m, no_body, NULL), NATPMP_E_INVALID);
	}
	ck_assert_uint_eq(responder_heard(r), 0);

	natpmp_mapping m = wanted(NATPMP_TCP, 80, 60); /* exactly the internal port's number */
	m.flags = NATPMP_EXACT_PORT;
	ok(natpmp_map(ctx, &m));
	ck_assert_uint_eq(m.external_port, 80);
	natpmp_free(ctx);
	responder_stop(r);
}

/* Internal port 0 means a free port here; it never reaches the wire. */
START_TEST(N25_internal_port_0_picks_one)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 1000);
	static const natpmp_protocol protocols[] = {NATPMP_UDP, NATPMP_TCP, NATPMP_TCP_UDP};

	for (int i = 0; i < 3; i++) {
		natpmp_mapping m = wanted(protocols[i], 0, 60);
		ok(natpmp_map(ctx, &m));
		ck_assert_uint_ne(m.internal_port, 0);
		ck_assert_uint_eq(m.external_port, m.internal_port);
	}
	natpmp_lease *lease;
	natpmp_mapping m = wanted(NATPMP_TCP, 0, 60);
	natpmp_state state;
	ok(natpmp_hold(ctx, &m, NULL, NULL, &lease));
	ck_assert(drive_to(ctx, lease, NATPMP_OK, SOON));
	ok(natpmp_lease_state(lease, &state));
	ck_assert_uint_ne(state.mapping.internal_port, 0);
	natpmp_free(ctx);
	for (size_t i = 0; i < responder_heard(r); i++) {
		struct heard heard = responder_nth(r, i);
		ck_assert(heard.len == 2 || heard.bytes[4] || heard.bytes[5]);
	}
	responder_stop(r);
}

START_TEST(vpn_ports_leave_no_choice_of_the_internal_port)
{
	natpmp_options options = NATPMP_OPTIONS_INIT;
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 60);
	natpmp_lease *lease;
	natpmp_ctx *ctx;

	options.gateway = "127.0.0.1";
	options.gateway_port = closed_port();
	options.vpn_ports = 1;
	ok(natpmp_new(&ctx, &options));
	ck_assert_int_eq(natpmp_map(ctx, &m), NATPMP_E_INVALID);
	ck_assert_int_eq(natpmp_hold(ctx, &m, NULL, NULL, &lease), NATPMP_E_INVALID);
	natpmp_free(ctx);
}

START_TEST(every_status_has_a_text)
{
	static const int known[] = {
		NATPMP_PENDING,
		NATPMP_OK,
		NATPMP_E_INVALID,
		NATPMP_E_ADDRESS,
		NATPMP_E_HELD,
		NATPMP_E_BUSY,
		NATPMP_E_FORKED,
		NATPMP_E_NO_MEMORY,
		NATPMP_E_SYSTEM,
		NATPMP_E_NO_INTERFACE,
		NATPMP_E_NO_GATEWAY,
		NATPMP_E_POINT_TO_POINT,
		NATPMP_E_NO_ROUTE,
		NATPMP_E_NO_PORT,
		NATPMP_E_TIMEOUT,
		NATPMP_E_NO_SERVICE,
		NATPMP_E_UNREACHABLE,
		NATPMP_E_REFUSED,
		NATPMP_E_BAD_ANSWER,
		NATPMP_E_VERSION,
		NATPMP_E_NOT_AUTHORIZED,
		NATPMP_E_NETWORK_FAILURE,
		NATPMP_E_NO_RESOURCES,
		NATPMP_E_OPCODE,
		NATPMP_E_RESULT,
		NATPMP_E_PORTS_DIFFER,
		NATPMP_E_NETLINK,
		NATPMP_E_NO_ADDRESS,
		NATPMP_E_FIREWALL,
		NATPMP_E_OTHER_PORT,
		NATPMP_E_MALFORMED,
		NATPMP_E_OPTION,
		NATPMP_E_PROTOCOL,
		NATPMP_E_QUOTA,
		NATPMP_E_ADDRESS_MISMATCH,
	};
	enum { KNOWN = sizeof(known) / sizeof(known[0]) };

	for (int i = 0; i < KNOWN; i++) {
		const char *text = natpmp_strerror(known[i]);
		ck_assert_msg(text && *text && !strchr(text, '\n'), "%d", known[i]);
		for (int j = 0; j < i; j++)
			ck_assert_str_ne(text, natpmp_strerror(known[j]));
		ck_assert_str_ne(text, natpmp_strerror(INT_MIN));
	}
	for (int status = -300; status < 300; status++)
		ck_assert_ptr_nonnull(natpmp_strerror(status));
	ck_assert_ptr_nonnull(natpmp_strerror(INT_MAX));
}

START_TEST(N55_classify)
{
	static const struct {
		const char *text;
		natpmp_address_kind kind;
	} table[] = {
		{NULL, NATPMP_ADDRESS_NONE},
		{"", NATPMP_ADDRESS_NONE},
		{"nonsense", NATPMP_ADDRESS_NONE},
		{"::1", NATPMP_ADDRESS_RESERVED},
		{"fe80::1", NATPMP_ADDRESS_LINK_LOCAL},
		{"fd00::1", NATPMP_ADDRESS_PRIVATE},
		{"2a00::1", NATPMP_ADDRESS_PUBLIC},
		{"fe80::1%lo", NATPMP_ADDRESS_NONE},
		{"8.8.8.8", NATPMP_ADDRESS_PUBLIC},
		{"10.1.2.3", NATPMP_ADDRESS_PRIVATE},
		{"100.64.9.7", NATPMP_ADDRESS_SHARED},
		{"169.254.7.7", NATPMP_ADDRESS_LINK_LOCAL},
		{"127.0.0.1", NATPMP_ADDRESS_RESERVED},
		{"203.0.113.5", NATPMP_ADDRESS_RESERVED},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		ck_assert_int_eq(natpmp_classify(table[i].text), table[i].kind);
}

START_TEST(version_is_the_headers)
{
	char text[32];

	ck_assert_str_eq(natpmp_version(), NATPMPC_VERSION);
	snprintf(text, sizeof(text), "%d.%d.%d", NATPMPC_VERSION_MAJOR, NATPMPC_VERSION_MINOR,
		 NATPMPC_VERSION_PATCH);
	ck_assert_str_eq(text, NATPMPC_VERSION);
}

int main(void)
{
	return RUN_TESTS(
		"api-arguments", new_checks_its_options, reserved_is_zero, new_checks_addresses,
		new_checks_ipv6_addresses, new_checks_the_scope, new_checks_dialect_and_family,
		new_checks_the_secret, new_copies_its_options, N39_only_tcp_and_udp, null_arguments,
		N38_unmap_refuses_internal_port_0, flags_are_checked, N25_internal_port_0_picks_one,
		vpn_ports_leave_no_choice_of_the_internal_port, every_status_has_a_text,
		N55_classify, version_is_the_headers);
}
