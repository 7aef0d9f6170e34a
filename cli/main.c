/* SPDX-License-Identifier: MIT */
/* natpmp - open a port on a NAT-PMP or PCP gateway; from the options to what is to be done. */
#include <errno.h>
#include <fcntl.h>
#include <natpmpc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "diagnose.h"
#include "failure.h"
#include "json.h"
#include "lookup.h"
#include "options.h"
#include "output.h"
#include "record.h"
#include "run.h"
#include "session.h"

/* A socket must not become what we, or a child, take for stdout. The stand-in takes no output,
 * so that it is noticed, and is gone in a child, which then sees what we saw. */
static void fill_standard_fds(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* What is done with one mapping. */
typedef int one_fn(struct output *output, struct session *session, natpmp_mapping *mapping);

/* One after another, until one fails for a reason that concerns them all; the exit status is that
 * of the first failure. */
static int each_of(struct session *session, struct output *output, one_fn *one)
{
	int status = NATPMP_OK, exit_status = STATUS_DONE;
	size_t i, count = output->options->count, left;

	for (i = 0; i < count && (!status || is_refusal(status)); i++) {
		output_asking(output, session, 1);
		status = one(output, session, &session->mappings[i]);
		if (status != NATPMP_OK && !exit_status)
			exit_status = failure_find(status)->exit_status;
	}
	left = count - i;
	if (left)
		output_error(output, "%zu more %s not tried%s: mend that, then give all again",
			     left, left > 1 ? "were" : "was", session->suffix);
	for (; i < count; i++)
		output_event(output, session, "error", &session->mappings[i], status);
	return exit_status;
}

/* What is wrong with the last address that was granted. */
static void warn_address(struct output *output, const struct session *session)
{
	size_t i = output->options->count;

	while (i && !is_granted(&session->mappings[i - 1]))
		i--;
	if (i)
		output_warn_address(output, session->mappings[i - 1].external_address);
}

static int each(struct sessions *sessions, struct output *output, one_fn *one)
{
	int exit_status = STATUS_DONE, now;

	for (size_t i = 0; i < sessions->count; i++) {
		if (i > 0)
			session_follow(&sessions->all[i], &sessions->all[i - 1]);
		now = each_of(&sessions->all[i], output, one);
		exit_status = exit_status ? exit_status : now;
		warn_address(output, &sessions->all[i]);
	}
	return exit_status;
}

/* Who only looked what happens without any argument has opened a port. */
static void note_picked(struct output *output, const struct session *session,
			const natpmp_mapping *granted)
{
	const struct options *options = output->options;

	if (output->terminal_stderr && !options->wanted->internal_port &&
	    !options->library.vpn_ports)
		output_note(
			output,
			"without -p a free port was opened: \"natpmp%s --close -p %u/%s\" closes "
			"it, \"natpmp --help\" shows what else there is",
			session->library.family == NATPMP_IPV6 ? " -6" : "", granted->internal_port,
			protocol_name(granted->protocol));
}

static int map_one(struct output *output, struct session *session, natpmp_mapping *mapping)
{
	const natpmp_mapping *wanted = &output->options->wanted[mapping - session->mappings];
	char what[OUTPUT_NOT_OPEN_LEN];
	int status = natpmp_map(session->ctx, mapping);

	if (status == NATPMP_OK) {
		output_mapping(output, session, "mapped", mapping, time(NULL) + mapping->lifetime);
		output_warn_port(output, session, wanted, mapping);
		output_warn_silent(output, session, wanted);
		note_picked(output, session, mapping);
	} else {
		output_failure(output, session, output_not_open(session, mapping, what), mapping,
			       status);
	}
	return status;
}

static int close_one(struct output *output, struct session *session, natpmp_mapping *mapping)
{
	const struct options *options = output->options;
	char name[OUTPUT_NAME_LEN], line[OUTPUT_NAME_LEN + 16];
	int status = natpmp_unmap(session->ctx, mapping);

	output_name(session, mapping, name);
	if (status != NATPMP_OK) {
		snprintf(line, sizeof(line), "%s is not closed", name);
		output_failure(output, session, line, mapping, status);
		return status;
	}
	output_event(output, session, "closed", mapping, NATPMP_OK);
	snprintf(line, sizeof(line), "closed %s\n", name);
	if (!options->json && !options->quiet)
		output_text(output, line);
	return status;
}

static int close_all(struct session *session, struct output *output)
{
	const struct options *options = output->options;
	const natpmp_mapping *mapping = session->mappings;
	const char *type = mapping->protocol == NATPMP_TCP   ? "TCP "
			   : mapping->protocol == NATPMP_UDP ? "UDP "
							     : "";
	char line[64];
	int status;

	output_note(output, "closing every %smapping of this host, those of other programs, too",
		    type);
	output_asking(output, session, 1);
	status = natpmp_unmap_all(session->ctx, mapping->protocol);
	if (status != NATPMP_OK)
		return output_failure(output, session, "not all is closed", mapping, status);
	output_event(output, session, "closed_all", mapping, NATPMP_OK);
	snprintf(line, sizeof(line), "closed every %smapping of this host\n", type);
	if (!options->json && !options->quiet)
		output_text(output, line);
	return STATUS_DONE;
}

static int address(struct session *session, struct output *output)
{
	natpmp_mapping here = {.internal_port = 0}; /* what there is of one: the addresses */
	char line[NATPMP_ADDRESS_LEN + 48];
	int status;

	output_asking(output, session, 1);
	status = natpmp_external_address(session->ctx, here.external_address);
	if (status == NATPMP_OK && !*here.external_address)
		status = NATPMP_E_NETWORK_FAILURE;
	if (status != NATPMP_OK) {
		snprintf(line, sizeof(line), "the external address%s is not known",
			 session->suffix);
		return output_failure(output, session, line, &here, status);
	}
	strcpy(here.internal_address, session_link(session)->internal_address);
	snprintf(line, sizeof(line), "%s\n", here.external_address);
	if (output->options->json || output->options->print)
		output_mapping(output, session, "address", &here, 0);
	else
		output_text(output, line);
	output_warn_address(output, here.external_address);
	return STATUS_DONE;
}

static int addresses(struct sessions *sessions, struct output *output)
{
	int exit_status = STATUS_DONE, now;

	for (size_t i = 0; i < sessions->count; i++) {
		now = address(&sessions->all[i], output);
		exit_status = exit_status ? exit_status : now;
	}
	return exit_status;
}

static int do_job(struct sessions *sessions, struct output *output)
{
	switch (output->options->job) {
	case JOB_CLOSE:
		return each(sessions, output, close_one);
	case JOB_CLOSE_ALL:
		return close_all(sessions->all, output);
	case JOB_ADDRESS:
		return addresses(sessions, output);
	case JOB_CHECK:
		return diagnose(sessions, output);
	case JOB_MAP:
	case JOB_HOLD:   /* is run */
	case JOB_STATUS: /* was done before there was a session */
	default:
		return each(sessions, output, map_one);
	}
}

static int work(struct options *options, struct output *output)
{
	struct sessions sessions;
	int exit_status;

	if (options->job == JOB_STATUS)
		return output_end(output, record_show(output));
	exit_status = lookup_command(options);
	if (exit_status)
		return exit_status;
	exit_status = sessions_begin(&sessions, output);
	if (!exit_status && options->job == JOB_HOLD) {
		exit_status = run(&sessions, output);
	} else if (!exit_status) {
		exit_status = do_job(&sessions, output);
		output_asked(output);
		exit_status = output_end(output, exit_status);
	}
	sessions_end(&sessions);
	return exit_status;
}

/* The text is freed. */
static int show(const struct options *options, char *text)
{
	struct output output;

	output_init(&output, options);
	if (text)
		output_text(&output, text);
	free(text);
	return output_end(&output, text ? STATUS_DONE : STATUS_OTHER);
}

int main(int argc, char **argv)
{
	struct options options;
	struct output output;
	int exit_status = STATUS_USAGE;
	char *version;
	enum next next;

	fill_standard_fds();
	next = options_parse(&options, argc, argv);
	if (next != NEXT_WORK || options.job != JOB_HOLD) { /* else a child is to inherit it */
		signal(SIGPIPE, SIG_IGN);
		signal(SIGXFSZ, SIG_IGN);
	}
	switch (next) {
	case NEXT_HELP:
		exit_status = show(&options, table_help());
		break;
	case NEXT_LIST:
		exit_status = show(&options, table_list());
		break;
	case NEXT_VERSION:
		if (asprintf(&version, "natpmp %s\n", natpmp_version()) < 0)
			version = NULL;
		exit_status = show(&options, version);
		break;
	case NEXT_WORK:
		output_init(&output, &options);
		exit_status = work(&options, &output);
		break;
	case NEXT_MISTAKE:
		break;
	}
	options_free(&options);
	return exit_status;
}
