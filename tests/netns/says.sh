#!/bin/sh
# SPDX-License-Identifier: MIT
# What the command says of this host's own firewall, and of a gateway that is reached another way
# than was thought: where it asked, and what to do.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

# says_of STATUS TEXT OPTION...: so does natpmp with these options.
says_of() {
	wanted=$1 text=$2
	shift 2
	run natpmp client "$NATPMP" "$@"
	expect "$text: exit status" "$wanted" "$status"
	grep -q -F -e "$text" "$work/natpmp.err" "$work/natpmp.out" ||
		fail "does not say: $text, but $(cat "$work/natpmp.err" "$work/natpmp.out")"
	say "$(cat "$work/natpmp.err" "$work/natpmp.out")"
}

world
daemon gateway
ip netns exec client nft -f - <<'END'
table inet own {
	chain output {
		type filter hook output priority 0; policy accept;
	}
}
END
for verdict in drop reject; do
	ip netns exec client nft add rule inet own output udp dport 5351 $verdict
	says_of 4 'is not open (asked 192.168.77.1): a firewall of this host does not let the request out' -p 4000
	says_of 4 'verdict: a firewall of this host does not let the request out' --check
	complains natpmp 'switch on NAT-PMP' && fail "blames the router"
	ip netns exec client nft flush chain inet own output
done

# The VPN's gateway, while the VPN is down: the request goes to the router at home.
ip -n gateway route add blackhole 10.2.0.0/16
says_of 4 '(asked 10.2.0.1, through lan from 192.168.77.2)' -g 10.2.0.1 --vpn --timeout 1
complains natpmp 'if 10.2.0.1 is at the end of a tunnel, name the tunnel with -i' || fail "no word of -i"
complains natpmp 'made without port forwarding' || fail "no word of the VPN"
says_of 4 'if 10.2.0.1 is at the end of a tunnel' -g 10.2.0.1 --timeout 1
nothing_left gateway
