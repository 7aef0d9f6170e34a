/* SPDX-License-Identifier: MIT */
/* natpmp - open a port on a NAT-PMP gateway; from the options to what is to be done. */
#include <errno.h>
#include <fcntl.h>
#include <natpmpc.h>
#include <netdb.h>
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
#include "trace.h"

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

/* With the context locked: nothing of the library may be called. */
static void log_line(void *arg, const char *line)
{
	char text[400];

	trace_line(line, text, sizeof(text));
	output_debug(arg, "%s", text);
}

/* One after another, until one fails for a reason that concerns them all; the exit status is that
 * of the first failure. */
static int each(natpmp_ctx *ctx, struct output *output,
		int (*one)(natpmp_ctx *ctx, struct output *output, natpmp_mapping *mapping))
{
	const struct options *options = output->options;
	int status = NATPMP_OK, exit_status = STATUS_DONE;
	size_t i, left;

	for (i = 0; i < options->count && (!status || is_refusal(status)); i++) {
		output_asking(output);
		status = one(ctx, output, &options->wanted[i]);
		if (status != NATPMP_OK && !exit_status)
			exit_status = failure_find(status)->exit_status;
	}
	left = options->count - i;
	if (left)
		output_error(output, "%zu more %s not tried: mend that, then give all again", left,
			     left > 1 ? "were" : "was");
	for (; i < options->count; i++)
		output_event(output, "error", &options->wanted[i], status);
	return exit_status;
}

/* Who only looked what happens without any argument has opened a port. */
static void note_picked(struct output *output, const natpmp_mapping *wanted,
			const natpmp_mapping *granted)
{
	char name[OUTPUT_NAME_LEN];

	if (output->terminal_stderr && !wanted->internal_port &&
	    !output->options->library.vpn_ports)
		output_note(
			output,
			"without -p a free port was opened: \"natpmp --close -p %s\" closes it, "
			"\"natpmp --help\" shows what else there is",
			output_name(granted, name));
}

static int map_one(natpmp_ctx *ctx, struct output *output, natpmp_mapping *mapping)
{
	const natpmp_mapping wanted = *mapping;
	char what[OUTPUT_NOT_OPEN_LEN];
	int status = natpmp_map(ctx, mapping);

	if (status == NATPMP_OK) {
		output_mapping(output, "mapped", mapping, time(NULL) + mapping->lifetime);
		output_warn_port(output, &wanted, mapping);
		output_warn_silent(output, &wanted);
		note_picked(output, &wanted, mapping);
	} else
		output_failure(output, output_not_open(mapping, what), mapping, status);
	return status;
}

static int map(natpmp_ctx *ctx, struct output *output)
{
	const struct options *options = output->options;
	int exit_status = each(ctx, output, map_one);
	size_t i = options->count;

	while (i && !is_granted(&options->wanted[i - 1]))
		i--;
	if (i)
		output_warn_address(output, options->wanted[i - 1].external_address);
	return exit_status;
}

static int close_one(natpmp_ctx *ctx, struct output *output, natpmp_mapping *mapping)
{
	const struct options *options = output->options;
	char name[OUTPUT_NAME_LEN], line[OUTPUT_NAME_LEN + 16];
	int status = natpmp_unmap(ctx, mapping);

	output_name(mapping, name);
	if (status != NATPMP_OK) {
		snprintf(line, sizeof(line), "%s is not closed", name);
		output_failure(output, line, mapping, status);
		return status;
	}
	output_event(output, "closed", mapping, NATPMP_OK);
	snprintf(line, sizeof(line), "closed %s\n", name);
	if (!options->json && !options->quiet)
		output_text(output, line);
	return status;
}

static int close_all(natpmp_ctx *ctx, struct output *output)
{
	const struct options *options = output->options;
	const natpmp_mapping *mapping = options->wanted;
	const char *type = mapping->protocol == NATPMP_TCP   ? "TCP "
			   : mapping->protocol == NATPMP_UDP ? "UDP "
							     : "";
	char line[64];
	int status;

	output_note(output, "closing every %smapping of this host, those of other programs, too",
		    type);
	output_asking(output);
	status = natpmp_unmap_all(ctx, mapping->protocol);
	if (status != NATPMP_OK)
		return output_failure(output, "not all is closed", mapping, status);
	output_event(output, "closed_all", mapping, NATPMP_OK);
	snprintf(line, sizeof(line), "closed every %smapping of this host\n", type);
	if (!options->json && !options->quiet)
		output_text(output, line);
	return STATUS_DONE;
}

