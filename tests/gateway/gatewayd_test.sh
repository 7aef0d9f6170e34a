#!/bin/sh
# SPDX-License-Identifier: MIT
# The gateway daemon: what it answers, that it really relays, that every command has its effect.
#
# GATEWAYD names the program. Everything happens on loopback addresses that only this run uses, so
# fixed port numbers are nobody else's.
set -eu

dir=$(mktemp -d)
net=127.$(($$ / 250 % 250 + 1)).$(($$ % 250 + 1))
listen=$net.1 outside=$net.2 inside=$net.3 stray=$net.4
gateway='' children='' log=/dev/null control=$dir/control runs=0

cleanup() {
	for pid in $gateway $children; do
		kill "$pid" 2>/dev/null || :
	done
	rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

fail() {
	echo "FAILED: $*" >&2
	echo "--- the log:" >&2
	tail -n 40 "$log" >&2
	exit 1
}

# Until a command succeeds, 10 s at most.
await() { # COMMAND...
	tries=0
	until "$@" >"$dir/await" 2>&1; do
		tries=$((tries + 1))
		[ "$tries" -lt 200 ] || fail "waited in vain for: $*"
		sleep 0.05
	done
}

logged() { # PATTERN
	grep -qE "$1" "$log"
}

logs_times() { # PATTERN N
	[ "$(grep -cE "$1" "$log")" -eq "$2" ]
}

start() { # OPTIONS...
	runs=$((runs + 1))
	log=$dir/log.$runs
	"$GATEWAYD" --listen "$listen" --relay-address "$outside" --control "$control" --seed 7 "$@" \
		>"$log" 2>"$log.err" </dev/null &
	gateway=$!
	await logged '^listening '
	port=$(sed -n "s/^listening $listen://p" "$log")
}

# Ends it, and sees to it that it ended well: sanitizers have their say there.
stop() {
	kill "$gateway"
	status=0
	wait "$gateway" || status=$?
	[ "$status" -eq 0 ] || { cat "$log.err" >&2; fail "ended with $status"; }
	gateway=''
	logged ' end$' || fail "no last line"
	[ ! -e "$control" ] || fail "the control socket is still there"
}

tell() {
	"$GATEWAYD" --tell "$control" "$*" >"$dir/reply" || fail "$*: $(cat "$dir/reply")"
}

tell_fails() {
	status=0
	"$GATEWAYD" --tell "$control" "$*" >"$dir/reply" || status=$?
	[ "$status" -eq 1 ] || fail "$* was accepted"
	grep -q '^error ' "$dir/reply" || fail "$*: no error in the reply"
}

ask() { # HEX [COUNT]; the answers without senders, in one line
	"$GATEWAYD" --ask "$listen:$port" "$1" "${2:-1}" "$inside" >"$dir/answer" || fail "no answer to $1"
	sed 's/ .*//' "$dir/answer" | tr '\n' ' ' | sed 's/ $//'
}

send() { # HEX
	"$GATEWAYD" --ask "$listen:$port" "$1" 0 "$inside"
}

expect() { # WANTED GOT; in WANTED a ? stands for any digit
	# shellcheck disable=SC2254 # a pattern on purpose
	case $2 in
	$1) ;;
	*) fail "wanted $1, got $2" ;;
	esac
}

now() { # ms
	awk '{ printf "%d", $1 * 1000 }' /proc/uptime
}

cpu() { # ticks spent by the gateway
	awk '{ print $14 + $15 }' "/proc/$gateway/stat"
}

clock_runs() {
	[ "$(ask 0000)" != 0080000000000005c6336407 ]
}

background() { # COMMAND...; $! is its process
	"$@" &
	children="$children $!"
}

map=000200001f901f9000001c20
unmap=000200001f90000000000000
good='0082000000000???1f901f9000001c20'

# ----------------------------------------------------------------------------------------------
echo "options"
"$GATEWAYD" --help >"$dir/help"
for word in --listen --relay-address --profile --control --tell 'drop-percent P' miniupnpd \
	'mapping +' 'second-mapping on|off' 'refusal erratum|printed|copied|silent' --listen6 rfc-pcp \
	'nonces all|pinholes|deletions|none' 'error-lifetime SECONDS|off' 'pcp announce'; do
	grep -qF -- "$word" "$dir/help" || fail "no $word in the help"
