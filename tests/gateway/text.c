/* SPDX-License-Identifier: MIT */
#include "text.h"

#include "bytes.h"
#include "model.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool text_number(const char *text, int64_t min, int64_t max, int64_t *value)
{
	char *end;
	long long number;

	if (!isdigit((unsigned char)text[0]) && text[0] != '-')
		return false;
	errno = 0;
	number = strtoll(text, &end, 10);
	if (errno || *end || end == text || number < min || number > max)
		return false;
	*value = number;
	return true;
}

bool text_address(const char *text, uint32_t *address)
{
	struct in_addr in;

	if (inet_pton(AF_INET, text, &in) != 1)
		return false;
	*address = ntohl(in.s_addr);
	return true;
}

union endpoint endpoint_of(uint32_t address, uint16_t port)
{
	union endpoint endpoint;

	memset(&endpoint, 0, sizeof(endpoint));
	endpoint.v4.sin_family = AF_INET;
	endpoint.v4.sin_addr.s_addr = htonl(address);
	endpoint.v4.sin_port = htons(port);
	return endpoint;
}

socklen_t endpoint_size(const union endpoint *endpoint)
{
	return endpoint->any.sa_family == AF_INET6 ? sizeof(endpoint->v6) : sizeof(endpoint->v4);
}

uint16_t endpoint_port(const union endpoint *endpoint)
{
	return ntohs(endpoint->any.sa_family == AF_INET6 ? endpoint->v6.sin6_port
							 : endpoint->v4.sin_port);
}

void endpoint_set_port(union endpoint *endpoint, uint16_t port)
{
	if (endpoint->any.sa_family == AF_INET6)
		endpoint->v6.sin6_port = htons(port);
	else
		endpoint->v4.sin_port = htons(port);
}

struct model_host endpoint_host(const union endpoint *endpoint)
{
	struct model_host host;

	if (endpoint->any.sa_family != AF_INET6)
		return model_host_ipv4(ntohl(endpoint->v4.sin_addr.s_addr));
	memcpy(host.bytes, &endpoint->v6.sin6_addr, sizeof(host.bytes));
	return host;
}

static bool read_host4(const char *host, union endpoint *endpoint)
{
	uint32_t address;

	if (!text_address(host, &address))
		return false;
	*endpoint = endpoint_of(address, 0);
	return true;
}

/* ADDR6 or ADDR6%INTERFACE; cuts it in two */
static bool read_host6(char *host, union endpoint *endpoint)
{
	char *interface = strchr(host, '%');

	memset(endpoint, 0, sizeof(*endpoint));
	endpoint->v6.sin6_family = AF_INET6;
	if (interface) {
		*interface++ = '\0';
		endpoint->v6.sin6_scope_id = if_nametoindex(interface);
		if (!endpoint->v6.sin6_scope_id)
			return false;
	}
	return inet_pton(AF_INET6, host, &endpoint->v6.sin6_addr) == 1;
}

bool text_endpoint(const char *text, uint16_t default_port, union endpoint *endpoint)
{
	char host[TEXT_ENDPOINT];
	bool brackets = text[0] == '[';
	const char *start = brackets ? text + 1 : text;
	size_t len = strcspn(start, brackets ? "]" : ":");
	const char *rest = start + len;
	int64_t port = default_port;

	if (len >= sizeof(host) || (brackets && *rest++ != ']'))
		return false;
	memcpy(host, start, len);
	host[len] = '\0';
	if (!(brackets ? read_host6(host, endpoint) : read_host4(host, endpoint)))
		return false;
	if (*rest && (*rest != ':' || !text_number(rest + 1, 0, 65535, &port)))
		return false;
	endpoint_set_port(endpoint, (uint16_t)port);
	return true;
}

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef";
	const char *at = c ? strchr(digits, tolower((unsigned char)c)) : NULL;

	return at ? (int)(at - digits) : -1;
}

bool text_hex(const char *text, uint8_t *bytes, size_t max, size_t *len)
{
	*len = 0;
	for (; *text; text += 2) {
		int high = hex_digit(text[0]), low = hex_digit(text[1]);

		if (high < 0 || low < 0 || *len >= max)
			return false;
		bytes[(*len)++] = (uint8_t)(high << 4 | low);
	}
	return true;
}

const char *text_of_address(uint32_t address, char text[TEXT_ENDPOINT])
{
	struct in_addr in = {htonl(address)};

	inet_ntop(AF_INET, &in, text, TEXT_ENDPOINT);
	return text;
}

const char *text_of_host(const struct model_host *host, char text[TEXT_ENDPOINT])
{
	if (model_host_is_ipv4(host))
		return text_of_address(model_host_number(host), text);
	inet_ntop(AF_INET6, host->bytes, text, TEXT_ENDPOINT);
	return text;
}

const char *text_of_endpoint(const union endpoint *endpoint, char text[TEXT_ENDPOINT])
{
	bool ipv6 = endpoint->any.sa_family == AF_INET6;
	struct model_host host = endpoint_host(endpoint);
	char address[TEXT_ENDPOINT];

	snprintf(text, TEXT_ENDPOINT, ipv6 ? "[%.46s]:%u" : "%.15s:%u",
		 text_of_host(&host, address), endpoint_port(endpoint));
	return text;
}

const char *text_of_opcode(unsigned opcode)
{
	return opcode == MODEL_UDP ? "udp" : "tcp";
}

