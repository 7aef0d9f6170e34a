#!/bin/sh
# SPDX-License-Identifier: MIT
# container-use.sh FOLDER - in a copy of a system (copy.sh): FOLDER/root is the image, compose.json what
# compose.yaml says. Its natpmp holds a port of a VPN provider's gateway, its tell tells the client.
set -eu
folder=${1:?}
: "${GATEWAYD:?}"
fail() {
	echo "FAILED: $*" >&2
	exit 1
}
await() { # await COMMAND...: at most 15 s
	tries=0
	until "$@" >/dev/null 2>&1; do
		tries=$((tries + 1))
		[ "$tries" -lt 300 ] || fail "never came true: $*"
		sleep 0.05
	done
}
setting() { jq -r "$1" "$folder/compose.json"; }

[ "$(find "$folder/root" -type f)" = "$folder/root/natpmp" ] || fail "more than natpmp in the image"
[ "$(chroot --userspec=65534:65534 "$folder/root" /natpmp --version | cut -d' ' -f1)" = natpmp ] ||
	fail "it does not run alone"

# The gateway that the compose file names, and what it gives, twice.
address=$(setting '.services.natpmp.command | .[index("-g") + 1]')
ip address add "$address/32" dev lo
"$GATEWAYD" --listen "$address:5351" --no-relay --clock 90000 --profile vpn --control /tmp/control \
	>/tmp/listening 2>&1 &
await grep -q '^listening ' /tmp/listening
setting '.services.natpmp.command[]' >/tmp/options
# shellcheck disable=SC2046 # a line a word
chroot "$folder/root" /natpmp $(cat /tmp/options) >/tmp/held 2>&1 &
held=$!
await test -s "$folder/root/run/natpmp/port"
port=$(cat "$folder/root/run/natpmp/port")

# The client: takes the form that is POSTed, once it is up.
ln -s "$folder/root/run/natpmp" /run/natpmp
setting '.services.tell.command[0]' | sed 's/\$\$/$/g' >/tmp/tell.sh
sh /tmp/tell.sh >/tmp/told 2>&1 &
cat >/tmp/client.py <<'END'
import http.server, json, urllib.parse
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        assert self.path == "/api/v2/app/setPreferences"
        with open("/tmp/ports", "a") as ports:
            print(json.loads(form["json"][0])["listen_port"], file=ports)
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", 8080), Handler).serve_forever()
END
python3 /tmp/client.py >/tmp/client 2>&1 &
await grep -qx "$port" /tmp/ports
kill "$held"
wait "$held" || fail "it does not end well at SIGTERM"
[ ! -e /run/natpmp/port ] || fail "the file with the port stayed"
echo "held, told, ended"
