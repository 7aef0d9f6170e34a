/* SPDX-License-Identifier: MIT */
#include "json.h"

#include <stdint.h>
#include <string.h>

#include "failure.h"

/* The character at *text, which moves on; U+FFFD for a byte that begins none (RFC 3629 section 4).
 */
static uint32_t take_character(const unsigned char **text)
{
	static const struct {
		unsigned char mask, lead;
		uint32_t least; /* smaller ones are overlong */
	} forms[] = {
		{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
	const unsigned char *s = (*text)++;

	for (size_t more = 0; more < 4; more++) {
		uint32_t code = s[0] & (unsigned char)~forms[more].mask;
		size_t i;

		if ((s[0] & forms[more].mask) != forms[more].lead)
			continue;
		for (i = 1; i <= more && (s[i] & 0xc0) == 0x80; i++)
			code = code << 6 | (s[i] & 0x3fU);
		if (i <= more || code < forms[more].least || code > 0x10ffff ||
		    (code >= 0xd800 && code < 0xe000))
			break;
		*text = s + more + 1;
		return code;
	}
	return 0xfffd;
}

/* In ASCII alone, whatever reads it. */
static void put_quoted(FILE *out, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	putc('"', out);
	while (*s) {
		uint32_t code = take_character(&s);

		if (code >= 0x10000)
			fprintf(out, "\\u%04x\\u%04x", 0xd800 + ((code - 0x10000) >> 10),
				0xdc00 + (code & 0x3ff));
		else if (code < 0x20 || code > 0x7e)
			fprintf(out, "\\u%04x", code);
		else
			fprintf(out, "%s%c", code == '"' || code == '\\' ? "\\" : "", (int)code);
	}
	putc('"', out);
}

static void put_key(FILE *out, const char *key)
{
	putc(',', out);
	put_quoted(out, key);
	putc(':', out);
}

void json_begin(FILE *out, const char *event, time_t now)
{
	fputs("{\"event\":", out);
	put_quoted(out, event);
	json_time(out, "time", now);
}

void json_time(FILE *out, const char *key, time_t value)
{
	if (!value) {
		json_null(out, key);
		return;
	}
	put_key(out, key);
	fprintf(out, "%lld", (long long)value);
}

void json_maybe(FILE *out, const char *key, bool known, bool value)
{
	if (known)
		json_bool(out, key, value);
	else
		json_null(out, key);
}

void json_null(FILE *out, const char *key)
{
	put_key(out, key);
	fputs("null", out);
}

void json_string(FILE *out, const char *key, const char *value)
{
	if (!value || !*value) {
		json_null(out, key);
		return;
	}
	put_key(out, key);
	put_quoted(out, value);
}

void json_number(FILE *out, const char *key, unsigned long value)
{
	put_key(out, key);
	fprintf(out, "%lu", value);
}

void json_bool(FILE *out, const char *key, bool value)
{
	put_key(out, key);
	fputs(value ? "true" : "false", out);
}

void json_known(FILE *out, const char *key, unsigned long value)
{
	if (value)
		json_number(out, key, value);
	else
		json_null(out, key);
}

bool is_granted(const natpmp_mapping *mapping)
{
	return *mapping->internal_address != '\0';
}

natpmp_family family_of(const natpmp_mapping *mapping)
{
	return strchr(mapping->internal_address, ':') ? NATPMP_IPV6 : NATPMP_IPV4;
}

void json_mapping(FILE *out, natpmp_family family, const natpmp_mapping *mapping)
{
	bool granted = is_granted(mapping);

	json_string(out, "family", family_name(family));
	json_string(out, "protocol", protocol_name(mapping->protocol));
	json_string(out, "internal_address", mapping->internal_address);
	json_known(out, "internal_port", mapping->internal_port);
	json_string(out, "external_address", mapping->external_address);
	json_known(out, "external_port", granted ? mapping->external_port : 0);
	json_string(out, "external_kind",
		    granted ? kind_name(natpmp_classify(mapping->external_address)) : NULL);
	json_known(out, "lifetime", granted ? mapping->lifetime : 0);
	json_string(out, "dialect", granted ? dialect_name(mapping->dialect) : NULL);
}

void json_error(FILE *out, const char *key, int status)
{
	if (status == NATPMP_OK) {
		json_null(out, key);
		return;
	}
	put_key(out, key);
	fputs("{\"code\":", out);
	put_quoted(out, failure_find(status)->code);
	json_string(out, "message", natpmp_strerror(status));
	putc('}', out);
}

void json_end(FILE *out)
{
	fputs("}\n", out);
}

const char *protocol_name(natpmp_protocol protocol)
{
	switch (protocol) {
	case NATPMP_UDP:
		return "udp";
	case NATPMP_TCP:
		return "tcp";
	case NATPMP_TCP_UDP:
		return "both";
	}
	return NULL;
}

const char *dialect_name(natpmp_dialect dialect)
{
	switch (dialect) {
	case NATPMP_DIALECT_AUTO:
		return NULL;
	case NATPMP_DIALECT_NATPMP:
		return "natpmp";
	case NATPMP_DIALECT_PCP:
		return "pcp";
	}
	return NULL;
}

const char *family_name(natpmp_family family)
{
	return family == NATPMP_IPV6 ? "ipv6" : "ipv4";
}

const char *family_title(natpmp_family family)
{
	return family == NATPMP_IPV6 ? "IPv6" : "IPv4";
}

const char *kind_name(natpmp_address_kind kind)
{
	switch (kind) {
	case NATPMP_ADDRESS_NONE:
		return "none";
	case NATPMP_ADDRESS_PUBLIC:
		return "public";
	case NATPMP_ADDRESS_PRIVATE:
		return "private";
	case NATPMP_ADDRESS_SHARED:
		return "shared";
	case NATPMP_ADDRESS_LINK_LOCAL:
		return "link_local";
	case NATPMP_ADDRESS_RESERVED:
		return "reserved";
	}
	return "reserved";
}
