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
}

static void start(struct hook *hook, const struct signals *signals, struct output *output)
{
	char *words[] = {NULL, NULL};

	hook->waiting = false;
	hook->pid = child_fork(signals, true);
	if (hook->pid == 0) {
		memcpy(words, &hook->command, sizeof(hook->command)); /* exec lacks a const */
		child_environment("", "", &hook->latest);
		child_environment("OLD_", "", &hook->told);
		child_exec(words, &hook->latest);
	}
	if (hook->pid < 0) {
		hook->pid = 0;
		output_error(output, "cannot run --on-change: %s; close some programs",
			     strerror(errno));
		return;
	}
	hook->told = hook->latest;
	hook->started = now_ms();
	hook->limit = NEVER;
	hook->kills = 0;
}

void hook_work(struct hook *hook, const struct signals *signals, struct output *output)
{
	uint64_t now = now_ms();
	char name[OUTPUT_NAME_LEN];

	if (!hook->pid && hook->waiting)
		start(hook, signals, output);
	if (hook->pid && hook->waiting && hook->limit == NEVER)
		hook->limit = hook->started + HOOK_PATIENCE;
	if (!hook->pid || now < hook->limit)
		return;
	if (!hook->kills)
		output_error(output,
			     "--on-change for %s has run for %lu s and is ended; give it a time "
			     "limit of its own",
			     output_name(&hook->told, name),
			     (unsigned long)((now - hook->started) / 1000));
	kill(-hook->pid, hook->kills ? SIGKILL : SIGTERM);
	hook->kills++;
	hook->limit = now + HOOK_GRACE;
}

uint64_t hook_due(const struct hook *hook)
{
	return hook->pid ? hook->limit : NEVER;
}

bool hook_reap(struct hook *hook, pid_t pid, int wait_status, struct output *output)
{
	char name[OUTPUT_NAME_LEN];
	int status = child_exit_status(wait_status);

	if (!hook->pid || pid != hook->pid)
		return false;
	hook->pid = 0;
	if (!status) {
		hook->failures = 0;
		return true;
	}
	hook->failures++;
	if (!hook->kills && (hook->failures == 1 || status != hook->last_status))
		output_error(output,
			     "--on-change for %s failed with status %d; the mapping is held all "
			     "the same, and the next change runs it again",
			     output_name(&hook->told, name), status);
	hook->last_status = status;
	return true;
}

void hook_end(struct hook *hook)
{
	uint64_t limit = now_ms() + HOOK_FAREWELL;

	hook->waiting = false;
	if (hook->pid && hook->limit > limit)
		hook->limit = limit;
}
