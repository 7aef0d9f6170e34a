# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2034 # who sources this uses the variables
#
# A small internet with a real NAT in it; every script here begins with ". lib.sh".
#
#   client 192.168.77.2 --+-- 192.168.77.1 gateway 11.22.33.44 --- 11.22.33.1 outside
#                         `-- 192.168.77.3 second  11.22.55.44 --- 11.22.55.1 (if asked for)
#
#   client 2a00:77::2 --- fe80::1 gateway 2a00:99::2 --- 2a00:99::1 outside
#                                          (if asked for: no NAT, and nothing gets in)
#
# Each line is a pair of virtual interfaces, each host a network namespace, the
# gateways run Debian's miniupnpd on nftables. The script itself becomes the
# first process of its own process, mount and network namespaces, and writes
# only to a file system in memory that nobody else sees: however it ends, by
# SIGKILL too, the kernel takes all of it away. Nothing of the machine's own is
# touched, so scripts may run side by side, and no root is needed where the
# system lets users have namespaces.
#
# In the environment: NATPMP, WITH_MAPPING, GATEWAYD: the programs. DIALECT: what natpmp is to
# speak, else what it likes. NATPMPC_NO_SKIP=1: fail instead of skip. KEEP_TALKING=1: show all
# logs at the end, not only after a failure.

PATH=$PATH:/usr/sbin:/sbin

# ------------------------------------------------------ the private world --

skip() {
	echo "cannot run: $*"
	[ "${NATPMPC_NO_SKIP-}" = 1 ] && exit 1
	exit 77
}

