#!/bin/sh
# SPDX-License-Identifier: MIT
# With a command: what it is told, what it inherits, whose exit status it is,
# and that the mapping is there as long as it runs and no longer.
# shellcheck disable=SC2016 # it is for the shell that natpmp starts
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
gateway --profile rfc

step "one argument goes to the shell, substituted"
run -p 1234 -P 4321 'echo "%h:%p" && echo "%H:%P" | tr . -; echo %% %d %%p; printf "100%%\n"'
expect_status 0
expect_line out '127\.0\.0\.1:1234'
expect_line out '11-22-33-44:4321'
expect_line out '%% %d %p'
expect_line out '100%'
expect_lines out 4
expect_empty err
expect has_mappings 0

step "several arguments are run as they are, each substituted"
run -p 1234 -P 4321 printf '<%s>' '%h:%p' '$HOME' 'a b' '%%' '%%p' '%P' -p
expect_status 0
expect test "$(cat "$work/out")" = '<127.0.0.1:1234><$HOME><a b><%%><%p><4321><-p>'

step "the environment"
run -p 1234 -P 4321 -t udp 'env | grep ^NATPMP_ | sort'
cat >"$work/wanted" <<'END'
NATPMP_EXTERNAL_ADDRESS=11.22.33.44
NATPMP_EXTERNAL_PORT=4321
NATPMP_FAMILY=ipv4
NATPMP_INTERNAL_ADDRESS=127.0.0.1
NATPMP_INTERNAL_PORT=1234
NATPMP_PROTOCOL=udp
END
expect cmp "$work/out" "$work/wanted"

step "several ports: the first is the one substituted, the others are numbered"
run -p 1234:4321 -p 1235:5321/both 'echo %p %P; env | grep "^NATPMP_.*_2=" | sort'
cat >"$work/wanted" <<'END'
1234 4321
NATPMP_EXTERNAL_ADDRESS_2=11.22.33.44
NATPMP_EXTERNAL_PORT_2=5321
NATPMP_FAMILY_2=ipv4
NATPMP_INTERNAL_ADDRESS_2=127.0.0.1
NATPMP_INTERNAL_PORT_2=1235
NATPMP_PROTOCOL_2=both
END
expect cmp "$work/out" "$work/wanted"

step "within another natpmp: that one's mappings are none of this one's"
inner="env | grep ^NATPMP_ | sort"
NATPMP_OLD_PROTOCOL=udp NATPMP_FAMILY_2=ipv6 NATPMP_EXTERNAL_PORT_12=1 NATPMP_PORT=2 NATPMP_PROTOCOL_NAME=3 \
	natpmp -p 1236 -p 1237 "$NATPMP" -g "$gateway" -p 1238 "$inner" >"$work/out"
cat >"$work/wanted" <<'END'
NATPMP_EXTERNAL_ADDRESS=11.22.33.44
NATPMP_EXTERNAL_PORT=1238
NATPMP_FAMILY=ipv4
NATPMP_INTERNAL_ADDRESS=127.0.0.1
NATPMP_INTERNAL_PORT=1238
NATPMP_PORT=2
NATPMP_PROTOCOL=tcp
NATPMP_PROTOCOL_NAME=3
END
expect cmp "$work/out" "$work/wanted"

step "its exit status is ours"
run 'exit 0'
expect_status 0
run 'exit 42'
expect_status 42
run false
expect_status 1
run 'kill -9 $$'
expect_status 137
run sh -c 'kill -TERM $$'
expect_status 143
run no-such-command-here with arguments
expect_status 127
expect_text err 'no-such-command-here'
run no-such-command-here
expect_status 127
run 'no
where' x
expect_status 127
expect_lines err 1
: >"$work/not-executable"
run "$work/not-executable" argument
expect_status 126
run "$work/not-executable"
expect_status 126
expect has_mappings 0

step "what cannot be run is said before a port is opened, with what was meant"
requests=$(grep -c request "$work/log")
for word in list status check help version close; do
	PATH=$work "$NATPMP" -g "$gateway" $word >"$work/out" 2>"$work/err" || status=$?
	expect_status 127
	expect_lines err 1
	expect_text err "\"$word\" is taken for a command"
	[ $word != list ] || word=status
	expect_text err "did you mean --$word?"
done
run no-such-command-here
expect_text err 'not found; look at its name'
run "$work/not-executable"
expect_text err 'it needs the right to be executed (chmod +x)'
run "$work"
expect_status 126
run sh/none/such
expect_status 127
expect test "$(grep -c request "$work/log")" = "$requests"

step "one plain word list is executed without a shell; the rest, and the shell's own words, by one"
run 'readlink /proc/self/exe'
expect_line out '.*readlink.*|.*coreutils.*|.*busybox.*'
for line in 'exit 3' 'exec sh -c "exit 3"' '(exit 3)' 'x=3; exit $x' 'if true; then exit 3; fi' \
	'test 1 = 2 || exit 3' '! : || exit 3' 'V=3 sh -c "exit \$V"'; do
	run "$line"
	expect_status 3
done
for line in 'echo  a	b ' ' echo a b' '\echo a b' 'echo "a" b' 'echo a b # c' 'echo a$NOTHING b'; do
	run "$line"
	expect_status 0
	expect_line out 'a b'
done
start parent -p 1250 'sleep 5.25'
wait_for 5 pgrep -P "$pid" -x sleep
kill -s TERM "$pid"
finish "$pid"

step "a command line that begins with a dash is none of our options"
run -- '-x || echo there'
expect_status 0
expect_line out there

step "the mapping is there while it runs"
run -p 1300 "'$GATEWAYD' --tell '$work/control' mappings"
expect_line out 'tcp 127\.0\.0\.1:1300 -> 1300 left [0-9]+'
expect has_mappings 0

step "stdin, stdout and stderr are the command's, no other descriptor leaks"
echo typed | natpmp 'cat; echo x >&2' >"$work/out" 2>"$work/err"
expect_line out typed
expect_line err x
sh -c "ls /proc/self/fd" >"$work/wanted" </dev/null 2>/dev/null
natpmp ls /proc/self/fd >"$work/out" </dev/null 2>/dev/null
expect cmp "$work/out" "$work/wanted"

step "signals are to it as they were to us"
grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status >"$work/wanted"
natpmp grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status >"$work/out"
expect cmp "$work/out" "$work/wanted"
(
	trap '' PIPE USR1
	natpmp grep SigIgn /proc/self/status
) >"$work/out"
expect_line out 'SigIgn:	[0-9a-f]*1200' # USR1 is 10, PIPE 13; glibc may have 32 and 33 ignored

step "SIGCHLD ignored by who started us does not matter"
python=$(command -v python3) || skip "needs python3"
status=0
timeout -k 1 20 "$python" -c '
import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execv(sys.argv[1], sys.argv[1:])' "$NATPMP" -g "$gateway" 'exit 9' || status=$?
expect_status 9

step "it outlives several renewals of 2 s, and the mapping with it"
run -p 1400 --ttl 2 "sleep 5; '$GATEWAYD' --tell '$work/control' mappings"
expect_status 0
expect_line out 'tcp 127\.0\.0\.1:1400 -> 1400 left [12]'
expect seen 4 'request map tcp internal 1400 .* lifetime 2'
expect_not seen 2 'mapping \+ tcp 1400'
expect has_mappings 0

step "the --ttl is what every renewal asks for"
expect_not seen 1 'request map tcp internal 1400 .* lifetime (7200|1|3)'
