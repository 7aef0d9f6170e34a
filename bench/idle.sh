#!/bin/sh
# SPDX-License-Identifier: MIT
# What holding costs while nothing happens: 1,000 holds, and the system calls of 3 s between two
# renewals, counted by strace. There should be none at all. In a network of its own: an interface that
# comes or goes beside it, or somebody's announcement, is a reason to wake up.
#
# POLL_LOOP and GATEWAYD name the programs (examples/poll_loop, tests/gateway/gatewayd).
set -eu
holds=1000 seconds=3
: "${POLL_LOOP:?}" "${GATEWAYD:?}"

skip() {
	echo "cannot run: $*"
	[ "${NATPMPC_NO_SKIP-}" = 1 ] && exit 1
	exit 77
}
if [ "${NATPMPC_NETWORK-}" != 1 ]; then
	flags=--net
	[ "$(id -u)" = 0 ] || flags="--map-root-user --net"
	# shellcheck disable=SC2086 # several words
	unshare $flags ip link set lo up 2>/dev/null || skip "no network namespace to be had"
	# shellcheck disable=SC2086 # several words
	NATPMPC_NETWORK=1 exec unshare $flags sh "$0"
fi
ip link set lo up

dir=$(mktemp -d)
gateway='' holder=''
cleanup() {
	[ -z "$holder" ] || kill "$holder" 2>/dev/null || :
	[ -z "$gateway" ] || kill "$gateway" 2>/dev/null || :
	rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

wait_for() { # SECONDS COMMAND...
	tries=$(($1 * 20))
	shift
	until "$@"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || { echo "waited in vain for: $*"; return 1; }
		sleep 0.05
	done
}
all_up() { [ "$(grep -c '^up' "$dir/events")" -eq $holds ]; }
answers() { address=$(sed -n 's/^listening //p' "$dir/gateway"); [ -n "$address" ]; }

strace true 2>/dev/null || skip "strace may not trace here"
mkfifo "$dir/alive" "$dir/input"
: >"$dir/gateway"
"$GATEWAYD" <"$dir/alive" >"$dir/gateway" &
gateway=$!
exec 3>"$dir/alive"
wait_for 5 answers

# shellcheck disable=SC2046 # a list of ports
"$POLL_LOOP" "$address" $(seq 20000 $((20000 + holds - 1))) <"$dir/input" >"$dir/events" 3>&- &
holder=$!
exec 4>"$dir/input"
wait_for 10 all_up
resident=$(sed -n 's/^VmRSS:[[:space:]]*//p' "/proc/$holder/status")

timeout --preserve-status -s INT $seconds strace -f -o "$dir/calls" -p "$holder" 2>/dev/null || :
# The call it sits in is written with what cut it short; whatever comes besides is a wake-up.
grep -vE 'poll\(|restart_syscall|detached|SIG|\+\+\+|---' "$dir/calls" >"$dir/woken" || :
calls=$(wc -l <"$dir/woken")
cat "$dir/woken" # what it was woken for, if it was
echo "$holds holds, $seconds s between renewals: $calls system calls; $resident resident"

exec 4>&- # the end of its input ends it, and closes all
wait "$holder"
holder=
closed=$(grep -c 'mapping - ' "$dir/gateway" || :)
echo "closed at the end: $closed"
[ "$calls" -eq 0 ] && [ "$closed" -eq $holds ]
