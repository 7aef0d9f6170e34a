/* SPDX-License-Identifier: MIT */
#include "hook.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "child.h"
#include "clock.h"

void hook_change(struct hook *hook, const natpmp_mapping *now)
{
	if (!hook->command)
		return;
	hook->latest = *now;
	hook->waiting = true;
	hook->not_before = 0;
	hook->pause = 0;
}

/* Nothing newer is to be told: then the same again, some time. True: that is to be said. */
static bool failed(struct hook *hook, int status)
{
	bool news = status != hook->last_status;

	hook->last_status = status;
	if (!hook->waiting && hook->command) {
		hook->pause = hook->pause ? 2 * hook->pause : HOOK_RETRY;
		if (hook->pause > HOOK_RETRY_MAX)
			hook->pause = HOOK_RETRY_MAX;
		hook->not_before = now_ms() + hook->pause;
		hook->waiting = true;
	}
	return news;
}

static void start(struct hook *hook, const struct signals *signals, struct output *output)
{
	char *words[] = {NULL, NULL};

	hook->waiting = false;
	hook->pid = child_fork(true);
	if (hook->pid == 0) {
		memcpy(words, &hook->command, sizeof(hook->command)); /* exec lacks a const */
		child_environment("", "", &hook->latest);
		child_environment("OLD_", "", &hook->told);
		child_exec(signals, words, true, &hook->latest);
	}
	if (hook->pid < 0) {
		hook->pid = 0;
		if (failed(hook, -errno))
			output_error(output,
				     "cannot run --on-change: %s; close some programs, it is tried "
				     "again",
				     strerror(-hook->last_status));
		return;
	}
	hook->telling = hook->latest;
	hook->started = now_ms();
	hook->limit = NEVER;
	hook->kills = 0;
}

/* To all that it has started; itself alone, if it has hardly begun. */
static void send(const struct hook *hook, int signal)
{
	if (kill(-hook->pid, signal) < 0)
		kill(hook->pid, signal);
}

void hook_work(struct hook *hook, const struct signals *signals, struct output *output)
{
	uint64_t now = now_ms();
	char name[OUTPUT_NAME_LEN];

	if (!hook->pid && hook->waiting && now >= hook->not_before)
		start(hook, signals, output);
	if (hook->pid && hook->waiting && hook->limit == NEVER)
		hook->limit = hook->started + HOOK_PATIENCE;
	if (!hook->pid || now < hook->limit)
		return;
	if (!hook->kills)
		output_error(output,
			     "--on-change for %s has run for %lu s and is ended; give it a time "
			     "limit of its own",
			     output_name(hook->session, &hook->telling, name),
			     (unsigned long)((now - hook->started) / 1000));
	send(hook, hook->kills ? SIGKILL : SIGTERM);
	hook->kills++;
	hook->limit = now + HOOK_GRACE;
}

uint64_t hook_due(const struct hook *hook)
{
	if (hook->pid)
		return hook->limit;
	return hook->waiting ? hook->not_before : NEVER;
}

bool hook_reap(struct hook *hook, pid_t pid, int wait_status, struct output *output)
{
	char name[OUTPUT_NAME_LEN];
	int status = child_exit_status(wait_status);

	if (!hook->pid || pid != hook->pid)
		return false;
	hook->pid = 0;
	output_name(hook->session, &hook->telling, name);
	if (!status) {
		if (hook->last_status)
			output_note(output, "--on-change for %s has succeeded", name);
		hook->told = hook->telling;
		hook->last_status = 0;
	} else if (!hook->kills && failed(hook, status)) { /* that one is ended was said */
		output_error(output, "--on-change for %s failed with status %d; %s", name, status,
			     hook->command ? "the mapping is held all the same, and this is run "
					     "again until it succeeds"
					   : "it is not run again, since natpmp ends");
	}
	return true;
}

void hook_end(struct hook *hook)
{
	uint64_t limit = now_ms() + HOOK_FAREWELL;

	hook->command = NULL;
	hook->waiting = false;
	if (hook->pid && hook->limit > limit)
		hook->limit = limit;
}
