#!/bin/sh
# SPDX-License-Identifier: MIT
# The provider gives the gateway another address: told once.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

world
daemon gateway
serve 4000 tcp
hold holder 4000 tcp 7200
reach tcp 11.22.33.44 4000 || fail "no connection"
pass 4 # so that a restart of the daemon's clock, which comes with it, can be seen

ip -n gateway addr add 11.22.33.55/24 dev wan
ip -n gateway addr del 11.22.33.44/24 dev wan
kill -s USR1 "$(pid miniupnpd-gateway)"
began=$(ms)
wait_for 5 "told of the change" told_times holder changed 1
took=$(($(ms) - began))
says holder '"external_address":"11.22.33.55"' || fail "the new address is not told"
reach tcp 11.22.33.55 4000 || fail "no connection through the new address"

pass 6 # longer than the delay before mappings are made again (RFC 6886 section 3.7)
expect "events" '1 0 1' "$(told holder up) $(told holder down) $(told holder changed)"
reach tcp 11.22.33.55 4000 || fail "no connection through the new address after a while"
stop holder
nothing_left gateway
say "told of the new address after $took ms, once"
