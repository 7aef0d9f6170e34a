/* SPDX-License-Identifier: MIT */
#include "output.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "failure.h"
#include "json.h"
#include "listen.h"
#include "template.h"

enum { LATE_MAX = 1 << 16 }; /* bytes */

static bool wants_colour(int fd)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(fd) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

void output_init(struct output *output, const struct options *options)
{
	*output = (struct output){
		.options = options,
		.colour = wants_colour(STDOUT_FILENO),
		.colour_stderr = wants_colour(STDERR_FILENO),
		.terminal = isatty(STDOUT_FILENO),
		.terminal_stderr = isatty(STDERR_FILENO),
	};
}

/* How much of it is written; *error: why not all, or 0. Not patient: it does not wait for who
 * reads a pipe or looks at a terminal; what poll(2) calls writable takes PIPE_BUF bytes without
 * waiting. */
static size_t write_some(int fd, const char *text, size_t length, bool patient, int *error)
{
	size_t done = 0;

	*error = 0;
	while (done < length) {
		struct pollfd writable = {.fd = fd, .events = POLLOUT};
		size_t left = length - done;
		ssize_t written;

		if (poll(&writable, 1, patient ? -1 : 0) == 0) {
			*error = EAGAIN;
			break;
		}
		written = write(fd, text + done, patient || left < PIPE_BUF ? left : PIPE_BUF);
		if (written > 0) {
			done += (size_t)written;
		} else if (errno != EINTR && errno != EAGAIN) {
			*error = errno;
			break;
		}
	}
	return done;
}

#define CLOCK_LEN 16
/* The time of day, for lines that come when they come. */
static const char *clock_text(char text[CLOCK_LEN])
{
	time_t now = time(NULL);
	struct tm local;

	if (!localtime_r(&now, &local) || !strftime(text, CLOCK_LEN, "%H:%M:%S ", &local))
		*text = '\0';
	return text;
}

__attribute__((format(printf, 3, 0))) static void say(struct output *output, const char *colour,
						      const char *format, va_list arguments)
{
	char *text, *line, now[CLOCK_LEN];
	int length, error;

	progress_end(&output->progress);
	text = printable(format, arguments);
	if (!text)
		return;
	length = asprintf(&line, "%snatpmp:%s %s%s\n", output->colour_stderr ? colour : "",
			  output->colour_stderr ? "\033[m" : "",
			  output->holding && output->terminal_stderr ? clock_text(now) : "", text);
	if (length >= 0) {
		/* There is nobody left to be told if stderr fails. */
		(void)write_some(STDERR_FILENO, line, (size_t)length, !output->holding, &error);
		free(line);
	}
	free(text);
}

void output_error(struct output *output, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(output, "\033[31m", format, arguments);
	va_end(arguments);
}

void output_note(struct output *output, const char *format, ...)
{
	va_list arguments;

	if (output->options->quiet)
		return;
	va_start(arguments, format);
	say(output, "\033[33m", format, arguments);
	va_end(arguments);
}

void output_debug(struct output *output, const char *format, ...)
{
	va_list arguments;

	if (!output->options->verbose)
		return;
	va_start(arguments, format);
	say(output, "\033[2m", format, arguments);
	va_end(arguments);
}

/* Take that much away from the beginning of what is late. */
static void drop(struct output *output, size_t length)
{
	output->late_length -= length;
	memmove(output->late, output->late + length, output->late_length + 1);
}

static void lose(struct output *output, int error)
{
	bool first = !output->lost;

	output->lost = error;
	if (first && output->holding)
		output_error(output,
			     "standard output takes no more (%s): lines are lost, the mappings "
			     "are held all the same",
			     strerror(error));
}

void output_flush(struct output *output)
{
	const char *line_end;
	int error;
	size_t written = write_some(STDOUT_FILENO, output->late, output->late_length,
				    !output->holding, &error);

	if (written)
		output->mid_line = output->late[written - 1] != '\n';
	drop(output, written);
	if (error && error != EAGAIN) {
		drop(output, output->late_length);
		lose(output, error);
	}
	/* The oldest lines go; one that was begun still gets its end. */
	if (output->late_length > LATE_MAX) {
		line_end = strchr(output->late + output->late_length - LATE_MAX - 1, '\n');
		drop(output, (size_t)(line_end - output->late) + !output->mid_line);
		lose(output, EAGAIN);
	}
}

void output_text(struct output *output, const char *text)
{
	bool cut = output->mid_line && !output->late_length;
	size_t length = strlen(text);
	char *late = realloc(output->late, output->late_length + cut + length + 1);

	if (!late) {
		lose(output, ENOMEM);
		return;
	}
	progress_end(&output->progress);
	output->late = late;
	late += output->late_length;
	if (cut)
		*late++ = '\n';
	memcpy(late, text, length + 1);
	output->late_length += cut + length;
	output_flush(output);
}