enter() {
	: "${NATPMP:?is to name the program to test}" "${WITH_MAPPING:?likewise}"
	for _tool in ip nft ss socat unshare miniupnpd; do
		command -v "$_tool" >/dev/null || skip "no $_tool here (Debian: apt-get install" \
			"miniupnpd-nftables nftables iproute2 socat util-linux)"
	done
	miniupnpd --version 2>&1 | grep -q nftables || skip "this miniupnpd is not the one for nftables"
	_flags='--mount --net --pid --fork --kill-child --mount-proc'
	[ "$(id -u)" -eq 0 ] || _flags="--map-root-user $_flags"
	# shellcheck disable=SC2086 # several words
	_why=$(unshare $_flags sh -ec 'mount -t tmpfs none /run; mkdir /run/netns; ip netns add try
		ip -n try link add type veth; ip -n try link add type bridge
		ip netns exec try nft add table inet try' 2>&1) ||
		skip "no namespaces to be had: $(echo "$_why" | tail -n 1)"
	export NATPMPC_WORLD=1
	# shellcheck disable=SC2086 # several words
	exec unshare $_flags sh "$0"
}

if [ "${NATPMPC_WORLD-}" != 1 ] || [ $$ -ne 1 ]; then
	enter
fi
unset NATPMPC_WORLD
set -eu

mount -t tmpfs none /run
work=/run/work
mkdir /run/netns "$work"
# What natpmp keeps, it keeps here, too.
unset STATE_DIRECTORY XDG_RUNTIME_DIR
export HOME="$work" XDG_STATE_HOME="$work/state"
trap on_exit EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# ---------------------------------------------------------- to say and do --

say() {
	printf '%s\n' "$*"
}

fail() {
	say "FAILED: $*" >&2
	exit 1
}

on_exit() {
	_code=$?
	trap - EXIT
	if [ "$_code" -ne 0 ] || [ "${KEEP_TALKING-}" = 1 ]; then
		{
			say "--- exit status $_code; what was written:"
			cd "$work" && tail -n 50 ./*.out ./*.err 2>/dev/null
			[ ! -e traffic.probes ] || (say "--- traffic:" && grep -B 1 -A 1 " 0\$" traffic.probes)
			for _host in gateway second; do
				[ ! -e "/run/netns/$_host" ] ||
					(say "--- $_host:" && on "$_host" nft list ruleset | grep -e dport -e packets)
			done
			say "--- client:"
			ip -n client -brief address
			ip -n client route
			ip -n client rule
		} >&2 || :
	fi
	exit "$_code"
}

# Milliseconds on a clock that never goes back.
ms() {
	read -r _up _ </proc/uptime
	echo "${_up%.*}${_up#*.}0"
}

# pass SECONDS: as sleep, but a signal to the script ends it at once
pass() {
	sleep "$1" &
	wait $!
}

# within SECONDS COMMAND...: try until it succeeds, or fail after that time
within() {
	_till=$(($(ms) + $1 * 1000))
	shift
	until "$@"; do
		[ "$(ms)" -lt "$_till" ] || return 1
		sleep 0.05
	done
}

# wait_for SECONDS WHAT COMMAND...: the same; the test has failed if it fails
wait_for() {
	_what=$2 _seconds=$1
	shift 2
	within "$_seconds" "$@" || fail "$_what: not within $_seconds s"
}

# expect WHAT WANTED GOT
expect() {
	[ "$2" = "$3" ] || fail "$1: wanted '$2', got '$3'"
}

# at_most WHAT LIMIT_MS GOT_MS
at_most() {
	[ "$3" -le "$2" ] || fail "$1: took $3 ms, should be $2 ms at most"
}

# -------------------------------------------------------------- processes --

# on HOST COMMAND...
on() {
	_host=$1
	shift
	ip netns exec "$_host" "$@"
}

# start NAME HOST COMMAND...: in the background; writes $work/NAME.out and NAME.err, reads
# $work/NAME.in if that is there (see feed)
start() {
	_name=$1 _host=$2 _input=/dev/null
	[ ! -e "$work/$_name.in" ] || _input=$work/$_name.in
	shift 2
	# Now, not when the new process comes to it: nobody shall read what its namesake wrote.
	: >"$work/$_name.out"
	: >"$work/$_name.err"
	ip netns exec "$_host" "$@" >"$work/$_name.out" 2>"$work/$_name.err" <"$_input" 3>&- &
	echo $! >"$work/$_name.pid"
}

# feed NAME: what is written to descriptor 3 from now on is what NAME, yet to be started, reads
feed() {
	mkfifo "$work/$1.in"
	exec 3<>"$work/$1.in"
}

pid() {
	cat "$work/$1.pid"
}

# A zombie has ended, too.
gone() {
	_stat=$(cat "/proc/$(pid "$1")/stat" 2>/dev/null) || return 0
	case $_stat in *') Z '*) ;; *) false ;; esac
}

# ended NAME [SECONDS]: wait for its end, set $status
ended() {
	wait_for "${2-10}" "end of $1" gone "$1"
	status=0
	wait "$(pid "$1")" || status=$?
}

# stop NAME [SIGNAL]: send it and wait for the end, set $status
stop() {
	kill -s "${2-TERM}" "$(pid "$1")"
	ended "$1"
}

# run NAME HOST COMMAND...: to its end, in less than 20 s; sets $status and $took (ms)
run() {
	began=$(ms)
	start "$@"
	ended "$1" 20
	took=$(($(ms) - began))
}

# says NAME TEXT: is that in what it wrote to stdout so far? complains: to stderr
says() {
	grep -qF -e "$2" "$work/$1.out"
}

# says_times NAME TEXT N: in N lines of it
says_times() {
	[ "$(grep -cF -e "$2" "$work/$1.out")" -eq "$3" ]
}

complains() {
	grep -qF -e "$2" "$work/$1.err"
}

# -------------------------------------------------------------- the hosts --

host() {
	ip netns add "$1"
	# When an address goes, others of the same net stay.
	on "$1" sysctl -qw net.ipv4.conf.all.promote_secondaries=1
	# Addresses of IPv6 work at once: nobody else can have them.
	on "$1" sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
	ip -n "$1" link set dev lo up
}

# cable HOST INTERFACE ADDRESS/BITS HOST INTERFACE [ADDRESS/BITS]
cable() {
	ip -n "$1" link add "$2" type veth peer name "$5" netns "$4"
	ip -n "$1" addr add "$3" dev "$2"
	[ -z "${6-}" ] || ip -n "$4" addr add "$6" dev "$5"
	ip -n "$1" link set dev "$2" up
	ip -n "$4" link set dev "$5" up
}

# plug HOST ADDRESS: into the client's network
plug() {
	cable "$1" lan "$2/24" switch "$1"
	ip -n switch link set dev "$1" master bridge
}

# gateway HOST INSIDE OUTSIDE PROVIDER: a home router, its port mapping daemon not yet started
gateway() {
	host "$1"
	plug "$1" "$2"
	cable "$1" wan "$3/24" outside "$1" "$4/24"
	# Each refusal is to be heard: no limit on what ICMP sends.
	on "$1" sysctl -qw net.ipv4.ip_forward=1 net.ipv4.icmp_ratelimit=0
	on "$1" nft -f - <<-'END'
		table inet filter {
			chain miniupnpd { }
			chain prerouting_miniupnpd { }
			chain postrouting_miniupnpd { }
			chain forward {
				type filter hook forward priority 0; policy drop;
				ct state established,related accept
				iifname "lan" accept
				jump miniupnpd
			}
			chain prerouting {
				type nat hook prerouting priority -100;
				jump prerouting_miniupnpd
			}
			chain postrouting {
				type nat hook postrouting priority 100;
				jump postrouting_miniupnpd
				meta nfproto ipv4 oifname "wan" masquerade
			}
		}
		table inet test {
			counter asked { }
			counter natpmp { }
			counter pcp { }
			counter linklocal { }
			counter refused { }
			chain count {
				type filter hook prerouting priority -320;
				udp dport 5351 counter name asked
				udp dport 5351 @th,64,8 0 counter name natpmp
				udp dport 5351 @th,64,8 2 counter name pcp
				udp dport 5351 ip6 saddr fe80::/10 counter name linklocal
			}
			chain dialect { type filter hook prerouting priority -310; }
			chain refusal {
				type filter hook output priority -310;
				udp sport 5352 counter name refused notrack udp sport set 5351
			}
			chain trouble { type filter hook input priority -10; }
		}
	END
	cat >"$work/$1.conf" <<-END
		ext_ifname=wan
		listening_ip=lan
		enable_natpmp=yes
		enable_upnp=no
		min_lifetime=4
		max_lifetime=86400
		secure_mode=yes
		# else the clock is the machine's, and a restart of the daemon cannot be seen
		system_uptime=no
		uuid=00000000-0000-4000-8000-000000000000
		lease_file=$work/$1.leases
		upnp_table_name=filter
		upnp_nat_table_name=filter
		upnp_forward_chain=miniupnpd
		upnp_nat_chain=prerouting_miniupnpd
		upnp_nat_postrouting_chain=postrouting_miniupnpd
		allow 1024-65535 0.0.0.0/0 0-65535
		deny 0-65535 0.0.0.0/0 0-65535
	END
}

# world: everything but the second gateway, and with no daemon running yet
world() {
	for _name in switch client outside; do
		host "$_name"
	done
	ip -n switch link add bridge type bridge
	ip -n switch link set dev bridge up
	plug client 192.168.77.2
	ip -n client route add default via 192.168.77.1
	on client nft 'table inet test { chain trouble { type filter hook input priority -10; }; }'
	gateway gateway 192.168.77.1 11.22.33.44 11.22.33.1
	[ -z "${DIALECT-}" ] || speak "$DIALECT"
	cat >"$work/answer" <<-'END'
		#!/bin/sh
		read -r line && echo "inside $line"
	END
	cat >"$work/server" <<-'END'
		#!/bin/sh
		# server PORT tcp|udp|both [6]: answers "x" with "inside x", with 6 both families are
		# answered; SIGUSR1: ends with status 9
		trap 'kill $pids; exit 143' TERM
		trap 'kill $pids; exit 9' USR1
		pids=
		case ${3-} in 6) family=6 both=,ipv6only=0 ;; *) family=4 both= ;; esac
		case $2 in tcp | both)
			socat "TCP$family-LISTEN:$1,fork,reuseaddr$both" EXEC:/run/work/answer &
			pids=$!
		esac
		case $2 in udp | both)
			socat "UDP$family-RECVFROM:$1,fork$both" EXEC:/run/work/answer &
			pids="$pids $!"
		esac
		wait
	END
	cat >"$work/refuse" <<-'END'
		#!/bin/sh
		head -c 1 >/dev/null && printf '\0\200\0\001'
	END
	chmod +x "$work/answer" "$work/server" "$work/refuse"
}

# ipv6: addresses of that family, too, after world. The client's router is link-local, as radvd
# would tell it.
ipv6() {
	ip -n client addr add 2a00:77::2/64 dev lan
	ip -n gateway -6 addr flush dev lan
	ip -n gateway addr add fe80::1/64 dev lan
	ip -n gateway addr add 2a00:77::1/64 dev lan
	ip -n gateway addr add 2a00:99::2/64 dev wan
	ip -n outside addr add 2a00:99::1/64 dev gateway
	on gateway sysctl -qw net.ipv6.conf.all.forwarding=1
	ip -n client -6 route add default via fe80::1 dev lan
	ip -n outside -6 route add default via 2a00:99::2
}

second_gateway() {
	gateway second 192.168.77.3 11.22.55.44 11.22.55.1
}

# trouble HOST RULE...: for what comes in there; calm HOST: no more of it
trouble() {
	_host=$1
	shift
	on "$_host" nft add rule inet test trouble "$@"
}

calm() {
	on "$1" nft flush chain inet test trouble
}

# speaks HOST natpmp|pcp|both: natpmp: a datagram of version 2 is refused in version 0, in 4 bytes,
# as older gateways do; pcp: one of version 0 is not answered. miniupnpd itself speaks both.
speaks() {
	on "$1" nft flush chain inet test dialect
	case $2 in
	natpmp)
		[ -e "$work/refuse-$1.pid" ] ||
			start "refuse-$1" "$1" socat UDP4-RECVFROM:5352,fork "EXEC:$work/refuse"
		wait_for 5 "who refuses at $1" listening "$1" 5352 udp
		# Past conntrack, for which both dialects would be one flow.
		on "$1" nft add rule inet test dialect \
			udp dport 5351 @th,64,8 2 notrack udp dport set 5352
		;;
	pcp) on "$1" nft add rule inet test dialect udp dport 5351 @th,64,8 0 drop ;;
	esac
}

# ----------------------------------------------------- port mapping daemon --

listening() { # HOST PORT tcp|udp
	[ -n "$(on "$1" ss -Hln --"$3" "sport = :$2")" ]
}

# daemon HOST: start miniupnpd there. It announces itself at once.
daemon() {
	start "miniupnpd-$1" "$1" miniupnpd -d -f "$work/$1.conf" -P "$work/$1.daemon-pid"
	wait_for 5 "miniupnpd on $1" listening "$1" 5351 udp
}

# crash HOST: the daemon, its table and what it keeps on disk are gone
crash() {
	stop "miniupnpd-$1" KILL
	for _chain in miniupnpd prerouting_miniupnpd postrouting_miniupnpd; do
		on "$1" nft flush chain inet filter "$_chain"
	done
	rm -f "$work/$1.leases" "$work/$1.daemon-pid"
}

# mappings HOST: "tcp 4000 192.168.77.2:4001" for each, external port first
mappings() {
	on "$1" nft list chain inet filter prerouting_miniupnpd | awk '/dnat/ {
		for (i = 1; i < NF; i++) {
			if ($i == "dport") port = $(i + 1)
			if ($i == "to") to = $(i + 1)
		}
		print (/ 0x11 |udp/ ? "udp" : "tcp"), port, to
	}' | sort
}

# mapped HOST MAPPING
mapped() {
	mappings "$1" | grep -qxF -e "$2"
}

# pinholes HOST: "tcp 2a00:77::2 443" for each: what is let in by IPv6
pinholes() {
	on "$1" nft list chain inet filter miniupnpd | awk '/@nh,192,128/ {
		for (i = 1; i < NF; i++) {
			if ($i == "dport") port = $(i + 1)
			if ($i == "@nh,192,128") address = substr($(i + 1), 3)
		}
		gsub(/..../, "&:", address)
		gsub(/:0+/, ":", address)
		sub(/:::+/, "::", address)
		sub(/:$/, "", address)
		print (/ 0x11 / ? "udp" : "tcp"), address, port
	}' | sort
}

# let_in HOST PINHOLE
let_in() {
	pinholes "$1" | grep -qxF -e "$2"
}

# rules HOST: how many rules the daemon has made, of whatever kind
rules() {
	for _chain in miniupnpd prerouting_miniupnpd postrouting_miniupnpd; do
		on "$1" nft list chain inet filter "$_chain"
	done | grep -c dport || :
}

no_rules() {
	[ "$(rules "$1")" -eq 0 ]
}

# nothing_left HOST: after the end of who mapped there. The daemon's rules go one by one, and on a
# busy machine natpmp may have stopped waiting for it.
nothing_left() {
	wait_for 1 "no rule left at the $1" no_rules "$1"
}

# asked HOST [natpmp|pcp]: how many datagrams came for port 5351 there, in that dialect
asked() {
	counted "$1" "${2-asked}"
}

# counted HOST COUNTER: how many packets that has seen
counted() {
	on "$1" nft list counter inet test "$2" | sed -n 's/.*packets \([0-9]*\) .*/\1/p'
}

# asked_more HOST N: N times in all, or more
asked_more() {
	[ "$(asked "$1")" -ge "$2" ]
}

# ----------------------------------------------------------------- natpmp --

# speak natpmp|pcp|auto: so does every natpmp that is started from now on
speak() {
	: "${the_natpmp:=$NATPMP}"
	printf '#!/bin/sh\nexec "%s" --dialect %s "$@"\n' "$the_natpmp" "$1" >"$work/natpmp"
	chmod +x "$work/natpmp"
	NATPMP=$work/natpmp
}

# hold NAME PORT tcp|udp|both TTL [OPTION...]: natpmp --hold on the client; returns when it is up
hold() {
	_name=$1 _port=$2 _type=$3 _ttl=$4
	shift 4
	start "$_name" client "$NATPMP" --hold --json -p "$_port" -t "$_type" --ttl "$_ttl" "$@"
	wait_for 10 "$_name up" told_times "$_name" up 1
}

# told NAME EVENT: how often a hold told of it: "up", "changed" or "down"
told() {
	grep -c "\"event\":\"$2\"" "$work/$1.out" || :
}

told_times() {
	[ "$(told "$1" "$2")" -eq "$3" ]
}

# ---------------------------------------------------------------- traffic --

# serve PORT tcp|udp|both [6]: a server on the client, named server-PORT
serve() {
	start "server-$1" client "$work/server" "$@"
	case $2 in tcp | both) wait_for 5 "TCP server" listening client "$1" tcp ;; esac
	case $2 in udp | both) wait_for 5 "UDP server" listening client "$1" udp ;; esac
}

