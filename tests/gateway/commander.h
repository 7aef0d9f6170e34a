/* SPDX-License-Identifier: MIT */
/* commander.h - what a running gateway can be told to do; one line, one reply. */
#ifndef GATEWAY_COMMANDER_H
#define GATEWAY_COMMANDER_H

#include "front.h"
#include "journal.h"
#include "model.h"

#include <stdbool.h>
#include <stdio.h>

struct commander {
	struct journal *journal;
	struct model *model;
	struct front *front;
	bool quit;      /* set by the command of that name */
	char note[100]; /* what stands behind ok or error in the reply */
	FILE *reply;
};

/* Any number of lines go to commander->reply, and then one that starts with
 * "ok" or "error". line is cut to pieces. */
void commander_run(struct commander *commander, char *line);
void commander_help(FILE *file);

#endif
