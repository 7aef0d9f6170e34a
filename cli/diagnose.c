/* SPDX-License-Identifier: MIT */
/*
 * --json gives one object for each family: event "check", family, gateway, gateway_port, interface,
 * internal_address; natpmp and pcp (is it spoken? null: not asked), natpmp_error, pcp_error;
 * round_trip_us, pcp_round_trip_us, uptime (s); external_address, external_kind; mapping (was a
 * test mapping granted? null: not tried), dialect, mapping_error; works, verdict (a word), message,
 * advice (null when it works).
 */
#include "diagnose.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "failure.h"
#include "json.h"

enum {
	TEST_LIFETIME = 120, /* s, should the test mapping not be closed again */
};

struct verdict {
	int exit_status;
	const char *word;
	char message[400];
	char advice[400]; /* "": none needed */
};

/* Of one family. */
struct findings {
	struct session *session;
	natpmp_link link;
	int link_status;
	bool probed;
	natpmp_probe probe;
	bool tried;
	natpmp_mapping mapping;
	int map_status, close_status;
	struct verdict verdict;

	const char *prefix; /* of what is said about it */
	int width;
};

__attribute__((format(printf, 4, 5))) static void
row(struct output *output, const struct findings *found, const char *label, const char *format, ...)
{
	const struct options *options = output->options;
	char name[32], value[240], line[300];
	va_list arguments;

	if (options->json || options->quiet)
		return;
	va_start(arguments, format);
	vsnprintf(value, sizeof(value), format, arguments);
	va_end(arguments);
	snprintf(name, sizeof(name), "%s%s", found->prefix, label);
	snprintf(line, sizeof(line), "%-*s%s%s\n", output->terminal ? found->width : 0, name,
		 output->terminal ? "" : ": ", value);
	output_text(output, line);
}

/* The gateway said something in this dialect. */
static bool is_spoken(int status)
{
	return status == NATPMP_OK || (is_refusal(status) && status != NATPMP_E_VERSION);
}

/* The question has left this host; and before, there was one. */
static bool was_asked(int status)
{
	return status != NATPMP_E_FIREWALL && status != NATPMP_PENDING;
}

static bool speaks_natpmp(const struct findings *found)
{
	return found->probed && is_spoken(found->probe.status);
}

static bool speaks_pcp(const struct findings *found)
{
	return found->probed && is_spoken(found->probe.pcp_status);
}

static bool speaks(const struct findings *found)
{
	return speaks_natpmp(found) || speaks_pcp(found);
}

/* As NAT-PMP tells it; PCP does so only with a mapping. */
static const char *external_address(const struct findings *found)
{
	return *found->probe.external_address ? found->probe.external_address
					      : found->mapping.external_address;
}

/* ---------------------------------------------------------------- asking -- */

static void try_mapping(struct findings *found)
{
	const struct options *options = found->session->output->options;
	natpmp_ctx *ctx = found->session->ctx;

	found->mapping.protocol = options->wanted->protocol;
	found->mapping.lifetime = TEST_LIFETIME;
	found->tried = true;
	found->map_status = natpmp_map(ctx, &found->mapping);
	/* With --vpn there is nothing to delete: it ends by itself. */
	if (found->map_status == NATPMP_OK && !options->library.vpn_ports)
		found->close_status = natpmp_unmap(ctx, &found->mapping);
}

/* On a thread, so that no family waits for another one: nothing is shown here. */
static void *ask(void *arg)
{
	struct findings *found = arg;
	natpmp_ctx *ctx = found->session->ctx;

	found->link_status = natpmp_get_link(ctx, &found->link);
	if (found->link_status == NATPMP_OK)
		found->link_status = natpmp_get_probe(ctx, &found->probe);
	found->probed = found->link_status == NATPMP_OK;
	if (speaks(found))
		try_mapping(found);
	return NULL;
}

