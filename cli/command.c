/* SPDX-License-Identifier: MIT */
#include "command.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "child.h"
#include "signals.h"

/* Has this process group the terminal? */
static bool has_terminal(const struct command *command, pid_t group)
{
	return command->terminal >= 0 && tcgetpgrp(command->terminal) == group;
}

static bool is_pipe(int fd)
{
	struct stat found;

	return fstat(fd, &found) == 0 && S_ISFIFO(found.st_mode);
}

/* The others of a pipeline, in our process group, need the terminal as much as the command does:
 * then it gets it when it asks for it. */
static bool may_take_terminal(const struct command *command)
{
	return has_terminal(command, getpgrp()) && !is_pipe(STDIN_FILENO) &&
	       !is_pipe(STDOUT_FILENO);
}

pid_t command_fork(struct command *command, bool group)
{
	bool take;

	*command = (struct command){.group = group, .terminal = -1};
	if (group)
		command->terminal = open("/dev/tty", O_RDWR | O_CLOEXEC);
	take = may_take_terminal(command);
	command->pid = child_fork(false);
	if (group && command->pid >= 0)
		setpgid(command->pid, command->pid); /* parent and child, whichever comes first */
	if (command->pid == 0 && take)
		tcsetpgrp(command->terminal, getpid());
	return command->pid;
}

static void send(const struct command *command, int signal)
{
	kill(command->group ? -command->pid : command->pid, signal);
}

/* A key on the terminal has reached the command, too, if it is still in our process group; a
 * hang-up has not, if we lead the session. */
void command_signal(const struct command *command, int signal, bool by_terminal)
{
	if (!by_terminal || signal == SIGHUP || getpgid(command->pid) != getpgrp())
		send(command, signal);
}

void command_continue(const struct command *command)
{
	if (!command->pid)
		return;
	if (may_take_terminal(command))
		tcsetpgrp(command->terminal, command->pid);
	send(command, SIGCONT);
}

void command_stop(const struct command *command, bool by_terminal)
{
	if (command->pid)
		command_signal(command, SIGTSTP, by_terminal);
	if (!signals_stop(getpid(), SIGTSTP))
		command_continue(command);
}

void command_stopped(const struct command *command, int signal)
{
	bool wants_terminal = signal == SIGTTIN || signal == SIGTTOU;
	bool had_terminal = has_terminal(command, command->pid);
	bool by_key = signal == SIGTSTP && had_terminal; /* else it was us who sent it on */

	if (!command->group || (!by_key && !wants_terminal))
		return;
	if (wants_terminal && has_terminal(command, getpgrp())) {
		tcsetpgrp(command->terminal, command->pid);
		send(command, SIGCONT);
		return;
	}
	if (had_terminal)
		tcsetpgrp(command->terminal, getpgrp());
	if (signals_stop(had_terminal ? 0 : getpid(), signal))
		return;
	/* Nobody could continue it: the kernel does that to such a process group. */
	if (wants_terminal)
		send(command, SIGHUP);
	command_continue(command);
}

void command_ended(struct command *command)
{
	command->had_terminal = has_terminal(command, command->pid);
	if (command->had_terminal)
		tcsetpgrp(command->terminal, getpgrp());
	command->pid = 0;
}
