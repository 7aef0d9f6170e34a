#!/bin/sh
# SPDX-License-Identifier: MIT
# The service manager is told: READY when all is open, STATUS at every change,
# STOPPING at the end; through a socket with a path and one with an abstract name.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
gateway --profile rfc
command -v socat >/dev/null || skip "needs socat"


step "a socket with a path"
socat -u "UNIX-RECV:$work/socket" "OPEN:$work/told-path,creat,append" &
started="$started $!"
wait_for 5 test -S "$work/socket"
NOTIFY_SOCKET=$work/socket
export NOTIFY_SOCKET
start path -p 1950 --ttl 2 --hold
wait_for 5 has_text told-path 'READY=1'
expect_text told-path 'STATUS=1950/tcp is up: 11.22.33.44:1950'
tell result 2 tcp
wait_for 8 has_text told-path 'STATUS=1950/tcp: the gateway refuses'
tell result off
tell port 1955
tell restart
tell announce
wait_for 12 has_text told-path 'STATUS=1950/tcp is up: 11.22.33.44:1955'
expect_not has_text told-path STOPPING
kill -s TERM "$pid"
finish "$pid"
expect_status 0
expect_text told-path 'STOPPING=1'
expect test "$(grep -o READY=1 "$work/told-path" | wc -l)" = 1

step "an abstract one, and READY only when it is open"
socat -u "ABSTRACT-RECV:natpmp-test-$$" "OPEN:$work/told-abstract,creat,append" &
started="$started $!"
wait_for 5 grep -q "@natpmp-test-$$" /proc/net/unix
NOTIFY_SOCKET=@natpmp-test-$$
tell refuse on
start abstract -p 1951 --retry 'exec sleep 30'
wait_for 5 has_text told-abstract 'STATUS=1951/tcp: '
expect_not has_text told-abstract READY
tell refuse off
tell announce
wait_for 12 has_text told-abstract 'READY=1'
kill -s TERM "$pid"
finish "$pid"

step "with a command: READY when it runs, said by natpmp; nobody below has the socket"
: >"$work/told-abstract"
NOTIFY_SOCKET=@natpmp-test-$$
WATCHDOG_USEC=400000
export WATCHDOG_USEC
start runs -p 1953 --on-change "env >'$work/hook-env'" \
	"env >'$work/command-env'; until [ -e '$work/enough' ]; do sleep 0.05; done"
wait_for 5 has_text told-abstract 'READY=1'
wait_for 5 test -s "$work/command-env" -a -s "$work/hook-env"
expect_not grep -qE '^(NOTIFY|WATCHDOG)_' "$work/command-env" "$work/hook-env"
expect_text hook-env NATPMP_INTERNAL_PORT=1953

step "WATCHDOG at half of what the manager grants, if it is for this process"
watchdogs() { grep -o WATCHDOG=1 "$work/told-abstract" | wc -l; }
wait_for 5 sh -c "[ \$(grep -o WATCHDOG=1 '$work/told-abstract' | wc -l) -ge 3 ]"
: >"$work/enough"
finish "$pid"
expect_status 0
: >"$work/told-abstract"
WATCHDOG_PID=1
export WATCHDOG_PID
run -p 1954 sleep 1
expect_status 0
wait_for 5 has_text told-abstract STOPPING
expect test "$(watchdogs)" = 0
unset WATCHDOG_PID WATCHDOG_USEC

tell port off
step "nobody there, or nonsense: no harm"
for NOTIFY_SOCKET in "$work/nobody" "@nobody-$$" relative "$work/$(printf %0200d 0)" ''; do
	run -p 1952 true
	expect_status 0
	expect_empty err
done