done
for bad in --nonsense --profile=nonsense --listen=1.2.3 --listen=127.0.0.1:65536 --listen='[::1]' \
	--listen6=127.0.0.1 --listen6=::1 --listen6='[::1' --listen6='[::1]x' --listen6='[::1%nosuch]' --set=port \
	--set=port=65536 --set=pcp=perhaps --set=echoes-errors=yes --set=random-low=65535x --set=random-high=49151 \
	--external-address=300.1.1.1 --seed=-1 --clock=x nonsense; do
	status=0
	"$GATEWAYD" "$bad" >"$dir/out" 2>&1 </dev/null || status=$?
	[ "$status" -eq 2 ] || fail "$bad: status $status"
done
status=0
"$GATEWAYD" --tell "$dir/nobody" mappings >"$dir/out" 2>&1 || status=$?
[ "$status" -eq 2 ] || fail "telling nobody: status $status"

# ----------------------------------------------------------------------------------------------
echo "requests and the log"
start
expect '00800000000000000b16212c' "$(ask 0000)"
expect "$good" "$(ask $map)"
logged "^[0-9]+ request address from $inside:[0-9]+\$" || fail "request address"
logged "^[0-9]+ answer address 11\.22\.33\.44 result 0 clock 0 to $inside:[0-9]+\$" || fail "answer"
logged "request map tcp internal 8080 suggested 8080 lifetime 7200 from $inside:" || fail "request map"
logged "answer map tcp internal 8080 external 8080 lifetime 7200 result 0 clock [0-9]+ to" || fail "answer map"
logged "mapping \+ tcp 8080 -> 8080 client $inside\$" || fail "mapping +"
tell mappings
grep -qE "^tcp $inside:8080 -> 8080 left 7200\$" "$dir/reply" || fail "mappings: $(cat "$dir/reply")"
grep -q '^ok 1$' "$dir/reply" || fail "mappings: count"
expect '0082000000000???1f90000000000000' "$(ask $unmap)"
logged "request delete tcp internal 8080 suggested 0 from" || fail "request delete"
logged "mapping - tcp 8080 -> 8080 client $inside\$" || fail "mapping -"
ask 000100000000000000000000 >"$dir/out"
logged "request delete-all udp suggested 0 from" || fail "request delete-all"
send 000200011f901f9000001c20
await logged "violation reserved bytes are not 0 from $inside:"
send 00
await logged "request bytes 00 from $inside:"
await logged "silence to $inside:"
tell requests
grep -q '^ok 6$' "$dir/reply" || fail "requests: $(cat "$dir/reply")"
# a second one cannot have the same control socket, and leaves it alone
! "$GATEWAYD" --control "$control" </dev/null >"$dir/out" 2>&1 || fail "two at one control socket"
tell requests
stop

# ----------------------------------------------------------------------------------------------
echo "relay: TCP"
start
background socat "TCP4-LISTEN:8080,bind=$inside,reuseaddr,fork" EXEC:cat
background socat "TCP4-LISTEN:8081,bind=$inside,reuseaddr" "SYSTEM:sleep 1; cksum"
ask $map >"$dir/out"
ask 000200001f91232900001c20 >"$dir/out" # 8081 from external 9001
ask 000200001f921f9200001c20 >"$dir/out" # 8082, where nobody listens
echo hello | await socat -t 5 - "TCP4:$inside:8080"
dd if=/dev/urandom of="$dir/bulk" bs=1024 count=1024 2>/dev/null
talks=''
for i in 1 2 3 4; do # at once
	socat -t 10 - "TCP4:$outside:8080" <"$dir/bulk" >"$dir/echo.$i" &
	talks="$talks $!"
done
for pid in $talks; do
	wait "$pid" || fail "a connection broke"
done
for i in 1 2 3 4; do
	cmp "$dir/bulk" "$dir/echo.$i" || fail "connection $i lost bytes"
