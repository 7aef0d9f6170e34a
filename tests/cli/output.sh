#!/bin/sh
# SPDX-License-Identifier: MIT
# A stdout that takes nothing: closed, full, its reader gone, its reader asleep.
# Said in every mode, and never at the cost of a mapping that is held.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
gateway --profile rfc

# into HOW ARGUMENT...: natpmp with such a stdout.
into() {
	how=$1
	shift
	status=0
	set -- natpmp "$@"
	case $how in
	closed) "$@" >&- 2>"$work/err" </dev/null || status=$? ;;
	full) "$@" >/dev/full 2>"$work/err" </dev/null || status=$? ;;
	esac
}

for how in closed full; do
	step "$how: once, and what there is to show"
	for arguments in '-p 2000' '-p 2000 --json' '-p 2000 --print %P' '--address' '--close -p 2000' \
		'--close-all' --check '--check --json' --help --version; do
		# shellcheck disable=SC2086 # words
		into "$how" $arguments
		expect_status 1
		expect_text err 'cannot write to standard output'
	done

	step "$how: a command is none the worse for it"
	into "$how" -p 2001 --json 'exit 7'
	expect_status 7
	expect_text err 'standard output takes no more'
	into "$how" -p 2001 'exit 7'
	expect_status 7
	expect_empty err

	step "$how: a hold goes on, and says so at the end"
	case $how in
	closed) env --default-signal=INT "$NATPMP" -g "$gateway" -p 2002 --ttl 2 --hold >&- 2>"$work/err" & ;;
	full) env --default-signal=INT "$NATPMP" -g "$gateway" -p 2002 --ttl 2 --hold >/dev/full 2>"$work/err" & ;;
	esac
	pid=$!
	started="$started $pid"
	wait_for 5 has_mapping tcp 2002 2002
	requests=$(grep -c 'request map tcp internal 2002' "$work/log")
	wait_for 6 seen $((requests + 2)) 'request map tcp internal 2002'
	kill -s TERM "$pid"
	finish "$pid"
	expect_status 1
	expect_lines err 1
	expect_text err 'are held all the same'
	expect has_mappings 0
done

step "the command gets a closed stdout closed"
natpmp 'test -e /dev/fd/1 || echo closed >&2' >&- 2>"$work/err"
expect_line err closed

step "a reader that is gone"
{ "$NATPMP" -g "$gateway" -p 2003 --ttl 2 --hold 2>"$work/err" & echo $! >"$work/pid"; wait $! || echo $? >"$work/code"; } |
	head -n 1 >"$work/out" &
started="$started $!"
wait_for 5 has_line out '11\.22\.33\.44:2003 .*'
tell port 2013
wait_for 5 has_text err 'standard output takes no more (Broken pipe)'
expect has_mapping tcp 2003 2013
kill -s TERM "$(cat "$work/pid")"
wait_for 10 has_line code 1
expect has_mappings 0
tell port off

step "a reader that sleeps does not keep the renewals waiting"
mkfifo "$work/asleep"
exec 9<>"$work/asleep" # a reader, but who reads?
env --default-signal=INT "$NATPMP" -g "$gateway" -p 2004 --ttl 2 --hold \
	--print "$(printf '%040000d' 0)%P" >"$work/asleep" 2>"$work/err" &
pid=$!
started="$started $pid"
for port in 2014 2015 2016 2017; do
	tell port $port
	wait_for 5 has_mapping tcp 2004 $port
done
wait_for 5 has_text err 'standard output takes no more'
requests=$(grep -c 'request map tcp internal 2004' "$work/log")
wait_for 6 seen $((requests + 2)) 'request map tcp internal 2004'
kill -s TERM "$pid"
finish "$pid"
expect has_mappings 0

step "the same on stderr"
tell port off
env --default-signal=INT "$NATPMP" -g "$gateway" -p 2005 --ttl 2 -v --hold >/dev/null 2>"$work/asleep" &
pid=$!
started="$started $pid"
wait_for 5 has_mapping tcp 2005 2005
requests=$(grep -c 'request map tcp internal 2005' "$work/log")
wait_for 8 seen $((requests + 4)) 'request map tcp internal 2005'
kill -s TERM "$pid"
finish "$pid"
expect_status 0
