#!/bin/sh
# SPDX-License-Identifier: MIT
# The secret that is kept: it makes a PCP server know our mappings again, and is touched only then.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
gateway --profile rfc-pcp --set nonces=all
secret=$XDG_STATE_HOME/natpmp/secret

step "not without PCP"
run --dialect natpmp -p 1290
expect_status 0
run --vpn --timeout 0.2
run --status
run --help
run -p x
expect_not test -e "$XDG_STATE_HOME"

step "made once, for this user alone"
run -p 1300
expect_status 0
expect_empty err
expect test "$(stat -c '%a %s' "$secret")" = '600 32'
expect test "$(stat -c %a "$XDG_STATE_HOME/natpmp")" = 700
cp "$secret" "$work/first"
run -p 1301
expect cmp "$secret" "$work/first"
expect test "$(ls "$XDG_STATE_HOME/natpmp")" = secret

step "a later natpmp extends and closes what an earlier one has opened"
run -p 1300 --ttl 600 --json
expect_json out '.dialect == "pcp" and .lifetime == 600 and .external_port == 1300'
run --close -p 1300
expect_status 0
expect_not has_mapping tcp 1300 1300

step "who has another one does not"
XDG_STATE_HOME=$work/other run --close -p 1301
expect_status 6
expect_text err 'by another program: it ends with its lifetime'
expect has_mapping tcp 1301 1301
run --close -p 1301
expect_status 0

step "a held mapping is closed by the next one, too"
start killed -p 1302 --hold
wait_for 5 has_mapping tcp 1302 1302
kill -s KILL "$pid"
finish "$pid"
run --close -p 1302
expect_status 0
expect_not has_mapping tcp 1302 1302

# useless REASON: what cannot be used is left as it is, and only -v hears of it.
port=1303 # each its own, for none of them knows the ones before
useless() {
	run -p $port
	expect_status 0
	expect_empty err
	run -v -p $((port + 1))
	port=$((port + 2))
	expect_status 0
	expect grep -q "natpmp: no secret is kept, so only this natpmp can renew or close what it opens by PCP: .*$1" \
		"$work/err"
}

step "one that others can read, or of another size, or that cannot be: it works without"
chmod 640 "$secret"
useless "$secret: others may read or write it: remove it, and a new one is made"
expect test "$(stat -c %a "$secret")" = 640
chmod 600 "$secret"
truncate -s 31 "$secret"
useless "$secret: it is not 32 bytes long: remove it, and a new one is made"
expect test "$(stat -c %s "$secret")" = 31
rm "$secret"
: >"$work/file"
XDG_STATE_HOME=$work/file useless "$work/file/natpmp/secret: Not a directory"

step "many at once have one, and each can close what another has opened"
started_here=''
for port in 1350 1351 1352 1353 1354 1355; do
	natpmp -p $port >"$work/$port.out" 2>&1 &
	started_here="$started_here $!"
done
for one in $started_here; do wait "$one" || fail "one of many has failed"; done
run --close -p 1350 -p 1351 -p 1352 -p 1353 -p 1354 -p 1355
expect_status 0
expect test "$(ls "$XDG_STATE_HOME/natpmp")" = secret

step "a service's own place comes first, and HOME's last"
mkdir "$work/service"
STATE_DIRECTORY=$work/service:$work/none run -p 1320
expect test -s "$work/service/secret"
expect_not test -e "$work/none"
HOME=$work/home
export HOME
unset XDG_STATE_HOME
run -p 1321
expect test "$(stat -c %a "$HOME/.local/state/natpmp/secret")" = 600
