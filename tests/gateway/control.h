/* SPDX-License-Identifier: MIT */
/*
 * control.h - commands to a running gateway, a line each, over a Unix stream
 * socket; and the other end of it.
 */
#ifndef GATEWAY_CONTROL_H
#define GATEWAY_CONTROL_H

#include "commander.h"
#include "watch.h"

#include <stdbool.h>
#include <stddef.h>

#define CONTROL_CLIENTS 16
#define CONTROL_LINE    4096

struct control {
	struct commander *commander;
	const char *path; /* of the socket; NULL = none */
	int fd;
	struct control_client {
		struct control *control;
		int fd; /* -1 = free */
		size_t len;
		char line[CONTROL_LINE];
	} clients[CONTROL_CLIENTS];
};

bool control_open(struct control *control); /* false: errno says why */
void control_watch(struct control *control, struct watch *watch);
void control_close(struct control *control); /* removes the socket file */

/* The other end: send one command, print the reply. Returns an exit status:
 * 0 ok, 1 error, 2 nobody answers (5 s). */
int control_tell(const char *path, const char *command);

#endif
