/* SPDX-License-Identifier: MIT */
#include "session.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "failure.h"
#include "json.h"
#include "output.h"
#include "trace.h"

/* With the context locked: nothing of the library may be called. */
static void log_line(void *arg, const char *line)
{
	struct session *session = arg;
	char text[TRACE_LEN];

	trace_line(line, text, sizeof(text));
	output_debug(session->output, "%s%s%s", text, *session->suffix ? "," : "", session->suffix);
}

/* ------------------------------------------------------------- beginning -- */

static int not_begun(const struct options *options, int exit_status)
{
	return options->command ? STATUS_NOT_RUN : exit_status;
}

static const char *example_of(const struct session *session)
{
	return session->library.family == NATPMP_IPV6 ? "-g fe80::1%eth0" : "-g 192.168.1.1";
}

/* The options that only the library can judge. */
static int cannot_begin(struct session *session, int status)
{
	const struct options *options = session->output->options;
	natpmp_family family = session->library.family;
	const struct host *gateway = &options->gateway[family], *source = &options->source[family];
	const char *interface = options->library.interface;

	if (status == NATPMP_E_ADDRESS) {
		options_mistake("%s %s: %s; give one like %s", gateway->text ? "-g" : "--source",
				gateway->text ? gateway->text : source->text,
				natpmp_strerror(status), example_of(session));
		return STATUS_USAGE;
	}
	if (status == NATPMP_E_INVALID && interface) {
		options_mistake("-i %s: that cannot be an interface; %s", interface,
				failure_find(NATPMP_E_NO_INTERFACE)->advice);
		return STATUS_USAGE;
	}
	return not_begun(options, output_failure(session->output, session, "cannot begin",
						 session->mappings, status));
}

/* A name after -g becomes the address that it has now. False: it has none, which is said. */
static bool find_gateway(struct session *session)
{
	const struct options *options = session->output->options;
	const struct host *host = &options->gateway[session->library.family];
	bool v6 = session->library.family == NATPMP_IPV6;
	struct addrinfo hints = {.ai_family = v6 ? AF_INET6 : AF_INET, .ai_socktype = SOCK_DGRAM};
	struct addrinfo *found;
	int error;

	if (host->kind != HOST_NAME) {
		strcpy(session->gateway, host->name);
		return true; /* for the library to judge */
	}
	error = getaddrinfo(host->name, NULL, &hints, &found);
	if (error) {
		output_error(session->output,
			     "-g %s: no %s address is known for that name: %s; give the address, "
			     "like %s",
			     host->text, family_title(session->library.family), gai_strerror(error),
			     example_of(session));
		return false;
	}
	error = getnameinfo(found->ai_addr, found->ai_addrlen, session->gateway,
			    sizeof(session->gateway), NULL, 0, NI_NUMERICHOST);
	freeaddrinfo(found);
	return !error;
}

static int session_begin(struct session *session)
{
	const struct options *options = session->output->options;
	natpmp_options *library = &session->library;
	const struct host *gateway = &options->gateway[library->family];
	int status;

	session->mappings = calloc(options->count, sizeof(*session->mappings));
	if (!session->mappings) {
		options_mistake("no memory: close some programs");
		return not_begun(options, STATUS_OTHER);
	}
	memcpy(session->mappings, options->wanted, options->count * sizeof(*session->mappings));
	if (gateway->text && !find_gateway(session))
		return not_begun(options, STATUS_NO_GATEWAY);
	library->gateway = gateway->text ? session->gateway : NULL;
	library->gateway_port = gateway->port;
	library->source = options->source[library->family].text;
	library->log = options->verbose ? log_line : NULL;
	library->log_arg = session;
	status = natpmp_new(&session->ctx, library);
	return status == NATPMP_OK ? STATUS_DONE : cannot_begin(session, status);
}

/* Only where PCP may be spoken is there a use for it. */
static void load_secret(struct sessions *sessions, struct output *output, natpmp_options *library)
{
	char why[SECRET_WHY_LEN];

	if (library->dialect == NATPMP_DIALECT_NATPMP || library->vpn_ports)
		return;
	if (!secret_load(sessions->secret, why)) {
		output_debug(output,
			     "no secret is kept, so only this natpmp can renew or close what it "
			     "opens by PCP: %s",
			     why);
		return;
	}
	library->secret = sessions->secret;
	library->secret_size = sizeof(sessions->secret);
}

int sessions_begin(struct sessions *sessions, struct output *output)
{
	static const char *const suffixes[FAMILIES] = {" on IPv4", " on IPv6"};
	const struct options *options = output->options;
	natpmp_options library = options->library;
	bool both = options->family[NATPMP_IPV4] && options->family[NATPMP_IPV6];
	int exit_status = STATUS_DONE;

	*sessions = (struct sessions){.count = 0};
	load_secret(sessions, output, &library);
	for (int family = 0; family < FAMILIES && exit_status != STATUS_USAGE; family++) {
		struct session *session = &sessions->all[sessions->count];
		int failed;

		if (!options->family[family])
			continue;
		*session = (struct session){.library = library,
					    .output = output,
					    .suffix = both ? suffixes[family] : ""};
		session->library.family = (natpmp_family)family;
		failed = session_begin(session);
		if (failed)
			free(session->mappings);
		else
			sessions->count++;
		exit_status = exit_status ? exit_status : failed;
	}
	return sessions->count && exit_status != STATUS_USAGE ? STATUS_DONE : exit_status;
}

void session_follow(struct session *session, const struct session *before)
{
	const struct options *options = session->output->options;

	for (size_t i = 0; i < options->count; i++) {
		if (!options->wanted[i].internal_port)
			session->mappings[i].internal_port = before->mappings[i].internal_port;
	}
}

const natpmp_link *session_link(struct session *session)
{
	if (session->ctx)
		(void)natpmp_get_link(session->ctx, &session->link); /* what there is of it */
	return &session->link;
}

/* ------------------------------------------------------------------- end -- */

static void *close_one(void *arg)
{
	struct session *session = arg;

	session->end_status = natpmp_free(session->ctx);
	session->ctx = NULL;
	return NULL;
}

void sessions_close(struct sessions *sessions)
{
	pthread_t thread[FAMILIES];
	bool started[FAMILIES] = {false};

	for (size_t i = 1; i < sessions->count; i++)
		started[i] = !pthread_create(&thread[i], NULL, close_one, &sessions->all[i]);
	for (size_t i = 0; i < sessions->count; i++) {
		if (!started[i])
			close_one(&sessions->all[i]);
	}
	for (size_t i = 1; i < sessions->count; i++) {
		if (started[i])
			pthread_join(thread[i], NULL);
	}
}

void sessions_end(struct sessions *sessions)
{
	sessions_close(sessions);
	for (size_t i = 0; i < sessions->count; i++)
		free(sessions->all[i].mappings);
	sessions->count = 0;
}