done
[ "$(grep -c "relay tcp 8080 connection from " "$log")" -eq 4 ] || fail "connections in the log"
# half closed, to a slow reader: cksum answers only after the end of its input
dd if=/dev/urandom of="$dir/bulk" bs=65536 count=256 2>/dev/null
expect "$(cksum <"$dir/bulk")" "$(socat -t 20 - "TCP4:$outside:9001" <"$dir/bulk")"
socat -t 5 - "TCP4:$outside:8082" </dev/null >"$dir/out" 2>&1 || :
await logged "relay tcp 8082 inside refuses: Connection refused"
# the end of a mapping ends what runs through it
mkfifo "$dir/pipe"
socat - "TCP4:$outside:8080" <"$dir/pipe" >"$dir/cut" &
talk=$!
children="$children $talk"
exec 3>"$dir/pipe"
echo one >&3
await grep -q one "$dir/cut"
ask $unmap >"$dir/out"
wait "$talk" || :
exec 3>&-
! socat - "TCP4:$outside:8080" </dev/null >"$dir/out" 2>&1 || fail "still open after the deletion"
# so does its lifetime
ask 000200001f901f9000000001 >"$dir/out"
expect again "$(echo again | socat -t 5 - "TCP4:$outside:8080")"
await logs_times 'mapping - tcp 8080 -> 8080' 2
await sh -c "! socat - 'TCP4:$outside:8080' </dev/null"
stop

# ----------------------------------------------------------------------------------------------
echo "relay: UDP"
start
background socat -T 30 "UDP4-RECVFROM:5353,bind=$inside,fork" EXEC:cat
ask 0001000014e9232a00001c20 >"$dir/out" # 5353 from external 9002
await "$GATEWAYD" --ask "$inside:5353" 00
# two strangers, each gets its own
for i in 1 2; do
	for _ in 1 2 3 4 5; do # socat may lose one that comes while it forks
		got=$("$GATEWAYD" --ask "$outside:9002" "0${i}ff") || continue
		[ -z "$got" ] || break
	done
	expect "0${i}ff from $outside:9002" "$got"
done
[ "$(grep -c "relay udp 9002 datagram 2 bytes from " "$log")" -ge 2 ] || fail "datagrams in the log"
# more strangers than it remembers: all are heard, not all are kept
background socat -u "UDP4-RECV:5354,bind=$inside" "OPEN:$dir/sink,creat"
ask 0001000014ea235000001c20 >"$dir/out" # 5354 from external 9040
await sh -c "'$GATEWAYD' --ask $inside:5354 00 0 && test -s '$dir/sink'"
for i in $(seq 100); do
	"$GATEWAYD" --ask "$outside:9040" 0000 0
done
await sh -c "[ \"\$(wc -c <'$dir/sink')\" -gt 200 ]"
[ "$(find "/proc/$gateway/fd" -type l | wc -l)" -lt 90 ] || fail "remembers too many"
ask 0001000014e9000000000000 >"$dir/out"
expect refused "$("$GATEWAYD" --ask "$outside:9002" 00)"
stop

# ----------------------------------------------------------------------------------------------
echo "relay: a taken port; none at all"
start
background socat -u "UDP4-RECV:9003,bind=$outside" "OPEN:$dir/taken,creat"
await grep -qi "$(printf '%02X%02X%02X7F:232B' 2 $(($$ % 250 + 1)) $(($$ / 250 % 250 + 1)))" /proc/net/udp
ask 0001000014e9232b00001c20 >"$dir/out"
logged "relay udp 9003 not bound on $outside: Address already in use" || fail "not bound"
tell mappings
grep -q '9003' "$dir/reply" || fail "the mapping does not stand"
stop
start --no-relay
expect "$good" "$(ask $map)"
! grep -q ' relay ' "$log" || fail "relayed"
! socat - "TCP4:$outside:8080" </dev/null >"$dir/out" 2>&1 || fail "open without a relay"
stop

