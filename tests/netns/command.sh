#!/bin/sh
# SPDX-License-Identifier: MIT
# natpmp -p PORT 'a server on %p': reached from outside for longer than the mapping's first
# lifetime, and nothing is left at the gateway however it ends.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

# run_server PORT tcp|udp|both
run_server() {
	start "natpmp-$2" client "$NATPMP" -p "$1" -t "$2" --ttl 4 \
		"echo \$\$ >$work/server-$2.pid; echo '%p %h %P %H'; exec $work/server %p $2"
}

# is_reached PORT tcp|udp...
is_reached() {
	port=$1
	shift
	for protocol; do
		wait_for 2 "$protocol to 11.22.33.44:$port" reach "$protocol" 11.22.33.44 "$port"
	done
}

all_reached() {
	is_reached 4000 tcp
	is_reached 4001 udp
	is_reached 4002 tcp udp
}

world
speak natpmp
daemon gateway

run_server 4000 tcp
run_server 4001 udp
run_server 4002 both
wait_for 5 "server" listening client 4000 tcp
wait_for 5 "server" listening client 4001 udp
wait_for 5 "server" listening client 4002 tcp
wait_for 5 "server" listening client 4002 udp
for each in '4000 tcp' '4001 udp' '4002 both'; do
	port=${each% *}
	says "natpmp-${each#* }" "$port 192.168.77.2 $port 11.22.33.44" || fail "tokens in the command"
done
expect "mappings" 'tcp 4000 192.168.77.2:4000
tcp 4002 192.168.77.2:4002
udp 4001 192.168.77.2:4001
udp 4002 192.168.77.2:4002' "$(mappings gateway)"
all_reached
watch 11.22.33.44 4000
pass 6
all_reached
unwatch
expect "outages in 6 s of a 4 s mapping" 0 "$outages"

# The command ends by itself.
kill -s USR1 "$(pid server-tcp)"
ended natpmp-tcp
expect "exit status" 9 "$status"
! mapped gateway 'tcp 4000 192.168.77.2:4000' || fail "the mapping outlives the command"
expect "rules of the two others" 6 "$(rules gateway)"

# natpmp is told to end.
for type in udp both; do
	stop "natpmp-$type"
	expect "exit status after SIGTERM" 143 "$status"
	gone "server-$type" || fail "the command outlives natpmp"
done
nothing_left gateway
say "mappings of 4 s, held for 6 s: $connections TCP connections, $outages outages;" \
	"TCP, UDP and both answered; no rule left after the command's end nor after SIGTERM"
