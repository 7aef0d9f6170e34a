#!/bin/sh
# SPDX-License-Identifier: MIT
# A gateway that is not there: each way of it has its own exit status, and in time.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

# fails STATUS WHAT [OPTION...]: so does natpmp; with a command it ends with 125, and does not run it.
# $took is that of natpmp without a command.
fails() {
	wanted=$1 what=$2
	shift 2
	run command client "$NATPMP" -p 4000 "$@" 'echo ran'
	expect "$what: exit status with a command" 125 "$status"
	[ ! -s "$work/command.out" ] || fail "$what: the command ran"
	run natpmp client "$NATPMP" -p 4000 "$@"
	expect "$what: exit status" "$wanted" "$status"
	[ ! -s "$work/natpmp.out" ] || fail "$what: a result on stdout"
	[ -s "$work/natpmp.err" ] || fail "$what: says nothing"
	say "$what: status $status after $took ms: $(cat "$work/natpmp.err")"
}

world

# The gateway is there, the daemon is not: the kernel answers port unreachable.
fails 5 "no daemon"
at_most "no daemon" 1000 "$took"
calls=$(asked gateway)
[ "$calls" -ge 2 ] || fail "no daemon: the gateway was not asked"

# Nobody has that address.
ip -n client route replace default via 192.168.77.9
fails 4 "nobody there"
[ "$took" -ge 7000 ] || fail "gave up after $took ms"
at_most "nobody there" 9000 "$took"
fails 4 "nobody there, 2 s" --timeout 2
[ "$took" -ge 1900 ] || fail "gave up after $took ms"
at_most "nobody there, 2 s" 3000 "$took"

ip -n client route del default
fails 3 "no default route"
at_most "no default route" 1000 "$took"

# As in many VPNs: the default route names an interface, and no gateway.
cable client vpn 10.2.0.2/32 outside vpn
ip -n client route add default dev vpn
fails 3 "point-to-point"
at_most "point-to-point" 1000 "$took"
complains natpmp -g || fail "does not tell to name the gateway with -g"

# As others do: two routes of /1 that go before the default route, which is still there.
ip -n client route replace default via 192.168.77.1
ip -n client route add 0.0.0.0/1 dev vpn
ip -n client route add 128.0.0.0/1 dev vpn
fails 3 "point-to-point before the default"

expect "requests to the gateway meanwhile" "$calls" "$(asked gateway)"
# Named, it is found all the same.
daemon gateway
run natpmp client "$NATPMP" -p 4000 --ttl 60 -g 192.168.77.1
expect "named with -g: exit status" 0 "$status"
mapped gateway 'tcp 4000 192.168.77.2:4000' || fail "named with -g: no mapping"
