/* SPDX-License-Identifier: MIT */
/*
 * --json gives one object: event "check", gateway, gateway_port, interface,
 * internal_address; natpmp and pcp (is it spoken? null: not asked), natpmp_error; round_trip_us,
 * uptime (s); external_address, external_kind; mapping (was a test mapping
 * granted? null: not tried), mapping_error; works, verdict (a word), message,
 * advice (null when it works).
 */
#include "diagnose.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "failure.h"
#include "json.h"

enum {
	TEST_LIFETIME = 120, /* s, should the test mapping not be closed again */
};

struct findings {
	natpmp_link link;
	int link_status;
	bool probed;
	natpmp_probe probe;
	bool tried;
	natpmp_mapping mapping;
	int map_status, close_status;
};

struct verdict {
	int exit_status;
	const char *word;
	char message[280];
	char advice[360]; /* "": none needed */
};

__attribute__((format(printf, 3, 4))) static void row(struct output *output, const char *label,
						      const char *format, ...)
{
	const struct options *options = output->options;
	char value[240], line[280];
	va_list arguments;

	if (options->json || options->quiet)
		return;
	va_start(arguments, format);
	vsnprintf(value, sizeof(value), format, arguments);
	va_end(arguments);
	snprintf(line, sizeof(line), output->terminal ? "%-18s%s%s\n" : "%s%s%s\n", label,
		 output->terminal ? "" : ": ", value);
	output_text(output, line);
}

static bool answered(int status)
{
	return status == NATPMP_OK || is_refusal(status);
}

/* The question has left this host. */
static bool was_asked(int status)
{
	return status != NATPMP_E_FIREWALL;
}

static bool speaks_natpmp(const struct findings *found)
{
	return found->probed && answered(found->probe.status) &&
	       found->probe.status != NATPMP_E_VERSION;
}

/* ---------------------------------------------------------------- asking -- */

static void find_link(natpmp_ctx *ctx, struct output *output, struct findings *found)
{
	const natpmp_options *options = &output->options->library;
	const natpmp_link *link = &found->link;
	bool named = options->gateway != NULL;

	found->link_status = natpmp_get_link(ctx, &found->link);
	if (found->link_status != NATPMP_OK) {
		row(output, "gateway", "%s%s%s", link->gateway, named ? ": " : "",
		    natpmp_strerror(found->link_status));
		return;
	}
	row(output, "gateway", "%s port %u, %s, through %s", link->gateway, link->gateway_port,
	    named ? "named by -g" : "by the default route", link->interface);
	row(output, "own address", "%s", link->internal_address);
}

static void show_uptime(struct output *output, uint32_t seconds)
{
	unsigned long days = seconds / 86400, hours = seconds / 3600 % 24,
		      minutes = seconds / 60 % 60;

	if (days)
		row(output, "gateway up for", "%lu d %lu h", days, hours);
	else if (hours)
		row(output, "gateway up for", "%lu h %lu min", hours, minutes);
	else
		row(output, "gateway up for", "%lu min %lu s", minutes,
		    (unsigned long)seconds % 60);
}

static void find_service(natpmp_ctx *ctx, struct output *output, struct findings *found)
{
	const natpmp_probe *probe = &found->probe;
	int status;

	output_asking(output);
	status = natpmp_get_probe(ctx, &found->probe);
	if (status != NATPMP_OK) {
		found->link_status = status;
		return;
	}
	found->probed = true;
	if (speaks_natpmp(found))
		row(output, "NAT-PMP", "yes, answers within %.1f ms",
		    probe->round_trip < 100 ? 0.1 : probe->round_trip / 1000.0);
	else
		row(output, "NAT-PMP", "no: %s", natpmp_strerror(probe->status));
	row(output, "PCP", "%s",
	    !was_asked(probe->status)        ? "not known"
	    : probe->pcp_status == NATPMP_OK ? "yes"
					     : "no");
	if (!speaks_natpmp(found))
		return;
	if (*probe->external_address)
		row(output, "external address", "%s, %s", probe->external_address,
		    kind_name(natpmp_classify(probe->external_address)));
	else
		row(output, "external address", "none: %s",
		    natpmp_strerror(probe->status ? probe->status : NATPMP_E_NETWORK_FAILURE));
	show_uptime(output, probe->uptime);
}

static void try_mapping(natpmp_ctx *ctx, struct output *output, struct findings *found)
{
	const struct options *options = output->options;
	natpmp_mapping *mapping = &found->mapping;

	mapping->protocol = options->wanted->protocol;
	mapping->lifetime = TEST_LIFETIME;
	found->tried = true;
	output_asking(output);
	found->map_status = natpmp_map(ctx, mapping);
	if (found->map_status != NATPMP_OK) {
		row(output, "test mapping", "no: %s", natpmp_strerror(found->map_status));
		return;
	}
	/* With --vpn there is nothing to delete: it ends by itself. */
	if (!options->library.vpn_ports)
		found->close_status = natpmp_unmap(ctx, mapping);
	row(output, "test mapping", "granted: %s:%u -> %s:%u %s%s", output_address(mapping),
	    mapping->external_port, mapping->internal_address, mapping->internal_port,
	    protocol_name(mapping->protocol),
	    options->library.vpn_ports || found->close_status ? "; ends by itself"
							      : ", and closed again");
}

