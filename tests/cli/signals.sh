#!/bin/sh
# SPDX-License-Identifier: MIT
# Signals in every state: the command gets them, once; the mapping is closed
# whatever happens; what was ignored stays ignored.
# shellcheck disable=SC2016 # it is for the shell that natpmp starts
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
gateway --profile rfc
here=$(dirname "$0")

# A command that tells which signals came, and goes on until it is told QUIT.
counting='for s in HUP INT TERM USR1 USR2; do trap "echo got $s" "$s"; done
	trap "exit 5" QUIT; echo ready; while :; do sleep 0.05; done'

step "the command gets them, the mapping is closed when it has ended"
start all -p 1500 "$counting"
wait_for 5 has_line all.out ready
for signal in HUP INT TERM USR1 USR2; do
	kill -s "$signal" "$pid"
	wait_for 5 has_line all.out "got $signal"
done
expect has_mappings 1
kill -s TERM "$pid" # one more: that one, too
wait_for 5 sh -c "[ \$(grep -c TERM '$work/all.out') = 2 ]"
kill -s QUIT "$pid"
finish "$pid"
expect_status 5
expect_lines all.out 7
expect has_mappings 0

step "it dies of it: 128 + n"
for signal in HUP:129 INT:130 TERM:143; do
	start dies -p 1501 'echo ready; exec sleep 50'
	wait_for 5 has_line dies.out ready
	kill -s "${signal%:*}" "$pid"
	finish "$pid"
	expect_status "${signal#*:}"
	expect has_mappings 0
done

step "the command alone is killed"
start killed -p 1502 'echo $$; exec sleep 50'
wait_for 5 has_line killed.out '[0-9]+'
kill -s KILL "$(cat "$work/killed.out")"
finish "$pid"
expect_status 137
expect has_mappings 0

# is_gone NAME...: what a command has written its process id to.
is_gone() {
	for file; do
		[ -s "$work/$file" ] || return 1
		gone "$(cat "$work/$file")" || return 1
	done
}

step "whatever the command has started ends with it"
# A server that takes no notice, and what a shell may be told to do with it.
server="sh -c 'echo \$\$ >\$0; while :; do sleep 0.05; done'"
for line in "$server $work/a" "true; $server $work/a" "$server $work/a | cat" \
	"$server $work/a & $server $work/b & wait" "cd /; ( $server $work/a; true ); true"; do
	rm -f "$work/a" "$work/b"
	start tree -p 1511 "$line"
	wait_for 5 test -s "$work/a"
	case $line in *" $work/b"*) wait_for 5 test -s "$work/b" ;; esac
	kill -s TERM "$pid"
	finish "$pid"
	expect_status 143
	for file in a b; do [ ! -e "$work/$file" ] || wait_for 3 is_gone $file; done
	expect has_mappings 0
done

step "as process 1 of a container, the same"
if unshare -Urpf --mount-proc true 2>/dev/null; then
	runs_inside() { inside=$(pgrep -P "$pid") && pgrep -P "$inside"; }
	for line in "sleep 50" "true; sleep 50; true"; do
		: >"$work/contained.err"
		unshare -Urpf --kill-child "$NATPMP" -g "$gateway" -p 1512 -v "$line" \
			>"$work/contained.out" 2>"$work/contained.err" &
		pid=$!
		started="$started $pid"
		wait_for 5 runs_inside
		kill -s TERM "$inside"
		finish "$pid"
		expect_status 143
		expect has_mappings 0
	done
fi

step "it dies of the signal that its command died of, and leaves no core of its own"
for signal in INT TERM KILL SEGV PIPE; do
	python3 -c '
import signal, subprocess, sys
ended = subprocess.run(sys.argv[2:], timeout=20).returncode
sys.exit(ended != -getattr(signal, "SIG" + sys.argv[1]))' "$signal" \
		"$NATPMP" -g "$gateway" -p 1513 "kill -s $signal \$\$" || fail "not of SIG$signal"
