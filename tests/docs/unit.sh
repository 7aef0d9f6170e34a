#!/bin/sh
# SPDX-License-Identifier: MIT
# natpmp@.service calls natpmp as it wants to be called, and systemd understands it.
set -eu
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
. ./lib.sh

sed "s,@NATPMPC_BINDIR@/natpmp,$NATPMP," "$top/cli/systemd/natpmp@.service.in" \
	>"$tmp/natpmp@6881-both.service"
options_of_help >"$tmp/help"
grep '^ExecStart=' "$tmp"/natpmp@*.service | grep -oE ' --?[a-z-]+' | tr -d ' ' >"$tmp/used"
[ -s "$tmp/used" ] || fail "no options in ExecStart="
while read -r option; do
	grep -qx -e "$option" "$tmp/help" || fail "$option is no option of natpmp"
done <"$tmp/used"

if command -v systemd-analyze >/dev/null; then
	# Only what it says of this unit; the others are not ours.
	systemd-analyze verify --man=no --recursive-errors=no "$tmp/natpmp@6881-both.service" \
		>"$tmp/verdict" 2>&1 || fail "systemd-analyze verify"
	grep 'natpmp@' "$tmp/verdict" && fail "systemd-analyze verify has something to say"
else
	echo "no systemd-analyze here: the unit was not verified"
fi
exit "$failed"