/* --------------------------------------------------------------- judging -- */

static bool is_quiet(int status)
{
	return status == NATPMP_E_TIMEOUT || status == NATPMP_E_NO_SERVICE;
}

static struct verdict of_status(int status, const struct findings *found, struct output *output)
{
	const struct failure *failure = failure_find(status);
	struct verdict verdict = {failure->exit_status, failure->code, "", ""};
	struct explanation explanation = {.message = NULL};
	char place[OUTPUT_WHERE_LEN];

	output_explain(output, status, &explanation, place);
	snprintf(verdict.advice, sizeof(verdict.advice), "%s", explanation.advice);
	snprintf(verdict.message, sizeof(verdict.message), "%s%s", explanation.message,
		 found->link_status ? place : ""); /* else it was shown */
	if (is_quiet(status) && !speaks_natpmp(found))
		snprintf(verdict.advice, sizeof(verdict.advice),
			 "%s, and see that no firewall here drops UDP from port %u",
			 explanation.advice, found->link.gateway_port);
	else if (is_quiet(status) && speaks_natpmp(found))
		snprintf(verdict.message, sizeof(verdict.message),
			 "the gateway speaks NAT-PMP, but does not answer requests for mappings");
	if (is_quiet(status) && speaks_natpmp(found))
		snprintf(verdict.advice, sizeof(verdict.advice),
			 "see that port mapping is allowed in the router, and look into its log");
	return verdict;
}

static struct verdict of_address(const char *address)
{
	natpmp_address_kind kind = natpmp_classify(address);
	const struct address_trouble *trouble = failure_of_address(kind);
	struct verdict verdict = {STATUS_DONE, "works", "it works: this gateway opens ports", ""};

	if (!trouble)
		return verdict;
	verdict = (struct verdict){STATUS_OTHER, kind_name(kind), "", ""};
	snprintf(verdict.advice, sizeof(verdict.advice), "%s", trouble->advice);
	snprintf(verdict.message, sizeof(verdict.message),
		 "ports are opened, but the external address %s %s", address, trouble->what);
	return verdict;
}

static struct verdict judge(const struct findings *found, struct output *output)
{
	const natpmp_probe *probe = &found->probe;

	if (found->link_status != NATPMP_OK)
		return of_status(found->link_status, found, output);
	if (!speaks_natpmp(found))
		return of_status(probe->pcp_status == NATPMP_OK ? NATPMP_E_VERSION : probe->status,
				 found, output);
	if (found->map_status != NATPMP_OK)
		return of_status(found->map_status, found, output);
	if (!*probe->external_address)
		return of_status(probe->status ? probe->status : NATPMP_E_NETWORK_FAILURE, found,
				 output);
	return of_address(probe->external_address);
}

/* --------------------------------------------------------------- telling -- */

static void show_json(struct output *output, const struct findings *found,
		      const struct verdict *verdict)
{
	const natpmp_link *link = &found->link;
	const natpmp_probe *probe = &found->probe;
	bool spoken = speaks_natpmp(found);
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return;
	json_begin(out, "check", time(NULL));
	json_string(out, "gateway", link->gateway);
	json_known(out, "gateway_port", link->gateway_port);
	json_string(out, "interface", link->interface);
	json_string(out, "internal_address", link->internal_address);
	json_maybe(out, "natpmp", found->probed && was_asked(probe->status), spoken);
	json_error(out, "natpmp_error", probe->status);
	json_maybe(out, "pcp", found->probed && was_asked(probe->status),
		   probe->pcp_status == NATPMP_OK);
	json_known(out, "round_trip_us", spoken ? probe->round_trip : 0);
	if (spoken)
		json_number(out, "uptime", probe->uptime);
	else
		json_null(out, "uptime");
	json_string(out, "external_address", probe->external_address);
	json_string(out, "external_kind",
		    spoken ? kind_name(natpmp_classify(probe->external_address)) : NULL);
	json_maybe(out, "mapping", found->tried, found->map_status == NATPMP_OK);
	json_error(out, "mapping_error", found->map_status);
	json_bool(out, "works", verdict->exit_status == STATUS_DONE);
	json_string(out, "verdict", verdict->word);
	json_string(out, "message", verdict->message);
	json_string(out, "advice", verdict->advice);
	json_end(out);
	if (fclose(out) == 0)
		output_text(output, text);
	free(text);
}

static void show_verdict(struct output *output, const struct verdict *verdict)
{
	const char *colour = verdict->exit_status == STATUS_DONE ? "\033[32m" : "\033[31m";
	char line[720];

	snprintf(line, sizeof(line), "%sverdict: %s%s%s%s\n", output->colour ? colour : "",
		 verdict->message, *verdict->advice ? "; " : "", verdict->advice,
		 output->colour ? "\033[m" : "");
	output_text(output, line);
}

int diagnose(natpmp_ctx *ctx, struct output *output)
{
	struct findings found = {.link_status = NATPMP_OK};
	struct verdict verdict;

	find_link(ctx, output, &found);
	if (found.link_status == NATPMP_OK)
		find_service(ctx, output, &found);
	if (speaks_natpmp(&found))
		try_mapping(ctx, output, &found);
	verdict = judge(&found, output);
	if (output->options->json)
		show_json(output, &found, &verdict);
	else
		show_verdict(output, &verdict);
	return verdict.exit_status;
}
