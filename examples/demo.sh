#!/bin/sh
# SPDX-License-Identifier: MIT
# The main job, shown on loopback: no router, no root (but for installing what is missing).
#
# A small NAT-PMP gateway of the tests plays the router: 127.0.0.1 is its inside, 127.0.0.2 stands for
# its outside. natpmp asks it to open a port for a server and holds it while the server runs.
set -eu
cd "$(dirname "$0")/.."
. tests/packages.sh

# A sign of life, for installing takes a while.
(while sleep 3; do printf '  ... %s s\n' "$((seconds = ${seconds:-0} + 3))"; done) &
waiting=$!
# shellcheck disable=SC2086 # a list of words
need_packages $BUILD_PACKAGES check pkg-config socat || failed=1
kill "$waiting"
[ -z "${failed-}" ] || exit 1

dir=$(mktemp -d)
export XDG_STATE_HOME="$dir" # for nothing of this is to stay
gateway=
cleanup() {
	[ -z "$gateway" ] || kill "$gateway" 2>/dev/null || :
	rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

echo "* Building, which takes half a minute (the log is in build/demo.log)"
mkdir -p build
{ cmake --preset default && cmake --build --preset default -j "$(nproc)" --target natpmp gatewayd; } \
	>build/demo.log 2>&1 || { cat build/demo.log; exit 1; }
natpmp=build/default/cli/natpmp
gatewayd=build/default/tests/gateway/gatewayd

echo "* Starting a gateway on loopback"
mkfifo "$dir/alive"
"$gatewayd" <"$dir/alive" >"$dir/gateway" &
gateway=$!
exec 3>"$dir/alive" # it ends with its input
tries=0
until address=$(sed -n 's/^listening //p' "$dir/gateway") && [ -n "$address" ]; do
	tries=$((tries + 1))
	[ $tries -lt 50 ] || { echo "the gateway did not start"; exit 1; }
	sleep 0.1
done

echo "* Asking for any free port: natpmp -g $address -q --print %p"
port=$("$natpmp" -g "$address" -q --print %p) # any free one; the mapping lapses by itself in the end
cat <<END
* Running a server behind it:
    natpmp -g $address -p $port 'sh server %p' # a few lines of shell around socat
END
cat >"$dir/server" <<'END'
echo "  server: listening on $NATPMP_INTERNAL_ADDRESS:$1; the world is told $NATPMP_EXTERNAL_ADDRESS:$NATPMP_EXTERNAL_PORT"
: >"$2/ready"
exec socat TCP-LISTEN:"$1",bind=127.0.0.1,reuseaddr SYSTEM:'echo hello from inside'
END
"$natpmp" -g "$address" -p "$port" "sh $dir/server %p $dir" &
held=$!
tries=0
until [ -e "$dir/ready" ]; do
	tries=$((tries + 1))
	[ $tries -lt 50 ] || { echo "the server did not start"; exit 1; }
	sleep 0.1
done
external=$(sed -n "s/.*mapping + tcp $port -> //p" "$dir/gateway" | sed -n '$s/[^0-9].*//;$p')
echo "* Fetching through the external port. On loopback nobody has the address that the world is told;"
echo "  127.0.0.2 stands for it, so this asks 127.0.0.2:$external:"
answer=$(socat -t 3 - "TCP:127.0.0.2:$external,retry=30,interval=0.1" </dev/null)
echo "  outside: $answer"
[ "$answer" = "hello from inside" ]
wait "$held"
echo "* The server ended, and natpmp closed the mapping. What the gateway saw (ms first):"
grep -E 'request|mapping' "$dir/gateway" | sed 's/^/    /'
grep -q "mapping - tcp $port" "$dir/gateway"
echo "* That is all there is to it."
