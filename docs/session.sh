#!/bin/sh
# SPDX-License-Identifier: MIT
# session.sh [SVG] - draws docs/session.svg, the picture in README: what natpmp writes on a terminal when
# it is asked for real, at the loopback gateway of the tests. Every line in it was written by the programs.
#
# In a network of its own, where the gateway is at 127.0.0.1 and nobody else has the ports. NATPMP and
# GATEWAYD name the two programs; without them they are those of build/default.
set -eu
cd "$(dirname "$0")/.."
picture=$(realpath "${1:-docs/session.svg}")
: "${NATPMP:=$PWD/build/default/cli/natpmp}" "${GATEWAYD:=$PWD/build/default/tests/gateway/gatewayd}"
export NATPMP GATEWAYD

skip() {
	echo "cannot run: $*"
	[ "${NATPMPC_NO_SKIP-}" = 1 ] && exit 1
	exit 77
}
if [ "${NATPMPC_NETWORK-}" != 1 ]; then
	command -v python3 >/dev/null || skip "no python3, for a terminal"
	flags=--net
	[ "$(id -u)" = 0 ] || flags="--map-root-user --net"
	# shellcheck disable=SC2086 # several words
	unshare $flags ip link set lo up 2>/dev/null || skip "no network namespace to be had"
	# shellcheck disable=SC2086 # several words
	NATPMPC_NETWORK=1 exec unshare $flags sh "$0" "$picture"
fi
ip link set lo up

dir=$(mktemp -d)
export XDG_STATE_HOME="$dir/state" # nobody's own secret
gateway='' changing='' client=''
cleanup() {
	for pid in $gateway $changing $client; do kill "$pid" 2>/dev/null || :; done
	rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

fail() {
	echo "FAILED: $*" >&2
	exit 1
}
wait_for() { # COMMAND...: at most 10 s
	tries=200
	until "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || fail "never came true: $*"
		sleep 0.05
	done
}
tell() { "$GATEWAYD" --tell "$dir/control" "$@"; }
has_both() { [ "$(tell mappings | grep -c ':6881 ')" = 2 ]; }

"$GATEWAYD" --listen 127.0.0.1:5351 --no-relay --profile rfc --clock 93784 --control "$dir/control" \
	</dev/null >"$dir/gateway" 2>&1 &
gateway=$!
wait_for grep -q '^listening' "$dir/gateway"

# The program behind port 6881.
python3 -c '
import signal, socket
for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    s = socket.socket(socket.AF_INET, kind)
    s.bind(("127.0.0.1", 6881))
    kind == socket.SOCK_STREAM and s.listen()
    s.detach()
print("listening", flush=True)
signal.pause()' >"$dir/client" &
client=$!
wait_for grep -q listening "$dir/client"

# --- the session ---

# Found as natpmp, as if it were installed.
mkdir "$dir/bin"
ln -s "$NATPMP" "$dir/bin/natpmp"
export PATH="$dir/bin:$PATH" TERM=xterm
unset NO_COLOR NOTIFY_SOCKET

# typed TEXT ACTION COMMAND-LINE: when TEXT is there, do that; see terminal.py. It ends well.
typed() {
	echo "$ $3"
	python3 tests/cli/terminal.py "$1" "$2" sh -c "exec $3" || { cat "$dir/session" >&2; fail "$3"; }
}
{
	typed - none "natpmp -g 127.0.0.1 --check"
	typed - none "natpmp -g 127.0.0.1 -p 8080 'echo my server listens on %p, and others reach it at %H:%P'"
	# While it holds, the gateway gets another external address.
	(
		wait_for has_both
		sleep 1
		tell address 11.22.33.55
		tell announce
	) >/dev/null &
	changing=$!
	typed 11.22.33.55 interrupt "natpmp -g 127.0.0.1 -p 6881 -t both --hold"
} >"$dir/session"
[ -z "$(tell mappings | grep -e '->' || :)" ] || fail "a mapping is left: $(tell mappings)"

# --- the picture ---

LC_ALL=C awk -v escape="$(printf '\033')" '
	function xml(text) {
		gsub(/&/, "\\&amp;", text)
		gsub(/</, "\\&lt;", text)
		gsub(/>/, "\\&gt;", text)
		return text
	}
	# The codes of a terminal that natpmp uses: bold, colours, and back to normal.
	function styled(text,    out, parts, n, i, end, code) {
		n = split(text, parts, escape "[[]")
		out = xml(parts[1])
		for (i = 2; i <= n; i++) {
			end = index(parts[i], "m")
			code = substr(parts[i], 1, end - 1)
			if (open) out = out "</tspan>"
			open = code != "" && code != "0"
			if (open && !(code in style)) exit_status = 1
			if (open) out = out "<tspan " style[code] ">"
			out = out xml(substr(parts[i], end + 1))
		}
		if (open) out = out "</tspan>"
		open = 0
		return out
	}
	function width(text) { gsub(escape "[[][0-9;]*m", "", text); return length(text) }
	BEGIN {
		style["1"] = "font-weight=\"bold\""
		style["31"] = "fill=\"#ff7b72\""
		style["32"] = "fill=\"#7ee787\""
		style["33"] = "fill=\"#e3b341\""
	}
	{
		if (width($0) > columns) columns = width($0)
		line[NR] = /^[$] / ? "<tspan fill=\"#79c0ff\">" xml($0) "</tspan>" : styled($0)
		gap[NR] = /^[$] / && NR > 1 ? 10 : 0
	}
	END {
		for (i = 1; i <= NR; i++) height += 19 + gap[i]
		w = int(columns * 8.5) + 32
		printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\">\n", \
			w, height + 28, w, height + 28
		print "<title>A session of natpmp at a gateway on loopback</title>"
		print "<!-- SPDX-License-Identifier: MIT. Drawn by docs/session.sh from what the programs wrote. -->"
		print "<rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#161b22\"/>"
		print "<g font-family=\"ui-monospace,SFMono-Regular,Menlo,Consolas,\047DejaVu Sans Mono\047,monospace\"" \
			" font-size=\"14\" fill=\"#e6edf3\" xml:space=\"preserve\" style=\"white-space:pre\">"
		y = 12
		for (i = 1; i <= NR; i++) {
			y += 19 + gap[i]
			printf "<text x=\"16\" y=\"%d\">%s</text>\n", y, line[i]
		}
		print "</g>\n</svg>"
		exit exit_status
	}' "$dir/session" >"$dir/picture" || fail "a code of the terminal that this does not know"
cp "$dir/picture" "$picture"
