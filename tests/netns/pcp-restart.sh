#!/bin/sh
# SPDX-License-Identifier: MIT
# The gateway's daemon is killed, its table gone, and it starts again: PCP's announcement says so,
# and the clock in its answers.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

back() {
	mapped gateway 'tcp 4000 192.168.77.2:4000' && reach tcp 11.22.33.44 4000
}

# restart: sets $took, the ms from the restart until a connection from outside works again
restart() {
	crash gateway
	no_rules gateway || fail "the table is not empty"
	daemon gateway
	began=$(ms)
	wait_for 15 "a connection" back
	took=$(($(ms) - began))
}

world
speak pcp
serve 4000 both
daemon gateway

# By its announcement: after a random delay of 5 s at most (RFC 6887 section 14.1.3).
hold holder 4000 both 7200
watch 11.22.33.44 4000
pass 4 # old enough that its restart can be told from its clock
before=$(asked gateway)
restart
at_most "announced restart" 5500 "$took"
wait_for 2 "UDP again" reach udp 11.22.33.44 4000
unwatch
requests=$(($(asked gateway) - before))
[ "$requests" -le 6 ] || fail "$requests requests" # a look, two mappings; a busy machine retransmits
say "announced restart: a connection after $took ms, $requests requests; the outage was $longest ms"
expect "events of a mapping that comes back as it was" '0 1' "$(told holder down) $(told holder up)"
stop holder
nothing_left gateway

# By renewal alone, at 1/2 to 5/8 of the lifetime.
trouble client udp dport 5350 drop
hold holder 4000 tcp 10
watch 11.22.33.44 4000
pass 4
restart
at_most "unheard restart" 6500 "$took"
unwatch
say "unheard restart, lifetime 10 s: a connection after $took ms; the outage was $longest ms"
stop holder
nothing_left gateway
expect "requests of NAT-PMP" 0 "$(asked gateway natpmp)"
