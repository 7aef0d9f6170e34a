# shellcheck shell=sh
# SPDX-License-Identifier: MIT
# For the scripts beside, to be sourced: rows of the table, a network and a gateway of their own. A row is
# gateway, what, unit, who, median, lower and upper quartile, 99th percentile; tabs between. Rows of the
# same gateway, what and unit follow one another, ours first. $work is a folder to write to.
: "${work:?}"

row() { # GATEWAY WHAT UNIT WHO VALUE: one that has no spread
	printf '%s\t%s\t%s\t%s\t%s\t\t\t\n' "$@"
}
summary() { # GATEWAY WHAT UNIT WHO <VALUES: a line each
	sort -n | awk -v head="$(printf '%s\t%s\t%s\t%s' "$@")" '
		{ v[NR - 1] = $1 }
		END {
			if (NR) printf "%s\t%s\t%s\t%s\t\n", head, v[int(NR / 2)], v[int(NR / 4)], v[int(NR * 3 / 4)]
		}'
}

# own_network SCRIPT ARGUMENTS...: goes on in a network namespace, for libnatpmp and natpmpc ask port 5351
# and no other.
own_network() {
	if [ "${NATPMPC_NETWORK-}" != 1 ]; then
		own_flags=--net
		[ "$(id -u)" = 0 ] || own_flags="--map-root-user --net"
		# shellcheck disable=SC2086 # several words
		NATPMPC_NETWORK=1 exec unshare $own_flags sh "$@"
	fi
	ip link set lo up
}

started='' # process ids to end
cleanup() {
	for pid in $started; do kill "$pid" 2>/dev/null || :; done
}
# A script that sources this calls cleanup() at its end.

within_5_s() { # COMMAND...
	tries=100
	until "$@"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || { echo "waited in vain for: $*" >&2; exit 1; }
		sleep 0.05
	done
}
has_line() { grep -q "$1" "$2"; }

start_gateway() { # NAME: $work/NAME.*, and $gateway is its process
	control=$work/$1.control
	"${GATEWAYD:?}" --no-relay --listen 127.0.0.1:5351 --control "$control" --log /dev/null \
		</dev/null >"$work/$1.gateway" 2>&1 &
	gateway=$!
	started="$started $gateway"
	within_5_s has_line '^listening' "$work/$1.gateway"
}
tell() { "$GATEWAYD" --tell "$control" "$@"; }
