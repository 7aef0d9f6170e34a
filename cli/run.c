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
#include "failure.h"
#include "hold.h"
#include "signals.h"

struct run {
	natpmp_ctx *ctx;
	const struct options *options;
	struct output *output;
	struct signals signals;
	struct holds holds;
	pid_t command; /* 0: not started, or ended */
	bool over;
	int exit_status;
};

static void finish(struct run *run, int exit_status)
{
	run->over = true;
	run->exit_status = exit_status;
}

static void fail(struct run *run, const natpmp_mapping *mapping, int status)
{
	char not_open[OUTPUT_NOT_OPEN_LEN], what[OUTPUT_NOT_OPEN_LEN + 32];
	int exit_status;

	snprintf(what, sizeof(what), "%s%s", output_not_open(mapping, not_open),
		 run->options->command ? ", so the command was not run" : "");
	exit_status = output_failure(run->output, what, mapping, status);
	finish(run, run->options->command ? STATUS_NOT_RUN : exit_status);
}

static void start_command(struct run *run)
{
	run->command = child_fork(&run->signals, false);
	if (run->command == 0) {
		holds_environment(&run->holds);
		child_exec(run->options->command, &run->holds.hold->now.mapping);
	}
	if (run->command < 0) {
		output_error(run->output, "cannot run the command: %s; close some programs",
			     strerror(errno));
		run->command = 0;
		finish(run, STATUS_NOT_RUN);
	}
}

/* Until all are up: go on, or give up? */
static void look_at_opening(struct run *run)
{
	const natpmp_state *worst = holds_worst(&run->holds);

	if (run->holds.ready || run->options->retry || worst->status >= NATPMP_OK)
		return;
	errno = 0; /* of long ago */
	fail(run, &worst->mapping, worst->status);
}

static void reap(struct run *run)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == run->command) {
			run->command = 0;
			finish(run, child_exit_status(status));
		} else {
			holds_reap(&run->holds, pid, status);
		}
	}
}

/* A key on the terminal has reached the command, too, if it is still in our process group; a
 * hang-up has not, if we lead the session. */
static bool is_for_command(const struct run *run, int signal, bool by_terminal)
{
	return !by_terminal || signal == SIGHUP || getpgid(run->command) != getpgrp();
}

static void take_signals(struct run *run)
{
	bool by_terminal;
	int signal;

	while ((signal = signals_take(&run->signals, &by_terminal))) {
		if (signal == SIGCHLD)
			reap(run);
		else if (run->command && is_for_command(run, signal, by_terminal))
			kill(run->command, signal);
		else if (run->command || run->over)
			continue;
		else if (run->holds.ready && !run->options->command)
			finish(run, STATUS_DONE); /* the way a hold ends */
		else
			finish(run, STATUS_SIGNAL + signal);
	}
}

/* ms for poll(), the sooner of two; -1 is never. */
static int sooner(int a, int b)
{
	if (a < 0 || b < 0)
		return a < 0 ? b : a;
	return a < b ? a : b;
}

static int timeout(const struct run *run)
{
	return sooner(natpmp_timeout(run->ctx), ms_until(holds_due(&run->holds)));
}

static void loop(struct run *run)
{
	struct pollfd ready[] = {{.fd = natpmp_fd(run->ctx), .events = POLLIN},
				 {.fd = run->signals.fd, .events = POLLIN}};

	while (!run->over) {
		int status = natpmp_process(run->ctx);

		if (status < 0) {
			fail(run, run->options->wanted, status);
			return;
		}
		holds_work(&run->holds);
		look_at_opening(run);
		if (holds_settled(&run->holds) && run->options->command && !run->command &&
		    !run->over)
			start_command(run);
		if (!run->over && poll(ready, 2, timeout(run)) > 0 && ready[1].revents)
			take_signals(run);
	}
}

int run(natpmp_ctx *ctx, struct output *output)
{
	const struct options *options = output->options;
	struct run run = {.ctx = ctx, .options = options, .output = output};
	const natpmp_mapping *for_what = options->wanted;
	int status;

	output->holding = true;
	if (signals_begin(&run.signals) < 0) {
		fail(&run, for_what, NATPMP_E_SYSTEM);
		natpmp_free(ctx);
		return run.exit_status;
	}
	status = holds_begin(&run.holds, ctx, output, &run.signals, &for_what);
	if (status < 0)
		fail(&run, for_what, status);
	else
		loop(&run);
	holds_end(&run.holds);
	signals_end(&run.signals);
	return run.exit_status;
}
