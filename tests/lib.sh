# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# lib.sh - what the end-to-end tests share: a gateway, natpmp against it, waiting
# with a bound, and saying what was not as it should be. To be sourced; NATPMP
# and GATEWAYD name the two programs. Everything lives in $work and ends with it.
set -eu
: "${NATPMP:?the path of natpmp}" "${GATEWAYD:?the path of gatewayd}"

# In memory if there is a place: a busy disk makes everything here wait for seconds.
if [ -z "${TMPDIR-}" ] && [ -w /dev/shm ]; then TMPDIR=/dev/shm; fi
work=$(mktemp -d "${TMPDIR:-/tmp}/natpmp-test.XXXXXX")
started='' # process ids to end
status=0   # of the latest run

# Nothing of this is wanted by accident.
unset NOTIFY_SOCKET NO_COLOR STATE_DIRECTORY
XDG_STATE_HOME=$work/state # nobody's own secret
export XDG_STATE_HOME
for variable in $(env | sed -n 's/^\(NATPMP_[A-Z_0-9]*\)=.*/\1/p'); do unset "$variable"; done

cleanup() {
	code=$?
	trap - EXIT
	for pid in $started; do
		kill -KILL "$pid" 2>/dev/null || :
		wait "$pid" 2>/dev/null || :
	done
	rm -rf "$work"
	exit "$code"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

skip() {
	echo "skipped: $*"
	if [ "${NATPMPC_NO_SKIP:-0}" = 1 ]; then exit 1; fi
	exit 77
}

fail() {
	echo "FAILED: $*" >&2
	for file in "$work"/*; do
		[ -f "$file" ] || continue
		echo "--- ${file##*/}" >&2
		tail -n 40 "$file" >&2
	done
	exit 1
}

step() { echo "* $*"; }

# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() {
	wait_left=$(($1 * 20))
	shift
	until "$@" >/dev/null 2>&1; do
		wait_left=$((wait_left - 1))
		[ "$wait_left" -gt 0 ] || fail "never came true: $*"
		sleep 0.05
	done
}

# ------------------------------------------------------------------ gateway --

# An address of this test's own, lest it hears the announcements of another test's.
gateway_address=127.$(($$ / 250 % 250 + 1)).$(($$ % 250 + 1)).1

# gateway OPTION...: a gateway of this test's own, at $gateway (ADDRESS:PORT). Its clock
# has run for long, so that a restart can be seen.
gateway() {
	rm -f "$work/listening" "$work/log"
	"$GATEWAYD" --listen "$gateway_address" --no-relay --clock 90000 \
		--control "$work/control" --log "$work/log" "$@" \
		>"$work/listening" 2>"$work/gatewayd.err" &
	gateway_pid=$!
	started="$started $gateway_pid"
	wait_for 5 grep -q '^listening ' "$work/listening"
	gateway=$(sed -n 's/^listening //p' "$work/listening")
}

tell() { "$GATEWAYD" --tell "$work/control" "$@" >"$work/told" || fail "gateway: $*"; }
# How many mappings it has.
mappings() { "$GATEWAYD" --tell "$work/control" mappings | grep -c -e '->' || :; }
has_mappings() { [ "$(mappings)" = "$1" ]; }
# has_mapping tcp INTERNAL EXTERNAL
has_mapping() {
	"$GATEWAYD" --tell "$work/control" mappings | grep -q "^$1 [0-9.]*:$2 -> $3 "
}
# seen N REGEXP: at least N lines of the gateway's log say so.
seen() { [ "$(grep -c -E "$2" "$work/log")" -ge "$1" ]; }

# ------------------------------------------------------------------- natpmp --

# natpmp ARGUMENT...: to its end, which has a bound.
natpmp() { timeout -k 1 40 "$NATPMP" -g "$gateway" "$@"; }

# run ARGUMENT...: the same; $status, $work/out and $work/err tell.
run() {
	status=0
	natpmp "$@" >"$work/out" 2>"$work/err" </dev/null || status=$?
}

# start NAME ARGUMENT...: natpmp in the background as $pid; $work/NAME.out, .err.
# A shell makes background jobs ignore SIGINT; nobody at a terminal does so.
start() {
	name=$1
	shift
	: >"$work/$name.out" # now, not some time: nobody is to find the lines of an earlier one
	: >"$work/$name.err"
	env --default-signal=INT,QUIT "$NATPMP" -g "$gateway" "$@" \
		>"$work/$name.out" 2>"$work/$name.err" </dev/null &
	pid=$!
	started="$started $pid"
}

# finish PID: wait for its end, at most 15 s; $status.
finish() {
	wait_for 15 gone "$1"
	status=0
	wait "$1" || status=$?
}
# Ended, but for somebody to ask for its status.
gone() {
	state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null) || return 0
	[ -z "$state" ] || [ "$state" = Z ]
}

# ---------------------------------------------------------------- assertions --

expect_status() { [ "$status" = "$1" ] || fail "exit status is $status, not $1"; }
expect() { "$@" || fail "not so: $*"; }
expect_not() { if "$@"; then fail "should not be so: $*"; fi; }
# expect_line FILE REGEXP: a whole line is like that.
expect_line() { grep -q -x -E -e "$2" "$work/$1" || fail "no line of $1 is like: $2"; }
has_line() { grep -q -x -E -e "$2" "$work/$1"; }
expect_text() { grep -q -F -e "$2" "$work/$1" || fail "$1 does not say: $2"; }
has_text() { grep -q -F -e "$2" "$work/$1"; }
expect_lines() {
	lines=$(wc -l <"$work/$1")
	[ "$lines" = "$2" ] || fail "$1 has $lines lines, not $2"
}
expect_empty() { [ ! -s "$work/$1" ] || fail "$1 is not empty"; }
# expect_json FILE FILTER: jq finds an object for which that is true.
expect_json() {
	jq -e -s "map(select($2)) | length > 0" "$work/$1" >"$work/jq" 2>&1 ||
		fail "no object of $1 is like: $2"
}
