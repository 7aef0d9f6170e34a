#!/bin/sh
# SPDX-License-Identifier: MIT
# -4, -6 and both: each family's mapping is a line, an object and a hook of its own. In a network of
# its own, for there an address of the internet can be this host's.
# shellcheck disable=SC2016 # it is for the shell that natpmp starts
# shellcheck source-path=SCRIPTDIR source=../lib.sh
if [ "${1-}" != inside ] && unshare -Urn true 2>/dev/null; then
	exec unshare -Urn sh "$0" inside
fi
. "$(dirname "$0")/../lib.sh"
[ "${1-}" = inside ] || skip "no namespace to be had"
here6=2a00:77::1
ip link set lo up
ip -6 address add $here6/128 dev lo nodad || skip "no IPv6 here"

# Two gateways, so that one can fail while the other does not.
gateway --profile rfc-pcp --listen6 "[$here6]:0"
gateway4=$gateway
"$GATEWAYD" --listen 127.0.0.1:0 --listen6 "[$here6]:0" --no-relay --clock 90000 --profile rfc-pcp \
	--control "$work/control6" --log "$work/log6" >"$work/listening6" 2>"$work/gatewayd6.err" &
started="$started $!"
wait_for 5 grep -q '^listening6 ' "$work/listening6"
gateway6=$(sed -n 's/^listening6 //p' "$work/listening6")
port6=${gateway6##*:}
tell6() { "$GATEWAYD" --tell "$work/control6" "$@" >"$work/told" || fail "gateway6: $*"; }
has_mappings6() {
	[ "$("$GATEWAYD" --tell "$work/control6" mappings | grep -c -e '->' || :)" = "$1" ]
}
both() { run -4 -6 -g "$gateway6" "$@"; }
start_both() {
	name=$1
	shift
	start "$name" -4 -6 -g "$gateway6" "$@"
}
stop() {
	kill -s TERM "$pid"
	finish "$pid"
}

step "-4 is what there always was"
run -p 1500
cp "$work/out" "$work/without"
run -4 -p 1500
expect cmp "$work/out" "$work/without"
expect_empty err
run -4 --close -p 1500
expect_line out 'closed 1500/tcp'

step "-6: a pinhole; an address in brackets before a colon"
gateway=$gateway6
run -6 -p 1500
expect_status 0
expect_empty err
expect_line out "\[$here6\]:1500 -> \[$here6\]:1500 tcp 7200 s"
run -6 -p 1500 --json
expect_json out 'del(.time, .expires) == {event: "mapped", family: "ipv6", dialect: "pcp", protocol: "tcp",
	internal_address: "'$here6'", internal_port: 1500, external_address: "'$here6'",
	external_port: 1500, external_kind: "public", lifetime: 7200, gateway: "'$here6'", error: null}'
run -6 -p 1500 --print 'http://%H:%P/ %h'
expect_line out "http://\[$here6\]:1500/ $here6"
run -6 -p 1500 'echo %H:%P "$NATPMP_EXTERNAL_ADDRESS" "$NATPMP_FAMILY"'
expect_line out "\[$here6\]:1500 $here6 ipv6"
expect has_mappings6 0
run -6 -p 1501
run -6 --close -p 1501
expect_line out 'closed 1501/tcp'
run -6 --address
expect_line out $here6
expect has_mappings6 0
run -6 -p 1500 --source $here6
expect_status 0
run -6 --close -p 1500
run -6 -p 1500 --source 2a00:77::2
expect_text err '"ip address" lists those there are'
gateway=$gateway4

step "both: a line, an object, a message each; one port for both if it is picked"
both -p 1510 -p 1511
expect_status 0
expect_empty err
cat >"$work/wanted" <<END
11.22.33.44:1510 -> 127.0.0.1:1510 tcp 7200 s
11.22.33.44:1511 -> 127.0.0.1:1511 tcp 7200 s
[$here6]:1510 -> [$here6]:1510 tcp 7200 s
[$here6]:1511 -> [$here6]:1511 tcp 7200 s
END
expect cmp "$work/out" "$work/wanted"
both --close -p 1510 -p 1511 --json
expect test "$(jq -r '.event + " " + .family' "$work/out" | tr '\n' ' ')" = \
	'closed ipv4 closed ipv4 closed ipv6 closed ipv6 '
