/* SPDX-License-Identifier: MIT */
#include "hold.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/wait.h>

#include "child.h"
#include "clock.h"
#include "failure.h"
#include "json.h"
#include "notify.h"

/* ------------------------------------------------------- lines on change -- */

/* True the first time in an outage. */
static bool news(struct hold *hold, int status)
{
	unsigned code = -(unsigned)status % 128;
	uint64_t bit = UINT64_C(1) << code % 64;
	bool first = !(hold->said[code / 64] & bit);

	hold->said[code / 64] |= bit;
	return first;
}

static void say_down(struct hold *hold, const natpmp_state *before)
{
	struct output *output = hold->all->output;
	int status = hold->now.status;
	char name[OUTPUT_NAME_LEN], what[OUTPUT_NAME_LEN + 16];

	if (!is_failure(before->status)) {
		hold->down_since = now_ms();
		memset(hold->said, 0, sizeof(hold->said));
	}
	output_event(output, hold->session, "down", &hold->now.mapping, status);
	if (!news(hold, status))
		return;
	if (hold->all->slept && is_silence(status) && before->status == NATPMP_OK) {
		output_error(output,
			     "%s: its lifetime ended while this host slept, or natpmp was "
			     "stopped; it is asked for again",
			     output_name(hold->session, &hold->now.mapping, name));
		return;
	}
	snprintf(what, sizeof(what), "%s is %s",
		 output_name(hold->session, &hold->now.mapping, name),
		 is_granted(&hold->now.mapping) ? "down" : "not open yet");
	output_down(output, hold->session, what, status);
}

static const char *outage_text(const struct hold *hold, char *text, size_t size)
{
	unsigned long seconds = (unsigned long)((now_ms() - hold->down_since) / 1000);

	if (seconds && hold->now.failures)
		snprintf(text, size, "%lu s and %u failure%s", seconds, hold->now.failures,
			 hold->now.failures == 1 ? "" : "s");
	else if (seconds)
		snprintf(text, size, "%lu s", seconds);
	else
		snprintf(text, size, "less than a second");
	return text;
}

/* 0: it is not up. */
static time_t expires(const natpmp_state *now)
{
	return now->status == NATPMP_OK ? time(NULL) + (time_t)(now->expires_in / 1000) : 0;
}

static void note_up(struct hold *hold, const natpmp_state *before)
{
	bool command = hold->all->options->command != NULL;
	struct output *output = hold->all->output;
	const natpmp_mapping *now = &hold->now.mapping, *then = &before->mapping;
	char name[OUTPUT_NAME_LEN], how_long[64], here[OUTPUT_END_LEN], there[OUTPUT_END_LEN];

	output_name(hold->session, now, name);
	output_end_of(now->external_address, now->external_port, here);
	output_end_of(then->external_address, then->external_port, there);
	if (is_failure(before->status))
		output_note(output, "%s is up%s: %s, after %s", name,
			    is_granted(then) ? " again" : "", here,
			    outage_text(hold, how_long, sizeof(how_long)));
	else if (command && before->status == NATPMP_OK)
		output_note(output, "%s is %s now, no longer %s", name, here, there);
	else if (command)
		output_debug(output, "%s is up: %s", name, here);
}

static void say_up(struct hold *hold, const natpmp_state *before)
{
	const struct options *options = hold->all->options;
	struct output *output = hold->all->output;
	const natpmp_mapping *now = &hold->now.mapping;

	output_asked(output);
	/* stdout is the command's, unless a line of ours was asked for. */
	if (!options->command || options->print || options->json)
		output_mapping(output, hold->session,
			       before->status == NATPMP_OK ? "changed" : "up", now,
			       expires(&hold->now));
	if (!is_granted(&before->mapping)) {
		hold->since = time(NULL);
		output_warn_port(output, hold->session, hold->wanted, now);
		if (!options->command)
			output_warn_silent(output, hold->session, hold->wanted);
	}
	note_up(hold, before);
	if (strcmp(before->mapping.external_address, now->external_address) != 0 ||
	    !is_granted(&before->mapping))
		output_warn_address(output, now->external_address);
}

static void on_event(natpmp_lease *lease, const natpmp_state *before, const natpmp_state *now,
		     void *arg)
{
	struct hold *hold = arg;
	struct holds *holds = hold->all;

	(void)lease;
	hold->now = *now;
	holds->changed = true;
	if (now->status == NATPMP_OK) {
		say_up(hold, before);
		hook_change(&hold->hook, &now->mapping);
	} else if (is_failure(now->status) && (holds->ready || holds->options->retry)) {
		say_down(hold, before); /* else it is the end, and not ours to tell */
	}
}

/* -------------------------------------------------- others who are told -- */

