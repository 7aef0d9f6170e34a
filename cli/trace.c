/* SPDX-License-Identifier: MIT */
#include "trace.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The longest of RFC 6886 section 3, and what all of RFC 6887 begin with; the library shows no
 * more, for the nonce comes behind. */
enum { PACKET_MAX = 24, OP_ANSWER = 128 };

static unsigned number(const unsigned char *bytes, size_t length)
{
	unsigned value = 0;

	while (length--)
		value = value << 8 | *bytes++;
	return value;
}

static const char *type(unsigned char op)
{
	return op % OP_ANSWER == 1 ? "UDP" : "TCP";
}

static bool is_packet(const unsigned char *bytes, size_t length, unsigned char op, size_t wanted)
{
	return length == wanted && bytes[0] == 0 && bytes[1] == op;
}

static void describe_mapping(const unsigned char *bytes, char *text, size_t size)
{
	unsigned internal = number(bytes + 4, 2), external = number(bytes + 6, 2);
	unsigned lifetime = number(bytes + 8, 4);

	if (lifetime)
		snprintf(text, size, "map %s %u to %u for %u s", type(bytes[1]), internal, external,
			 lifetime);
	else if (internal)
		snprintf(text, size, "close %s %u", type(bytes[1]), internal);
	else
		snprintf(text, size, "close every %s mapping", type(bytes[1]));
}

/* What every answer begins with; result 0 to 5 by their names. */
static void describe_answer(const unsigned char *bytes, const char *success, char *text,
			    size_t size)
{
	static const char *const names[] = {NULL,
					    "unsupported version",
					    "not authorized",
					    "network failure",
					    "out of resources",
					    "unsupported opcode"};
	unsigned result = number(bytes + 2, 2);
	const char *name = result < sizeof(names) / sizeof(*names) ? names[result] : "unknown";

	if (result)
		snprintf(text, size, "answer: result %u, %s; gateway up for %u s", result, name,
			 number(bytes + 4, 4));
	else
		snprintf(text, size, "answer: %s; gateway up for %u s", success,
			 number(bytes + 4, 4));
}

/* RFC 6887 sections 7.1 and 7.2. */
static void describe_pcp(const unsigned char *bytes, char *text, size_t size)
{
	static const char *const names[] = {"success",
					    "unsupported version",
					    "not authorized",
					    "malformed request",
					    "unsupported opcode",
					    "unsupported option",
					    "malformed option",
					    "network failure",
					    "out of resources",
					    "unsupported protocol",
					    "quota exceeded",
					    "that external port is not to be had",
					    "address mismatch",
					    "too many remote peers"};
	static const char *const questions[] = {"are you there", "map", "peer"};
	/* Of a request the third and fourth bytes are zero. */
	unsigned op = bytes[1] % OP_ANSWER, result = bytes[3], lifetime = number(bytes + 4, 4);
	const char *question = op < 3 ? questions[op] : "unknown";
	const char *name = result < sizeof(names) / sizeof(*names) ? names[result] : "unknown";
	char seconds[24] = "", code[16] = "";

	if (op == 1 || result)
		snprintf(seconds, sizeof(seconds), ", for %u s", lifetime);
	if (result)
		snprintf(code, sizeof(code), "result %u, ", result);
	if (bytes[1] >= OP_ANSWER)
		snprintf(text, size, "PCP answer: %s%s%s; gateway up for %u s", code, name, seconds,
			 number(bytes + 8, 4));
	else
		snprintf(text, size, "PCP request: %s%s", op == 1 && !lifetime ? "close" : question,
			 op == 1 && !lifetime ? "" : seconds);
}

/* RFC 6886 sections 3.2 to 3.4; "" for what is none of that. */
static void describe(const unsigned char *bytes, size_t length, char *text, size_t size)
{
	char success[80];

	*text = '\0';
	if (is_packet(bytes, length, 0, 2)) {
		snprintf(text, size, "ask for the external address");
	} else if (is_packet(bytes, length, 1, 12) || is_packet(bytes, length, 2, 12)) {
		describe_mapping(bytes, text, size);
	} else if (is_packet(bytes, length, OP_ANSWER, 12)) {
		snprintf(success, sizeof(success), "external address %u.%u.%u.%u", bytes[8],
			 bytes[9], bytes[10], bytes[11]);
		describe_answer(bytes, success, text, size);
	} else if (is_packet(bytes, length, OP_ANSWER + 1, 16) ||
		   is_packet(bytes, length, OP_ANSWER + 2, 16)) {
		snprintf(success, sizeof(success), "%s %u is external port %u for %u s",
			 type(bytes[1]), number(bytes + 8, 2), number(bytes + 10, 2),
			 number(bytes + 12, 4));
		describe_answer(bytes, success, text, size);
	} else if (length >= PACKET_MAX && bytes[0] == 2) {
		describe_pcp(bytes, text, size);
	} else if (length >= 4 && !bytes[0] && bytes[1] >= OP_ANSWER && number(bytes + 2, 2) == 1) {
		snprintf(text, size, "answer: result 1, unsupported version");
	}
}

void trace_line(const char *line, char *text, size_t size)
{
	const char *comma = strrchr(line, ','), *hex = comma ? strstr(comma, " bytes: ") : NULL;
	unsigned char bytes[PACKET_MAX] = {0};
	size_t length = 0;
	char words[160] = "", *end;

	snprintf(text, size, "%s", line);
	if (!hex)
		return;
	hex += strlen(" bytes: ");
	for (const char *c = hex; *c; c = end, length++) {
		unsigned long byte = strtoul(c, &end, 16);

		if (end == c)
			break;
		if (length < PACKET_MAX)
			bytes[length] = (unsigned char)byte;
	}
	describe(bytes, length, words, sizeof(words));
	if (*words)
		snprintf(text, size, "%.*s: %s (%s)", (int)(comma - line), line, words, hex);
}