static int address(natpmp_ctx *ctx, struct output *output)
{
	natpmp_mapping here = {.internal_port = 0}; /* what there is of one: the addresses */
	natpmp_link link;
	char line[NATPMP_ADDRESS_LEN + 2];
	int status;

	output_asking(output);
	status = natpmp_external_address(ctx, here.external_address);
	if (status == NATPMP_OK && !*here.external_address)
		status = NATPMP_E_NETWORK_FAILURE;
	if (status != NATPMP_OK)
		return output_failure(output, "the external address is not known", &here, status);
	if (natpmp_get_link(ctx, &link) == NATPMP_OK)
		strcpy(here.internal_address, link.internal_address);
	snprintf(line, sizeof(line), "%s\n", here.external_address);
	if (output->options->json || output->options->print)
		output_mapping(output, "address", &here, 0);
	else
		output_text(output, line);
	output_warn_address(output, here.external_address);
	return STATUS_DONE;
}

/* The options that only the library can judge. */
static int cannot_begin(struct output *output, int status)
{
	const struct options *options = output->options;
	int exit_status;

	if (status == NATPMP_E_ADDRESS) {
		options_mistake("-g %s: %s; %s", options->gateway_text, natpmp_strerror(status),
				failure_find(status)->advice);
		return STATUS_USAGE;
	}
	if (status == NATPMP_E_INVALID && options->library.interface) {
		options_mistake("-i %s: that cannot be an interface; %s",
				options->library.interface,
				failure_find(NATPMP_E_NO_INTERFACE)->advice);
		return STATUS_USAGE;
	}
	exit_status = output_failure(output, "cannot begin", options->wanted, status);
	return options->command ? STATUS_NOT_RUN : exit_status;
}

/* A name after -g becomes the address that it has now. False: it has none. */
static bool find_gateway(struct options *options, struct output *output)
{
	struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_DGRAM}, *found;
	char *name = options->gateway;
	int error;

	if (!name[strspn(name, "0123456789.")])
		return true; /* none, or an address, for the library to judge */
	error = getaddrinfo(name, NULL, &hints, &found);
	if (error) {
		output_error(output,
			     "-g %s: no IPv4 address is known for that name: %s; give the "
			     "address, like -g 192.168.1.1",
			     options->gateway_text, gai_strerror(error));
		return false;
	}
	error = getnameinfo(found->ai_addr, found->ai_addrlen, name, sizeof(options->gateway), NULL,
			    0, NI_NUMERICHOST);
	freeaddrinfo(found);
	return !error;
}

static int work(struct options *options, struct output *output)
{
	natpmp_ctx *ctx;
	int status, exit_status;

	if (options->job == JOB_STATUS)
		return output_end(output, record_show(output));
	exit_status = lookup_command(options);
	if (exit_status)
		return exit_status;
	if (!find_gateway(options, output))
		return options->command ? STATUS_NOT_RUN : STATUS_NO_GATEWAY;
	if (options->verbose) {
		options->library.log = log_line;
		options->library.log_arg = output;
	}
	status = natpmp_new(&ctx, &options->library);
	if (status != NATPMP_OK)
		return cannot_begin(output, status);
	output->ctx = ctx;
	switch (options->job) {
	case JOB_HOLD:
		return run(ctx, output);
	case JOB_CLOSE:
		exit_status = each(ctx, output, close_one);
		break;
	case JOB_CLOSE_ALL:
		exit_status = close_all(ctx, output);
		break;
	case JOB_ADDRESS:
		exit_status = address(ctx, output);
		break;
	case JOB_CHECK:
		exit_status = diagnose(ctx, output);
		break;
	case JOB_MAP:
	case JOB_STATUS: /* was done before there was a context */
	default:
		exit_status = map(ctx, output);
		break;
	}
	output_asked(output);
	natpmp_free(ctx);
	return output_end(output, exit_status);
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
