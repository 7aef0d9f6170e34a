#!/bin/sh
# SPDX-License-Identifier: MIT
# bindings/python/natpmp.py: with, async with, and plain questions.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
: "${LIBRARY:?}" "${LAYOUT:?}" "${BINDINGS:?}"
here=$(cd "$(dirname "$0")" && pwd)
python=/usr/bin/python3
[ -x "$python" ] || skip "needs python3"
export NATPMPC_LIBRARY="$LIBRARY" PYTHONPATH="$BINDINGS/python" PYTHONDONTWRITEBYTECODE=1
with_python() { timeout -k 1 60 "$python" -X dev "$@" >"$work/out" 2>"$work/err"; }

step "knows how the structs are laid out"
"$LAYOUT" >"$work/layout"
expect with_python "$here/layout.py"
diff -u "$work/layout" "$work/out" || fail "the header has another layout (-) than natpmp.py believes (+)"

step "each way into a mapping and out of it"
PORT6=
if grep -q '^0*1 ' /proc/net/if_inet6 2>/dev/null; then # there is ::1
	gateway --profile rfc --listen6 '[::1]:0'
	wait_for 5 grep -q '^listening6 ' "$work/listening"
	PORT6=$(sed -n 's/^listening6 .*://p' "$work/listening")
else
	gateway --profile rfc
fi
export GATEWAY="$gateway" PORT6 TELL="$GATEWAYD --tell $work/control"
expect with_python "$here/use.py"
expect_line out 'all as expected'
expect_empty err