static void print_template(struct output *output, const natpmp_mapping *mapping)
{
	char *text = template_expand(output->options->print, mapping), *line;

	if (text && asprintf(&line, "%s\n", text) >= 0) {
		output_text(output, line);
		free(line);
	}
	free(text);
}

static void print_line(struct output *output, const natpmp_mapping *mapping)
{
	bool align = output->terminal, colour = output->colour;
	char external[OUTPUT_END_LEN], internal[OUTPUT_END_LEN], now[CLOCK_LEN];
	char line[2 * OUTPUT_END_LEN + 80];

	output_end_of(mapping->external_address, mapping->external_port, external);
	output_end_of(mapping->internal_address, mapping->internal_port, internal);
	snprintf(line, sizeof(line), "%s%s%*s%s -> %*s %*s %lu s\n",
		 align && output->holding ? clock_text(now) : "", colour ? "\033[1m" : "",
		 align ? -21 : 0, external, colour ? "\033[m" : "", align ? -21 : 0, internal,
		 align ? -4 : 0, protocol_name(mapping->protocol),
		 (unsigned long)mapping->lifetime);
	output_text(output, line);
}

static void put_event(struct output *output, struct session *session, const char *event,
		      const natpmp_mapping *mapping, time_t expires, int status)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return;
	json_begin(out, event, time(NULL));
	json_mapping(out, session->library.family, mapping);
	json_time(out, "expires", expires);
	json_string(out, "gateway", session_link(session)->gateway);
	json_error(out, "error", status);
	json_end(out);
	if (fclose(out) == 0)
		output_text(output, text);
	free(text);
}

void output_event(struct output *output, struct session *session, const char *event,
		  const natpmp_mapping *mapping, int status)
{
	if (output->options->json)
		put_event(output, session, event, mapping, 0, status);
}

void output_mapping(struct output *output, struct session *session, const char *event,
		    const natpmp_mapping *mapping, time_t expires)
{
	if (output->options->json)
		put_event(output, session, event, mapping, expires, NATPMP_OK);
	else if (output->options->print)
		print_template(output, mapping);
	else if (!output->options->quiet)
		print_line(output, mapping);
}

void output_asking(struct output *output, struct session *sessions, size_t count)
{
	const struct options *options = output->options;
	char names[2 * NATPMP_ADDRESS_LEN + 8] = "";
	natpmp_link link;
	size_t used = 0;

	if (output->progress.running || !output->terminal_stderr || options->quiet ||
	    options->verbose)
		return;
	for (size_t i = 0; i < count; i++) {
		if (natpmp_get_link(sessions[i].ctx, &link) == NATPMP_OK)
			used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s",
						 used ? " and " : "", link.gateway);
	}
	if (used)
		progress_begin(&output->progress, names);
}

void output_asked(struct output *output)
{
	progress_end(&output->progress);
}

void output_warn_port(struct output *output, const struct session *session,
		      const natpmp_mapping *wanted, const natpmp_mapping *granted)
{
	unsigned asked = wanted->external_port ? wanted->external_port : wanted->internal_port;
	char name[OUTPUT_NAME_LEN];

	if (asked && asked != granted->external_port)
		output_note(output,
			    "the gateway has given external port %u to %s, not %u; others have to "
			    "be told that one",
			    granted->external_port, output_name(session, granted, name), asked);
}

void output_warn_silent(struct output *output, const struct session *session,
			const natpmp_mapping *wanted)
{
	char name[OUTPUT_NAME_LEN];

	if (output->terminal_stderr && wanted->internal_port &&
	    !is_listened_to(session->library.family, wanted->protocol, wanted->internal_port))
		output_note(output, "nothing listens on %s here so far",
			    output_name(session, wanted, name));
}

/* The failure is one of the gateway, or of the way to it. */
static bool was_asked(int status)
{
	return is_silence(status) || is_refusal(status) || status == NATPMP_E_FIREWALL;
}

/* Where a failure was, as far as that is known: " (asked 192.168.1.1)", with the port if that is
 * not the usual one, and with the way there if the gateway was named; or "". */
