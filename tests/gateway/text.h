/* SPDX-License-Identifier: MIT */
/* text.h - words into values and back; every parser says false to nonsense. */
#ifndef GATEWAY_TEXT_H
#define GATEWAY_TEXT_H

#include "host.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

bool text_number(const char *text, int64_t min, int64_t max, int64_t *value);
bool text_address(const char *text, uint32_t *address); /* host byte order */

/* An address and a port, of either family. */
union endpoint {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

union endpoint endpoint_of(uint32_t address, uint16_t port);
socklen_t endpoint_size(const union endpoint *endpoint);
uint16_t endpoint_port(const union endpoint *endpoint);
void endpoint_set_port(union endpoint *endpoint, uint16_t port);
struct model_host endpoint_host(const union endpoint *endpoint);

/* ADDR, ADDR:PORT, [ADDR6], [ADDR6]:PORT; ADDR6 may end in %INTERFACE */
bool text_endpoint(const char *text, uint16_t default_port, union endpoint *endpoint);
bool text_hex(const char *text, uint8_t *bytes, size_t max, size_t *len);

#define TEXT_ENDPOINT 64 /* room for [ADDR]:65535 of IPv6 and its end */
const char *text_of_endpoint(const union endpoint *endpoint, char text[TEXT_ENDPOINT]);
const char *text_of_address(uint32_t address, char text[TEXT_ENDPOINT]);
const char *text_of_host(const struct model_host *host, char text[TEXT_ENDPOINT]);
const char *text_of_opcode(unsigned opcode); /* "udp", "tcp" */

/* What a datagram says, in the words gatewayd --help explains. */
#define TEXT_PACKET 200
const char *text_of_request(const uint8_t *bytes, size_t len, char text[TEXT_PACKET]);
const char *text_of_answer(const uint8_t *bytes, size_t len, char text[TEXT_PACKET]);

#endif
