#!/bin/sh
# SPDX-License-Identifier: MIT
# waits.sh silent|lost - the rows of run.sh that take their time because somebody has to wait, at the
# loopback gateway in a network of its own. run.sh sets the environment.
#
#   silent   how soon it is said that nobody answers: 128 s, in which nearly nothing is done
#   lost     how soon a mapping that the gateway has lost is open again: a minute
set -eu
: "${NATPMP:?}" "${GATEWAYD:?}" "${work:?}"
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
. ./lib.sh
own_network ./waits.sh "$@"
trap cleanup EXIT
trap 'exit 1' INT TERM HUP
start_gateway "$1"

seconds_now() { date +%s.%N; }
since() { # INSTANT: seconds, with two decimals
	awk -v then="$1" -v now="$(seconds_now)" 'BEGIN { printf "%.2f\n", now - then }'
}

# --- silence ---

# timed FILE COMMAND...: in the background
timed() {
	timed_file=$1
	shift
	(
		began=$(seconds_now)
		"$@" >/dev/null 2>&1 </dev/null || :
		since "$began" >>"$timed_file"
	) &
	waiting="$waiting $!"
	started="$started $!"
}
measure_silent() {
	tell drop 100000 >/dev/null
	waiting=''
	for n in 1 2 3 4 5; do
		timed "$work/silent.default" "$NATPMP" -g 127.0.0.1 -p 4100$n
		timed "$work/silent.all" "$NATPMP" -g 127.0.0.1 --timeout 128 -p 4200$n
		[ -z "${NATPMPC-}" ] || timed "$work/silent.theirs" "$NATPMPC" -g 127.0.0.1 -a 4300$n 4300$n tcp 7200
	done
	for pid in $waiting; do wait "$pid" || :; done
	touch "$work/silent.theirs"
	what="notice that nobody answers"
	summary loopback "$what" s natpmp <"$work/silent.default"
	summary loopback "$what" s natpmpc <"$work/silent.theirs"
	summary loopback "$what, after all nine requests" s natpmp <"$work/silent.all"
	summary loopback "$what, after all nine requests" s natpmpc <"$work/silent.theirs"
}

# --- a mapping that was lost ---

is_mapped() { tell mappings | grep -q ":$1 -> "; }
# await LIMIT FILE PORT...: how long it takes from now until each is there
await() {
	limit=$1 file=$2 began=$(seconds_now)
	shift 2
	left=$*
	tries=$((limit * 10))
	while [ -n "$left" ] && [ "$tries" -gt 0 ]; do
		sleep 0.1
		tell mappings >"$work/lost.mappings"
		still=''
		for port in $left; do
			if grep -q ":$port -> " "$work/lost.mappings"; then
				printf '%s %s\n' "$port" "$(since "$began")" >>"$file"
			else
				still="$still $port"
			fi
		done
		left=${still# }
		tries=$((tries - 1))
	done
	[ -z "$left" ] || echo "never came back: $left" >&2
}
measure_lost() {
	ours='41001 41002 41003 41004 41005' theirs=''
	for port in $ours; do
		"$NATPMP" -g 127.0.0.1 --hold --ttl 60 -p "$port" >/dev/null 2>&1 </dev/null &
		started="$started $!"
	done
	if [ -n "${NATPMPC-}" ]; then
		theirs='43001 43002 43003'
		for port in $theirs; do # as people run it: README, "Instead of your natpmpc loop"
			(while "$NATPMPC" -g 127.0.0.1 -a "$port" "$port" tcp 60; do sleep 45; done) >/dev/null 2>&1 </dev/null &
			started="$started $!"
		done
	fi
	for port in $ours $theirs; do within_5_s is_mapped "$port"; done

	# It has forgotten all, and nobody says so.
	tell restart >/dev/null
	# shellcheck disable=SC2086 # lists of words
	await 60 "$work/lost.quiet" $ours $theirs
	what="a lost mapping is open again, lifetime 60 s"
	grep '^41' "$work/lost.quiet" | cut -d ' ' -f 2 | summary loopback "$what" s natpmp
	if [ -n "$theirs" ]; then
		grep '^43' "$work/lost.quiet" | cut -d ' ' -f 2 | summary loopback "$what" s "natpmpc, 45 s"
	fi

	# It says so (RFC 6886 section 3.2.1); natpmpc does not listen. Up to 5 s of it are the RFC's random
	# delay.
	tell restart >/dev/null
	tell announce >/dev/null
	# shellcheck disable=SC2086 # a list of words
	await 20 "$work/lost.announced" $ours
	cut -d ' ' -f 2 "$work/lost.announced" | summary loopback "a lost mapping is open again, announced by the gateway" s natpmp
}

case ${1:?silent or lost} in
silent | lost) "measure_$1" ;;
*) exit 2 ;;
esac
