#!/bin/sh
# SPDX-License-Identifier: MIT
# A torrent client's web interface that is told the port by --on-change and curl,
# through a gateway that restarts and gives another port.
# shellcheck disable=SC2016 # it is for the shell that natpmp starts
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
command -v curl >/dev/null || skip "needs curl"
gateway --profile rfc

# Takes POSTs to one path, keeps the port that the form's json= names.
cat >"$work/consumer.py" <<'END'
import http.server, json, sys, urllib.parse
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        if self.path != "/api/v2/app/setPreferences":
            self.send_error(404)
            return
        with open(sys.argv[1], "a") as ports:
            print(json.loads(form["json"][0])["listen_port"], file=ports)
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
END
python3 "$work/consumer.py" "$work/ports" >"$work/consumer" &
started="$started $!"
wait_for 10 test -s "$work/consumer"
url=http://127.0.0.1:$(cat "$work/consumer")/api/v2/app/setPreferences

start hold -p 2100 -t both --ttl 6 --hold \
	--on-change "curl -fsS -m 5 -d 'json={\"listen_port\":%P}' '$url'"
step "told when it is open"
wait_for 10 has_line ports 2100

step "told the new port after a restart of the gateway"
tell port 2200
tell restart
tell announce
wait_for 15 has_line ports 2200
expect_lines ports 2
expect has_mapping tcp 2100 2200
expect has_mapping udp 2100 2200

step "its consumer away: said, and the hold goes on"
# The consumer is what was started before natpmp.
kill -s TERM "$(echo "$started" | awk '{ print $2 }')"
tell port 2300
wait_for 10 has_text hold.err '--on-change for 2100/both failed with status 7'
expect_not gone "$pid"
kill -s TERM "$pid"
finish "$pid"
expect_status 0
expect has_mappings 0
