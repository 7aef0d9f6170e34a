/* SPDX-License-Identifier: MIT */
/* api - the public functions. Those with callbacks are in notify.c, natpmp_with_mapping() is in
 * scope.c, and natpmp_strerror() and natpmp_version() are in core/status.c. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "core/address.h"
#include "core/siphash.h"
#include "drive.h"
#include "link.h"
#include "notify.h"
#include "os/clock.h"
#include "os/process.h"
#include "os/random.h"

enum {
	REQUEST_PORT = 5351,    /* RFC 6886 section 3.1 */
	DEADLINE = 7750,        /* ms; five sends take that long */
	DISCARD_PORT = 9,       /* of UDP: what comes there is thrown away (RFC 863) */
	MOMENT = 120,           /* s */
	FAREWELLS_PER_MS = 200, /* deletions per ms that are sent without waiting at the end */
};

static const struct ip_address no_address;

/* --- contexts --- */

static int read_address(const char *text, enum os_family family, struct ip_address *address)
{
	bool is_v6 = family == OS_IPV6;

	/* ::ffff:192.0.2.1 is of neither family. */
	if ((strchr(text, ':') != NULL) != is_v6 || !address_parse(text, address) ||
	    ip_is_v4(address) == is_v6 || !address_is_peer(address))
		return NATPMP_E_ADDRESS;
	return NATPMP_OK;
}

static int read_interface(struct link *link, const char *name)
{
	if (!name[0] || strlen(name) >= sizeof(link->interface) ||
	    (link->interface[0] && strcmp(link->interface, name) != 0))
		return NATPMP_E_INVALID;
	strcpy(link->interface, name);
	return NATPMP_OK;
}

/* An IPv6 address may end in %interface, a link-local one has to if no interface was named. */
static int read_gateway(struct link *link, const char *text)
{
	char address[NATPMP_ADDRESS_LEN + OS_INTERFACE_LEN];
	char *interface = NULL;
	int status;

	if (strlen(text) >= sizeof(address))
		return NATPMP_E_ADDRESS;
	strcpy(address, text);
	if (link->family == OS_IPV6)
		interface = strchr(address, '%');
	if (interface)
		*interface++ = '\0';
	status = read_address(address, link->family, &link->named_gateway);
	if (!status && interface)
		status = read_interface(link, interface);
	if (!status && needs_scope(&link->named_gateway) && !link->interface[0])
		status = NATPMP_E_ADDRESS;
	return status;
}

/* A link-local source would get a mapping that nobody else can reach. */
static int read_source(struct link *link, const char *text)
{
	int status = read_address(text, link->family, &link->named_source);

	return !status && needs_scope(&link->named_source) ? NATPMP_E_ADDRESS : status;
}

/* Do dialect and family go together, and with a VPN provider's gateway? */
static bool accepts_dialect(const natpmp_options *options)
{
	bool is_v6 = options->family == NATPMP_IPV6;

	if ((unsigned)options->dialect > NATPMP_DIALECT_PCP ||
	    (unsigned)options->family > NATPMP_IPV6)
		return false;
	if (options->vpn_ports && (is_v6 || options->dialect == NATPMP_DIALECT_PCP))
		return false;
	return !is_v6 || options->dialect != NATPMP_DIALECT_NATPMP;
}

static bool accepts_secret(const natpmp_options *options)
{
	size_t size = options->secret_size;

	return options->secret ? size >= SECRET_MIN && size <= SECRET_MAX : !size;
}

static int read_options(natpmp_ctx *ctx, const natpmp_options *options)
{
	struct link *link = &ctx->link;
	int status = NATPMP_OK;

	if (!accepts_dialect(options) || !accepts_secret(options))
		return NATPMP_E_INVALID;
	link->family = options->family == NATPMP_IPV6 ? OS_IPV6 : OS_IPV4;
	link->port = options->gateway_port ? options->gateway_port : REQUEST_PORT;
	ctx->deadline = options->deadline ? options->deadline : DEADLINE;
	ctx->log = options->log;
	ctx->log_arg = options->log_arg;
	if (options->interface)
		status = read_interface(link, options->interface);
	if (!status && options->gateway)
		status = read_gateway(link, options->gateway);
	if (!status && options->source)
		status = read_source(link, options->source);
	return status;
}

