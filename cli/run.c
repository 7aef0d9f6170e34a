/* SPDX-License-Identifier: MIT */
#include "run.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "clock.h"
#include "command.h"
#include "failure.h"
#include "hold.h"
#include "notify.h"
#include "signals.h"

enum { OVERSLEPT = 1000 }; /* ms; a machine that is busy is not late by so much */

struct run {
	struct sessions *sessions;
	const struct options *options;
	struct output *output;
	struct signals signals;
	struct holds holds;
	struct command command;
	uint64_t watchdog; /* ms, when it is due */
	bool over;
	int exit_status;
	int signal; /* that ended the command, or us while we waited for the mapping; 0: none */
};

static void finish(struct run *run, int exit_status)
{
	run->over = true;
	run->exit_status = exit_status;
}

static void fail(struct run *run, struct session *session, const natpmp_mapping *mapping,
		 int status)
{
	char not_open[OUTPUT_NOT_OPEN_LEN], what[OUTPUT_NOT_OPEN_LEN + 32];
	int exit_status;

	snprintf(what, sizeof(what), "%s%s", output_not_open(session, mapping, not_open),
		 run->options->command ? ", so the command was not run" : "");
	exit_status = output_failure(run->output, session, what, mapping, status);
	if (!run->over) /* the first failure is what counts */
		finish(run, run->options->command ? STATUS_NOT_RUN : exit_status);
}

static void start_command(struct run *run)
{
	const struct options *options = run->options;

	output_asked(run->output);
	if (command_fork(&run->command, options->shell) == 0) {
		holds_environment(&run->holds);
		child_exec(&run->signals, options->command, options->shell,
			   &holds_first(&run->holds)->now.mapping);
	}
	if (run->command.pid < 0) {
		output_error(run->output, "cannot run the command: %s; close some programs",
			     strerror(errno));
		run->command.pid = 0;
		finish(run, STATUS_NOT_RUN);
		return;
	}
	notify("READY=1");
}

/* Until all are up: go on, or give up since nobody is left who could be? */
static void look_at_opening(struct run *run)
{
	const struct hold *worst[FAMILIES];
	size_t count = run->sessions->count;

	if (run->holds.ready || run->options->retry)
		return;
	for (size_t i = 0; i < count; i++) {
		worst[i] = holds_worst(&run->holds, &run->sessions->all[i]);
		if (!is_failure(worst[i]->now.status))
			return;
	}
	errno = 0; /* of long ago */
	for (size_t i = 0; i < count; i++)
		fail(run, worst[i]->session, &worst[i]->now.mapping, worst[i]->now.status);
}

static void reap(struct run *run)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
		if (pid != run->command.pid) {
			holds_reap(&run->holds, pid, status);
		} else if (WIFSTOPPED(status)) {
			command_stopped(&run->command, WSTOPSIG(status));
		} else {
			command_ended(&run->command);
			finish(run, child_exit_status(status));
			run->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
		}
	}
}

static void end_by(struct run *run, int signal)
{
	if (run->over)
		return;
	if (run->holds.ready && !run->options->command) {
		finish(run, STATUS_DONE); /* the way a hold ends */
		return;
	}
	finish(run, STATUS_SIGNAL + signal);
	run->signal = signal;
}

static void take_signals(struct run *run)
{
	bool by_terminal;
	int signal;

	while ((signal = signals_take(&run->signals, &by_terminal))) {
		if (signal == SIGCHLD)
			reap(run);
		else if (signal == SIGTSTP)
			command_stop(&run->command, by_terminal);
		else if (signal == SIGCONT)
			command_continue(&run->command);
		else if (run->command.pid)
			command_signal(&run->command, signal, by_terminal);
		else
			end_by(run, signal);
	}
}

/* ms for poll(), the sooner of two; -1 is never. */
static int sooner(int a, int b)
{
	if (a < 0 || b < 0)
		return a < 0 ? b : a;
	return a < b ? a : b;
}

static int timeout(struct run *run)
{
	int ms =
		sooner(ms_until(holds_due(&run->holds)), ms_until(notify_watchdog(&run->watchdog)));

	for (size_t i = 0; i < run->sessions->count; i++)
		ms = sooner(natpmp_timeout(run->sessions->all[i].ctx), ms);
	return ms;
}

/* poll(), which notices when it comes back far too late. */
static int wait_for(struct run *run, struct pollfd *ready, nfds_t count)
{
	int ms = timeout(run), found;
	uint64_t then = now_awake_or_not_ms();

	found = poll(ready, count, ms);
	run->holds.slept = ms >= 0 && now_awake_or_not_ms() - then > (uint64_t)ms + OVERSLEPT;
	return found;
}

/* Let the library do what is due. False: it cannot go on, which was said. */
static bool process(struct run *run)
{
	for (size_t i = 0; i < run->sessions->count; i++) {
		struct session *session = &run->sessions->all[i];
		int status = natpmp_process(session->ctx);

		if (status < 0) {
			fail(run, session, session->mappings, status);
			return false;
		}
	}
	return true;
}

static void loop(struct run *run)
{
	enum { SIGNALS, PORT_FILE, STDOUT, SESSIONS };
	struct pollfd ready[SESSIONS + FAMILIES] = {
		{.fd = run->signals.fd, .events = POLLIN},
		{.events = POLLIN},
		{.events = POLLOUT}}; /* when it was not ready */

	for (size_t i = 0; i < run->sessions->count; i++)
		ready[SESSIONS + i] = (struct pollfd){.fd = natpmp_fd(run->sessions->all[i].ctx),
						      .events = POLLIN};
	while (!run->over && process(run)) {
		holds_work(&run->holds);
		ready[PORT_FILE].fd = run->holds.portfile.keeper;
		ready[STDOUT].fd = run->output->late_length ? STDOUT_FILENO : -1;
		look_at_opening(run);
		if (holds_settled(&run->holds) && run->options->command && !run->command.pid &&
		    !run->over)
			start_command(run);
		if (run->over || wait_for(run, ready, SESSIONS + run->sessions->count) <= 0)
			continue;
		if (ready[SIGNALS].revents)
			take_signals(run);
		if (ready[STDOUT].revents)
			output_flush(run->output);
	}
}

int run(struct sessions *sessions, struct output *output)
{
	const struct options *options = output->options;
	struct run run = {.sessions = sessions, .options = options, .output = output};
	struct hold *refused = NULL;
	int status;

	output->holding = true;
	if (!portfile_claim(&run.holds.portfile, options->port_file))
		return STATUS_USAGE;
	if (signals_begin(&run.signals) < 0) {
		fail(&run, sessions->all, options->wanted, NATPMP_E_SYSTEM);
		return run.exit_status;
	}
	status = holds_begin(&run.holds, sessions, output, &run.signals, &refused);
	if (status < 0)
		fail(&run, refused ? refused->session : sessions->all,
		     refused ? refused->wanted : options->wanted, status);
	else {
		output_asking(output, sessions->all, sessions->count);
		loop(&run);
		output_asked(output);
	}
	holds_end(&run.holds);
	signals_end(&run.signals);
	status = output_end(output, run.exit_status);
	if (run.signal)
		signals_die(run.command.had_terminal ? 0 : getpid(), run.signal);
	return options->command ? run.exit_status : status;
}
