#!/bin/sh
# SPDX-License-Identifier: MIT
# --close, --close-all and --address.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
gateway --profile rfc

step "--close closes what -p and -t name, and nothing else"
run -p 1700/both -p 1701 -p 1702/udp
expect has_mappings 4
run --close -p 1701
expect_status 0
expect_line out 'closed 1701/tcp'
expect has_mappings 3
run --close -p 1700 -p 1702/udp
expect_lines out 2
expect_line out 'closed 1700/tcp'
expect_line out 'closed 1702/udp'
expect has_mappings 1
expect has_mapping udp 1700 1700
run --close -t both -p 1700 --json
expect_json out '.event == "closed" and .protocol == "both" and .internal_port == 1700'
expect has_mappings 0

step "what is not open is closed"
run --close -p 1705
expect_status 0
run -q --close -p 1705
expect_empty out

step "one that was made by hand is not ours to close"
tell manual tcp 127.0.0.1:1706 1706
run --close -p 1706
expect_status 6
expect_text err '1706/tcp is not closed'
expect_text err 'made by hand in the router: remove it there'
run -p 1707
run --close -p 1706 -p 1707 # the others all the same
expect_status 6
expect_line out 'closed 1707/tcp'
expect has_mappings 1
run --close -p 1706 --json
expect_json out '.event == "error" and .internal_port == 1706 and .external_port == null and
	.lifetime == null and .external_kind == null'

step "--close-all closes everything of this host, after saying so"
run -p 1710/both -p 1711
run --close-all
expect_text err 'every mapping of this host'
expect_line out 'closed every mapping of this host'
expect has_mappings 1
run -p 1710/both -p 1711
run --close-all -t udp
expect_text err 'every UDP mapping of this host'
expect_not has_mapping udp 1710 1710
expect has_mapping tcp 1710 1710
run --close-all --json
expect_json out '.event == "closed_all" and .protocol == "both"'
expect has_mappings 1

step "--address prints just that"
run --address
expect_status 0
expect test "$(cat "$work/out")" = 11.22.33.44
expect_empty err
run --address --json
expect_json out '.event == "address" and .external_address == "11.22.33.44" and
	.external_kind == "public" and .internal_address == "127.0.0.1" and .protocol == null'
run --address --print '<%H %h %p %P>'
expect_line out '<11\.22\.33\.44 127\.0\.0\.1  >'
tell address 10.0.0.9
run --address
expect_line out 10.0.0.9
expect_text err 'second NAT'
tell address none
run --address
expect_status 7
expect_empty out
expect_lines err 1

step "no answer, no service"
tell drop 100000
run --close -p 1700 --timeout 1
expect_status 4
run --close-all --timeout 1
expect_status 4
run --address --timeout 1
expect_status 4
tell refuse on
run --close -p 1700
expect_status 5
run --close-all
expect_status 5
run --address
expect_status 5
