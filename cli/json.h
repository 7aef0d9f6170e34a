/* SPDX-License-Identifier: MIT */
/*
 * json - one JSON object a line. Every line has an "event"; the keys only grow:
 *
 *   event             "mapped", "up", "changed", "down", "closed", "left",
 *                     "closed_all", "address", "error", "check", "status"
 *   time              when that was, seconds since 1970
 *   family            "ipv4", "ipv6"
 *   protocol          "tcp", "udp", "both"
 *   internal_address, internal_port, external_address, external_port
 *                     the mapping as granted; before that what was wanted of
 *                     the internal port, and null
 *   external_kind     "public", "private", "shared", "link_local", "reserved", "none"
 *   lifetime          seconds, as granted
 *   dialect           that it was granted in: "natpmp", "pcp"
 *   expires           when that is over, unless it is renewed, seconds since 1970
 *   gateway           its address
 *   error             {"code": as failure.c has it, "message": for people}
 *
 * What is not known is null. "check" and "status" have keys of their own: see
 * diagnose.c and record.c.
 */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <natpmpc.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

void json_begin(FILE *out, const char *event, time_t now);
/* NULL and "" become null: an address that is not known. */
void json_string(FILE *out, const char *key, const char *value);
void json_number(FILE *out, const char *key, unsigned long value);
/* 0 becomes null: ports and lifetimes are never 0. */
void json_known(FILE *out, const char *key, unsigned long value);
void json_bool(FILE *out, const char *key, bool value);
/* Seconds since 1970, as date +%s and jq's todate have it; 0 becomes null. */
void json_time(FILE *out, const char *key, time_t value);
/* null unless it is known. */
void json_maybe(FILE *out, const char *key, bool known, bool value);
void json_null(FILE *out, const char *key);
/* It tells what was granted, now or before; else what is wanted. */
bool is_granted(const natpmp_mapping *mapping);
/* Of a mapping that was granted. */
natpmp_family family_of(const natpmp_mapping *mapping);
/* The members of a mapping of this family. */
void json_mapping(FILE *out, natpmp_family family, const natpmp_mapping *mapping);
/* {"code", "message"}, or null when there is no error. */
void json_error(FILE *out, const char *key, int status);
void json_end(FILE *out);

/* The words of "protocol" and "dialect", NULL for none, of "family" and "external_kind"; the family
 * as people write it. */
const char *protocol_name(natpmp_protocol protocol);
const char *dialect_name(natpmp_dialect dialect);
const char *family_name(natpmp_family family);
const char *family_title(natpmp_family family);
const char *kind_name(natpmp_address_kind kind);

#endif
