/* SPDX-License-Identifier: MIT */
/* text.h - words into values and back; every parser says false to nonsense. */
#ifndef GATEWAY_TEXT_H
#define GATEWAY_TEXT_H

#include "host.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool text_number(const char *text, int64_t min, int64_t max, int64_t *value);
bool text_address(const char *text, uint32_t *address); /* host byte order */

/* ADDR or ADDR:PORT */
bool text_endpoint(const char *text, uint16_t default_port, struct sockaddr_in *endpoint);
bool text_hex(const char *text, uint8_t *bytes, size_t max, size_t *len);

#define TEXT_ENDPOINT 64 /* room for [ADDR]:65535 of IPv6 and its end */
const char *text_of_endpoint(const struct sockaddr_in *endpoint, char text[TEXT_ENDPOINT]);
const char *text_of_address(uint32_t address, char text[TEXT_ENDPOINT]);
const char *text_of_host(const struct model_host *host, char text[TEXT_ENDPOINT]);
const char *text_of_opcode(unsigned opcode); /* "udp", "tcp" */

/* What a datagram says, in the words gatewayd --help explains. */
#define TEXT_PACKET 200
const char *text_of_request(const uint8_t *bytes, size_t len, char text[TEXT_PACKET]);
const char *text_of_answer(const uint8_t *bytes, size_t len, char text[TEXT_PACKET]);

struct sockaddr_in endpoint_of(uint32_t address, uint16_t port);

#endif
