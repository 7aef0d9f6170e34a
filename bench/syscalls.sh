#!/bin/sh
# SPDX-License-Identifier: MIT
# How many system calls the library makes, counted by strace, and what libnatpmp needs for the same.
# In a network of its own, for libnatpmp asks port 5351 and no other.
#
# SYSCALLS, GATEWAYD and LIBNATPMP name the programs (bench/syscalls, tests/gateway/gatewayd,
# bench/libnatpmp; the last may be empty). VERBOSE=1 shows the calls.
set -eu
: "${SYSCALLS:?}" "${GATEWAYD:?}"

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
	export NATPMPC_NETWORK=1
	# shellcheck disable=SC2086 # several words
	exec unshare $flags sh "$0"
fi
strace true 2>/dev/null || skip "strace may not trace here"

dir=$(mktemp -d)
gateways=''
cleanup() {
	# shellcheck disable=SC2086 # several words
	[ -z "$gateways" ] || kill $gateways 2>/dev/null || :
	rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

ip link set lo up
mkfifo "$dir/alive"
start() { # PORT PROFILE
	"$GATEWAYD" --no-relay --listen "127.0.0.1:$1" --profile "$2" <"$dir/alive" \
		>"$dir/gateway$1" 2>&1 &
	gateways="$gateways $!"
}
start 5351 rfc
start 5352 rfc-pcp
exec 3>"$dir/alive"
for port in 5351 5352; do
	tries=100
	until grep -q '^listening' "$dir/gateway$port"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || { cat "$dir/gateway$port"; exit 1; }
		sleep 0.05
	done
done

calls_of() { # PART: the calls between its two marks
	sed -n "/write(-1, \"$1\"/,/write(-1, \"end\"/p" "$dir/calls" | grep -v 'write(-1, '
}
failed=0
at_most() { # COUNT PART WHAT [EXCEPT]: but for those calls
	calls=$(calls_of "$2" | grep -cvE "${4:-^$}" || :)
	verdict=
	[ "$calls" -le "$1" ] || verdict=", TOO MANY"
	[ -z "$verdict" ] || failed=1
	echo "$calls of $1: $3$verdict"
	[ -z "${VERBOSE-}" ] || calls_of "$2"
}

strace -o "$dir/calls" "$SYSCALLS" 127.0.0.1 5351 5352
limit=11
if [ -n "${LIBNATPMP-}" ]; then
	strace -o "$dir/theirs" "$LIBNATPMP" 127.0.0.1
	limit=$(sed -n '/"libnatpmp"/,/"end"/p' "$dir/theirs" | grep -cv 'write(-1, ')
	echo "libnatpmp: $limit for init, two requests, close"
	[ -z "${VERBOSE-}" ] || cat "$dir/theirs"
fi
at_most "$limit" new "natpmp_new(), natpmp_map(), natpmp_free() with a named gateway"
# A secret for nonces; and the question in PCP, which is refused: to send it, to wait and to read.
at_most $((limit + 4)) "new, automatic" "the same, where we do not know that only NAT-PMP is spoken"
# One exchange less, and that secret.
at_most $((limit - 2)) "new, PCP" "the same where PCP is spoken"
# From the second call on it hears of changes of routes: to begin with that costs four.
at_most 10 second "natpmp_map() on an open context, where changes of routes begin to count"
for part in third fourth beside "beside again"; do
	at_most 8 "$part" "natpmp_map() on an open context, $part"
done
# The program's own poll() is not the library's.
at_most 9 "renewals of one" "three renewals in a loop, its own poll() not counted" '^poll\('
at_most 270 "renewals of many" "ninety renewals in a loop, its own poll() not counted" '^poll\('
[ "$failed" -eq 0 ]
