/* SPDX-License-Identifier: MIT */
#include "natpmpc.h"

const char *natpmp_version(void)
{
	return NATPMPC_VERSION;
}

const char *natpmp_strerror(int status)
{
	static const struct {
		int status;
		const char *text;
	} texts[] = {
		{NATPMP_PENDING, "no answer so far"},
		{NATPMP_OK, "success"},
		{NATPMP_E_INVALID, "invalid argument"},
		{NATPMP_E_ADDRESS, "not a usable IPv4 address"},
		{NATPMP_E_HELD, "that protocol and internal port is held already"},
		{NATPMP_E_BUSY, "blocking call from inside an event callback"},
		{NATPMP_E_FORKED, "the context belongs to the parent process"},
		{NATPMP_E_NO_MEMORY, "out of memory"},
		{NATPMP_E_SYSTEM, "a system call failed"},
		{NATPMP_E_NO_INTERFACE, "no such network interface"},
		{NATPMP_E_NO_GATEWAY, "no default route, so no gateway to ask"},
		{NATPMP_E_POINT_TO_POINT,
		 "the default route is point-to-point and names no gateway"},
		{NATPMP_E_NO_ROUTE, "no route to the gateway"},
		{NATPMP_E_NO_PORT, "no free local port"},
		{NATPMP_E_TIMEOUT, "no answer from the gateway in time"},
		{NATPMP_E_NO_SERVICE, "no answer from the gateway: it has no port mapping service"},
		{NATPMP_E_UNREACHABLE,
		 "no answer: the network says that the gateway is unreachable"},
		{NATPMP_E_REFUSED, "the gateway runs no NAT-PMP service (port unreachable)"},
		{NATPMP_E_BAD_ANSWER, "the gateway answered with external port or lifetime zero"},
		{NATPMP_E_VERSION, "the gateway does not speak NAT-PMP (unsupported version)"},
		{NATPMP_E_NOT_AUTHORIZED, "the gateway refuses: not authorized"},
		{NATPMP_E_NETWORK_FAILURE, "the gateway has no external address (network failure)"},
		{NATPMP_E_NO_RESOURCES, "the gateway is out of resources"},
		{NATPMP_E_OPCODE, "the gateway does not know that request (unsupported opcode)"},
		{NATPMP_E_RESULT, "the gateway refuses with an unknown result code"},
		{NATPMP_E_PORTS_DIFFER, "no equal external port for TCP and UDP to be had"},
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i].status == status)
			return texts[i].text;
	return "unknown status";
}
