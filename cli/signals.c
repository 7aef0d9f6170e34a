/* SPDX-License-Identifier: MIT */
#include "signals.h"

#include <stddef.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* Those that would end or stop us, and what is heard of children. SIGTTOU is blocked, not taken:
 * then a process in the background may write to the terminal, and hand it over. */
static const int taken[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGUSR1,
			    SIGUSR2, SIGTSTP, SIGCONT, SIGCHLD};

/* If SIGCHLD were ignored, children would leave no status behind. */
static const struct {
	int number;
	void (*handler)(int);
} changed[] = {{SIGCHLD, SIG_DFL}, {SIGPIPE, SIG_IGN}, {SIGXFSZ, SIG_IGN}};

enum { CHANGED = sizeof(changed) / sizeof(*changed) };

int signals_begin(struct signals *signals)
{
	struct sigaction now;
	sigset_t set, blocked;

	for (size_t i = 0; i < CHANGED; i++) {
		now = (struct sigaction){.sa_handler = changed[i].handler};
		sigaction(changed[i].number, &now, &signals->before[i]);
	}
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(taken) / sizeof(*taken); i++) {
		sigaction(taken[i], NULL, &now);
		if (now.sa_handler != SIG_IGN)
			sigaddset(&set, taken[i]);
	}
	blocked = set;
	sigaddset(&blocked, SIGTTOU);
	sigprocmask(SIG_BLOCK, &blocked, &signals->mask);
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
	for (size_t i = 0; i < CHANGED; i++)
		sigaction(changed[i].number, &signals->before[i], NULL);
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

static void send_unblocked(pid_t pid, int signal)
{
	sigset_t set, before;

	sigemptyset(&set);
	sigaddset(&set, signal);
	kill(pid, signal);
	sigprocmask(SIG_UNBLOCK, &set, &before);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

bool signals_stop(pid_t pid, int signal)
{
	sigset_t pending;

	send_unblocked(pid, signal);
	return sigpending(&pending) == 0 && sigismember(&pending, SIGCONT);
}

void signals_die(pid_t pid, int signal)
{
	struct sigaction fallback = {.sa_handler = SIG_DFL};
	struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none); /* the core of the command is the one to look at */
	sigaction(signal, &fallback, NULL);
	send_unblocked(pid, signal);
}
