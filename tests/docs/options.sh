#!/bin/sh
# SPDX-License-Identifier: MIT
# natpmp.1 has the options that natpmp has, no more and no less, and what --json can say.
set -eu
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
. ./lib.sh
page=$top/man/natpmp.1

# -x for each "Fl x" in the lines that match
options_of_page() { # PATTERN
	awk -v "pattern=$1" '$0 ~ pattern {
		for (i = 1; i < NF; i++) {
			if ($i == "Fl" || $i == ".Fl")
				print "-" $(i + 1)
		}
	}' "$page" | sed 's/\\&//'
}

options_of_help >"$tmp/help"
options_of_page '^[.]It' >"$tmp/items"
same "options that natpmp.1 explains" "$tmp/help" "$tmp/items"
options_of_page '^[.]' >"$tmp/mentioned"
same "options that natpmp.1 mentions" "$tmp/help" "$tmp/mentioned"

# Those that take a value are shown with one, the others without.
"$NATPMP" --list-options | awk -F '\t' '$3 != "-" { print "--" $2 }' >"$tmp/with-value"
sed -n '/^[.]It/s/.*Fl -\([a-z-]*\) Ar .*/--\1/p' "$page" >"$tmp/shown-with-value"
same "options with a value in natpmp.1" "$tmp/with-value" "$tmp/shown-with-value"

# "DIAGNOSTICS" lists each code, "JSON" each event and key.
words_of_page() { # SECTION
	sed -n "/^[.]Sh $1\$/,/^[.]Sh [^$(printf %.1s "$1")]/p" "$page" |
		grep -E '^[.](It|Ql)' | grep -oE '[a-z][a-z_]+'
}
words_of_page DIAGNOSTICS >"$tmp/diagnostics"
words_of_page JSON >"$tmp/json"
look_up() { # WHAT WORDS-OF-PAGE < WORDS
	while read -r word; do
		grep -qx "$word" "$2" || fail "$1 $word is not in natpmp.1"
	done
}
grep -oE 'STATUS_[A-Z_]+, "[a-z_]+"' "$top/cli/failure.c" | cut -d '"' -f 2 >"$tmp/codes"
[ -s "$tmp/codes" ] || fail "no codes in failure.c"
look_up code "$tmp/diagnostics" <"$tmp/codes"
grep -hoE '(json_[a-z]+|put_known)\(out, "[a-z_]+"' "$top"/cli/*.c | cut -d '"' -f 2 >"$tmp/keys"
[ -s "$tmp/keys" ] || fail "no keys in cli/"
look_up key "$tmp/json" <"$tmp/keys"
exit "$failed"
