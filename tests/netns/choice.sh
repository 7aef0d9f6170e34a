#!/bin/sh
# SPDX-License-Identifier: MIT
# Which gateway? The one that the kernel would send to, and no other.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

port=4000

# goes_to HOST WHY [OPTION...]: a mapping is made there; the other one is not asked
goes_to() {
	here=$1 why=$2
	shift 2
	case $here in gateway) there=second ;; *) there=gateway ;; esac
	port=$((port + 1))
	before=$(asked "$there")
	run natpmp client "$NATPMP" -p "$port" --ttl 600 "$@"
	expect "$why: exit status" 0 "$status"
	mapped "$here" "tcp $port 192.168.77.2:$port" || fail "$why: no mapping at $here"
	expect "$why: requests to $there" "$before" "$(asked "$there")"
	say "$why: $here"
}

world
second_gateway
daemon gateway
daemon second
ip -n client route del default

ip -n client route add default via 192.168.77.1 metric 100
ip -n client route add default via 192.168.77.3 metric 600
goes_to gateway "two default routes, metrics 100 and 600"
ip -n client route add default via 192.168.77.3 metric 50
goes_to second "one more, metric 50"
goes_to gateway "named with -g" -g 192.168.77.1

ip -n client route add default via 192.168.77.1 table 100
ip -n client rule add priority 100 table 100
goes_to gateway "a policy rule"
ip -n client rule add priority 90 fwmark 1 table 101
ip -n client route add default via 192.168.77.9 table 101
goes_to gateway "a policy rule for marked packets, which ours are not"
ip -n client rule del priority 100
goes_to second "the policy rule gone"

ip -n client route add 0.0.0.0/1 via 192.168.77.1
ip -n client route add 128.0.0.0/1 via 192.168.77.1
goes_to gateway "two routes of /1 beside the default, as VPNs make them"