static bool init_lock(natpmp_ctx *ctx)
{
	pthread_mutexattr_t attributes;
	bool is_done;

	if (pthread_mutexattr_init(&attributes))
		return false;
	is_done = !pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE) &&
		  !pthread_mutex_init(&ctx->mutex, &attributes);
	pthread_mutexattr_destroy(&attributes);
	return is_done;
}

/* The program's secret may have another length than that of the core. Without one, and if PCP may
 * be spoken, the system gives one (RFC 6887 section 11.2: nobody may guess a nonce). */
static int choose_secret(const natpmp_options *options, struct client_options *core)
{
	static const uint8_t no_key[SECRET_LEN];

	core->seed ^= random_seed();
	if (!(core->dialects & ONLY_PCP))
		return NATPMP_OK;
	if (options->secret)
		siphash(no_key, options->secret, options->secret_size, core->secret);
	else if (random_bytes(core->secret, sizeof(core->secret)) != OS_OK)
		return NATPMP_E_SYSTEM;
	return NATPMP_OK;
}

static void read_core_options(const natpmp_options *options, struct client_options *core)
{
	static const dialect_set dialects[] = {
		[NATPMP_DIALECT_AUTO] = ALL_DIALECTS,
		[NATPMP_DIALECT_NATPMP] = ONLY_NATPMP,
		[NATPMP_DIALECT_PCP] = ONLY_PCP,
	};

	*core = (struct client_options){.dialects = dialects[options->dialect],
					.is_vpn = options->vpn_ports != 0};
	if (core->is_vpn)
		core->dialects = ONLY_NATPMP;
	if (options->family == NATPMP_IPV6)
		core->dialects = ONLY_PCP;
}

static int init_context(natpmp_ctx *ctx, const natpmp_options *options)
{
	struct client_options core;
	int status;

	ctx->waiter = (struct waiter){NO_HANDLE, NO_HANDLE, NO_HANDLE, NO_HANDLE, NO_HANDLE, NEVER};
	link_init(&ctx->link);
	drive_init(&ctx->drive);
	list_init(&ctx->unmaps);
	status = read_options(ctx, options);
	if (status)
		return status;
	if (!process_count_forks() || !init_lock(ctx))
		return NATPMP_E_NO_MEMORY;
	ctx->generation = process_generation();
	read_core_options(options, &core);
	core.seed = (uintptr_t)ctx;
	status = choose_secret(options, &core);
	if (!status && client_init(&ctx->client, &core))
		return NATPMP_OK;
	if (!status)
		client_free(&ctx->client);
	pthread_mutex_destroy(&ctx->mutex);
	return status ? status : NATPMP_E_NO_MEMORY;
}

