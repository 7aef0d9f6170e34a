#!/bin/sh
# SPDX-License-Identifier: MIT
# IPv6: no NAT, but a firewall that lets nothing in. natpmp -6 opens it for one port of one host, by
# PCP with the router's link-local address, for as long as the command runs.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

both_reach() {
	reach tcp "$1" 443 && reach udp "$1" 443
}

has_none_at() {
	! pinholes gateway | grep -qF " $1 "
}

shut() {
	! reach tcp "$1" "$2" && ! reach udp "$1" "$2"
}

# has_moved WHAT FROM TO: the pinholes of the held port
has_moved() {
	changes=$((changes + 1))
	wait_for 10 "$1: told" told_times holder changed "$changes"
	tail -n 1 "$work/holder.out" | grep -qF "\"external_address\":\"$3\"" ||
		fail "$1: the new address is not told"
	both_reach "$3" || fail "$1: no connection to $3"
	expect "$1: pinholes to the new address" "tcp $3 443
udp $3 443" "$(pinholes gateway | grep -F " $3 ")"
	wait_for 2 "$1: shut at $2" has_none_at "$2"
	say "$1: open at $3, and shut at $2"
}

# announce HOST INTERFACE SOURCE: of a restart, as fe80::1 would send it
announce() {
	printf '\2\200\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0' |
		on "$1" socat -u - "UDP6-DATAGRAM:[ff02::1%$2]:5350,bind=$3"
}

world
ipv6
daemon gateway

# Somebody else's server, which stays behind the firewall.
serve 444 both 6
shut 2a00:77::2 444 || fail "there is no firewall"

start natpmp client "$NATPMP" -6 -p 443 -t both --ttl 10 \
	"echo \$\$ >$work/server.pid; echo '%p %h %P %H'; exec $work/server %p both 6"
wait_for 5 "TCP server" listening client 443 tcp
wait_for 5 "UDP server" listening client 443 udp
says natpmp '443 2a00:77::2 443 2a00:77::2' || fail "tokens in the command"
expect "pinholes" 'tcp 2a00:77::2 443
udp 2a00:77::2 443' "$(pinholes gateway)"
expect "requests for two pinholes" '2 2' "$(asked gateway pcp) $(asked gateway)"
both_reach 2a00:77::2 || fail "not reached"
shut 2a00:77::2 444 || fail "another port is open, too"
watch 2a00:77::2 443
pass 14
wait_for 2 "TCP and UDP after a while" both_reach 2a00:77::2
unwatch
expect "outages in 14 s of a pinhole of 10 s" 0 "$outages"
renewals=$(($(asked gateway) - 2))
[ "$renewals" -ge 4 ] || fail "only $renewals renewals of two pinholes"
stop natpmp
expect "exit status after SIGTERM" 143 "$status"
# miniupnpd before 2.3.4 (November 2023) forgets at the first renewal of a pinhole whose it is, and
# refuses to close it. Then it ends with its lifetime.
began=$(ms)
complains natpmp 'not authorized' || nothing_left gateway
wait_for 12 "no pinhole left" no_rules gateway
took=$(($(ms) - began))
serve 443 both 6
shut 2a00:77::2 443 || fail "still open"
expect "requests from a link-local address" 0 "$(counted gateway linklocal)"
say "pinholes of 10 s, held for 14 s: $renewals renewals of two, $connections connections," \
	"$outages outages; shut before, and $took ms after the end"

# Closed before its first renewal: at once.
hold holder 443 both 7200 -6
both_reach 2a00:77::2 || fail "not reached by --hold"
stop holder
nothing_left gateway
shut 2a00:77::2 443 || fail "still open after --hold"

# The router restarts: its announcement goes to [ff02::1]. What it did not send is not believed.
hold holder 443 both 7200 -6
says holder '"gateway":"fe80::1' || fail "the router is not told"
host stranger
cable stranger there 10.9.9.1/24 client other
ip -n stranger addr add fe80::1/64 dev there
pass 4
before=$(asked gateway)
announce gateway lan '[fe80::1%lan]:5354'
announce gateway lan '[2a00:77::1]:5354'
announce stranger there '[fe80::1%there]:5351'
pass 6
expect "requests after false announcements" "$before" "$(asked gateway)"
say "announcements from another port, another address, another link: no request"
crash gateway
shut 2a00:77::2 443 || fail "the table is not empty"
daemon gateway
began=$(ms)
wait_for 15 "a connection" both_reach 2a00:77::2
took=$(($(ms) - began))
at_most "announced restart" 6500 "$took" # two protocols, and to find out
say "announced restart: TCP and UDP after $took ms, with $(($(asked gateway) - before)) requests"
expect "events of a pinhole that comes back as it was" '0 1' "$(told holder down) $(told holder up)"
stop holder
nothing_left gateway

# Another prefix, and the old one deprecated, as it goes with many providers; and at once.
hold holder 443 both 7200 -6
changes=0
for prefix in 2a00:78 2a00:79; do
	ip -n gateway addr add "$prefix::1/64" dev lan
done
ip -n client addr add 2a00:78::2/64 dev lan
ip -n client addr change 2a00:77::2/64 dev lan preferred_lft 0
has_moved "renumbered" 2a00:77::2 2a00:78::2
ip -n client addr del 2a00:77::2/64 dev lan
ip -n client addr add 2a00:79::2/64 dev lan
ip -n client addr del 2a00:78::2/64 dev lan
has_moved "renumbered at once" 2a00:78::2 2a00:79::2
expect "events in all" "0 1 $changes" \
	"$(told holder down) $(told holder up) $(told holder changed)"
stop holder
nothing_left gateway
expect "requests from a link-local address" 0 "$(counted gateway linklocal)"
