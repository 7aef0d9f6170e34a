#!/bin/sh
# SPDX-License-Identifier: MIT
# loopback.sh ROUNDS - the rows of run.sh at the loopback gateway, in a network of its own, for libnatpmp
# and natpmpc ask port 5351 and no other. run.sh sets the environment.
set -eu
: "${PAIRS:?}" "${PROCESSES:?}" "${GATEWAYD:?}" "${NATPMP:?}" "${work:?}"
rounds=${1:?}
if [ "${NATPMPC_NETWORK-}" != 1 ]; then
	flags=--net
	[ "$(id -u)" = 0 ] || flags="--map-root-user --net"
	# shellcheck disable=SC2086 # several words
	NATPMPC_NETWORK=1 exec unshare $flags sh "$0" "$@"
fi

gateway='' held=''
cleanup() {
	[ -z "$held" ] || kill "$held" 2>/dev/null || :
	[ -z "$gateway" ] || kill "$gateway" 2>/dev/null || :
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

within_5_s() { # COMMAND...
	tries=100
	until "$@"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || { echo "waited in vain for: $*" >&2; exit 1; }
		sleep 0.05
	done
}
has_line() { grep -q "$1" "$2"; }
tell() { "$GATEWAYD" --tell "$work/control" "$@"; }
row() { # WHAT UNIT WHO VALUE
	printf 'loopback\t%s\t%s\t%s\t%s\t\t\t\n' "$@"
}

ip link set lo up
"$GATEWAYD" --no-relay --listen 127.0.0.1:5351 --control "$work/control" --log /dev/null \
	</dev/null >"$work/gateway" 2>&1 &
gateway=$!
within_5_s has_line '^listening' "$work/gateway"

# --- an exchange, and a whole mapping; what of it is the gateway's own ---

gateway_ns() { cut -d ' ' -f 1 "/proc/$gateway/schedstat"; }
asked() { tell requests | grep -o '[0-9]*' | head -n 1; }
ns=$(gateway_ns) requests=$(asked)
"$PAIRS" loopback 127.0.0.1 "$rounds"
row "the gateway's own processor time, an exchange" us gatewayd \
	"$(awk -v ns="$(($(gateway_ns) - ns))" -v n="$(($(asked) - requests))" 'BEGIN { printf "%.1f", ns / n / 1000 }')"

# --- the command as a whole process ---

if [ -z "${NATPMPC-}" ]; then exit; fi
# each WHAT: both at this gateway, in turns
each() { # WHAT ROUNDS
	"$PROCESSES" loopback "$1" "$2" "$NATPMP" -g 127.0.0.1 -p 40002 -- \
		"$NATPMPC" -g 127.0.0.1 -a 40002 40002 tcp 7200
}
each "open one port, the whole process" $((rounds / 10))
counted() { # PROGRAM ARGUMENTS...: its rows
	who=${1##*/}
	if [ -n "${STRACE-}" ]; then
		"$STRACE" -f -o "$work/calls" "$@" >/dev/null 2>&1
		row "open one port, the whole process" "system calls" "$who" "$(grep -c '(' "$work/calls")"
	fi
	if [ -n "${VALGRIND-}" ]; then
		"$VALGRIND" --tool=callgrind --callgrind-out-file="$work/callgrind" \
			--log-file="$work/valgrind" "$@" >/dev/null 2>&1
		row "open one port, the whole process" instructions "$who" \
			"$(sed -n 's/.*Collected : \([0-9]*\).*/\1/p' "$work/valgrind")"
	fi
}
counted "$NATPMP" -g 127.0.0.1 -p 40002
counted "$NATPMPC" -g 127.0.0.1 -a 40002 40002 tcp 7200

# --- how soon it says that nothing is there ---

tell refuse on >/dev/null
each "notice a closed port, the whole process" 20
tell refuse off >/dev/null

# --- resident memory, while it waits: natpmp for a signal, natpmpc for an answer ---

resident() { # PID
	sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$1/status"
}
"$NATPMP" -g 127.0.0.1 --hold -p 40003 >"$work/held" 2>/dev/null </dev/null &
held=$!
within_5_s has_line 40003 "$work/held"
row "resident memory, waiting" KiB natpmp "$(resident "$held")"
kill "$held"
wait "$held" || :
tell drop 1000 >/dev/null
"$NATPMPC" -g 127.0.0.1 -a 40003 40003 tcp 7200 >/dev/null 2>&1 &
held=$!
sleep 0.3
row "resident memory, waiting" KiB natpmpc "$(resident "$held")"