/* A line for each that was wanted: IPv4's port, or IPv6's if IPv4 has none. */
static char *port_text(const struct holds *holds)
{
	size_t wanted = holds->options->count;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	for (size_t i = 0; i < wanted; i++) {
		size_t best = i;

		while (!is_granted(&holds->hold[best].now.mapping) && best + wanted < holds->count)
			best += wanted;
		fprintf(out, "%u\n", holds->hold[best].now.mapping.external_port);
	}
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

/* The gateway's address costs a look at the routes, so it is found once for each change. */
static void fill_record(struct holds *holds)
{
	for (size_t i = 0; i < holds->count; i++) {
		const struct hold *hold = &holds->hold[i];
		struct record_line *line = &holds->lines[i];
		natpmp_link *link = &hold->session->link;

		if (i % holds->options->count == 0 &&
		    natpmp_get_link(hold->session->ctx, link) != NATPMP_OK)
			*link->gateway = '\0';
		line->family = hold->session->library.family;
		line->mapping = hold->now.mapping;
		line->since = hold->since;
		line->up = hold->now.status == NATPMP_OK;
		memcpy(line->gateway, link->gateway, sizeof(line->gateway));
	}
}

/* A renewal is no change, but moves the end of the lease. */
static void write_record(struct holds *holds)
{
	natpmp_state now;

	for (size_t i = 0; i < holds->count; i++) {
		if (natpmp_lease_state(holds->hold[i].lease, &now) == NATPMP_OK)
			holds->lines[i].until = expires(&now);
	}
	record_write(&holds->record, holds->lines, holds->count);
}

static void notify_status(const struct holds *holds, bool first_ready)
{
	const struct hold *hold = holds_worst(holds, NULL);
	const natpmp_state *worst = &hold->now;
	const natpmp_mapping *mapping = &worst->mapping;
	char text[320], name[OUTPUT_NAME_LEN], end[OUTPUT_END_LEN];
	int length = snprintf(text, sizeof(text), "%sSTATUS=", first_ready ? "READY=1\n" : "");
	size_t room = sizeof(text) - (size_t)length;

	if (worst->status != NATPMP_OK)
		snprintf(text + length, room, "%s: %s", output_name(hold->session, mapping, name),
			 natpmp_strerror(worst->status));
	else if (holds->count > 1)
		snprintf(text + length, room, "%zu mappings are up", holds->count);
	else
		snprintf(text + length, room, "%s is up: %s",
			 output_name(hold->session, mapping, name),
			 output_end_of(mapping->external_address, mapping->external_port, end));
	notify(text);
}

/* A hook that begins finds the port file as it should be. */
static bool may_work(const struct holds *holds, const struct hook *hook)
{
	return hook->pid || !portfile_busy(&holds->portfile);
}

/* One family is enough, once the other has its verdict. */
static bool is_ready(const struct holds *holds)
{
	bool any = false;

	for (size_t i = 0; i < holds->sessions->count; i++) {
		int status = holds_worst(holds, &holds->sessions->all[i])->now.status;

		if (status == NATPMP_PENDING)
			return false;
		any |= status == NATPMP_OK;
	}
	return any;
}

/* What failed while it could have been the end of all is told now that it is not. */
static void say_rest(struct holds *holds)
{
	for (size_t i = 0; i < holds->count && !holds->options->retry; i++) {
		struct hold *hold = &holds->hold[i];

		if (is_failure(hold->now.status))
			say_down(hold, &hold->now);
	}
}

void holds_work(struct holds *holds)
{
	bool first_ready = !holds->ready && is_ready(holds);

	if (first_ready) {
		holds->ready = true;
		say_rest(holds);
		if (!holds->options->command && holds->output->terminal)
			output_note(holds->output, "held until Ctrl-C");
	}
	if (holds->changed)
		fill_record(holds);
	write_record(holds);
	if (holds->changed) {
		notify_status(holds, first_ready && !holds->options->command);
		/* The ports as last granted: through an outage, too. */
		if (holds->portfile.path && holds->ready)
			portfile_set(&holds->portfile, port_text(holds));
		holds->changed = false;
	}
	portfile_work(&holds->portfile, holds->output);
	for (size_t i = 0; i < holds->count; i++) {
		struct hook *hook = &holds->hold[i].hook;

		if (may_work(holds, hook))
			hook_work(hook, holds->signals, holds->output);
	}
}

bool holds_settled(const struct holds *holds)
{
	return holds->ready && !portfile_busy(&holds->portfile);
}

uint64_t holds_due(const struct holds *holds)
{
	uint64_t due = NEVER;

	for (size_t i = 0; i < holds->count; i++) {
		const struct hook *hook = &holds->hold[i].hook;
		uint64_t at = may_work(holds, hook) ? hook_due(hook) : NEVER;

		due = at < due ? at : due;
	}
	return due;
}

void holds_reap(struct holds *holds, pid_t pid, int wait_status)
{
	for (size_t i = 0; i < holds->count; i++) {
		if (hook_reap(&holds->hold[i].hook, pid, wait_status, holds->output))
			return;
	}
}

/* ----------------------------------------------------- beginning and end -- */

static void begin_record(struct holds *holds)
{
	record_begin(&holds->record);
	fill_record(holds);
	for (size_t i = 0; i < holds->count; i++)
		record_warn(&holds->lines[i], holds->hold[i].session, holds->output);
}

static int hold_begin(struct hold *hold)
{
	natpmp_mapping *asked = &hold->session->mappings[hold->wanted - hold->all->options->wanted];
	natpmp_state state;
	int status;

	hold->hook.command = hold->all->options->on_change;
	hold->hook.session = hold->session;
	hold->now = (natpmp_state){.status = NATPMP_PENDING, .mapping = *asked};
	hold->down_since = now_ms();
	status = natpmp_hold(hold->session->ctx, asked, on_event, hold, &hold->lease);
	if (status == NATPMP_OK && natpmp_lease_state(hold->lease, &state) == NATPMP_OK)
		asked->internal_port = state.mapping.internal_port; /* if one was picked */
	return status;
}

int holds_begin(struct holds *holds, struct sessions *sessions, struct output *output,
		const struct signals *signals, struct hold **refused)
{
	const struct options *options = output->options;
	size_t count = sessions->count * options->count;
	int status = NATPMP_OK;

	holds->sessions = sessions;
	holds->output = output;
	holds->options = options;
	holds->signals = signals;
	portfile_begin(&holds->portfile, output);
	holds->hold = calloc(count, sizeof(*holds->hold));
	holds->lines = calloc(count, sizeof(*holds->lines));
	if (!holds->hold || !holds->lines)
		return NATPMP_E_NO_MEMORY;
	for (; status == NATPMP_OK && holds->count < count; holds->count++) {
		struct session *session = &sessions->all[holds->count / options->count];
		size_t i = holds->count % options->count;

		if (i == 0 && session > sessions->all)
			session_follow(session, session - 1);
		*refused = &holds->hold[holds->count];
		**refused = (struct hold){
			.all = holds, .session = session, .wanted = &options->wanted[i]};
		status = hold_begin(*refused);
	}
	if (status == NATPMP_OK)
		begin_record(holds);
	return status;
}

const struct hold *holds_worst(const struct holds *holds, const struct session *session)
{
	size_t wanted = holds->options->count, count = session ? wanted : holds->count;
	const struct hold *hold = holds->hold;
	const struct hold *worst, *end;

	if (session)
		hold += (size_t)(session - holds->sessions->all) * wanted;
	for (worst = hold, end = hold + count; hold < end; hold++) {
		int status = hold->now.status;

		if (is_failure(status))
			return hold;
		if (status == NATPMP_PENDING && worst->now.status != NATPMP_PENDING)
			worst = hold;
	}
	return worst;
}

const struct hold *holds_first(const struct holds *holds)
{
	const struct hold *hold = holds->hold;

	while (!is_granted(&hold->now.mapping) && hold < holds->hold + holds->count - 1)
		hold++;
	return hold;
}

void holds_environment(const struct holds *holds)
{
	unsigned number = 0;
	char suffix[24] = "";

	for (size_t i = 0; i < holds->count; i++) {
		if (!is_granted(&holds->hold[i].now.mapping))
			continue;
		if (number++)
			snprintf(suffix, sizeof(suffix), "_%u", number);
		child_environment("", suffix, &holds->hold[i].now.mapping);
	}
}

/* Let hooks that still run come to an end, or end them. */
static void end_hooks(struct holds *holds)
{
	bool running, by_terminal;

	for (size_t i = 0; i < holds->count; i++)
		hook_end(&holds->hold[i].hook);
	do {
		struct pollfd child = {.fd = holds->signals->fd, .events = POLLIN};
		int status;
		pid_t pid;

		running = false;
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
			holds_reap(holds, pid, status);
		for (size_t i = 0; i < holds->count; i++) {
			struct hook *hook = &holds->hold[i].hook;

			hook_work(hook, holds->signals, holds->output);
			running |= hook->pid && hook->kills < HOOK_KILLS;
		}
		if (running && poll(&child, 1, ms_until(holds_due(holds))) > 0)
			(void)signals_take(holds->signals, &by_terminal);
	} while (running);
}

/* With --vpn nothing is deleted. */
static void say_end(struct holds *holds, struct session *session)
{
	int status = session->end_status;
	bool closed = status == NATPMP_OK && !session->library.vpn_ports;
	bool open = false;
	char name[OUTPUT_NAME_LEN];

	for (size_t i = 0; i < holds->count; i++) {
		const natpmp_mapping *mapping = &holds->hold[i].now.mapping;

		if (holds->hold[i].session != session || !is_granted(mapping))
			continue;
		open = true;
		output_event(holds->output, session, closed ? "closed" : "left", mapping, status);
		if (closed && holds->output->terminal_stderr && !holds->options->command)
			output_note(holds->output, "%s is closed",
				    output_name(session, mapping, name));
	}
	if (open && status != NATPMP_OK)
		output_error(holds->output,
			     "closing%s failed: %s; what is still open ends with its lifetime, or "
			     "sooner with \"natpmp --close\"",
			     session->suffix, natpmp_strerror(status));
}

void holds_end(struct holds *holds)
{
	if (holds->ready)
		notify("STOPPING=1\nSTATUS=closing");
	sessions_close(holds->sessions);
	portfile_end(&holds->portfile);
	record_end(&holds->record);
	for (size_t i = 0; i < holds->sessions->count; i++)
		say_end(holds, &holds->sessions->all[i]);
	end_hooks(holds);
	free(holds->hold);
	free(holds->lines);
}