static const char *where(const natpmp_options *options, int status, const natpmp_link *link,
			 char text[OUTPUT_WHERE_LEN])
{
	char port[16] = "";

	*text = '\0';
	if (status == NATPMP_E_NO_ROUTE && options->gateway) {
		snprintf(text, OUTPUT_WHERE_LEN, " (-g %s)", options->gateway);
	} else if (failure_find(status)->exit_status == STATUS_NO_GATEWAY && options->interface) {
		snprintf(text, OUTPUT_WHERE_LEN, " (-i %s)", options->interface);
	} else if (was_asked(status) && *link->gateway) {
		if (link->gateway_port != USUAL_PORT)
			snprintf(port, sizeof(port), " port %u", link->gateway_port);
		if (options->gateway && !is_refusal(status))
			snprintf(text, OUTPUT_WHERE_LEN, " (asked %s%s, through %s from %s)",
				 link->gateway, port, link->interface, link->internal_address);
		else
			snprintf(text, OUTPUT_WHERE_LEN, " (asked %s%s)", link->gateway, port);
	}
	return text;
}

void output_explain(struct session *session, int status, struct explanation *explanation,
		    char place[OUTPUT_WHERE_LEN])
{
	char address[NATPMP_ADDRESS_LEN] = "";
	natpmp_link link = {.gateway_port = 0};

	if (session->ctx && natpmp_get_link(session->ctx, &link) != NATPMP_OK)
		memset(&link, 0, sizeof(link));
	if (session->ctx && status == NATPMP_E_NETWORK_FAILURE)
		(void)natpmp_external_address(session->ctx, address); /* BUSY within an event */
	failure_explain(explanation, status, session, &link, address);
	where(&session->library, status, &link, place);
}

int output_failure(struct output *output, struct session *session, const char *what,
		   const natpmp_mapping *mapping, int status)
{
	const char *error = status == NATPMP_E_SYSTEM && errno ? strerror(errno) : NULL;
	struct explanation explanation = {.message = NULL};
	char place[OUTPUT_WHERE_LEN];

	output_explain(session, status, &explanation, place);
	output_error(output, "%s%s: %s%s%s; %s", what, place, explanation.message,
		     error ? ": " : "", error ? error : "", explanation.advice);
	output_event(output, session, "error", mapping, status);
	return failure_find(status)->exit_status;
}

void output_down(struct output *output, struct session *session, const char *what, int status)
{
	struct explanation explanation = {.message = NULL};
	char place[OUTPUT_WHERE_LEN];

	output_explain(session, status, &explanation, place);
	output_error(output, "%s%s: %s; it is tried again, and if that lasts: %s", what, place,
		     explanation.message, explanation.advice);
}

void output_warn_address(struct output *output, const char *address)
{
	const struct address_trouble *trouble = failure_of_address(address);

	if (trouble)
		output_note(output, "the external address%s%s %s; %s", *address ? " " : "", address,
			    trouble->what, trouble->advice);
}

const char *output_name(const struct session *session, const natpmp_mapping *mapping,
			char name[OUTPUT_NAME_LEN])
{
	const char *type = protocol_name(mapping->protocol);

	if (mapping->internal_port)
		snprintf(name, OUTPUT_NAME_LEN, "%u/%s%s", mapping->internal_port, type,
			 session->suffix);
	else
		snprintf(name, OUTPUT_NAME_LEN, "a port (%s)%s", type, session->suffix);
	return name;
}

const char *output_not_open(const struct session *session, const natpmp_mapping *mapping,
			    char text[OUTPUT_NOT_OPEN_LEN])
{
	char name[OUTPUT_NAME_LEN];

	if (mapping->internal_port)
		snprintf(text, OUTPUT_NOT_OPEN_LEN, "%s is not open",
			 output_name(session, mapping, name));
	else if (mapping->protocol == NATPMP_TCP_UDP)
		snprintf(text, OUTPUT_NOT_OPEN_LEN, "no port was opened%s", session->suffix);
	else
		snprintf(text, OUTPUT_NOT_OPEN_LEN, "no %s port was opened%s",
			 protocol_name(mapping->protocol), session->suffix);
	return text;
}

const char *output_end_of(const char *address, uint16_t port, char text[OUTPUT_END_LEN])
{
	bool brackets = strchr(address, ':') != NULL;
	char number[8] = "-";

	if (port)
		snprintf(number, sizeof(number), "%u", port);
	snprintf(text, OUTPUT_END_LEN, "%s%s%s:%s", brackets ? "[" : "", *address ? address : "-",
		 brackets ? "]" : "", number);
	return text;
}

int output_end(struct output *output, int exit_status)
{
	if (output->late_length)
		output_flush(output);
	free(output->late);
	output->late = NULL;
	if (!output->lost)
		return exit_status;
	if (!output->holding)
		output_error(output,
			     "cannot write to standard output: %s; what was to be done is done "
			     "all the same",
			     strerror(output->lost));
	return exit_status ? exit_status : STATUS_OTHER;
}
