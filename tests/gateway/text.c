/* SPDX-License-Identifier: MIT */
#include "text.h"

#include "model.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
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

struct sockaddr_in endpoint_of(uint32_t address, uint16_t port)
{
	struct sockaddr_in endpoint;

	memset(&endpoint, 0, sizeof(endpoint));
	endpoint.sin_family = AF_INET;
	endpoint.sin_addr.s_addr = htonl(address);
	endpoint.sin_port = htons(port);
	return endpoint;
}

bool text_endpoint(const char *text, uint16_t default_port, struct sockaddr_in *endpoint)
{
	char host[TEXT_ENDPOINT];
	const char *colon = strchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : strlen(text);
	int64_t port = default_port;
	uint32_t address;

	if (len >= sizeof(host))
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	if (!text_address(host, &address))
		return false;
	if (colon && !text_number(colon + 1, 0, 65535, &port))
		return false;
	*endpoint = endpoint_of(address, (uint16_t)port);
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

const char *text_of_endpoint(const struct sockaddr_in *endpoint, char text[TEXT_ENDPOINT])
{
	char host[TEXT_ENDPOINT];

	text_of_address(ntohl(endpoint->sin_addr.s_addr), host);
	snprintf(text, TEXT_ENDPOINT, "%.15s:%u", host, ntohs(endpoint->sin_port));
	return text;
}

const char *text_of_opcode(unsigned opcode)
{
	return opcode == MODEL_UDP ? "udp" : "tcp";
}

static unsigned get16(const uint8_t *at)
{
	return (unsigned)(at[0] << 8 | at[1]);
}

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)get16(at) << 16 | get16(at + 2);
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

const char *text_of_request(const uint8_t *bytes, size_t len, char text[TEXT_PACKET])
{
	unsigned internal, suggested;
	uint32_t lifetime;

	if (len == 2 && bytes[0] == 0 && bytes[1] == MODEL_ADDRESS)
		return "address";
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
	else
		text_of_bytes(bytes, len, text);
	return text;
}