both --print '%p'
expect_lines out 2
expect test "$(sort -u "$work/out" | wc -l)" = 1
both --close -p "$(sort -u "$work/out")"
expect has_mappings 0
expect has_mappings6 0
both 'echo %p $NATPMP_INTERNAL_PORT_2'
expect_line out '([0-9]+) \1'

step "held: each is told once, and each is recorded"
XDG_RUNTIME_DIR=$work/runtime
export XDG_RUNTIME_DIR
mkdir "$XDG_RUNTIME_DIR"
start_both held -p 1520 --ttl 8 --hold --port-file "$work/port" \
	--on-change "echo \$NATPMP_FAMILY %H:%P >>'$work/hooks'"
wait_for 5 test -s "$work/port"
wait_for 5 sh -c "[ \$(wc -l <'$work/hooks') = 2 ]"
expect_lines held.out 2
expect_line held.out '11\.22\.33\.44:1520 -> .*'
expect_line held.out "\[$here6\]:1520 -> .*"
expect_line hooks 'ipv4 11\.22\.33\.44:1520'
expect_line hooks "ipv6 \[$here6\]:1520"
expect test "$(cat "$work/port")" = 1520
"$NATPMP" --status >"$work/status"
expect_lines status 2
expect_line status "\[$here6\]:1520 -> \[$here6\]:1520 tcp up, since .*"
"$NATPMP" --status --json >"$work/status"
expect_json status '.family == "ipv6" and .dialect == "pcp" and .external_address == "'$here6'"'

step "renewed both, and a change of one is told of that one"
renewals() { grep -c 'request pcp map tcp internal 1520' "$work/$1"; }
renewed() { [ "$(renewals log)" -ge 3 ] && [ "$(renewals log6)" -ge 3 ]; }
wait_for 20 renewed
tell port 1620
wait_for 12 has_line held.out '11\.22\.33\.44:1620 -> .*'
wait_for 5 has_line hooks 'ipv4 11\.22\.33\.44:1620'
expect test "$(cat "$work/port")" = 1620
tell port off
expect_lines held.out 3
expect_lines hooks 3
expect_empty held.err
stop
expect_status 0
expect has_mappings 0
expect has_mappings6 0

step "one family fails: said; the command starts with the other one, and the one may come later"
tell6 refuse on
start_both one -p 1530 --on-change "echo \$NATPMP_FAMILY >>'$work/later'" \
	'echo %H:%P "[$NATPMP_EXTERNAL_PORT_2]"; exec sleep 30'
wait_for 5 has_line one.out '11\.22\.33\.44:1530 \[\]'
expect_lines one.err 1
expect_text one.err "1530/tcp on IPv6 is not open yet (asked $here6 port $port6, through lo from $here6): "
expect_text one.err '; it is tried again, and if that lasts: switch on PCP in the router'

wait_for 5 has_line later ipv4
tell6 refuse off
wait_for 20 has_line later ipv6
expect_text one.err "1530/tcp on IPv6 is up: [$here6]:1530, after "
expect_lines later 2
stop
expect_status 143
expect has_mappings6 0

step "the other way round: the first that is open is the one that is substituted"
tell pcp-result 2 map
start_both other -p 1540 --json --port-file "$work/port" \
	'echo "{\"end\":\"%H:%P\",\"second\":\"$NATPMP_EXTERNAL_PORT_2\"}"; exec sleep 30'
