#!/bin/sh
# SPDX-License-Identifier: MIT
# --on-change: told old and new, never two at once, the latest wins, and whatever
# it does, the mapping is held.
# shellcheck disable=SC2016 # it is for the shell that natpmp starts
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
gateway --profile rfc

step "run when it comes up and when it changes, with old and new"
start tell -p 1650 --ttl 2 --hold --on-change "echo \"%p %P %h %H \$NATPMP_EXTERNAL_PORT \
[\$NATPMP_OLD_EXTERNAL_PORT \$NATPMP_OLD_EXTERNAL_ADDRESS]\" >>'$work/hook'; echo to stdout"
wait_for 5 has_line hook '1650 1650 127\.0\.0\.1 11\.22\.33\.44 1650 \[ \]'
tell port 1750
wait_for 5 has_line hook '1650 1750 127\.0\.0\.1 11\.22\.33\.44 1750 \[1650 11\.22\.33\.44\]'
tell address 11.22.33.45
tell announce
wait_for 8 has_line hook '1650 1750 127\.0\.0\.1 11\.22\.33\.45 1750 \[1750 11\.22\.33\.44\]'
expect_lines hook 3

step "what it prints goes to stderr, stdout has our lines only"
expect_line tell.err 'to stdout'
expect_lines tell.out 3
kill -s TERM "$pid"
finish "$pid"
expect_status 0
tell port off
tell address 11.22.33.44

step "not run for renewals, nor for the end; run when it comes up again"
rm "$work/hook"
start again -p 1651 --ttl 2 --hold --on-change "echo %P >>'$work/hook'"
wait_for 5 has_line hook 1651
wait_for 8 seen 4 'request map tcp internal 1651'
expect_lines hook 1
tell result 2 tcp
wait_for 8 has_text again.err 'is down'
expect_lines hook 1
tell result off
tell restart
tell announce
wait_for 12 has_text again.err 'up again'
wait_for 5 sh -c "[ \$(wc -l <'$work/hook') = 2 ]"
kill -s TERM "$pid"
finish "$pid"
expect_lines hook 2

step "never two at once; what comes meanwhile waits, and only the latest"
# It announces itself, and waits until it is let go.
slow="echo begin %P [\$NATPMP_OLD_EXTERNAL_PORT] >>'$work/slow'
	while [ ! -e '$work/go' ]; do sleep 0.05; done; echo end %P >>'$work/slow'"
start slow -p 1652 --ttl 2 --hold --on-change "$slow"
wait_for 5 has_line slow 'begin 1652 \[\]'
for port in 1752 1753 1754; do
	tell port $port
	wait_for 5 has_line slow.out ".*:$port -> .*"
done
expect_lines slow 1
: >"$work/go"
wait_for 5 has_line slow 'end 1754'
cat >"$work/wanted" <<'END'
begin 1652 []
end 1652
begin 1754 [1652]
end 1754
END
expect cmp "$work/slow" "$work/wanted"
kill -s TERM "$pid"
finish "$pid"
tell port off

step "what waits at the end is not run any more"
rm "$work/go" "$work/slow"
start dropped -p 1652 --ttl 2 --hold --on-change "$slow"
wait_for 5 has_line slow 'begin 1652 .*'
tell port 1755
wait_for 5 has_line dropped.out '.*:1755 -> .*'
kill -s TERM "$pid"
finish "$pid"
expect_lines slow 1
tell port off

step "it fails: said once, the mapping is held, and it is run again by itself"
start fails -p 1653 --ttl 2 --hold --on-change \
	"[ -e '$work/client' ] || exit 3; echo \"%P [\$NATPMP_OLD_EXTERNAL_PORT]\" >'$work/late'"
wait_for 5 has_text fails.err '--on-change for 1653/tcp failed with status 3'
tell port 1763
wait_for 5 has_line fails.out '.*:1763 -> .*'
tell port 1764
wait_for 5 has_line fails.out '.*:1764 -> .*'
expect_lines fails.err 1
expect has_mapping tcp 1653 1764
: >"$work/client"
wait_for 10 has_line late '1764 \[\]' # it has never succeeded
wait_for 5 has_text fails.err '--on-change for 1653/tcp has succeeded'
expect_lines fails.err 2
kill -s TERM "$pid"
finish "$pid"
expect_status 0
tell port off

step "it fails: nothing waits for that at the end"
start ended -p 1660 --hold --on-change 'exit 3'
wait_for 5 has_text ended.err 'failed with status 3'
kill -s TERM "$pid"
wait_for 3 gone "$pid"
finish "$pid"
expect_status 0
start late -p 1661 --hold --on-change "echo begin >'$work/lastly'; sleep 0.7; exit 3"
wait_for 5 has_line lastly begin
kill -s TERM "$pid"
finish "$pid"
expect_text late.err 'it is not run again, since natpmp ends'

step "it hangs: renewals go on, and the end does not wait for long"
start hangs -p 1654 --ttl 2 --hold --on-change \
	"trap '' TERM; echo \$\$ >'$work/hung'; while :; do sleep 0.1; done"
wait_for 5 test -s "$work/hung"
wait_for 8 seen 4 'request map tcp internal 1654'
expect has_mapping tcp 1654 1654
kill -s TERM "$pid"
wait_for 3 has_mappings 0
finish "$pid"
expect_status 0
wait_for 3 gone "$(cat "$work/hung")"
expect_text hangs.err '--on-change for 1654/tcp has run for'

step "it is given a moment to end by itself"
start ends -p 1655 --hold --on-change "echo begin >'$work/ends'; sleep 0.7; echo end >>'$work/ends'"
wait_for 5 has_line ends begin
kill -s TERM "$pid"
finish "$pid"
expect_line ends end
expect_empty ends.err

step "one for each mapping"
start each -p 1656/udp -p 1657 --hold --on-change "echo %p \$NATPMP_PROTOCOL >>'$work/each'"
wait_for 5 has_line each '1656 udp'
wait_for 5 has_line each '1657 tcp'
kill -s TERM "$pid"
finish "$pid"

step "beside a command"
run -p 1658 --on-change "echo hook %P >>'$work/beside'" \
	"until [ -s '$work/beside' ]; do sleep 0.05; done; echo command"
expect_status 0
expect_line beside 'hook 1658'
expect_lines out 1
expect_line out command

step "it reads nothing and inherits nothing"
sh -c "ls /proc/self/fd" >"$work/wanted" </dev/null 2>/dev/null
run -p 1659 --on-change "{ cat; ls /proc/self/fd; } >'$work/fds'; : >'$work/read'" \
	"until [ -e '$work/read' ]; do sleep 0.05; done"
expect_status 0
expect cmp "$work/fds" "$work/wanted"

step "it has no terminal to wait for"
run -p 1662 --on-change "cat </dev/tty || : >'$work/no-terminal'" \
	"until [ -e '$work/no-terminal' ]; do sleep 0.05; done"
expect_status 0