static const char *text_of_bytes(const uint8_t *bytes, size_t len, char text[TEXT_PACKET])
{
	int used = snprintf(text, TEXT_PACKET, "bytes ");

	for (size_t i = 0; i < len && i < 64; i++)
		used += snprintf(text + used, (size_t)(TEXT_PACKET - used), "%02x", bytes[i]);
	if (len > 64)
		snprintf(text + used, (size_t)(TEXT_PACKET - used), "... (%zu)", len);
	return text;
}

static bool is_map(const uint8_t *bytes)
{
	return (bytes[1] & 0x7f) == MODEL_UDP || (bytes[1] & 0x7f) == MODEL_TCP;
}

/* PCP: RFC 6887 sections 7.1, 7.2 and 11.1. */

static bool is_pcp_map(const uint8_t *bytes, size_t len)
{
	return len >= 60 && (bytes[1] & 0x7f) == 1 && (bytes[36] == 6 || bytes[36] == 17);
}

static const char *text_of_protocol(uint8_t protocol)
{
	return text_of_opcode(protocol == 17 ? MODEL_UDP : MODEL_TCP);
}

static const char *text_of_pcp_request(const uint8_t *bytes, size_t len, char text[TEXT_PACKET])
{
	uint32_t lifetime;
	int used;

	if (len == 24 && bytes[1] == 0) {
		snprintf(text, TEXT_PACKET, "pcp announce");
		return text;
	}
	if (!is_pcp_map(bytes, len) || bytes[1] & 0x80)
		return text_of_bytes(bytes, len, text);
	lifetime = get32(bytes + 4);
	used = snprintf(text, TEXT_PACKET, "pcp %s %s internal %u suggested %u",
			lifetime ? "map" : "delete", text_of_protocol(bytes[36]), get16(bytes + 40),
			get16(bytes + 42));
	if (lifetime)
		used += snprintf(text + used, (size_t)(TEXT_PACKET - used), " lifetime %" PRIu32,
				 lifetime);
	if (len > 60)
		snprintf(text + used, (size_t)(TEXT_PACKET - used), " options %zu", len - 60);
	return text;
}

static const char *text_of_pcp_answer(const uint8_t *bytes, size_t len, char text[TEXT_PACKET])
{
	struct model_host address;
	char at[TEXT_ENDPOINT];
	int used = 0;

	if (is_pcp_map(bytes, len)) {
		memcpy(address.bytes, bytes + 44, sizeof(address.bytes));
		used = snprintf(text, TEXT_PACKET, "pcp map %s internal %u external %u address %s",
				text_of_protocol(bytes[36]), get16(bytes + 40), get16(bytes + 42),
				text_of_host(&address, at));
	} else if (len == 24 && bytes[1] == 0x80) {
		used = snprintf(text, TEXT_PACKET, "pcp announce");
	} else {
		return text_of_bytes(bytes, len, text);
	}
	snprintf(text + used, (size_t)(TEXT_PACKET - used),
		 " lifetime %" PRIu32 " result %u clock %" PRIu32, get32(bytes + 4), bytes[3],
		 get32(bytes + 8));
	return text;
}

const char *text_of_request(const uint8_t *bytes, size_t len, char text[TEXT_PACKET])
{
	unsigned internal, suggested;
	uint32_t lifetime;

	if (len == 2 && bytes[0] == 0 && bytes[1] == MODEL_ADDRESS)
		return "address";
	if (len >= 24 && bytes[0] == 2)
		return text_of_pcp_request(bytes, len, text);
	if (len != 12 || bytes[0] != 0 || bytes[1] & 0x80 || !is_map(bytes))
		return text_of_bytes(bytes, len, text);
	internal = get16(bytes + 4);
	suggested = get16(bytes + 6);
	lifetime = get32(bytes + 8);
	if (lifetime)
		snprintf(text, TEXT_PACKET, "map %s internal %u suggested %u lifetime %" PRIu32,
			 text_of_opcode(bytes[1]), internal, suggested, lifetime);
	else if (internal)
		snprintf(text, TEXT_PACKET, "delete %s internal %u suggested %u",
			 text_of_opcode(bytes[1]), internal, suggested);
	else
		snprintf(text, TEXT_PACKET, "delete-all %s suggested %u", text_of_opcode(bytes[1]),
			 suggested);
	return text;
}

const char *text_of_answer(const uint8_t *bytes, size_t len, char text[TEXT_PACKET])
{
	char address[TEXT_ENDPOINT];

	if (len == 12 && bytes[0] == 0 && bytes[1] == 0x80)
		snprintf(text, TEXT_PACKET, "address %s result %u clock %" PRIu32,
			 text_of_address(get32(bytes + 8), address), get16(bytes + 2),
			 get32(bytes + 4));
	else if (len == 16 && bytes[0] == 0 && bytes[1] & 0x80 && is_map(bytes))
		snprintf(text, TEXT_PACKET,
			 "map %s internal %u external %u lifetime %" PRIu32
			 " result %u clock %" PRIu32,
			 text_of_opcode(bytes[1] & 0x7fU), get16(bytes + 8), get16(bytes + 10),
			 get32(bytes + 12), get16(bytes + 2), get32(bytes + 4));
	else if (len >= 24 && bytes[0] == 2 && bytes[1] & 0x80)
		text_of_pcp_answer(bytes, len, text);
	else
		text_of_bytes(bytes, len, text);
	return text;
}