done
expect has_mappings 0

step "--hold ends, and that is no failure"
for signal in HUP INT TERM; do
	start hold -p 1503 --hold
	wait_for 5 has_line hold.out '11\.22\.33\.44:1503 .*'
	kill -s "$signal" "$pid"
	finish "$pid"
	expect_status 0
	expect_empty hold.err
	expect has_mappings 0
done

# early ARGUMENT...: TERM while natpmp waits for its first answer.
early() {
	requests=$(grep -c 'drop request' "$work/log" || :)
	start early "$@"
	wait_for 5 seen $((requests + 1)) 'drop request'
	kill -s TERM "$pid"
	finish "$pid"
	expect_status 143
	expect_not test -e "$work/ran"
	expect_empty early.out
}

step "before it is open: it ends, the command is never run"
tell drop 100000
early -p 1504
early -p 1504 --hold --retry
early -p 1504 touch "$work/ran"
early --address
early --check --json
tell reset

step "while it closes: that goes on, and has its bound"
start closing -p 1505 --hold
wait_for 5 has_text closing.out :1505
tell drop 100000
kill -s TERM "$pid"
wait_for 5 seen 1 'request delete tcp internal 1505'
kill -s TERM "$pid"
kill -s INT "$pid"
before=$(date +%s)
finish "$pid"
expect_status 0
expect test $(($(date +%s) - before)) -le 4
expect_lines closing.err 1
expect_text closing.err 'closing failed: no answer'
tell reset
run --close-all

step "what was ignored at the start stays ignored"
(
	trap '' HUP
	exec "$NATPMP" -g "$gateway" -p 1506 --ttl 2 --hold
) >"$work/nohup.out" 2>&1 &
pid=$!
started="$started $pid"
wait_for 5 has_mappings 1
kill -s HUP "$pid"
wait_for 8 seen 3 'request map tcp internal 1506'
expect has_mappings 1
kill -s TERM "$pid"
finish "$pid"
expect_status 0
expect has_mappings 0

step "stopped past its lifetime and continued: the mapping comes back"
start stopped -p 1507 --ttl 2 --hold
wait_for 5 has_text stopped.out :1507
kill -s STOP "$pid"
wait_for 5 has_mappings 0
sleep 1 # the lifetime by its own clock, too, which is a little later
kill -s CONT "$pid"
wait_for 10 has_mappings 1
wait_for 5 has_text stopped.err '1507/tcp: its lifetime ended while this host slept, or natpmp was stopped; it is asked for again'
expect_not has_text stopped.err 'no answer'
kill -s TERM "$pid"
finish "$pid"
expect has_mappings 0

step "Ctrl-C on a terminal reaches the command once"
status=0
timeout 30 python3 "$here/terminal.py" ready interrupt "$NATPMP" -g "$gateway" -p 1508 \
	python3 -c "
import signal, sys, time
came = []
signal.signal(signal.SIGINT, lambda *_: came.append(1))
print('ready', flush=True)
end = time.monotonic() + 1.5
while time.monotonic() < end:
    time.sleep(0.1)
print()
print('SIGINT came', len(came))
sys.exit(6)" \
	>"$work/out" || status=$?
expect_status 6
expect_line out 'SIGINT came 1'
expect has_mappings 0

step "Ctrl-C ends a hold"
status=0
timeout 30 python3 "$here/terminal.py" :1509 interrupt "$NATPMP" -g "$gateway" -p 1509 --hold \
	>"$work/out" || status=$?
expect_status 0
expect has_mappings 0

step "the terminal goes away"
status=0
timeout 30 python3 "$here/terminal.py" ready hangup "$NATPMP" -g "$gateway" -p 1510 \
	'trap "exit 7" HUP; echo ready; while :; do sleep 0.05; done' >"$work/out" || status=$?
expect_status 7
expect has_mappings 0
