/* SPDX-License-Identifier: MIT */
/* What kind of address is that? RFC 6890 section 2.2.2, RFC 6598, RFC 1918. */
#include "core/address.h"

#include "story.h"
#include "suite.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct ip_address parsed(const char *text)
{
	struct ip_address address = {{0}};

	ck_assert_msg(address_parse(text, &address), "%s", text);
	return address;
}

static natpmp_address_kind kind(const char *text)
{
	struct ip_address address = parsed(text);

	return address_classify(&address);
}

/* The first and the last of each range, and their neighbours outside. */
START_TEST(N55_four_edges_of_each_range)
{
	static const struct {
		natpmp_address_kind kind;
		const char *first, *last;
		const char *before, *after; /* NULL: no such address, or of a range beside it */
		natpmp_address_kind kind_before, kind_after;
	} ranges[] = {
#define PUBLIC   NATPMP_ADDRESS_PUBLIC
#define RESERVED NATPMP_ADDRESS_RESERVED
		{RESERVED, "0.0.0.0", "0.255.255.255", NULL, "1.0.0.0", 0, PUBLIC},
		{NATPMP_ADDRESS_PRIVATE, "10.0.0.0", "10.255.255.255", "9.255.255.255", "11.0.0.0",
		 PUBLIC, PUBLIC},
		{NATPMP_ADDRESS_SHARED, "100.64.0.0", "100.127.255.255", "100.63.255.255",
		 "100.128.0.0", PUBLIC, PUBLIC},
		{RESERVED, "127.0.0.0", "127.255.255.255", "126.255.255.255", "128.0.0.0", PUBLIC,
		 PUBLIC},
		{NATPMP_ADDRESS_LINK_LOCAL, "169.254.0.0", "169.254.255.255", "169.253.255.255",
		 "169.255.0.0", PUBLIC, PUBLIC},
		{NATPMP_ADDRESS_PRIVATE, "172.16.0.0", "172.31.255.255", "172.15.255.255",
		 "172.32.0.0", PUBLIC, PUBLIC},
		{RESERVED, "192.0.0.0", "192.0.0.8", "191.255.255.255", "192.0.0.9", PUBLIC,
		 PUBLIC},
		{PUBLIC, "192.0.0.9", "192.0.0.9", "192.0.0.8", "192.0.0.10", RESERVED, RESERVED},
		{RESERVED, "192.0.0.10", "192.0.0.255", "192.0.0.9", "192.0.1.0", PUBLIC, PUBLIC},
		{RESERVED, "192.0.2.0", "192.0.2.255", "192.0.1.255", "192.0.3.0", PUBLIC, PUBLIC},
		{NATPMP_ADDRESS_PRIVATE, "192.168.0.0", "192.168.255.255", "192.167.255.255",
		 "192.169.0.0", PUBLIC, PUBLIC},
		{RESERVED, "198.18.0.0", "198.19.255.255", "198.17.255.255", "198.20.0.0", PUBLIC,
		 PUBLIC},
		{RESERVED, "198.51.100.0", "198.51.100.255", "198.51.99.255", "198.51.101.0",
		 PUBLIC, PUBLIC},
		{RESERVED, "203.0.113.0", "203.0.113.255", "203.0.112.255", "203.0.114.0", PUBLIC,
		 PUBLIC},
		{RESERVED, "224.0.0.0", "239.255.255.255", "223.255.255.255", "240.0.0.0", PUBLIC,
		 RESERVED},
		{RESERVED, "240.0.0.0", "255.255.255.255", "239.255.255.255", NULL, RESERVED, 0},
	};

	for (size_t i = 0; i < COUNT(ranges); i++) {
		ck_assert_msg(kind(ranges[i].first) == ranges[i].kind, "%s", ranges[i].first);
		ck_assert_msg(kind(ranges[i].last) == ranges[i].kind, "%s", ranges[i].last);
		if (ranges[i].before)
			ck_assert_msg(kind(ranges[i].before) == ranges[i].kind_before, "%s",
				      ranges[i].before);
		if (ranges[i].after)
			ck_assert_msg(kind(ranges[i].after) == ranges[i].kind_after, "%s",
				      ranges[i].after);
	}
}

