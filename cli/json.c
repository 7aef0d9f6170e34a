/* SPDX-License-Identifier: MIT */
#include "json.h"

#include <stdint.h>
#include <string.h>

#include "failure.h"

/* Length of the UTF-8 sequence at s, 0 if it is not one (RFC 3629 section 4). */
static size_t utf8_length(const unsigned char *s)
{
	static const struct {
		unsigned char mask, lead;
		uint32_t least; /* smaller ones are overlong */
	} forms[] = {
		{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};

	for (size_t more = 0; more < 4; more++) {
		uint32_t code = s[0] & (unsigned char)~forms[more].mask;

		if ((s[0] & forms[more].mask) != forms[more].lead)
			continue;
		for (size_t i = 1; i <= more; i++) {
			if ((s[i] & 0xc0) != 0x80)
				return 0;
			code = code << 6 | (s[i] & 0x3fU);
		}
		if (code < forms[more].least || code > 0x10ffff ||
		    (code >= 0xd800 && code < 0xe000))
			return 0;
		return more + 1;
	}
	return 0;
}

static void put_quoted(FILE *out, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	putc('"', out);
	while (*s) {
		size_t length = utf8_length(s);

		if (!length) {
			fputs("\\ufffd", out);
			length = 1;
		} else if (*s < 0x20 || *s == 0x7f) {
			fprintf(out, "\\u%04x", *s);
		} else {
			if (*s == '"' || *s == '\\')
				putc('\\', out);
			fwrite(s, 1, length, out);
		}
		s += length;
	}
	putc('"', out);
}

static void put_key(FILE *out, const char *key)
{
	putc(',', out);
	put_quoted(out, key);
	putc(':', out);
}

void json_begin(FILE *out, const char *event)
{
	fputs("{\"event\":", out);
	put_quoted(out, event);
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

void json_mapping(FILE *out, const natpmp_mapping *mapping)
{
	bool granted = is_granted(mapping);

	json_string(out, "protocol", protocol_name(mapping->protocol));
	json_string(out, "internal_address", mapping->internal_address);
	json_known(out, "internal_port", mapping->internal_port);
	json_string(out, "external_address", mapping->external_address);
	json_known(out, "external_port", granted ? mapping->external_port : 0);
	json_string(out, "external_kind",
		    granted ? kind_name(natpmp_classify(mapping->external_address)) : NULL);
	json_known(out, "lifetime", granted ? mapping->lifetime : 0);
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