static void ask_all(struct findings *all, size_t count)
{
	pthread_t thread[FAMILIES];
	bool started[FAMILIES] = {false};

	for (size_t i = 1; i < count; i++)
		started[i] = !pthread_create(&thread[i], NULL, ask, &all[i]);
	for (size_t i = 0; i < count; i++) {
		if (!started[i])
			ask(&all[i]);
	}
	for (size_t i = 1; i < count; i++) {
		if (started[i])
			pthread_join(thread[i], NULL);
	}
}

/* ------------------------------------------------------- what was found -- */

static void show_link(struct output *output, const struct findings *found)
{
	const natpmp_link *link = &found->link;
	bool named = found->session->library.gateway != NULL;

	if (found->link_status != NATPMP_OK) {
		row(output, found, "gateway", "%s%s%s", link->gateway, named ? ": " : "",
		    natpmp_strerror(found->link_status));
		return;
	}
	row(output, found, "gateway", "%s port %u, %s, through %s", link->gateway,
	    link->gateway_port, named ? "named by -g" : "by the default route", link->interface);
	row(output, found, "own address", "%s", link->internal_address);
}

static void show_dialect(struct output *output, const struct findings *found, const char *name,
			 int status, uint32_t round_trip)
{
	if (status == NATPMP_PENDING)
		return;
	if (!was_asked(status))
		row(output, found, name, "not known: %s", natpmp_strerror(status));
	else if (status == NATPMP_E_VERSION)
		row(output, found, name, "no");
	else if (!is_spoken(status))
		row(output, found, name, "no: %s", natpmp_strerror(status));
	else
		row(output, found, name, "yes, answers within %.1f ms",
		    round_trip < 100 ? 0.1 : round_trip / 1000.0);
}

static void show_uptime(struct output *output, const struct findings *found, uint32_t seconds)
{
	unsigned long days = seconds / 86400, hours = seconds / 3600 % 24,
		      minutes = seconds / 60 % 60;

	if (days)
		row(output, found, "gateway up for", "%lu d %lu h", days, hours);
	else if (hours)
		row(output, found, "gateway up for", "%lu h %lu min", hours, minutes);
	else
		row(output, found, "gateway up for", "%lu min %lu s", minutes,
		    (unsigned long)seconds % 60);
}

static void show_service(struct output *output, const struct findings *found)
{
	const natpmp_probe *probe = &found->probe;
	const char *address = external_address(found);

	show_dialect(output, found, "NAT-PMP", probe->status, probe->round_trip);
	show_dialect(output, found, "PCP", probe->pcp_status, probe->pcp_round_trip);
	if (!speaks(found))
		return;
	if (*address)
		row(output, found, "external address", "%s, %s", address,
		    kind_name(natpmp_classify(address)));
	else if (speaks_natpmp(found) || found->map_status == NATPMP_OK)
		row(output, found, "external address", "none: %s",
		    natpmp_strerror(is_failure(probe->status) ? probe->status
							      : NATPMP_E_NETWORK_FAILURE));
	show_uptime(output, found, speaks_natpmp(found) ? probe->uptime : probe->pcp_uptime);
}

static void show_mapping(struct output *output, const struct findings *found)
{
	const natpmp_mapping *mapping = &found->mapping;
	bool left = output->options->library.vpn_ports || found->close_status;
	char external[OUTPUT_END_LEN], internal[OUTPUT_END_LEN];

	if (found->map_status != NATPMP_OK) {
		row(output, found, "test mapping", "no: %s", natpmp_strerror(found->map_status));
		return;
	}
	row(output, found, "test mapping", "granted: %s -> %s %s%s",
	    output_end_of(mapping->external_address, mapping->external_port, external),
	    output_end_of(mapping->internal_address, mapping->internal_port, internal),
	    protocol_name(mapping->protocol), left ? "; ends by itself" : ", and closed again");
}

static void show(struct output *output, const struct findings *found)
{
	show_link(output, found);
	if (found->probed)
		show_service(output, found);
	if (found->tried)
		show_mapping(output, found);
}

/* --------------------------------------------------------------- judging -- */

