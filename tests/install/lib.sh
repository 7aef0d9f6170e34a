# shellcheck shell=sh
# SPDX-License-Identifier: MIT
# For the tests beside, to be sourced: an empty place, what is installed there, and what was expected.
set -eu
: "${SOURCE:?}" "${BUILD:?}" "${VERSION:?}" "${CC:?}"

work=$(mktemp -d "${TMPDIR:-/tmp}/natpmpc-install.XXXXXX")
started='' # process ids to end
cleanup() {
	for pid in $started; do kill "$pid" 2>/dev/null || :; done
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

fail() {
	echo "FAILED: $*" >&2
	exit 1
}
same() { # same WHAT FILE FILE
	diff -u "$2" "$3" >&2 || fail "$1"
}
equal() { # equal WHAT IS SHOULD
	[ "$2" = "$3" ] || fail "$1: '$2', not '$3'"
}
skip() {
	echo "skipped: $*"
	[ "${NATPMPC_NO_SKIP:-}" != 1 ] || exit 1
	exit 77
}
quietly() { # quietly COMMAND...: its output only if it fails
	"$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "$*"; }
}
# Compilers write into places of this test's own, whatever the environment says.
unset DESTDIR CMAKE_PREFIX_PATH PKG_CONFIG_PATH CFLAGS CXXFLAGS LDFLAGS
export CC