int natpmp_new(natpmp_ctx **result, const natpmp_options *given)
{
	natpmp_options options = NATPMP_OPTIONS_INIT;
	int status, cancel;

	if (!result)
		return NATPMP_E_INVALID;
	*result = NULL;
	if (given) {
		/* A later version with more members will accept the sizes of all earlier ones. */
		if (given->size != sizeof(options))
			return NATPMP_E_INVALID;
		options = *given;
	}
	natpmp_ctx *ctx = calloc(1, sizeof(*ctx));
	if (!ctx)
		return NATPMP_E_NO_MEMORY;
	/* To read random bytes is a cancellation point. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	status = init_context(ctx, &options);
	pthread_setcancelstate(cancel, &cancel);
	if (status) {
		free(ctx);
		return status;
	}
	*result = ctx;
	return NATPMP_OK;
}

static void free_lease(struct lease *core)
{
	free(container_of(core, natpmp_lease, core));
}

static void tear_down(natpmp_ctx *ctx)
{
	client_release_all(&ctx->client, 0, free_lease);
	notify_forget(ctx);
	client_free(&ctx->client);
	free(ctx);
}

/* In a child process: what is closed here stays open in the parent. If a thread of the parent was
 * inside the context, its memory may be in any state and is not freed. */
static void tear_down_copy(natpmp_ctx *ctx)
{
	int cancel;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	waiter_close(&ctx->waiter);
	link_close(ctx);
	if (pthread_mutex_trylock(&ctx->mutex) == 0)
		tear_down(ctx);
	pthread_setcancelstate(cancel, &cancel);
}

static bool is_empty(natpmp_ctx *ctx, void *arg)
{
	(void)arg;
	return client_is_empty(&ctx->client) || gateway_is_away(&ctx->client.gateway) ||
	       ctx->link.status != NATPMP_OK;
}

/* Close all that is held, within CLOSE_MS or a little more. */
static int close_all(natpmp_ctx *ctx)
{
	bool seems_away = gateway_seems_away(&ctx->client.gateway);
	instant now = clock_ms();
	size_t count = ctx->client.registry.count;

	ctx->watch.on_change = NULL;
	client_release_all(&ctx->client, now, free_lease);
	if (!seems_away)
		drive_wait(ctx, is_empty, NULL,
			   now + CLOSE_MS - earlier(count / FAREWELLS_PER_MS, CLOSE_MS / 2));
	drive_pump(ctx);
	notify_end(ctx);
	if (ctx->link.request.handle != NO_HANDLE)
		link_say_farewell(ctx);
	return client_leftover(&ctx->client, clock_ms());
}

int natpmp_free(natpmp_ctx *ctx)
{
	int cancel;
	int status = ctx ? context_lock(ctx, &cancel) : NATPMP_OK;

	if (!ctx)
		return NATPMP_OK;
	if (status) {
		tear_down_copy(ctx);
		return status;
	}
	if (ctx->drive.in_callback || ctx->scopes) {
		context_unlock(ctx, cancel);
		return NATPMP_E_BUSY;
	}
	status = close_all(ctx);
	link_close(ctx);
	waiter_close(&ctx->waiter);
	pthread_mutex_unlock(&ctx->mutex);
	pthread_mutex_destroy(&ctx->mutex);
	tear_down(ctx);
	pthread_setcancelstate(cancel, &cancel);
	return status;
}

/* --- blocking calls --- */

/* The context may use no other dialects. */
static bool speaks_only(const natpmp_ctx *ctx, dialect_set dialects)
{
	return ctx->client.gateway.speech.allowed == dialects;
}

/* On success the context is locked and has a link; on error it is not locked. */
static int lock_to_block(natpmp_ctx *ctx, int *cancel)
{
	int status = ctx ? context_lock(ctx, cancel) : NATPMP_E_INVALID;

	if (status)
		return status;
	status = ctx->drive.in_callback ? NATPMP_E_BUSY : link_refresh(ctx);
	if (status)
		context_unlock(ctx, *cancel);
	return status;
}

/* End a blocking call: set errno for NATPMP_E_SYSTEM of the link, and unlock. */
static int unlock_with(natpmp_ctx *ctx, int cancel, int status)
{
	if (status == NATPMP_E_SYSTEM && ctx->link.status == NATPMP_E_SYSTEM)
		errno = ctx->link.error;
	context_unlock(ctx, cancel);
	return status;
}

int natpmp_map(natpmp_ctx *ctx, natpmp_mapping *mapping)
{
	natpmp_lease *lease;
	int status, cancel;

	if (!context_accepts(ctx, mapping))
		return NATPMP_E_INVALID;
	status = lock_to_block(ctx, &cancel);
	if (status)
		return status;
	/* NEVER: silence is no verdict here. The context's deadline ends the wait, and then
	 * context_outcome() says why. */
	status = context_hold(ctx, mapping, NEVER, true, &lease);
	if (!status) {
		bool is_simple = lease->core.count == 1 && !lease->core.is_exact;
		context_wait_for_verdict(lease);
		status = context_outcome(lease, mapping);
		if (status && !is_simple)
			context_release_lease(lease); /* a part of it may have been granted */
		else
			context_abandon_lease(lease);
	}
	return unlock_with(ctx, cancel, status);
}

static bool is_unmapped(natpmp_ctx *ctx, void *arg)
{
	const struct closing *closing = arg;

	return !closing->left || ctx->link.status != NATPMP_OK;
}

/* Internal port 0: all mappings of that protocol. */
static int unmap(natpmp_ctx *ctx, natpmp_protocol protocol, uint16_t internal_port)
{
	struct closing closing;
	int cancel;
	int status = lock_to_block(ctx, &cancel);
	instant now = clock_ms();

	if (status)
		return status;
	status = client_unmap(&ctx->client, &closing, protocol, internal_port, now);
	if (!status) {
		drive_wait(ctx, is_unmapped, &closing, now + ctx->deadline);
		status = closing.left ? client_excuse(&ctx->client, &closing) : closing.status;
		client_stop_unmapping(&ctx->client, &closing, clock_ms());
		drive_pump(ctx);
	}
	return unlock_with(ctx, cancel, status);
}

int natpmp_unmap(natpmp_ctx *ctx, const natpmp_mapping *mapping)
{
	unsigned protocol = mapping ? (unsigned)mapping->protocol : 0;

	if (!context_accepts_protocol(protocol) || !mapping->internal_port)
		return NATPMP_E_INVALID;
	return unmap(ctx, mapping->protocol, mapping->internal_port);
}

int natpmp_unmap_all(natpmp_ctx *ctx, natpmp_protocol protocol)
{
	if (!context_accepts_protocol((unsigned)protocol) || (ctx && speaks_only(ctx, ONLY_PCP)))
		return NATPMP_E_INVALID;
	return unmap(ctx, protocol, 0);
}

/* How many questions of a kind have ended: now, and before a caller asked one. */
struct count {
	const unsigned *answers;
	unsigned before;
};

static bool is_answered(natpmp_ctx *ctx, void *arg)
{
	const struct count *count = arg;

	return *count->answers != count->before || ctx->link.status != NATPMP_OK;
}

/* In PCP, the answer to a mapping tells the address, and there is no other way to ask for it (RFC
 * 6887 section 11.6): map a port for a moment. */
static int learn_address_by_mapping(natpmp_ctx *ctx, char text[NATPMP_ADDRESS_LEN])
{
	natpmp_mapping mapping = {
		.protocol = NATPMP_UDP, .internal_port = DISCARD_PORT, .lifetime = MOMENT};
	natpmp_lease *lease;
	int status = context_hold(ctx, &mapping, NEVER, true, &lease);

	/* That port is held, so its answer has told the address. */
	if (status == NATPMP_E_HELD) {
		struct ip_address address = client_external_address(&ctx->client);
		address_print(&address, text);
		return NATPMP_OK;
	}
	if (status)
		return status;
	context_wait_for_verdict(lease);
	status = context_outcome(lease, &mapping);
	context_release_lease(lease);
	if (!status)
		memcpy(text, mapping.external_address, NATPMP_ADDRESS_LEN);
	return status;
}

static int ask_address(natpmp_ctx *ctx, dialect_set dialects)
{
	struct external *external = &ctx->client.external;
	struct count count = {&external->answers, external->answers};
	instant now = clock_ms();

	client_ask_address(&ctx->client, dialects, now);
	drive_wait(ctx, is_answered, &count, now + ctx->deadline);
	int hint = external->question.hint;
	client_stop_asking_address(&ctx->client);
	drive_pump(ctx); /* the next question may have its turn now */
	if (ctx->link.status != NATPMP_OK)
		return ctx->link.status;
	if (external->answers != count.before)
		return external->status;
	return hint ? hint : NATPMP_E_TIMEOUT;
}

/* There is an address question, and it was answered. */
static bool external_is_told(const natpmp_ctx *ctx)
{
	return !speaks_only(ctx, ONLY_PCP) && !ctx->client.external.is_untold;
}

int natpmp_external_address(natpmp_ctx *ctx, char address[NATPMP_ADDRESS_LEN])
{
	int cancel;
	int status = address ? lock_to_block(ctx, &cancel) : NATPMP_E_INVALID;

	if (status)
		return status;
	address[0] = '\0';
	status = speaks_only(ctx, ONLY_PCP) ? NATPMP_OK
					    : ask_address(ctx, ctx->client.gateway.speech.allowed);
	if (status == NATPMP_OK && !external_is_told(ctx))
		status = learn_address_by_mapping(ctx, address);
	else if (status == NATPMP_OK)
		address_print(&ctx->client.external.address, address);
	return unlock_with(ctx, cancel, status);
}

natpmp_address_kind natpmp_classify(const char *text)
{
	struct ip_address address;

	if (!text || !address_parse(text, &address))
		return NATPMP_ADDRESS_NONE;
	return address_classify(&address);
}

/* --- holds --- */

int natpmp_hold(natpmp_ctx *ctx, const natpmp_mapping *wanted, natpmp_event_fn *on_event, void *arg,
		natpmp_lease **result)
{
	int status, cancel;

	if (result)
		*result = NULL;
	if (!result || !ctx)
		return NATPMP_E_INVALID;
	status = context_lock(ctx, &cancel);
	if (status)
		return status;
	status = NATPMP_E_INVALID;
	if (context_accepts(ctx, wanted)) {
		link_watch(ctx);
		status = context_hold(ctx, wanted, ctx->deadline, false, result);
	}
	if (!status) {
		(*result)->on_event = on_event;
		(*result)->arg = arg;
	}
	drive_pump(ctx);
	context_unlock(ctx, cancel);
	return status;
}

int natpmp_release(natpmp_lease *lease)
{
	natpmp_ctx *ctx = lease ? lease->ctx : NULL;
	int cancel;
	int status = ctx ? context_lock(ctx, &cancel) : NATPMP_OK;

	if (!ctx || status)
		return status;
	if (lease->is_scoped) {
		status = NATPMP_E_INVALID;
	} else {
		client_release(&ctx->client, &lease->core, clock_ms());
		free(lease);
		drive_pump(ctx);
	}
	context_unlock(ctx, cancel);
	return status;
}

int natpmp_retry(natpmp_lease *lease)
{
	natpmp_ctx *ctx = lease ? lease->ctx : NULL;
	int cancel;
	int status = ctx ? context_lock(ctx, &cancel) : NATPMP_E_INVALID;

	if (status)
		return status;
	client_retry(&ctx->client, &lease->core, clock_ms());
	drive_pump(ctx);
	context_unlock(ctx, cancel);
	return NATPMP_OK;
}

int natpmp_lease_state(natpmp_lease *lease, natpmp_state *state)
{
	int cancel;
	int status = lease && state ? context_lock(lease->ctx, &cancel) : NATPMP_E_INVALID;

	if (status)
		return status;
	const struct client *client = &lease->ctx->client;
	struct lease_view view = lease_view(&lease->core, &client->gateway, &client->external);
	context_state(lease, &view, state);
	context_unlock(lease->ctx, cancel);
	return NATPMP_OK;
}

int natpmp_fd(natpmp_ctx *ctx)
{
	int cancel;
	int status = ctx ? context_lock(ctx, &cancel) : NATPMP_E_INVALID;

	if (status)
		return status;
	ctx->drive.has_loop = true;
	ctx->drive.needs_timer = !ctx->drive.knows_timeouts;
	if (drive_open_waiter(ctx) != OS_OK)
		status = NATPMP_E_SYSTEM;
	else
		status = ctx->waiter.handle;
	drive_pump(ctx);
	context_unlock(ctx, cancel);
	return status;
}

int natpmp_timeout(natpmp_ctx *ctx)
{
	instant at, now;
	int cancel;

	if (!ctx || context_lock(ctx, &cancel))
		return -1;
	at = drive_next_deadline(ctx);
	now = clock_ms();
	ctx->drive.has_loop = ctx->drive.knows_timeouts = true;
	if (ctx->drive.needs_timer && ctx->waiter.handle != NO_HANDLE)
		(void)waiter_arm(&ctx->waiter, NEVER);
	ctx->drive.needs_timer = false;
	ctx->drive.loop_told = at ? at : 1;
	context_unlock(ctx, cancel);
	if (at == NEVER)
		return -1;
	if (at <= now)
		return 0;
	return at - now > INT_MAX ? INT_MAX : (int)(at - now);
}

int natpmp_process(natpmp_ctx *ctx)
{
	int cancel;
	int status = ctx ? context_lock(ctx, &cancel) : NATPMP_E_INVALID;

	if (status)
		return status;
	ctx->drive.has_loop = true;
	ctx->drive.loop_told = 0;
	if (ctx->drive.in_callback)
		status = NATPMP_E_BUSY;
	else
		drive_process(ctx);
	context_unlock(ctx, cancel);
	return status;
}

/* --- looking --- */

int natpmp_get_link(natpmp_ctx *ctx, natpmp_link *link)
{
	struct route route;
	struct ip_address gateway;
	int cancel, saved;
	int status = ctx && link ? context_lock(ctx, &cancel) : NATPMP_E_INVALID;

	if (status)
		return status;
	memset(link, 0, sizeof(*link));
	status = link_find(ctx, &route, &gateway);
	link->gateway_port = ctx->link.port;
	saved = errno;
	address_print(&gateway, link->gateway);
	address_print(&route.source, link->internal_address);
	route_interface(&route, link->interface);
	context_unlock(ctx, cancel);
	errno = saved;
	return status;
}

static int ask_pcp(natpmp_ctx *ctx, duration patience)
{
	struct pcp_probe *pcp = &ctx->client.pcp;
	struct count count = {&pcp->answers, pcp->answers};
	instant now = clock_ms();

	client_ask_pcp(&ctx->client, now);
	drive_wait(ctx, is_answered, &count, now + patience);
	client_stop_asking_pcp(&ctx->client);
	drive_pump(ctx);
	if (ctx->link.status != NATPMP_OK)
		return ctx->link.status;
	return pcp->answers != count.before ? pcp->status : NATPMP_E_TIMEOUT;
}

static bool has_answered(int status)
{
	return status == NATPMP_OK || status_class(status) == STATUS_NO;
}

static void probe_natpmp(natpmp_ctx *ctx, natpmp_probe *probe)
{
	const struct client *client = &ctx->client;

	probe->status = ask_address(ctx, ONLY_NATPMP);
	if (probe->status == NATPMP_OK && client->external.is_untold)
		probe->status = NATPMP_E_VERSION; /* it answered in PCP */
	if (has_answered(probe->status)) {
		probe->round_trip = (uint32_t)ctx->round_trip_us;
		probe->uptime = client->gateway.clocks.last[DIALECT_NATPMP].seconds;
	}
	address_print(probe->status ? &no_address : &client->external.address,
		      probe->external_address);
}

/* A gateway that answered one question will answer the next one soon, or never. */
static void probe_pcp(natpmp_ctx *ctx, natpmp_probe *probe)
{
	duration patience =
		has_answered(probe->status) ? earlier(ctx->deadline, SHORT_TURN) : ctx->deadline;

	probe->pcp_status = ask_pcp(ctx, patience);
	if (has_answered(probe->pcp_status)) {
		probe->pcp_round_trip = (uint32_t)ctx->round_trip_us;
		probe->pcp_uptime = ctx->client.gateway.clocks.last[DIALECT_PCP].seconds;
	}
}

int natpmp_get_probe(natpmp_ctx *ctx, natpmp_probe *probe)
{
	int cancel;
	int status = probe ? lock_to_block(ctx, &cancel) : NATPMP_E_INVALID;

	if (status)
		return status;
	dialect_set allowed = ctx->client.gateway.speech.allowed;

	memset(probe, 0, sizeof(*probe));
	probe->status = probe->pcp_status = NATPMP_PENDING;
	if (allowed & ONLY_NATPMP)
		probe_natpmp(ctx, probe);
	if (allowed & ONLY_PCP)
		probe_pcp(ctx, probe);
	return unlock_with(ctx, cancel, NATPMP_OK);
}
