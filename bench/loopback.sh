#!/bin/sh
# SPDX-License-Identifier: MIT
# loopback.sh ROUNDS - the rows of run.sh at the loopback gateway, in a network of its own, for libnatpmp
# and natpmpc ask port 5351 and no other. run.sh sets the environment.
set -eu
: "${PAIRS:?}" "${PROCESSES:?}" "${GATEWAYD:?}" "${NATPMP:?}" "${work:?}"
rounds=${1:?}
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
. ./lib.sh
own_network ./loopback.sh "$@"
trap cleanup EXIT
trap 'exit 1' INT TERM HUP
start_gateway loopback

# --- an exchange, and a whole mapping; what of it is the gateway's own ---

gateway_ns() { cut -d ' ' -f 1 "/proc/$gateway/schedstat"; }
asked() { tell requests | grep -o '[0-9]*' | head -n 1; }
ns=$(gateway_ns) requests=$(asked)
"$PAIRS" loopback 127.0.0.1 "$rounds" natpmp
row loopback "the gateway's own processor time, an exchange" us gatewayd \
	"$(awk -v ns="$(($(gateway_ns) - ns))" -v n="$(($(asked) - requests))" 'BEGIN { printf "%.1f", ns / n / 1000 }')"

tell set pcp too >/dev/null
"$PAIRS" loopback 127.0.0.1 "$rounds" pcp
tell set pcp none >/dev/null

# --- what an open mapping costs from nothing: counted ---

what="from nothing: open, map, close"
if [ -n "${STRACE-}" ]; then
	calls_between() { # MARK PROGRAM ARGUMENTS...
		mark=$1
		shift
		"$STRACE" -o "$work/calls" "$@" >/dev/null
		sed -n "/write(-1, \"$mark\"/,/write(-1, \"end\"/p" "$work/calls" | grep -cv 'write(-1, '
	}
	row loopback "$what" "system calls" libnatpmpc "$(calls_between new "$SYSCALLS" 127.0.0.1 5351 5351)"
	[ ! -x "$LIBNATPMP" ] ||
		row loopback "$what" "system calls" libnatpmp "$(calls_between libnatpmp "$LIBNATPMP" 127.0.0.1)"
fi
if [ -n "${VALGRIND-}" ]; then
	instructions_in() { # FUNCTION PROGRAM ARGUMENTS...
		function=$1
		shift
		LD_BIND_NOW=1 "$VALGRIND" --tool=callgrind --callgrind-out-file="$work/callgrind" \
			--toggle-collect="$function" "$@" >/dev/null 2>"$work/valgrind"
		sed -n 's/.*Collected : \([0-9]*\).*/\1/p' "$work/valgrind"
	}
	row loopback "$what" instructions libnatpmpc \
		"$(instructions_in map_by_a_new_context "$SYSCALLS" 127.0.0.1 5351 5351)"
	[ ! -x "$LIBNATPMP" ] ||
		row loopback "$what" instructions libnatpmp "$(instructions_in main "$LIBNATPMP" 127.0.0.1)"
fi

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
		row loopback "open one port, the whole process" "system calls" "$who" "$(grep -c '(' "$work/calls")"
	fi
	if [ -n "${VALGRIND-}" ]; then
		"$VALGRIND" --tool=callgrind --callgrind-out-file="$work/callgrind" \
			--log-file="$work/valgrind" "$@" >/dev/null 2>&1
		row loopback "open one port, the whole process" instructions "$who" \
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
for _ in 1 2 3 4 5; do
	"$NATPMP" -g 127.0.0.1 --hold -p 40003 >"$work/held" 2>/dev/null </dev/null &
	held=$!
	started="$started $held"
	within_5_s has_line 40003 "$work/held"
	resident "$held" >>"$work/resident.ours"
	kill "$held"
	wait "$held" 2>/dev/null || :
done
tell drop 1000 >/dev/null
for _ in 1 2 3 4 5; do
	"$NATPMPC" -g 127.0.0.1 -a 40003 40003 tcp 7200 >/dev/null 2>&1 &
	held=$!
	started="$started $held"
	sleep 0.3
	resident "$held" >>"$work/resident.theirs"
	kill "$held"
	wait "$held" 2>/dev/null || :
done
summary loopback "resident memory, waiting" KiB natpmp <"$work/resident.ours"
summary loopback "resident memory, waiting" KiB natpmpc <"$work/resident.theirs"
