/* SPDX-License-Identifier: MIT */
/*
 * signals - signals as something to poll for.
 *
 * Those that were ignored when we started (nohup, a shell's background job)
 * stay ignored.
 */
#ifndef CLI_SIGNALS_H
#define CLI_SIGNALS_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

struct signals {
	int fd; /* readable when there is one to take */
	sigset_t mask;
	struct sigaction before[3]; /* as they were, like mask */
};

/* -1: errno says why. */
int signals_begin(struct signals *signals);
void signals_end(struct signals *signals);
/* In a child process, before exec: as if we had never been. */
void signals_restore(const struct signals *signals);

/* The next one, 0 when there is none. by_terminal: sent by a key to every process in the
 * foreground. */
int signals_take(const struct signals *signals, bool *by_terminal);

/* Stop ourselves, or with pid 0 our process group, as this signal does by default; come back when
 * we are continued. False: nobody here can be stopped, for nobody could continue us. */
bool signals_stop(pid_t pid, int signal);
/* End ourselves, or our process group, by this signal; come back only if that cannot be. */
void signals_die(pid_t pid, int signal);

#endif
