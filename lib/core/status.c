/* SPDX-License-Identifier: MIT */
#include "core/status.h"

#include <stddef.h>

/* RFC 6886 gives no times between tries; ours follow those of PCP (RFC 6887 section 7.4). After a
 * clear no we ask again in 30 s, because somebody may be allowing it right now. */
static const struct {
	int status;
	enum status_class kind;
	duration first_delay, last_delay; /* ms, doubling; 0: the gateway's backoff is enough */
	const char *text;
} statuses[] = {
	{NATPMP_PENDING, STATUS_FINE, 0, 0, "no answer so far"},
	{NATPMP_OK, STATUS_FINE, 0, 0, "success"},

	{NATPMP_E_INVALID, STATUS_CALLER, 0, 0, "invalid argument"},
	{NATPMP_E_ADDRESS, STATUS_CALLER, 0, 0, "not a usable address of that family"},
	{NATPMP_E_HELD, STATUS_CALLER, 0, 0, "that protocol and internal port is in use already"},
	{NATPMP_E_BUSY, STATUS_CALLER, 0, 0, "not from inside an event callback"},
	{NATPMP_E_FORKED, STATUS_CALLER, 0, 0, "the context belongs to the parent process"},

	{NATPMP_E_NO_MEMORY, STATUS_MACHINE, 0, 0, "out of memory"},
	{NATPMP_E_SYSTEM, STATUS_MACHINE, 0, 0, "a system call failed"},
	{NATPMP_E_NO_INTERFACE, STATUS_MACHINE, 0, 0, "no such network interface"},
	{NATPMP_E_NO_GATEWAY, STATUS_MACHINE, 0, 0, "no default route, so no gateway to ask"},
	{NATPMP_E_POINT_TO_POINT, STATUS_MACHINE, 0, 0,
	 "the default route is point-to-point and names no gateway"},
	{NATPMP_E_NO_ROUTE, STATUS_MACHINE, 0, 0, "no route to the gateway"},
	{NATPMP_E_NO_PORT, STATUS_MACHINE, 0, 0, "no free local port"},
	{NATPMP_E_NETLINK, STATUS_MACHINE, 0, 0,
	 "the system does not let this program look up the gateway (no AF_NETLINK): name it"},
	{NATPMP_E_NO_ADDRESS, STATUS_MACHINE, 0, 0, "this host has no global IPv6 address"},

	{NATPMP_E_TIMEOUT, STATUS_SILENT, 4000, 64000, "no answer from the gateway in time"},
	{NATPMP_E_UNREACHABLE, STATUS_SILENT, 4000, 64000,
	 "no answer: the network says that the gateway is unreachable"},
	{NATPMP_E_FIREWALL, STATUS_SILENT, 4000, 64000,
	 "a firewall of this host does not let the request out"},
	{NATPMP_E_BAD_ANSWER, STATUS_SILENT, 4000, 64000,
	 "the gateway answered with external port or lifetime zero"},
	{NATPMP_E_NO_SERVICE, STATUS_CLOSED, 4000, 64000,
	 "no answer from the gateway: it has no port mapping service"},
	{NATPMP_E_REFUSED, STATUS_CLOSED, 0, 0,
	 "the gateway runs no port mapping service (port unreachable)"},

	{NATPMP_E_VERSION, STATUS_NO, 30000, 1800000,
	 "the gateway speaks no version of ours (unsupported version)"},
	{NATPMP_E_NOT_AUTHORIZED, STATUS_NO, 30000, 1800000, "the gateway refuses: not authorized"},
	{NATPMP_E_NETWORK_FAILURE, STATUS_NO, 30000, 30000,
	 "the gateway has no external address (network failure)"},
	{NATPMP_E_NO_RESOURCES, STATUS_NO, 30000, 1800000, "the gateway is out of resources"},
	{NATPMP_E_OPCODE, STATUS_NO, 30000, 1800000,
	 "the gateway does not know that request (unsupported opcode)"},
	{NATPMP_E_RESULT, STATUS_NO, 30000, 1800000,
	 "the gateway refuses with an unknown result code"},
	{NATPMP_E_PORTS_DIFFER, STATUS_NO, 30000, 1800000,
	 "no equal external port for TCP and UDP to be had"},
	{NATPMP_E_OTHER_PORT, STATUS_NO, 30000, 1800000,
	 "the gateway has only another external port to give"},
	{NATPMP_E_MALFORMED, STATUS_NO, 30000, 1800000,
	 "the gateway cannot read the request (malformed request or option)"},
	{NATPMP_E_OPTION, STATUS_NO, 30000, 1800000,
	 "the gateway does not know an option of the request (unsupported option)"},
	{NATPMP_E_PROTOCOL, STATUS_NO, 30000, 1800000,
	 "the gateway does not map that protocol (unsupported protocol)"},
	{NATPMP_E_QUOTA, STATUS_NO, 30000, 1800000,
	 "this host has all the mappings that the gateway gives to one (quota exceeded)"},
	{NATPMP_E_ADDRESS_MISMATCH, STATUS_NO, 30000, 1800000,
	 "another NAT is between this host and the gateway (address mismatch)"},
};

enum { STATUS_COUNT = sizeof(statuses) / sizeof(statuses[0]) };

static size_t status_index(int status)
{
	size_t i = 0;

	while (i < STATUS_COUNT && statuses[i].status != status)
		i++;
	return i;
}

enum status_class status_class(int status)
{
	size_t i = status_index(status);

	return i < STATUS_COUNT ? statuses[i].kind : STATUS_NO;
}

static duration doubled_delay(duration first, duration last, unsigned times)
{
	return earlier(first << (times < 16 ? times : 16), last);
}

duration status_retry_delay(int status, unsigned failures, bool short_lived)
{
	size_t i = status_index(status);

	if (short_lived)
		return doubled_delay(1000, 30000, failures);
	return i < STATUS_COUNT
		       ? doubled_delay(statuses[i].first_delay, statuses[i].last_delay, failures)
		       : 0;
}

const char *natpmp_strerror(int status)
{
	size_t i = status_index(status);

	return i < STATUS_COUNT ? statuses[i].text : "unknown status";
}

const char *natpmp_version(void)
{
	return NATPMPC_VERSION;
}