/* RFC 6886 section 3: for hosts with one of these. */
START_TEST(N3_private_addresses)
{
	static const struct {
		const char *text;
		bool is_private;
	} table[] = {
		{"9.255.255.255", false}, {"10.0.0.0", true},        {"10.255.255.255", true},
		{"11.0.0.0", false},      {"172.15.255.255", false}, {"172.16.0.0", true},
		{"172.31.255.255", true}, {"172.32.0.0", false},     {"192.167.255.255", false},
		{"192.168.0.0", true},    {"192.168.255.255", true}, {"192.169.0.0", false},
	};

	for (size_t i = 0; i < COUNT(table); i++)
		ck_assert_msg((kind(table[i].text) == NATPMP_ADDRESS_PRIVATE) ==
				      table[i].is_private,
			      "%s", table[i].text);
}

static bool is_usable(const char *text)
{
	struct ip_address address = parsed(text);

	return address_is_usable(&address);
}

START_TEST(N24_addresses_no_gateway_can_have)
{
	static const char *const no[] = {"0.0.0.0",   "0.255.255.255",
					 "127.0.0.0", "127.255.255.255",
					 "224.0.0.0", "239.255.255.255",
					 "240.0.0.0", "255.255.255.255",
					 "::",        "::1",
					 "ff02::1",   "fe80::1"};
	static const char *const yes[] = {"1.0.0.0",         "10.0.0.1",    "100.64.9.7",
					  "126.255.255.255", "128.0.0.0",   "169.254.1.1",
					  "192.168.1.1",     "203.0.113.5", "223.255.255.255",
					  "2001:db8::1",     "fd00::1"};

	for (size_t i = 0; i < COUNT(no); i++)
		ck_assert_msg(!is_usable(no[i]), "%s", no[i]);
	for (size_t i = 0; i < COUNT(yes); i++)
		ck_assert_msg(is_usable(yes[i]), "%s", yes[i]);
}

START_TEST(N2_addresses_as_text)
{
	static const char *const bad[] = {
		"",         " ",          "1.2.3",      "1.2.3.4.5",  "1.2.3.4 ",   "256.1.1.1",
		"1.2.3.-4", "1.2.3.4:80", "router.lan", "fe80::1%lo", "0x7f.0.0.1", "127.1",
	};
	static const char *const good[] = {
		"203.0.113.5", "255.255.255.255", "2001:db8::10", "fe80::1", "::1", "ff02::1"};
	char text[NATPMP_ADDRESS_LEN];
	struct ip_address address = {{0}};

	for (size_t i = 0; i < COUNT(bad); i++)
		ck_assert_msg(!address_parse(bad[i], &address), "%s", bad[i]);
	for (size_t i = 0; i < COUNT(good); i++) {
		address = parsed(good[i]);
		address_print(&address, text);
		ck_assert_str_eq(text, good[i]);
	}
	address = parsed("1.2.3.4");
	ck_assert(ip_is_v4(&address));
	ck_assert_uint_eq(ip_to_v4(&address), IP(1, 2, 3, 4));
	address = ip_from_v4(0);
	address_print(&address, text);
	ck_assert_str_eq(text, "");
	address = parsed("0.0.0.0");
	address_print(&address, text);
	ck_assert_str_eq(text, "");
}

/* The first and the last address of each range of IPv6, and their neighbours. */
START_TEST(P8_kinds_of_ipv6_addresses)
{
	static const struct {
		const char *text;
		natpmp_address_kind kind;
	} table[] = {
		{"::", RESERVED},
		{"::1", RESERVED},
		{"1fff:ffff::", RESERVED},
		{"2000::", PUBLIC},
		{"3fff:ffff::1", PUBLIC},
		{"4000::", RESERVED},
		{"2001:db7::1", PUBLIC},
		{"2001:db8::1", RESERVED},
		{"2001:db8:ffff::1", RESERVED},
		{"2001:db9::1", PUBLIC},
		{"2001:2::1", RESERVED},
		{"2001:200::1", PUBLIC},
		{"fbff::1", RESERVED},
		{"fc00::1", NATPMP_ADDRESS_PRIVATE},
		{"fdff:ffff::1", NATPMP_ADDRESS_PRIVATE},
		{"fe00::1", RESERVED},
		{"fe80::1", NATPMP_ADDRESS_LINK_LOCAL},
		{"febf::1", NATPMP_ADDRESS_LINK_LOCAL},
		{"fec0::1", RESERVED},
		{"ff02::1", RESERVED},
	};

	for (size_t i = 0; i < COUNT(table); i++)
		ck_assert_msg(kind(table[i].text) == table[i].kind, "%s", table[i].text);
}

int main(void)
{
	return RUN_TESTS("address", N55_four_edges_of_each_range, N3_private_addresses,
			 N24_addresses_no_gateway_can_have, N2_addresses_as_text,
			 P8_kinds_of_ipv6_addresses);
}