wait_for 5 has_text other.out '"end"'
expect_json other.out ".end == \"[$here6]:1540\" and .second == \"\""
expect_json other.out '.event == "down" and .family == "ipv4" and .error.code == "not_authorized"'
expect_json other.out '.event == "up" and .family == "ipv6"'
expect test "$(jq -r 'select(.event).event' "$work/other.out" | sort | tr '\n' ' ')" = 'down up '
expect test "$(cat "$work/port")" = 1540
stop
expect_json other.out '.event == "closed" and .family == "ipv6"'

step "without a command: what can be done is done, and the exit status tells of the failure"
both -p 1550
expect_status 6
expect_lines out 1
expect_line out "\[$here6\]:1550 -> .*"
expect_text err "1550/tcp on IPv4 is not open (asked $gateway_address port "
both --address
expect_status 0
both --close -p 1550
expect has_mappings6 0

step "both fail"
tell6 refuse on
both -p 1560 "touch $work/ran"
expect_status 125
expect_not test -e "$work/ran"
expect_lines err 2
expect_text err '1560/tcp on IPv4 is not open, so the command was not run '
expect_text err '1560/tcp on IPv6 is not open, so the command was not run '
both -p 1560 --hold
expect_status 6 # the first
both -p 1560 --hold --json
expect test "$(jq -r '.event + " " + .family + " " + .error.code' "$work/out" | tr '\n' ' ')" = \
	'error ipv4 not_authorized error ipv6 refused '
tell reset

step "a verdict is waited for"
tell6 refuse off
tell6 drop 100000
before=$(date +%s%N)
both -p 1570 --timeout 1.5 'echo began'
expect_status 0
expect_line out began
expect test $((($(date +%s%N) - before) / 1000000)) -ge 1400
expect_text err '1570/tcp on IPv6 is not open yet '

step "closing waits for both at once, and says of which it failed"
start_both deaf -p 1580 --hold --timeout 0.5
wait_for 5 has_line deaf.out '11\.22\.33\.44:1580 .*'
tell6 reset
wait_for 15 has_line deaf.out "\[$here6\]:1580 .*"
tell drop 100000
tell6 drop 100000
before=$(date +%s%N)
stop
expect_status 0
expect test $((($(date +%s%N) - before) / 1000000)) -lt 3500
expect_text deaf.err 'closing on IPv4 failed: no answer'
expect_text deaf.err 'closing on IPv6 failed: no answer'
tell reset
tell6 reset

step "--check of both"
both --check
expect_status 0
expect_line out 'PCP: yes, answers within .*'
expect_line out 'IPv6 gateway: '"$here6"' port [0-9]+, named by -g, through lo'
expect_line out 'IPv6 PCP: yes, answers within .*'
expect_line out "IPv6 external address: $here6, public"
expect_line out "IPv6 test mapping: granted: \[$here6\]:[0-9]+ -> \[$here6\]:[0-9]+ tcp, and closed again"
expect_line out 'verdict: it works: this gateway opens ports'
expect_line out 'IPv6 verdict: it works: this gateway opens ports'
expect_not grep -q 'IPv6 NAT-PMP' "$work/out"
both --check --json
expect_lines out 2
expect_json out '.family == "ipv6" and .works and .natpmp == null and .pcp and .dialect == "pcp"'
expect_json out '.family == "ipv4" and .works and .natpmp and .pcp and .dialect == "pcp"'
tell6 refuse on
both --check
expect_status 0
expect_line out 'IPv6 verdict: the gateway runs no .*; switch on PCP in the router'
tell6 refuse off
tell refuse on
both --check
expect_status 0
expect_line out 'verdict: IPv6 only: with -6 ports are opened here, but not on IPv4: the gateway runs no .*'
tell6 refuse on
both --check
expect_status 5
tell refuse off
tell6 refuse off