# ----------------------------------------------------------------------------------------------
echo "misbehaviour on the way"
start
tell drop 2
send 0000
send 0000
expect '0080*' "$(ask 0000)"
[ "$(grep -c "drop request from $inside" "$log")" -eq 2 ] || fail "drop"
[ "$(grep -c ' answer address ' "$log")" -eq 1 ] || fail "drop: too many answers"
tell drop-answer 1
send $map
await logged "drop answer to $inside"
tell mappings
grep -q '^ok 1$' "$dir/reply" || fail "drop-answer: nothing was done"
tell drop-percent 50
for i in $(seq 40); do
	send 0000
done
await logs_times 'request address' 43
lost=$(grep -c ' drop ' "$log")
if [ "$lost" -le 15 ] || [ "$lost" -ge 43 ]; then
	fail "drop-percent 50 of 40: $((lost - 3))"
fi
tell reset

tell delay 300 1
before=$(now)
expect '0080*' "$(ask 0000)"
took=$(($(now) - before))
[ "$took" -ge 290 ] || fail "delay: $took ms"
tell delay 100
expect '0080* 0080*' "$(ask 0000) $(ask 0000)"
tell delay off
# the answer to a later request overtakes a late one, both being held
tell delay 600 1
ask $map >"$dir/late" &
talk=$!
await sh -c "tail -n 1 '$log' | grep -q 'request map'"
tell delay 100 1
ask 0000 >"$dir/out"
wait "$talk" || fail "the late answer did not come"
tail -n 1 "$log" | grep -q ' answer map ' || fail "not reordered"

tell duplicate 2 1
expect '0080* 0080* 0080*' "$(ask 0000 3)"
tell truncate 7 1
expect '00800000000000' "$(ask 0000)"
tell pad 14 1
expect '0080????????????0b16212c0000' "$(ask 0000)"
expect '0080????????????0b16212c' "$(ask 0000)"
tell answer-from "$stray" 1
ask 0000 >"$dir/out"
expect "* from $stray:$port" "$(cat "$dir/answer")"
tell answer-from "$listen:9004"
ask 0000 >"$dir/out"
expect "* from $listen:9004" "$(cat "$dir/answer")"
tell answer-from off
ask 0000 >"$dir/out"
expect "* from $listen:$port" "$(cat "$dir/answer")"
tell refuse on
expect refused "$(ask 0000)"
tell refuse off
expect '0080*' "$(ask 0000)"
# unasked, to the client that asked last; it waits for two
answers=$(grep -c ' answer ' "$log")
"$GATEWAYD" --ask "$listen:$port" 0000 2 "$inside" >"$dir/answer" &
talk=$!
await logs_times ' answer ' $((answers + 1))
tell inject 00810000 from "$stray:9004"
wait "$talk" || fail "inject: nothing came"
grep -q "^00810000 from $stray:9004$" "$dir/answer" || fail "inject: $(cat "$dir/answer")"
tell refuse on
tell pad 100
tell result 3
tell lifetime 5
tell port 6
tell reset
expect '0080????????????0b16212c' "$(ask 0000)"
expect "$good" "$(ask $map)"
stop

# ----------------------------------------------------------------------------------------------
echo "the gateway itself"
start --clock 1000 --external-address 203.0.113.5 --set max-lifetime=600 \
	--set clock-permille=0
