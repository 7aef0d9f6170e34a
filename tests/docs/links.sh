#!/bin/sh
# SPDX-License-Identifier: MIT
# Every relative link in what is written for people leads to a file.
set -eu
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
. ./lib.sh
cd "$top"

links_of() { # FILE
	grep -oE '\]\([^) ]+|^\[[^]]+\]: *[^ ]+' "$1" | sed 's/^](//; s/^\[[^]]*\]: *//' || true
}

for file in *.md docs/*.md packaging/*.md bindings/*.md; do
	[ -e "$file" ] || continue
	links_of "$file" | while read -r link; do
		case $link in
		'#'* | [a-z]*:*) continue ;;
		esac
		[ -e "$(dirname "$file")/${link%%#*}" ] || echo "$file: $link"
	done
done >"$tmp/broken"
[ ! -s "$tmp/broken" ] || fail "links that lead nowhere: $(cat "$tmp/broken")"
exit "$failed"
