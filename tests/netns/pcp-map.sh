#!/bin/sh
# SPDX-License-Identifier: MIT
# Mapped, renewed and deleted by PCP, which comes first when nothing else is said: one exchange for
# each. What some other run of natpmp made may have been made by either dialect, so it is closed
# in both.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

world
daemon gateway

# run_server PORT tcp|udp|both
run_server() {
	start "natpmp-$2" client "$NATPMP" -v -p "$1" -t "$2" --ttl 10 \
		"echo \$\$ >$work/server-$2.pid; echo '%p %h %P %H'; exec $work/server %p $2"
	case $2 in udp | both) wait_for 5 "server" listening client "$1" udp ;; esac
	case $2 in tcp | both) wait_for 5 "server" listening client "$1" tcp ;; esac
}

all_reached() {
	wait_for 2 "TCP" reach tcp 11.22.33.44 4000
	wait_for 2 "UDP" reach udp 11.22.33.44 4001
	wait_for 2 "TCP of both" reach tcp 11.22.33.44 4002
	wait_for 2 "UDP of both" reach udp 11.22.33.44 4002
}

# On a busy machine it may be more, as the answer is not there within 250 ms, but not again and again.
requests=
for port in 4100 4101 4102; do
	before_pcp=$(asked gateway pcp) before=$(asked gateway)
	run once client "$NATPMP" -p "$port" --ttl 600
	expect "exit status" 0 "$status"
	says once "11.22.33.44:$port" || fail "does not tell the external address and port"
	requests="$requests$(($(asked gateway pcp) - before_pcp)) of $(($(asked gateway) - before)), "
	run closing client "$NATPMP" --close -p "$port"
	expect "exit status of --close" 0 "$status"
	nothing_left gateway
done
case $requests in *'1 of 1, '*) ;; *) fail "requests of PCP for one mapping: $requests" ;; esac

speaks gateway pcp # from here on, nothing is done in the other dialect
before=$(asked gateway pcp)

run_server 4000 tcp
run_server 4001 udp
run_server 4002 both
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
pass 14 # the second renewal of each is after 12.5 s at the latest
all_reached
unwatch
expect "outages in 14 s of a mapping of 10 s" 0 "$outages"
renewals=$(($(asked gateway pcp) - before - 4))
# At 5 to 6.25 s and as long after that; a busy machine retransmits.
[ "$renewals" -ge 8 ] || fail "only $renewals renewals of four mappings"
[ "$renewals" -le 16 ] || fail "$renewals renewals of four mappings"

kill -s USR1 "$(pid server-tcp)"
ended natpmp-tcp
expect "exit status" 9 "$status"
! mapped gateway 'tcp 4000 192.168.77.2:4000' || fail "the mapping outlives the command"
expect "rules of the two others" 6 "$(rules gateway)"
for type in udp both; do
	stop "natpmp-$type"
	expect "exit status after SIGTERM" 143 "$status"
	gone "server-$type" || fail "the command outlives natpmp"
done
nothing_left gateway
complains natpmp-tcp 'sent: PCP request' || fail "does not tell of PCP"
say "requests of PCP for a mapping: ${requests%, }; mappings of 10 s, held for 14 s: $renewals" \
	"renewals of four, $connections TCP connections, $outages outages; no rule left"