expect '00800000000003e8cb007105' "$(ask 0000)"
expect '008200000000????1f901f9000000258' "$(ask $map)"
tell result 258 address
expect '00800102????????00000000' "$(ask 0000)"
tell result 4
expect '00820004????????1f90000000000000' "$(ask $map)"
tell result off
tell lifetime 3
expect '00820000????????1f901f9000000003' "$(ask $map)"
tell lifetime off
tell port 9005
expect '00820000????????1f90232d00000258' "$(ask $map)"
logged "mapping - tcp 8080 -> 8080 client" || fail "port: the old one is still there"
logged "mapping \+ tcp 8080 -> 9005 client" || fail "port: no new one"
tell port off
tell clock 4711
expect '0080000000001267cb007105' "$(ask 0000)"
tell restart keep-table keep-clock
tell mappings
grep -q '^ok 1$' "$dir/reply" || fail "restart keep-table"
tell restart keep-clock
tell mappings
grep -q '^ok 0$' "$dir/reply" || fail "restart"
expect '0080000000001267cb007105' "$(ask 0000)"
tell restart
expect '0080000000000000cb007105' "$(ask 0000)"
tell address 198.51.100.7
expect '0080000000000000c6336407' "$(ask 0000)"
tell address none
expect '008000030000000000000000' "$(ask 0000)"
tell address 198.51.100.7
tell profile miniupnpd
tell set clock-permille 0
tell clock 0
expect '0083000500000000' "$(ask 0003)"
expect '0080000000000000c6336407' "$(ask 0000)"
tell set short-opcode-error off
expect '00830005' "$(ask 0003)"
tell set pcp only
expect '0280000100000000*' "$(ask 0000)"
tell set long-error-lifetime 1800
expect '0280000100000708*' "$(ask 0000)"
tell set pcp none
tell set clock-permille 1000000
tell clock 5
await clock_runs
tell manual udp "$inside:7" 9007
expect '00810002*' "$(ask 000100000007000000000000)"
tell mappings
grep -qE "^udp $inside:7 -> 9007 manual$" "$dir/reply" || fail "manual"
for bad in '' nonsense drop 'drop x' 'drop 1 2' 'drop-percent 101' 'delay -1' 'duplicate 101' \
	'truncate 1101' 'pad x' 'answer-from 1.2.3' 'answer-from 1.2.3.4:65536' 'refuse maybe' \
	'result 65536' 'result 1 sctp' 'lifetime -1' 'port 65536' 'address 1.2.3' 'set nonsense on' \
	'set pcp perhaps' 'profile nonsense' 'restart keep' 'clock x' 'announce from' 'announce to x' \
	'announce bytes 0' 'inject xx' 'inject 00 from' 'manual tcp 1.2.3.4 5' "manual udp $inside:8 9007" \
	'mappings x' 'reset x' 'quit x' 'a b c d e f g h i j' 'pcp-result 256' 'pcp-result 1 peer' \
	'error-lifetime x' 'clock 1 both' 'pcp-update tcp 1' 'pcp-update tcp 0' 'mapping tcp 1.2.3' \
	'mapping tcp 1.2.3.4:5 upnp' 'announce to 1.2.3' 'set nonces some' 'manual tcp [::1]:5 9009'; do
	tell_fails "$bad"
done
stop

# ----------------------------------------------------------------------------------------------
echo "announcements"
start --clock 9
background socat -u "UDP4-RECV:5350,bind=224.0.0.1,reuseaddr,reuseport,range=$net.0/24" "OPEN:$dir/heard,creat,append"
hear() { # PATTERN COMMAND...; repeats it, as multicasts go unheard until the listener is there
	wanted=$1
	shift
	: >"$dir/heard"
	await try_hear "$wanted" "$@"
}
try_hear() {
	wanted=$1
	shift
	tell "$@"
	od -An -v -tx1 "$dir/heard" | tr -d ' \n' | grep -q "$wanted"
}
hear '^00800000000000..0b16212c' announce
hear '^0280000000000000000000..000000000000000000000000' pcp-announce
logged " send pcp announce lifetime 0 result 0 clock [0-9]+ to 224.0.0.1:5350" || fail "send in the log"
hear 00ff announce bytes 00ff from "$stray:9008"
tell refuse on
hear 00800000000000 announce
stop

# ----------------------------------------------------------------------------------------------
echo "PCP"
inside16=$(printf '00000000000000000000ffff7f%02x%02x03' $(($$ / 250 % 250 + 1)) $(($$ % 250 + 1)))
none=00000000000000000000ffff00000000
external=00000000000000000000ffff0b16212c
reserved=000000000000000000000000
nonce=00112233445566778899aabb
announce=0200000000000000$inside16
pcp_map=0201000000001c20$inside16$nonce'060000001f901f90'$none
pcp_renew=0201000000001c20$inside16$nonce'060000001f90232d'$external
pcp_unmap=0201000000000000$inside16$nonce'060000001f900000'$none
pcp_rest=$reserved$nonce'060000001f90'
start --profile rfc-pcp --set clock-permille=0 --clock 9
expect "028000000000000000000009$reserved" "$(ask "$announce")"
logged "request pcp announce from $inside:" || fail "request pcp announce"
expect "0281000000001c2000000009${pcp_rest}1f90$external" "$(ask "$pcp_map")"
logged "request pcp map tcp internal 8080 suggested 8080 lifetime 7200 from $inside:" || fail "request pcp map"
logged "answer pcp map tcp internal 8080 external 8080 address 11\.22\.33\.44 lifetime 7200 result 0 clock 9 to $inside:" ||
	fail "answer pcp map"
