#!/bin/sh
# SPDX-License-Identifier: MIT
# natpmp -4 -6: both families at once, a mapping and a pinhole, each with a line, an object and a run
# of the hook; both are closed at the end. If one of them is not to be had, the other one is.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

# reached_by FAMILY ADDRESS
reached_by() {
	wait_for 2 "TCP by $1" reach tcp "$2" 4000
	wait_for 2 "UDP by $1" reach udp "$2" 4000
}

world
ipv6
daemon gateway

start natpmp client "$NATPMP" -4 -6 -p 4000 -t both --ttl 7200 --json \
	--on-change "echo '%H %P' >>$work/hook" "echo \$\$ >$work/server.pid; exec $work/server %p both 6"
wait_for 5 "TCP server" listening client 4000 tcp
wait_for 5 "UDP server" listening client 4000 udp
expect "mappings" 'tcp 4000 192.168.77.2:4000
udp 4000 192.168.77.2:4000' "$(mappings gateway)"
expect "pinholes" 'tcp 2a00:77::2 4000
udp 2a00:77::2 4000' "$(pinholes gateway)"
requests=$(asked gateway)
reached_by IPv4 11.22.33.44
reached_by IPv6 2a00:77::2
expect "runs of the hook" '11.22.33.44 4000
2a00:77::2 4000' "$(sort "$work/hook")"
stop natpmp
expect "exit status after SIGTERM" 143 "$status"
nothing_left gateway
say "both families reached by TCP and UDP, both closed; $requests requests for two of each"


start holder client "$NATPMP" -4 -6 -p 4000 --hold --json
wait_for 5 "both up" told_times holder up 2
for each in '"family":"ipv4".*"external_address":"11.22.33.44"' \
	'"family":"ipv6".*"external_address":"2a00:77::2"'; do
	expect "objects of $each" 1 "$(grep -c "$each" "$work/holder.out")"
done
stop holder
nothing_left gateway

run natpmp client "$NATPMP" -4 -6 -p 4000 --ttl 600
expect "exit status" 0 "$status"
expect "a line each" '11.22.33.44:4000 -> 192.168.77.2:4000 tcp 600 s
[2a00:77::2]:4000 -> [2a00:77::2]:4000 tcp 600 s' "$(cat "$work/natpmp.out")"
run natpmp client "$NATPMP" -4 -6 -p 4000 --close
expect "exit status of --close" 0 "$status"
nothing_left gateway
run natpmp client "$NATPMP" -4 -6 --check
expect "exit status of --check" 0 "$status"
for line in 'verdict: it works' 'IPv6 verdict: it works' 'PCP: yes' 'IPv6 PCP: yes'; do
	grep -q "^$line" "$work/natpmp.out" || fail "--check does not say $line"
done
nothing_left gateway

# Only the one: a router without PCP, a host without a global address.
speaks gateway natpmp
start natpmp client "$NATPMP" -4 -6 -p 4000 --ttl 600 --timeout 2
ended natpmp
expect "exit status at a router without PCP" 4 "$status"
says natpmp '11.22.33.44:4000' || fail "no PCP: no mapping by IPv4"
complains natpmp '4000/tcp on IPv6 is not open' || fail "no PCP: does not tell"
speaks gateway both
ip -n client -6 addr flush dev lan
run natpmp client "$NATPMP" -4 -6 -p 4001 --ttl 600
expect "exit status without a global address" 3 "$status"
says natpmp '11.22.33.44:4001' || fail "no address: no mapping by IPv4"
complains natpmp 'no global IPv6 address' || fail "no address: does not tell"
say "where one family is not to be had the other one is, and it is told"
