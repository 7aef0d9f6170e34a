#!/bin/sh
# SPDX-License-Identifier: MIT
# --retry where there is no network yet (a VPN that comes up later), and a
# network that goes away and comes back, in a namespace of the test's own.
# shellcheck disable=SC2016 # it is for a shell inside
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
unshare -Urn true 2>/dev/null || skip "no namespace to be had"
command -v ip >/dev/null || skip "needs ip"

cat >"$work/inside" <<'END'
set -eu
work=$1
cd "$work"
trap 'kill -KILL $pids 2>/dev/null || :' EXIT
pids=''
fail() { echo "failed: $*"; exit 1; }
until_true() {
	left=$(($1 * 20)); shift
	until "$@" >/dev/null 2>&1; do
		left=$((left - 1)); [ $left -gt 0 ] || fail "never: $*"
		sleep 0.05
	done
}
ended() { ! kill -0 "$1" 2>/dev/null || grep -q '^State:.Z' "/proc/$1/status"; }

"$NATPMP" -g 127.0.0.1:5351 -p 1000 --retry 'echo runs; exec sleep 30' >command.out 2>command.err &
command=$!
"$NATPMP" -g 127.0.0.1:5351 -p 1001 --ttl 4 --hold --retry --json >hold.out 2>hold.err &
hold=$!
pids="$command $hold"
until_true 5 grep -q 'not open yet' command.err
until_true 5 grep -q '"down"' hold.out
[ ! -s command.out ] || fail "the command runs already"

echo "up comes the network, then the gateway"
ip link set lo up
"$GATEWAYD" --listen 127.0.0.1:5351 --no-relay --log log --control control >/dev/null 2>&1 &
pids="$pids $!"
until_true 20 grep -q runs command.out
until_true 20 grep -q '"up"' hold.out

echo "down it goes, past the lifetime"
ip link set lo down
until_true 10 sh -c 'tail -n 1 hold.out | grep -q "\"down\""'
ip link set lo up
until_true 30 sh -c 'tail -n 1 hold.out | grep -q "\"up\""'
kill -TERM $command $hold
until_true 10 ended $command
until_true 10 ended $hold
"$GATEWAYD" --tell control mappings >mappings
grep -qx 'ok 0' mappings || fail "mappings are left"
END
step "--check names the gateway that was given, also without a route"
unshare -Urn "$NATPMP" -g 192.0.2.1 --check >"$work/out" || status=$?
expect_status 3
expect_line out 'gateway: 192\.0\.2\.1: no route .*'
unshare -Urn "$NATPMP" -g 192.0.2.1 --check --json >"$work/out" || :
expect_json out '.gateway == "192.0.2.1" and .gateway_port == 5351 and .verdict == "no_route"'

step "no network at first"
timeout -k 1 80 unshare -Urn sh "$work/inside" "$work" || fail "inside"