# reach tcp|udp ADDRESS PORT: does the server inside answer somebody outside?
# A new connection each time: those that were there before outlive their mapping.
reach() {
	case $2 in *:*) _there=6:[$2]:$3 ;; *) _there=4:$2:$3 ;; esac
	case $1 in
	tcp) _to=TCP$_there,connect-timeout=0.3 _linger=2 ;;
	udp) _to=UDP$_there _linger=0.3 ;;
	esac
	_answer=$(echo hello | on outside timeout 3 socat "-t$_linger" - "$_to" 2>/dev/null) || return 1
	[ "$_answer" = 'inside hello' ]
}

# watch ADDRESS PORT: try over TCP again and again, note when it worked. Twice if need be: at each
# renewal miniupnpd takes its rule away and, some milliseconds later, puts it back.
watch() {
	: >"$work/traffic.probes"
	while :; do
		_at=$(ms)
		_works=0
		if reach tcp "$1" "$2" || reach tcp "$1" "$2"; then
			_works=1
		fi
		echo "$_at $_works"
		sleep 0.05
	done >>"$work/traffic.probes" 2>/dev/null 3>&- &
	watcher=$!
	wait_for 5 "traffic through $1:$2" grep -q ' 1$' "$work/traffic.probes"
}

works_now() {
	tail -n 1 "$work/traffic.probes" | grep -q ' 1$'
}

# unwatch: no more of it, sets $connections, $outages, and $longest: the longest outage in ms,
# from the last success before it to the first after it
unwatch() {
	within 2 works_now || : # who watches may be a moment behind; else it ends with an outage
	kill "$watcher"
	wait "$watcher" 2>/dev/null || :
	# shellcheck disable=SC2046 # three words
	set -- $(awk '
		$2 { if (bad) { n++; if ($1 - last > max) max = $1 - last }; last = $1; bad = 0; ok++ }
		!$2 { bad = ok > 0 }
		END { print ok + 0, n + bad, max + 0 }' "$work/traffic.probes")
	connections=$1 outages=$2 longest=$3
}