static bool is_quiet(int status)
{
	return status == NATPMP_E_TIMEOUT || status == NATPMP_E_NO_SERVICE;
}

static struct verdict of_status(int status, const struct findings *found)
{
	const struct failure *failure = failure_find(status);
	struct verdict verdict = {failure->exit_status, failure->code, "", ""};
	struct explanation explanation = {.message = NULL};
	char place[OUTPUT_WHERE_LEN];

	output_explain(found->session, status, &explanation, place);
	snprintf(verdict.advice, sizeof(verdict.advice), "%s", explanation.advice);
	snprintf(verdict.message, sizeof(verdict.message), "%s%s", explanation.message,
		 found->link_status ? place : ""); /* else it was shown */
	if (is_quiet(status) && speaks(found)) {
		snprintf(verdict.message, sizeof(verdict.message),
			 "the gateway speaks %s, but does not answer requests for mappings",
			 speaks_natpmp(found) ? "NAT-PMP" : "PCP");
		snprintf(verdict.advice, sizeof(verdict.advice),
			 "see that port mapping is allowed in the router, and look into its log");
	} else if (is_quiet(status)) {
		snprintf(verdict.advice, sizeof(verdict.advice),
			 "%s, and see that no firewall here drops UDP from port %u",
			 explanation.advice, found->link.gateway_port);
	}
	return verdict;
}

static struct verdict of_address(const struct findings *found)
{
	const char *address = external_address(found);
	const struct address_trouble *trouble = failure_of_address(address);
	bool pcp_only = was_asked(found->probe.status) && !speaks_natpmp(found);
	struct verdict verdict = {STATUS_DONE, "works", "", ""};

	snprintf(verdict.message, sizeof(verdict.message), "it works: this gateway opens ports%s",
		 pcp_only ? ", by PCP only" : "");
	if (!trouble)
		return verdict;
	verdict = (struct verdict){STATUS_OTHER, kind_name(natpmp_classify(address)), "", ""};
	snprintf(verdict.advice, sizeof(verdict.advice), "%s", trouble->advice);
	snprintf(verdict.message, sizeof(verdict.message),
		 "ports are opened, but the external address %s %s", address, trouble->what);
	return verdict;
}

static struct verdict judge(const struct findings *found)
{
	const natpmp_probe *probe = &found->probe;

	if (found->link_status != NATPMP_OK)
		return of_status(found->link_status, found);
	if (!speaks(found))
		return of_status(is_failure(probe->status) ? probe->status : probe->pcp_status,
				 found);
	if (found->map_status != NATPMP_OK)
		return of_status(found->map_status, found);
	if (!*external_address(found))
		return of_status(is_failure(probe->status) ? probe->status
							   : NATPMP_E_NETWORK_FAILURE,
				 found);
	return of_address(found);
}

/* What the verdicts on two families mean for each other. named: somebody wants both. */
static void compare(struct verdict *v4, struct verdict *v6, bool named)
{
	bool v4_works = v4->exit_status == STATUS_DONE, v6_works = v6->exit_status == STATUS_DONE;
	char text[sizeof(v4->message)];

	if (!v4_works && v6_works) {
		snprintf(text, sizeof(text), "%s", v4->message);
		snprintf(v4->message, sizeof(v4->message),
			 "IPv6 only: with -6 ports are opened here, but not on IPv4: %.300s", text);
	} else if (v4_works && !v6_works && !named) {
		snprintf(text, sizeof(text), "%s", v6->message);
		snprintf(v6->message, sizeof(v6->message),
			 "no ports on IPv6, which does no harm to those on IPv4: %.300s", text);
		snprintf(text, sizeof(text), "%s", v6->advice);
		snprintf(v6->advice, sizeof(v6->advice), "to have them, too: %.300s", text);
	}
}

/* --------------------------------------------------------------- telling -- */

