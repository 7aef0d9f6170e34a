# shellcheck shell=sh disable=SC2034 # used by those who source this
# SPDX-License-Identifier: MIT
# For the tests beside: sourced from their folder, with $tmp to write to, gone at the end.
top=$(cd ../.. && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
failed=0

fail() { # WHAT...
	echo "FAILED: $*"
	failed=1
}

# Programs that are needed, or else the test is skipped.
need() { # PROGRAM...
	for program in "$@"; do
		command -v "$program" >/dev/null && continue
		echo "$program is not installed"
		[ "${NATPMPC_NO_SKIP:-}" = 1 ] && exit 1
		exit 77
	done
}

# A word a line; files that hold the same.
same() { # WHAT EXPECTED FOUND
	sort -u "$2" >"$tmp/expected"
	sort -u "$3" >"$tmp/found"
	[ -s "$tmp/expected" ] || fail "$1: nothing to compare with"
	missing=$(comm -23 "$tmp/expected" "$tmp/found")
	surplus=$(comm -13 "$tmp/expected" "$tmp/found")
	[ -z "$missing" ] || fail "$1: missing:" "$missing"
	[ -z "$surplus" ] || fail "$1: too much:" "$surplus"
}

# The options in the left column of the help.
options_of_help() {
	"$NATPMP" --help | sed -n 's/^  *\(-.*\)/\1/p' | sed 's/   *.*//' |
		sed 's/[, ]/\n/g' | grep '^-'
}
