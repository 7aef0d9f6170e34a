/* SPDX-License-Identifier: MIT */
#include "failure.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "output.h"

#define SWITCH_ON     "switch on NAT-PMP or PCP in the router (often listed as UPnP)"
#define ROUTER_LOG    "look into the router's log"
#define LOOK_AT_CABLE "look at the cable or the radio, and at the gateway's address"
#define CHECK         "\"natpmp --check\" looks closer"
#define ROUTER_UPDATE "update the router's software"
#define VERBOSE       "-v tells more"

static const struct failure failures[] = {
	{NATPMP_E_INVALID, STATUS_OTHER, "invalid", "look at the options again"},
	{NATPMP_E_ADDRESS, STATUS_USAGE, "bad_address", "give one like -g 192.168.1.1"},
	{NATPMP_E_HELD, STATUS_OTHER, "held", "name each port once"},
	{NATPMP_E_NO_MEMORY, STATUS_OTHER, "no_memory", "close some programs"},
	{NATPMP_E_SYSTEM, STATUS_OTHER, "system", VERBOSE},
	{NATPMP_E_NO_INTERFACE, STATUS_NO_GATEWAY, "no_interface",
	 "\"ip -brief link\" lists those there are"},
	{NATPMP_E_NO_GATEWAY, STATUS_NO_GATEWAY, "no_gateway",
	 "connect to a network, or name the gateway with -g"},
	{NATPMP_E_POINT_TO_POINT, STATUS_NO_GATEWAY, "point_to_point",
	 "the VPN provider tells its address, often 10.2.0.1: give that with -g"},
	{NATPMP_E_NO_ROUTE, STATUS_NO_GATEWAY, "no_route",
	 "look at the address after -g, and whether the network is up"},
	{NATPMP_E_NETLINK, STATUS_NO_GATEWAY, "netlink",
	 "name the gateway with -g; the system does not let natpmp look it up"},
	{NATPMP_E_NO_PORT, STATUS_OTHER, "no_port", "name one with -p"},
	{NATPMP_E_NO_ADDRESS, STATUS_NO_GATEWAY, "no_address",
	 "\"ip -6 address\" shows those there are; without one leave out -6"},
	{NATPMP_E_TIMEOUT, STATUS_NO_ANSWER, "timeout", SWITCH_ON "; " CHECK},
	{NATPMP_E_NO_SERVICE, STATUS_NO_ANSWER, "no_service", SWITCH_ON "; " CHECK},
	{NATPMP_E_UNREACHABLE, STATUS_NO_ANSWER, "unreachable", LOOK_AT_CABLE "; " CHECK},
	{NATPMP_E_REFUSED, STATUS_REFUSED, "refused", SWITCH_ON "; " CHECK},
	{NATPMP_E_FIREWALL, STATUS_NO_ANSWER, "firewall",
	 "let UDP to the gateway's port 5351 out: \"nft list ruleset\" shows this host's rules"},
	{NATPMP_E_BAD_ANSWER, STATUS_GATEWAY_NO, "bad_answer",
	 "restart the router, or update its software"},
	{NATPMP_E_VERSION, STATUS_GATEWAY_NO, "version", SWITCH_ON},
	{NATPMP_E_NOT_AUTHORIZED, STATUS_NOT_AUTHORIZED, "not_authorized",
	 "allow port mappings in the router, or try another port"},
	{NATPMP_E_NETWORK_FAILURE, STATUS_GATEWAY_NO, "network_failure",
	 "look whether the router is connected to the internet"},
	{NATPMP_E_NO_RESOURCES, STATUS_GATEWAY_NO, "no_resources",
	 "try later, or close mappings that nobody needs"},
	{NATPMP_E_OPCODE, STATUS_GATEWAY_NO, "opcode", ROUTER_UPDATE},
	{NATPMP_E_RESULT, STATUS_GATEWAY_NO, "result", ROUTER_LOG "; " VERBOSE},
	{NATPMP_E_PORTS_DIFFER, STATUS_GATEWAY_NO, "ports_differ",
	 "try another port, or open one each: -p PORT/tcp -p PORT/udp"},
	{NATPMP_E_OTHER_PORT, STATUS_GATEWAY_NO, "other_port", "try another port"},
	{NATPMP_E_MALFORMED, STATUS_GATEWAY_NO, "malformed",
	 ROUTER_UPDATE "; if it speaks NAT-PMP, too, try --dialect natpmp"},
	{NATPMP_E_OPTION, STATUS_GATEWAY_NO, "option", ROUTER_UPDATE},
	{NATPMP_E_PROTOCOL, STATUS_GATEWAY_NO, "protocol", "try the other type with -t"},
	{NATPMP_E_QUOTA, STATUS_GATEWAY_NO, "quota",
	 "close mappings that this host needs no longer: \"natpmp --status\" shows those kept "
	 "open"},
	{NATPMP_E_ADDRESS_MISMATCH, STATUS_GATEWAY_NO, "address_mismatch",
	 "name the gateway that is nearest to this host with -g; in a container, use the network "
	 "of "
	 "its host"},
};

static const struct failure unknown = {0, STATUS_OTHER, "unknown", VERBOSE};

const struct failure *failure_find(int status)
{
	for (size_t i = 0; i < sizeof(failures) / sizeof(*failures); i++) {
		if (failures[i].status == status)
			return &failures[i];
	}
	return &unknown;
}

bool is_silence(int status)
{
	int exit_status = failure_find(status)->exit_status;

	return (exit_status == STATUS_NO_ANSWER || exit_status == STATUS_REFUSED) &&
	       status != NATPMP_E_FIREWALL;
}

