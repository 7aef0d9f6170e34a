#!/bin/sh
# SPDX-License-Identifier: MIT
# bindings/ruby/natpmp.rb: the gem's example, and all else it can do.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
: "${LIBRARY:?}" "${LAYOUT:?}" "${BINDINGS:?}"
here=$(cd "$(dirname "$0")" && pwd)
ruby=/usr/bin/ruby
[ -x "$ruby" ] || skip "needs ruby"
export NATPMPC_LIBRARY="$LIBRARY"
with_ruby() { timeout -k 1 60 "$ruby" -W -I "$BINDINGS/ruby" "$@" >"$work/out" 2>"$work/err"; }

step "knows how the structs are laid out"
"$LAYOUT" >"$work/layout"
expect with_ruby "$here/layout.rb"
diff -u "$work/layout" "$work/out" || fail "the header has another layout (-) than natpmp.rb believes (+)"

PORT6=
if grep -q '^0*1 ' /proc/net/if_inet6 2>/dev/null; then # there is ::1
	gateway --profile rfc --listen6 '[::1]:0'
	wait_for 5 grep -q '^listening6 ' "$work/listening"
	PORT6=$(sed -n 's/^listening6 .*://p' "$work/listening")
else
	gateway --profile rfc
fi
export GATEWAY="$gateway" PORT6 TELL="$GATEWAYD --tell $work/control"
step "the gem's example runs as it is"
expect with_ruby -r "$here/gateway.rb" "$here/example.rb"
expect_line out '633 13033 13033 10 tcp'
expect seen 1 'mapping - tcp 633 -> 13033'

step "each way into a mapping and out of it"
expect with_ruby -r "$here/gateway.rb" "$here/use.rb"
expect_line out 'all as expected'
expect_empty err
