/* SPDX-License-Identifier: MIT */
#include "signals.h"

#include <stddef.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* Those that would end us, and the end of a child. */
static const int taken[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGCHLD};

int signals_begin(struct signals *signals)
{
	struct sigaction fallback = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDSTOP};
	struct sigaction ignored = {.sa_handler = SIG_IGN}, now;
	sigset_t set;

	/* If SIGCHLD were ignored, children would leave no status behind. */
	sigaction(SIGCHLD, &fallback, &signals->child);
	sigaction(SIGPIPE, &ignored, &signals->pipe);
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(taken) / sizeof(*taken); i++) {
		sigaction(taken[i], NULL, &now);
		if (now.sa_handler != SIG_IGN)
			sigaddset(&set, taken[i]);
	}
	sigprocmask(SIG_BLOCK, &set, &signals->mask);
	signals->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return signals->fd < 0 ? -1 : 0;
}

/* Those taken stay blocked: what is left to do is not to be cut short. */
void signals_end(struct signals *signals)
{
	close(signals->fd);
}

void signals_restore(const struct signals *signals)
{
	sigaction(SIGCHLD, &signals->child, NULL);
	sigaction(SIGPIPE, &signals->pipe, NULL);
	sigprocmask(SIG_SETMASK, &signals->mask, NULL);
}

int signals_take(const struct signals *signals, bool *by_terminal)
{
	struct signalfd_siginfo info;

	if (read(signals->fd, &info, sizeof(info)) != sizeof(info))
		return 0;
	*by_terminal = info.ssi_code == SI_KERNEL;
	return (int)info.ssi_signo;
}
