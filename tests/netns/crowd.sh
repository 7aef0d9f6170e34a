#!/bin/sh
# SPDX-License-Identifier: MIT
# Several programs on one host: each has its own mapping and hears of a restart; and one that
# keeps the announcements' port to itself does no harm.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

all_mapped() {
	[ "$(mappings gateway)" = 'tcp 4000 192.168.77.2:4000
udp 4001 192.168.77.2:4001' ]
}

world
speak natpmp
daemon gateway
serve 4000 tcp
serve 4001 udp

hold one 4000 tcp 7200
hold two 4001 udp 7200
all_mapped || fail "not both mapped"
pass 4 # so that the restart can be told from the daemon's clock
crash gateway
daemon gateway
began=$(ms)
wait_for 6 "both mapped again" all_mapped
took=$(($(ms) - began))
at_most "both mapped again" 5500 "$took"
wait_for 2 "TCP connection" reach tcp 11.22.33.44 4000
wait_for 2 "answer over UDP" reach udp 11.22.33.44 4001
stop one
expect "mapping of the other one" 'udp 4001 192.168.77.2:4001' "$(mappings gateway)"
stop two
nothing_left gateway
say "two programs: both mapped again $took ms after a restart; each closed its own only"

start squatter client socat -u UDP4-RECV:5350 OPEN:/dev/null
wait_for 5 "the squatter" listening client 5350 udp
hold one 4000 tcp 4
hold two 4001 udp 4
watch 11.22.33.44 4000
pass 6
unwatch
all_mapped || fail "not both mapped"
expect "outages" 0 "$outages"
expect "events" '1 0 1 0' "$(told one up) $(told one down) $(told two up) $(told two down)"
! gone squatter || fail "the squatter is gone"
stop one
stop two
nothing_left gateway
say "port 5350 taken by another program: mappings of 4 s, held for 6 s, $connections connections," \
	"$outages outages"
