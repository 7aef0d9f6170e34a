#!/bin/sh
# SPDX-License-Identifier: MIT
# The keys of a terminal, and a shell's job control, in bash and zsh: as without natpmp.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
gateway --profile rfc
jobs=$(cd "$(dirname "$0")" && pwd)/jobs.py
CONTROL=$work/control
export CONTROL
cd "$work"
for shell in bash zsh; do
	command -v $shell >/dev/null || skip "needs $shell"
	timeout -k 1 60 python3 "$jobs" $shell "$NATPMP" "$gateway" || fail "$shell"
done
