/* SPDX-License-Identifier: MIT */
/*
 * record - what this user's running natpmp hold: a small file of each in $XDG_RUNTIME_DIR/natpmp.
 *
 * It is true for as long as its writer has it locked; without that directory there are none.
 */
#ifndef CLI_RECORD_H
#define CLI_RECORD_H

#include <natpmpc.h>
#include <stdbool.h>
#include <time.h>

#include "output.h"

struct record {
	int fd;     /* -1: there is none */
	char *path; /* NULL likewise */
	char *text; /* what is in it */
};

/* A line in it. */
struct record_line {
	natpmp_family family;
	natpmp_mapping mapping;
	char gateway[NATPMP_ADDRESS_LEN]; /* "" = not known */
	bool up;
	time_t since, until; /* 0 = not known */
};

void record_begin(struct record *record);
/* Say it if another natpmp of this user holds this port at this gateway, too. */
void record_warn(const struct record_line *line, const struct session *session,
		 struct output *output);
/* The lines as they are now. */
void record_write(struct record *record, const struct record_line *lines, size_t count);
void record_end(struct record *record);

/* For --status: show all. The exit status. */
int record_show(struct output *output);

#endif