bool is_refusal(int status)
{
	int exit_status = failure_find(status)->exit_status;

	return exit_status == STATUS_NOT_AUTHORIZED || exit_status == STATUS_GATEWAY_NO;
}

/* The gateway has no service, or none that we may speak to. */
static bool is_switched_off(int status)
{
	return status == NATPMP_E_TIMEOUT || status == NATPMP_E_NO_SERVICE ||
	       status == NATPMP_E_REFUSED || status == NATPMP_E_VERSION;
}

/* What is to be switched on depends on what we may speak; --check has looked closer already. */
static const char *advice_on(int status, const natpmp_options *library, bool checked)
{
	static const struct {
		natpmp_dialect dialect;
		const char *checked, *not_checked;
	} advices[] = {
#define SWITCH(dialect, text) {dialect, text, text "; " CHECK}
		SWITCH(NATPMP_DIALECT_AUTO, SWITCH_ON),
		SWITCH(NATPMP_DIALECT_NATPMP, "switch on NAT-PMP in the router (often listed as "
					      "UPnP), or leave out --dialect"),
		SWITCH(NATPMP_DIALECT_PCP, "switch on PCP in the router, or leave out --dialect"),
		SWITCH(NATPMP_DIALECT_PCP, "switch on PCP in the router"),
#undef SWITCH
	};
	size_t i = library->family == NATPMP_IPV6 ? 3 : (size_t)library->dialect;

	return checked || status == NATPMP_E_VERSION ? advices[i].checked : advices[i].not_checked;
}

static const char *advice_to_unauthorized(enum job job, const natpmp_options *library)
{
	if (library->vpn_ports)
		return "allow port mappings in the router; or this gateway does not pick ports: "
		       "leave out --vpn, and name a port with -p";
	return job == JOB_CLOSE
		       ? "it may have been made by hand in the router: remove it there; or "
			 "by another program: it ends with its lifetime"
		       : failure_find(NATPMP_E_NOT_AUTHORIZED)->advice;
}

static const char *advice_for(int status, const struct session *session)
{
	const struct options *options = session->output->options;
	const natpmp_options *library = &session->library;
	const char *advice = failure_find(status)->advice;

	if (is_silence(status) && library->vpn_ports)
		return "the VPN's key or user name was made without port forwarding, or this "
		       "server has none: make the VPN's configuration anew, with it";
	if (status == NATPMP_E_VERSION && options->job == JOB_CLOSE_ALL)
		return "PCP cannot close all at once: give --close, and each with -p";
	if (is_switched_off(status))
		return advice_on(status, library, options->job == JOB_CHECK);
	if (status == NATPMP_E_UNREACHABLE && options->job == JOB_CHECK)
		return LOOK_AT_CABLE;
	if (status == NATPMP_E_NO_GATEWAY && library->interface)
		return "leave -i out, or name the gateway with -g";
	if (status == NATPMP_E_NOT_AUTHORIZED)
		return advice_to_unauthorized(options->job, library);
	if (status == NATPMP_E_ADDRESS && library->source)
		return "\"ip address\" lists those there are";
	if (options->verbose && strstr(advice, VERBOSE))
		return status == NATPMP_E_RESULT ? ROUTER_LOG : "the lines above tell more";
	return advice;
}

/* Was a gateway named that is reached by a route nobody thought of? */
static bool may_be_in_tunnel(const natpmp_options *library, const natpmp_link *link)
{
	return library->gateway && !library->interface && *link->interface &&
	       strcmp(link->interface, "lo") != 0;
}

void failure_explain(struct explanation *explanation, int status, const struct session *session,
		     const natpmp_link *link, const char *external_address)
{
	const struct address_trouble *trouble = failure_of_address(external_address);
	char *advice = explanation->advice;
	size_t size = sizeof(explanation->advice);

	explanation->message = natpmp_strerror(status);
	snprintf(advice, size, "%s", advice_for(status, session));
	if (is_silence(status) && may_be_in_tunnel(&session->library, link))
		snprintf(advice, size,
			 "if %s is at the end of a tunnel, name the tunnel with -i; else: %s",
			 link->gateway, advice_for(status, session));
	if (status != NATPMP_E_NETWORK_FAILURE || !*external_address)
		return;
	explanation->message = "the gateway has an external address, but could not set up the "
			       "mapping (network failure)";
	if (trouble)
		snprintf(advice, size, "its address %s %s; %s", external_address, trouble->what,
			 trouble->advice);
	else
		snprintf(advice, size, "restart port mapping in the router, and " ROUTER_LOG);
}

const struct address_trouble *failure_of_address(const char *address)
{
	static const struct address_trouble
		none = {"is not known to the gateway",
			"look whether the gateway is connected to the internet"},
		private = {"is a private one: there is a second NAT in front of the gateway",
			   "forward the port there too, or make that device a bridge"},
		shared = {"is shared by the provider's customers: nobody outside can connect",
			  "ask the provider for a public address"},
		local = {"is of use on the local network only (RFC 4193): nobody outside can "
			 "connect",
			 "see that the router gets IPv6 from the provider"},
		other = {"is not one of the internet: nobody outside can connect",
			 "look at the gateway's own connection"};

	switch (natpmp_classify(address)) {
	case NATPMP_ADDRESS_PUBLIC:
		return NULL;
	case NATPMP_ADDRESS_NONE:
		return &none;
	case NATPMP_ADDRESS_PRIVATE:
		return strchr(address, ':') ? &local : &private;
	case NATPMP_ADDRESS_SHARED:
		return &shared;
	case NATPMP_ADDRESS_LINK_LOCAL:
	case NATPMP_ADDRESS_RESERVED:
		break;
	}
	return &other;
}