step "names: each family's address, and it is said if there is none"
run -4 -6 -g router.invalid -p 1590
expect_status 0 # -g of the gateway by its address goes first
expect_text err '-g router.invalid: no IPv6 address is known for that name: '
gateway=router.invalid
run -4 -6 -p 1590
expect_status 3
expect_lines err 2
expect_text err '-g router.invalid: no IPv4 address is known for that name: '
run -6 -p 1590 true
expect_status 125
expect_text err 'give the address, like -g fe80::1%eth0'
if getent ahostsv6 localhost | grep -q '^::1 '; then
	"$GATEWAYD" --listen 127.0.0.1:0 --listen6 '[::1]:0' --no-relay --profile rfc-pcp >"$work/named" 2>&1 &
	started="$started $!"
	wait_for 5 grep -q '^listening6 ' "$work/named"
	gateway=localhost:$(sed -n 's/^listening .*://p' "$work/named")
	run -4 -6 -p 1591 --json
	expect_status 0
	expect_json out '.family == "ipv4" and .gateway == "127.0.0.1"'
	expect_json out '.family == "ipv6" and .gateway == "::1"'
fi

step "addresses that are none"
gateway=fe80::1 # of which link?
run -6 -p 1592
expect_status 2
expect_text err '-g fe80::1: '
expect_text err 'give one like -g fe80::1%eth0'

step "--check without a network: nobody who has no IPv6 hears of it"
status=0
timeout 10 "$NATPMP" --check >"$work/out" 2>"$work/err" || status=$?
expect_status 3
expect_not grep -q IPv6 "$work/out"
expect_lines out 2
status=0
timeout 10 "$NATPMP" -6 --check >"$work/out" 2>"$work/err" || status=$?
expect_status 3
expect_line out 'verdict: no default route.*'

step "--check where both families have a silent router: side by side, in 4 s"
ip link add quiet type veth peer name deaf
ip link set deaf up
ip link set quiet up
ip address add 192.168.77.2/24 dev quiet
ip -6 address add 2a00:78::2/64 dev quiet nodad
ip link set quiet arp off
ip route add default via 192.168.77.1 dev quiet
ip -6 route add default via fe80::1 dev quiet
before=$(date +%s%N)
status=0
timeout 10 "$NATPMP" --check >"$work/out" 2>"$work/err" || status=$?
expect test $((($(date +%s%N) - before) / 1000000)) -lt 4500
expect_status 4
expect_line out 'gateway: 192\.168\.77\.1 port 5351, by the default route, through quiet'
expect_line out 'IPv6 gateway: fe80::1(%quiet)? port 5351, by the default route, through quiet'
expect_line out 'IPv6 own address: 2a00:78::2'
expect test "$(grep -c 'verdict: no answer' "$work/out")" = 2

step "--check where only IPv4 works, and nobody has asked for IPv6: no reason to worry"
ip link set quiet arp on
unshare -n sh -c 'until ip link set deaf up 2>/dev/null; do sleep 0.05; done
	ip address add 192.168.77.1/24 dev deaf
	exec "$0" --listen 192.168.77.1:5351 --no-relay --profile rfc --control "$1"' \
	"$GATEWAYD" "$work/control7" >"$work/listening7" 2>&1 &
started="$started $!"
in_own_network() { [ "$(readlink /proc/$!/ns/net)" != "$(readlink /proc/self/ns/net)" ]; }
wait_for 5 in_own_network
ip link set deaf netns $!
wait_for 5 grep -q '^listening ' "$work/listening7"
status=0
timeout 10 "$NATPMP" --check --timeout 1 >"$work/out" 2>"$work/err" || status=$?
expect_status 0
expect_line out 'NAT-PMP: yes, answers within .*'
expect_line out 'verdict: it works: this gateway opens ports'
expect_line out 'IPv6 verdict: no ports on IPv6, which does no harm to those on IPv4: no answer .*; to have them, too: switch on PCP in the router, .*'
status=0
timeout 10 "$NATPMP" -4 -6 --check --timeout 1 >"$work/out" 2>"$work/err" || status=$?
expect_status 0
expect_line out 'IPv6 verdict: no answer .*; switch on PCP in the router, and see that .*'
