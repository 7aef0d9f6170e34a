#!/bin/sh
# SPDX-License-Identifier: MIT
# The manual pages are well made; natpmpc.3 says of the library what the library is.
set -eu
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
. ./lib.sh
page=$top/man/natpmpc.3
header=$top/include/natpmpc.h
need mandoc

mandoc -T lint -W warning "$top/man/natpmp.1" "$page" || fail "mandoc has something to say"

# The examples, each a whole program.
awk -v "to=$tmp/example" '
	/^[.]Sh/ { examples = $2 == "EXAMPLES" }
	/^[.]Ed/ { within = 0 }
	within { print >file }
	/^[.]Bd/ && examples { within = 1; file = to (++count) ".c" }' "$page"
count=0
for example in "$tmp"/example*.c; do
	sed 's/\\e/\\/g; s/\\&//g' "$example" >"$tmp/program.c"
	# shellcheck disable=SC2086 # a command and its options
	$COMPILE -I "$top/include" "$tmp/program.c" "$LIBRARY" -o "$tmp/program" ||
		fail "example $((count + 1)) of natpmpc.3"
	count=$((count + 1))
done
[ "$count" -ge 3 ] || fail "only $count examples in natpmpc.3"

# The prototypes of the synopsis as C, beside those of the header.
awk -v 'quote="' '
	function declare(arguments) { print type " " name "(" arguments ");" }
	BEGIN { print "#include <natpmpc.h>" }
	/^[.]Sh/ { synopsis = $2 == "SYNOPSIS" }
	!synopsis { next }
	$1 == ".Ft" { type = substr($0, 5) }
	$1 == ".Fn" {
		name = $2
		list = substr($0, index($0, name) + length(name) + 1)
		gsub(quote " " quote, ", ", list)
		gsub(quote, "", list)
		declare(list)
	}
	$1 == ".Fo" { name = $2; list = "" }
	$1 == ".Fa" { gsub(/^[.]Fa "|"$/, ""); list = list (list == "" ? "" : ", ") $0 }
	$1 == ".Fc" { declare(list) }' "$page" >"$tmp/synopsis.c"
# shellcheck disable=SC2086 # a command and its options
$COMPILE -I "$top/include" -c "$tmp/synopsis.c" -o "$tmp/synopsis.o" ||
	fail "the synopsis of natpmpc.3 is not what natpmpc.h has"

grep -oE '^	natpmp_[a-z_]+' "$top/lib/natpmpc.map" | tr -d '\t' >"$tmp/functions"
grep -v '^typedef' "$tmp/synopsis.c" | sed -n 's/.*\(natpmp_[a-z_]*\)(.*/\1/p' >"$tmp/synopsis"
same "functions in the synopsis" "$tmp/functions" "$tmp/synopsis"
sed -n 's/^[.]Nm \(natpmp_[a-z_]*\).*/\1/p' "$page" >"$tmp/names"
same "functions in NAME" "$tmp/functions" "$tmp/names"
# More than in the synopsis: each is explained.
sed '/^[.]Sh SYNOPSIS/,/^[.]Sh DESCRIPTION/d' "$page" |
	sed -n 's/^[.]Fn \(natpmp_[a-z_]*\).*/\1/p' >"$tmp/explained"
same "functions in the text" "$tmp/functions" "$tmp/explained"

grep -oE '^	NATPMP_E_[A-Z_]+' "$header" | tr -d '\t' >"$tmp/codes"
sed -n 's/^[.]It Dv \(NATPMP_E_[A-Z_]*\).*/\1/p' "$page" >"$tmp/errors"
same "codes in ERRORS" "$tmp/codes" "$tmp/errors"
# A word that only looks like one of ours, in either page.
grep -hoE 'NATPMPC?_[A-Z_]+' "$page" | sort -u | while read -r word; do
	grep -qw "$word" "$header" || echo "$word"
done >"$tmp/unknown"
[ ! -s "$tmp/unknown" ] || fail "not in natpmpc.h: $(cat "$tmp/unknown")"
exit "$failed"