logged "mapping \+ tcp 8080 -> 8080 client $inside pcp\$" || fail "mapping + of PCP"
tell mapping tcp "$inside:8080"
grep -qx "tcp $inside:8080 -> 8080 left 7200 pcp nonce $nonce" "$dir/reply" || fail "mapping: $(cat "$dir/reply")"
tell mapping tcp "$inside:8080" natpmp
grep -qx 'ok 0' "$dir/reply" || fail "mapping natpmp: $(cat "$dir/reply")"
expect hello "$(echo hello | socat -t 5 - "TCP4:$outside:8080")" # the server of the first relay
# what was forced
tell port 9005
expect "0281000000001c2000000009${pcp_rest}232d$external" "$(ask "$pcp_map")"
tell port off
tell lifetime 90
expect "028100000000005a00000009${pcp_rest}232d$external" "$(ask "$pcp_renew")"
! logged " violation " || fail "a violation"
expect "028100000000005a00000009${pcp_rest}232d$external" "$(ask "$pcp_renew")"
logged "violation renewals less than 4 s apart from $inside:" || fail "too soon, and no violation"
tell lifetime off
tell clock 10 pcp
expect '008000000000000*' "$(ask 0000)"
tell pcp-result 8
expect "0280000800*" "$(ask "$announce")"
tell error-lifetime 7
expect "028100080000000700*" "$(ask "$pcp_renew")"
tell pcp-result off
tell pcp-result 2 delete
expect "028100020000000700*" "$(ask "$pcp_unmap")"
logged "request pcp delete tcp internal 8080 suggested 0 from" || fail "request pcp delete"
tell reset
tell set deletion-leaves 60
expect "028100000000003c??????0a${pcp_rest}232d$external" "$(ask "$pcp_unmap")"
tell set deletion-leaves 0
expect "0281000000000000??????0a${pcp_rest}0000$none" "$(ask "$pcp_unmap")"
tell mappings
grep -qx 'ok 0' "$dir/reply" || fail "the deletion left something"
# up and down again
tell set pcp none
expect "0080000100000009" "$(ask "$announce")"
tell set pcp only
expect "0280000100000708*" "$(ask 0000)"
tell set silent-to-natpmp on
send 0000
await logged "silence to $inside:"
tell set pcp too
expect "0080*" "$(ask 0000)"
stop

# ----------------------------------------------------------------------------------------------
echo "PCP: unasked"
start --profile rfc-pcp --set clock-permille=0 --clock 9
tell_fails pcp-update tcp 8080
grep -q 'no client so far' "$dir/reply" || fail "no client: $(cat "$dir/reply")"
answers=0
wait_for_more() { # HEX COUNT; in the background, as $talk; returns when it was answered once
	answers=$((answers + 1))
	"$GATEWAYD" --ask "$listen:$port" "$1" "$2" "$inside" >"$dir/answer" &
	talk=$!
	children="$children $talk"
	await logs_times ' answer ' $answers
}
wait_for_more "$pcp_map" 4
tell_fails pcp-update udp 8080
tell address 203.0.113.77
tell pcp-update tcp 8080 9006 3
wait "$talk" || fail "no three updates"
expect "0281000000001c2000000009${pcp_rest}232e00000000000000000000ffffcb00714d from $listen:$port" \
	"$(tail -n 1 "$dir/answer")"
[ "$(sort -u "$dir/answer" | wc -l)" -eq 2 ] || fail "updates: $(cat "$dir/answer")"
logged "mapping \+ tcp 8080 -> 9006 client $inside pcp\$" || fail "not moved"
[ "$(grep -c ' send pcp map tcp internal 8080 external 9006 address 203\.0\.113\.77 ' "$log")" -eq 3 ] ||
	fail "send in the log"
