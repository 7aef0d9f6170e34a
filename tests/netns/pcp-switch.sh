#!/bin/sh
# SPDX-License-Identifier: MIT
# PCP is switched off at the gateway and on again, between the renewals of a mapping that is held:
# it goes on in the other dialect, on the same external port, and traffic goes on.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

# turned_to natpmp|pcp WHAT N: so many more requests of that dialect, the external port kept. When it
# has just changed, one of them is no renewal, but a look at clock or address.
turned_to() {
	before=$(asked gateway "$1")
	began=$(ms)
	wait_for 30 "$2: renewed" turned "$1" $((before + $3))
	# At a renewal miniupnpd takes its rule away for some milliseconds.
	wait_for 2 "$2: the one mapping" is_the_one
	say "$2: asked $3 times in $1 within $(($(ms) - began)) ms"
}

is_the_one() {
	[ "$(mappings gateway)" = 'tcp 14000 192.168.77.2:4000' ]
}

turned() {
	[ "$(asked gateway "$1")" -ge "$2" ]
}

world
daemon gateway
serve 4000 tcp
hold holder 4000 tcp 10 -P 14000
watch 11.22.33.44 14000

turned_to pcp "both dialects" 2
speaks gateway natpmp
turned_to natpmp "PCP off" 3
refused=$(counted gateway refused)
[ "$refused" -ge 1 ] || fail "PCP was not tried"
# Switched on with a restart, as it would be: its announcement says that PCP is spoken.
speaks gateway both
stop miniupnpd-gateway KILL
daemon gateway
turned_to pcp "PCP on" 3
speaks gateway pcp
turned_to pcp "NAT-PMP off" 2
speaks gateway both

unwatch
expect "outages" 0 "$outages"
expect "events" '1 0' "$(told holder up) $(told holder down)"
stop holder
nothing_left gateway
say "PCP off and on: $connections connections, $outages outages, $refused requests refused;" \
	"$(told holder changed) events of change"
