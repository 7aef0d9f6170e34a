#!/bin/sh
# SPDX-License-Identifier: MIT
# The session that README shows as a picture can still be had, and looks the same: but for times of day,
# milliseconds, and the port that natpmp picks for its test mapping.
set -eu
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
. ./lib.sh

status=0
sh "$top/docs/session.sh" "$tmp/session.svg" || status=$?
[ "$status" = 0 ] || exit "$status"
settled() { # SVG
	sed -E 's/[0-9]{2}:[0-9]{2}:[0-9]{2}/TIME/g; s/within [0-9.]+ ms/within MS/
		/^<text.*test mapping/s/:[0-9]{4,5}/:PORT/g' "$1"
}
settled "$top/docs/session.svg" >"$tmp/shown"
settled "$tmp/session.svg" >"$tmp/now"
diff -u "$tmp/shown" "$tmp/now" || fail "natpmp says something else now; "sh docs/session.sh" draws the picture anew"
exit "$failed"
