#!/bin/sh
# SPDX-License-Identifier: MIT
# natpmp without a command: the mapping is there, works, and lapses by itself.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

world
daemon gateway
serve 4000 tcp
serve 4001 udp

run tcp client "$NATPMP" -p 4000 -P 14000 --ttl 4
expect "exit status" 0 "$status"
says tcp '11.22.33.44:14000' || fail "does not tell the external address and port"
says tcp '192.168.77.2:4000' || fail "does not tell the internal address and port"
reach tcp 11.22.33.44 14000 || fail "no TCP connection"
tcp_took=$took

run udp client "$NATPMP" -p 4001 -t udp --ttl 4
expect "exit status" 0 "$status"
began=$(ms)
reach udp 11.22.33.44 4001 || fail "no answer over UDP"
expect "mappings" 'tcp 14000 192.168.77.2:4000
udp 4001 192.168.77.2:4001' "$(mappings gateway)"

wait_for 6 "the mappings lapse" no_rules gateway
say "mapped TCP in $tcp_took ms and UDP in $took ms; a lifetime of 4 s ended after" \
	"$(($(ms) - began)) ms (the daemon counts whole seconds)"
