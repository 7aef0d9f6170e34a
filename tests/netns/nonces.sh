#!/bin/sh
# SPDX-License-Identifier: MIT
# A PCP server that lets only those renew and delete a mapping who know its nonce, as RFC 6887 has it:
# natpmp run again is the same one, for it keeps its secret. Somebody with another secret is not.
# The server is the gateway of our other tests, which relays what comes from outside.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

# strict: start it
strict() {
	start strict gateway "$GATEWAYD" --listen 192.168.77.1:5351 --relay-address 11.22.33.44 \
		--profile pcp --control "$work/control"
	wait_for 5 "gatewayd" listening gateway 5351 udp
}

# strict_has N MAPPING: so many mappings in all, and this one
strict_has() {
	on gateway "$GATEWAYD" --tell "$work/control" mappings >"$work/mappings"
	expect "mappings" "ok $1" "$(tail -n 1 "$work/mappings")"
	[ "$1" -eq 0 ] || grep -q "^$2 .* pcp nonce " "$work/mappings" || fail "no mapping $2"
}

# as_another COMMAND...: somebody else on this host, who has another secret
as_another() {
	(export XDG_STATE_HOME="$work/other" && "$@" && echo "$status" >"$work/status")
	status=$(cat "$work/status")
}

mapping='tcp 192.168.77.2:4000 -> 14000'

world
strict
serve 4000 tcp

run natpmp client "$NATPMP" -p 4000 -P 14000 --ttl 600
expect "exit status" 0 "$status"
expect "mode of the secret" 600 "$(stat -c %a "$work/state/natpmp/secret")"
nonce=$(on gateway "$GATEWAYD" --tell "$work/control" mappings | sed -n 's/.* nonce //p')
run natpmp client "$NATPMP" -p 4000 -P 14000 --ttl 900
expect "exit status of another run" 0 "$status"
says natpmp '11.22.33.44:14000 -> 192.168.77.2:4000 tcp 900 s' || fail "not extended"
strict_has 1 "$mapping"
expect "nonce of another run" "$nonce" "$(sed -n 's/.* nonce //p' "$work/mappings")"

as_another run natpmp client "$NATPMP" -p 4000 -P 14000 --ttl 1200
expect "exit status with another secret" 6 "$status"
complains natpmp 'not authorized' || fail "does not say why"
as_another run natpmp client "$NATPMP" -p 4000 --close
expect "exit status of --close with another secret" 6 "$status"
strict_has 1 "$mapping"
reach tcp 11.22.33.44 14000 || fail "no connection"

run natpmp client "$NATPMP" -p 4000 --close
expect "exit status of --close" 0 "$status"
strict_has 0
say "extended and closed by another run, not with another secret"

# A hold that is killed, and started again: the same port, and closed at its end.
hold holder 4000 tcp 7200 -P 14000
stop holder KILL
strict_has 1 "$mapping"
hold holder 4000 tcp 7200 -P 14000
says holder '"external_port":14000' || fail "another port after being killed"
strict_has 1 "$mapping"
stop holder
expect "exit status of the hold" 0 "$status"
strict_has 0
say "killed and started again: the same port, and none left at the end"

# Without a place to keep the secret: it works, and closes what it made itself.
rm -rf "$work/state"
: >"$work/state"
hold holder 4000 tcp 7200 -P 14000
strict_has 1 "$mapping"
stop holder
strict_has 0
say "without a place for the secret: mapped, and closed at the end"
stop strict