wait_for_more "$announce" 3
tell restart keep-table
tell pcp-announce to client
tell pcp-announce to client from "$stray:9008"
wait "$talk" || fail "no announcement to the client"
expect "028000000000000000000000$reserved from $listen:$port" "$(sed -n 2p "$dir/answer")"
expect "028000000000000000000000$reserved from $stray:9008" "$(sed -n 3p "$dir/answer")"
stop

# ----------------------------------------------------------------------------------------------
echo "PCP: IPv6"
if grep -q ' lo$' /proc/net/if_inet6 2>/dev/null; then
	start --profile rfc-pcp --listen6 '[::1]' --set clock-permille=0
	await logged '^listening6 '
	here=$(sed -n 's/^listening6 //p' "$log")
	own=00000000000000000000000000000001
	zeros=00000000000000000000000000000000
	"$GATEWAYD" --ask "$here" "0201000000000e10$own${nonce}1100000000350000$zeros" >"$dir/answer" || fail "no answer by IPv6"
	expect "0281000000000e1000000000$reserved${nonce}1100000000350035$own" "$(sed 's/ .*//' "$dir/answer")"
	[ "$(sed 's/.* //' "$dir/answer")" = "$here" ] || fail "from $(cat "$dir/answer")"
	logged 'mapping \+ udp 53 -> 53 client ::1 pcp$' || fail "no pinhole"
	! grep -q ' relay ' "$log" || fail "a pinhole was relayed"
	tell mapping udp '[::1]:53' pcp
	grep -qx "udp \[::1\]:53 -> 53 left 3600 pcp nonce $nonce" "$dir/reply" || fail "mapping: $(cat "$dir/reply")"
	tell refuse on
	expect refused "$("$GATEWAYD" --ask "$here" 0200)"
	tell refuse off
	expect '0080*' "$(ask 0000)"
	"$GATEWAYD" --ask "$here" "0200000000000000$own" >"$dir/answer" || fail "not back by IPv6"
	stop
else
	echo "  no IPv6 here"
fi

# ----------------------------------------------------------------------------------------------
echo "how it ends, and what does not end it"
mkfifo "$dir/alive"
"$GATEWAYD" <"$dir/alive" >"$dir/log.pipe" &
gateway=$!
log=$dir/log.pipe
exec 4>"$dir/alive"
await logged '^listening 127.0.0.1:'
kill -0 "$gateway" || fail "did not stay"
exec 4>&-
wait "$gateway" || fail "status at the end of input"
logged ' end$' || fail "no last line at the end of input"
start
tell quit
wait "$gateway" || fail "status after quit"
gateway=''
"$GATEWAYD" --log "$dir/log.file" --control "$control" >"$dir/out" </dev/null &
gateway=$!
log=$dir/log.file
await "$GATEWAYD" --tell "$control" requests
grep -q '^listening ' "$dir/out" || fail "the first line belongs on standard output"
[ "$(wc -l <"$dir/out")" -eq 1 ] || fail "more than the first line on standard output"
logged ' command requests' || fail "nothing in the log file"
"$GATEWAYD" --tell "$control" quit >"$dir/out"
wait "$gateway" || fail "status with a log file"
gateway=''
# without descriptors it loses connections, no more; each takes two, so try an odd and an even limit
for limit in 24 25; do
	start
	prlimit --pid "$gateway" --nofile=$limit
	expect "$good" "$(ask $map)"
	spent=$(cpu)
	many=''
	for i in $(seq 40); do
		socat -u -T 1 "TCP4:$outside:8080" - >"$dir/out.$i" 2>&1 &
		many="$many $!"
	done
	for pid in $many; do
		wait "$pid" || :
	done
	spent=$(($(cpu) - spent))
	[ "$spent" -lt 40 ] || fail "busy while waiting for descriptors: $spent ticks"
	[ "$(grep -c 'relay tcp 8080 connection' "$log")" -ge 7 ] || fail "too few connections"
	expect '0080*' "$(ask 0000)"
	expect hello "$(echo hello | socat -t 5 - "TCP4:$outside:8080")"
	stop
done
echo "all as it should be"
