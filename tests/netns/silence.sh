#!/bin/sh
# SPDX-License-Identifier: MIT
# The gateway hears nothing for a while. Nothing is told of that while the lease still runs; when
# it is over: down, once, and up again soon after the gateway answers.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

# silence REQUESTS: until so many have been lost
silence() {
	before=$(asked gateway)
	trouble gateway udp dport 5351 drop
	wait_for 10 "$1 requests into the void" asked_more gateway $((before + $1))
}

world
speak natpmp
daemon gateway
serve 4000 tcp
hold holder 4000 tcp 8
watch 11.22.33.44 4000

silence 3 # of the first renewal, which starts after 4 s
calm gateway
pass 6 # past the end of the first lifetime
unwatch
expect "outages" 0 "$outages"
expect "events" '1 0' "$(told holder up) $(told holder down)"
say "three requests lost: $connections connections, $outages outages, no event"

began=$(ms)
silence 1 # of the next renewal: half of the lifetime is left
! told_times holder down 1 || fail "down at the first lost request"
wait_for 6 "down" told_times holder down 1
lasted=$(($(ms) - began))
calm gateway
began=$(ms)
wait_for 5 "up again" told_times holder up 2
took=$(($(ms) - began))
[ "$lasted" -ge 3500 ] || fail "down after $lasted ms, the lease was not over"
reach tcp 11.22.33.44 4000 || fail "no connection"
stop holder
expect "events" '2 1' "$(told holder up) $(told holder down)"
nothing_left gateway
say "silence until the lease was over: up $took ms after its end"
