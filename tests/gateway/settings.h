/* SPDX-License-Identifier: MIT */
/* settings.h - the members of a profile by name, for options and commands. */
#ifndef GATEWAY_SETTINGS_H
#define GATEWAY_SETTINGS_H

#include "model.h"

#include <stdbool.h>
#include <stdio.h>

/* False = no such name or not a value for it. */
bool settings_apply(struct model_profile *profile, const char *name, const char *value);

/* result CODE|off [address|udp|tcp]; opcode NULL = all three */
bool settings_result(struct model_profile *profile, const char *code, const char *opcode);

/* pcp-result CODE|off [announce|map|create|renew|delete]; wish NULL = all */
bool settings_pcp_result(struct model_profile *profile, const char *code, const char *wish);

bool settings_opcode(const char *name, enum model_opcode *opcode);
void settings_print(FILE *file); /* a name a line, with what it takes */

#endif
