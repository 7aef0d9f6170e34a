/* SPDX-License-Identifier: MIT */
/*
 * command - the command that runs, to signals and on its terminal what it would be without us.
 *
 * What is executed without a shell stays in our process group. A shell gets a group of its own,
 * so that a signal sent to us reaches all that it has started, and the terminal if we have that.
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <stdbool.h>
#include <sys/types.h>

struct command {
	pid_t pid;         /* 0: not started, or ended */
	bool group;        /* it has a process group of its own */
	int terminal;      /* -1: it has none to be given */
	bool had_terminal; /* when it ended: keys went to its group only */
};

/* child_fork(); group: into a process group of its own. */
pid_t command_fork(struct command *command, bool group);
/* We were sent this one. */
void command_signal(const struct command *command, int signal, bool by_terminal);
/* It was stopped: so are we, unless it only wants the terminal and we have it. */
void command_stopped(const struct command *command, int signal);
/* We were sent SIGTSTP: both stop. */
void command_stop(const struct command *command, bool by_terminal);
/* We were continued. */
void command_continue(const struct command *command);
void command_ended(struct command *command);

#endif
