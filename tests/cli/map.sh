#!/bin/sh
# SPDX-License-Identifier: MIT
# Without a command: opens the mapping, prints its line, leaves it to its lifetime.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
gateway --profile rfc

step "one line: external, internal, type, lifetime"
run -p 1234
expect_status 0
expect_lines out 1
expect_line out '11\.22\.33\.44:1234 -> 127\.0\.0\.1:1234 tcp 7200 s'
expect_empty err
expect has_mapping tcp 1234 1234

step "-t, -P, --ttl"
run -t udp -p 1235 -P 4321 --ttl 100
expect_line out '11\.22\.33\.44:4321 -> 127\.0\.0\.1:1235 udp 100 s'
expect has_mapping udp 1235 4321

step "what is granted is told, not what was asked for"
tell set max-lifetime 60
tell port 5555
run -p 1236 -P 7777 --ttl 3600
expect_line out '11\.22\.33\.44:5555 -> 127\.0\.0\.1:1236 tcp 60 s'
tell profile rfc
tell reset

step "an internal port is picked"
run
expect_line out '11\.22\.33\.44:[0-9]+ -> 127\.0\.0\.1:[0-9]+ tcp 7200 s'
port=$(sed 's/.* -> 127\.0\.0\.1:\([0-9]*\) .*/\1/' "$work/out")
expect test "$port" -gt 1023
expect has_mapping tcp "$port" "$port"

step "both types on one external port"
tell profile splitports
run -t both -p 1237
expect_status 0
expect_line out '11\.22\.33\.44:[0-9]+ -> 127\.0\.0\.1:1237 both 7200 s'
port=$(sed 's/^[^:]*:\([0-9]*\) .*/\1/' "$work/out")
expect has_mapping tcp 1237 "$port"
expect has_mapping udp 1237 "$port"
tell profile rfc

step "several ports, each with its type and external port"
run -p 2001/udp -p 2002:3002/tcp -p 2003 -t both
expect_status 0
expect_lines out 3
expect has_mapping udp 2001 2001
expect has_mapping tcp 2002 3002
expect has_mapping tcp 2003 2003
expect has_mapping udp 2003 2003

step "--print prints just that"
run -p 1240 -P 1250 --print '%P'
expect cmp -s "$work/out" - <<'END'
1250
END
run -p 1240 -P 1250 --print '100%% %h:%p=%H:%P %d'
expect_line out '100%% 127\.0\.0\.1:1240=11\.22\.33\.44:1250 %d'

step "--json"
run -p 1240 -P 1250 -t udp --json
expect_lines out 1
expect_json out '(.time - now | fabs) < 5 and .expires == .time + 7200'
expect_json out 'del(.time, .expires) == {event: "mapped", family: "ipv4", dialect: "natpmp", protocol: "udp", internal_address: "127.0.0.1",
	internal_port: 1240, external_address: "11.22.33.44", external_port: 1250,
	external_kind: "public", lifetime: 7200, gateway: "'"$gateway_address"'", error: null}'

step "-q: nothing but errors"
run -q -p 1240
expect_status 0
expect_empty out
expect_empty err
run -q -p 1240 --print '%p'
expect_line out 1240

step "-v: what goes on, on stderr, in words"
run -v -p 1240 -P 1250
expect_lines out 1
expect_text err 'natpmp: sent: map TCP 1240 to 1250 for 7200 s (00 02 '
expect_text err 'natpmp: received: answer: TCP 1240 is external port 1250 for 7200 s; gateway up for '
expect_text err 'natpmp: sent: ask for the external address (00 00)'
expect_text err 'natpmp: received: answer: external address 11.22.33.44; gateway up for '
run -v --close -p 1240
expect_text err 'natpmp: sent: close TCP 1240 ('
run -v --close-all -t udp
expect_text err 'natpmp: sent: close every UDP mapping ('
tell result 4
run -v -p 1240
expect_text err 'natpmp: received: answer: result 4, out of resources; gateway up for '
tell result off
tell truncate 5
run -v -p 1240 --timeout 0.3
expect_text err 'natpmp: received, 5 bytes: 00 82 00'
tell reset

step "no external address: mapped all the same, and said"
tell address none
tell set maps-without-address on
run -p 1241
expect_status 0
expect_line out '-:1241 -> 127\.0\.0\.1:1241 tcp 7200 s'
expect_text err 'external address is not known'
run -p 1241 --json
expect_json out '.event == "mapped" and .external_address == null and .external_kind == "none"'

step "a second NAT is warned of"
tell address 192.168.0.2
run -p 1242
expect_status 0
expect_line out '192\.168\.0\.2:1242 -> .*'
expect_text err '192.168.0.2 is a private one: there is a second NAT'
tell address 100.64.1.1
run -p 1242
expect_text err '100.64.1.1 is shared'
run -q -p 1242
expect_status 0
expect_empty err

step "no colour and no padding but on a terminal"
expect_not grep -q "$(printf '\033')" "$work/out"
