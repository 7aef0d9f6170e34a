#!/bin/sh
# SPDX-License-Identifier: MIT
# The gateway's daemon is killed, its table gone, and it starts again, while traffic runs.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

# Old enough that its restart can be told from its clock (RFC 6886 section 3.6 allows for 2 s).
age() {
	pass 4
}

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
speak natpmp
serve 4000 both

# By its announcement: after a random delay of 5 s at most (section 3.7).
daemon gateway
hold holder 4000 both 7200
watch 11.22.33.44 4000
age
restart
at_most "announced restart" 5500 "$took"
wait_for 2 "UDP again" reach udp 11.22.33.44 4000
unwatch
say "announced restart: a connection after $took ms; the outage was $longest ms; events: down" \
	"$(told holder down), up $(told holder up)"
expect "events of a mapping that comes back as it was" '0 1' "$(told holder down) $(told holder up)"
stop holder
nothing_left gateway

# By renewal alone, at half the lifetime.
trouble client udp dport 5350 drop
hold holder 4000 tcp 8
watch 11.22.33.44 4000
age
restart
at_most "unheard restart" 4500 "$took"
unwatch
say "unheard restart, lifetime 8 s: a connection after $took ms; the outage was $longest ms"
stop holder
nothing_left gateway

# Dead at renewal time, its table kept: a refused request is not the end of a lease.
hold holder 4000 tcp 40
watch 11.22.33.44 4000
stop miniupnpd-gateway KILL
refused=$(asked gateway)
wait_for 36 "refused renewals" asked_more gateway $((refused + 2))
refused=$(($(asked gateway) - refused))
daemon gateway
pass 14 # past the end of the first lifetime
unwatch
expect "outages" 0 "$outages"
expect "events" '0 1' "$(told holder down) $(told holder up)"
stop holder
nothing_left gateway
say "refused $refused times when renewing a mapping of 40 s: $connections connections," \
	"$outages outages, no event"

# Dead for longer than the lease: down once, then up once.
hold holder 4000 tcp 4
crash gateway
began=$(ms)
wait_for 6 "down" told_times holder down 1
lost=$(($(ms) - began))
daemon gateway
began=$(ms)
wait_for 10 "a connection" back
say "dead until the lease was over: down after $lost ms, up $(($(ms) - began)) ms after it came back"
expect "events" '1 2' "$(told holder down) $(told holder up)"
stop holder
nothing_left gateway