static void put_found(FILE *out, const struct findings *found)
{
	const natpmp_link *link = &found->link;
	const natpmp_probe *probe = &found->probe;
	const char *address = external_address(found);
	bool natpmp = speaks_natpmp(found), pcp = speaks_pcp(found);

	json_string(out, "family", family_name(found->session->library.family));
	json_string(out, "gateway", link->gateway);
	json_known(out, "gateway_port", link->gateway_port);
	json_string(out, "interface", link->interface);
	json_string(out, "internal_address", link->internal_address);
	json_maybe(out, "natpmp", found->probed && was_asked(probe->status), natpmp);
	json_error(out, "natpmp_error", is_failure(probe->status) ? probe->status : NATPMP_OK);
	json_maybe(out, "pcp", found->probed && was_asked(probe->pcp_status), pcp);
	json_error(out, "pcp_error", is_failure(probe->pcp_status) ? probe->pcp_status : NATPMP_OK);
	json_known(out, "round_trip_us", natpmp ? probe->round_trip : 0);
	json_known(out, "pcp_round_trip_us", pcp ? probe->pcp_round_trip : 0);
	if (natpmp || pcp)
		json_number(out, "uptime", natpmp ? probe->uptime : probe->pcp_uptime);
	else
		json_null(out, "uptime");
	json_string(out, "external_address", address);
	json_string(out, "external_kind",
		    natpmp || *address ? kind_name(natpmp_classify(address)) : NULL);
	json_maybe(out, "mapping", found->tried, found->map_status == NATPMP_OK);
	json_string(out, "dialect", dialect_name(found->mapping.dialect));
	json_error(out, "mapping_error", found->map_status);
}

static void show_json(struct output *output, const struct findings *found)
{
	const struct verdict *verdict = &found->verdict;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return;
	json_begin(out, "check", time(NULL));
	put_found(out, found);
	json_bool(out, "works", verdict->exit_status == STATUS_DONE);
	json_string(out, "verdict", verdict->word);
	json_string(out, "message", verdict->message);
	json_string(out, "advice", verdict->advice);
	json_end(out);
	if (fclose(out) == 0)
		output_text(output, text);
	free(text);
}

static void show_verdict(struct output *output, const struct findings *found)
{
	const struct verdict *verdict = &found->verdict;
	const char *colour = verdict->exit_status == STATUS_DONE ? "\033[32m" : "\033[31m";
	char line[2 * sizeof(verdict->message) + 40];

	snprintf(line, sizeof(line), "%s%sverdict: %s%s%s%s\n", output->colour ? colour : "",
		 found->prefix, verdict->message, *verdict->advice ? "; " : "", verdict->advice,
		 output->colour ? "\033[m" : "");
	output_text(output, line);
}

/* Nobody has asked for IPv6, and there is none. */
static bool is_nothing(const struct findings *found)
{
	return found->session->library.family == NATPMP_IPV6 && found->link_status != NATPMP_OK &&
	       !found->session->output->options->family_named;
}

int diagnose(struct sessions *sessions, struct output *output)
{
	struct findings all[FAMILIES] = {{.session = NULL}};
	size_t count = sessions->count;
	bool works = false;

	for (size_t i = 0; i < count; i++)
		all[i].session = &sessions->all[i];
	output_asking(output, sessions->all, count);
	ask_all(all, count);
	if (count > 1 && is_nothing(&all[1]))
		count = 1;
	for (size_t i = 0; i < count; i++) {
		all[i].width = count > 1 ? 23 : 18;
		all[i].prefix = i > 0 ? "IPv6 " : "";
		show(output, &all[i]);
		all[i].verdict = judge(&all[i]);
	}
	if (count > 1)
		compare(&all[0].verdict, &all[1].verdict, output->options->family_named);
	for (size_t i = 0; i < count; i++) {
		works |= all[i].verdict.exit_status == STATUS_DONE;
		if (output->options->json)
			show_json(output, &all[i]);
		else
			show_verdict(output, &all[i]);
	}
	return works ? STATUS_DONE : all->verdict.exit_status;
}
