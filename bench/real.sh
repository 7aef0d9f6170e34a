#!/bin/sh
# SPDX-License-Identifier: MIT
# real.sh ROUNDS - the rows of run.sh at a real miniupnpd behind a real NAT. run.sh sets the environment.
# shellcheck source-path=SCRIPTDIR source=../tests/netns/lib.sh
. "$(dirname "$0")/../tests/netns/lib.sh"
: "${PAIRS:?}" "${PROCESSES:?}" "${RESULT:?}"

world
daemon gateway
{
	on client "$PAIRS" miniupnpd 192.168.77.1 "$ROUNDS" natpmp
	on client "$PAIRS" miniupnpd 192.168.77.1 "$ROUNDS" pcp
} >"$RESULT"
[ -z "${NATPMPC-}" ] ||
	on client "$PROCESSES" miniupnpd "open one port, the whole process" "$ROUNDS" \
		"$NATPMP" -p 40002 -- "$NATPMPC" -a 40002 40002 tcp 7200 >>"$RESULT"
