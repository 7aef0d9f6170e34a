#!/bin/sh
# SPDX-License-Identifier: MIT
# The manual pages are well made. natpmpc.3 leads to a page for each function; there is what the header
# has: prototypes, members, constants, and every error that the header's comment names.
set -eu
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
. ./lib.sh
man=$top/man
overview=$man/natpmpc.3
header=$top/include/natpmpc.h
need mandoc

mandoc -T lint -W warning "$man"/*.[13] || fail "mandoc has something to say"

names_of() { sed -n 's/^[.]Nm \(natpmp_[a-z_]*\).*/\1/p' "$1"; }
# section SH PAGE: its lines
section() { awk -v "wanted=.Sh $1" '/^[.]Sh/ { inside = $0 == wanted } inside' "$2"; }

# --- every function has one page, in the place where natpmpc.3 and the others look for it ---

sed -n 's/^NATPMPC_API .*[ *]\(natpmp_[a-z_]*\)(.*/\1/p' "$header" >"$tmp/functions"
for page in "$man"/natpmp_*.3; do names_of "$page"; done >"$tmp/named"
same "functions that have a page" "$tmp/functions" "$tmp/named"
[ -z "$(sort "$tmp/named" | uniq -d)" ] || fail "two pages: $(sort "$tmp/named" | uniq -d)"
sed -n '/^[.]Sh DESCRIPTION/,/^[.]Ss Threads/s/^[.]It Xr \(natpmp_.*\)/\1/p' "$overview" |
	grep -oE 'natpmp_[a-z_]+' >"$tmp/overview"
same "functions in natpmpc.3" "$tmp/functions" "$tmp/overview"
{
	cat "$tmp/functions"
	printf '%s\n' natpmp natpmpc
} | sort >"$tmp/manuals"
grep -hE '^[.](It )?Xr natpmp' "$man"/*.[13] | grep -oE 'natpmp[a-z_]*' | sort -u |
	comm -23 - "$tmp/manuals" >"$tmp/nowhere"
[ ! -s "$tmp/nowhere" ] || fail "no such manual: $(cat "$tmp/nowhere")"
(cd "$man" && ls) | grep '[.]3$' | sed 's/[.]3$//' >"$tmp/there"
sed -n '/^set(pages/,/)$/p' "$man/CMakeLists.txt" | grep -oE 'natpmp[a-z_]+' >"$tmp/installed"
same "pages that are installed" "$tmp/there" "$tmp/installed"

# --- what a page says of its functions ---

# The prototypes of the synopsis as C.
synopsis_of() { # PAGE
	awk -v 'quote="' '
		function declare(arguments) { print type (type ~ /[*]$/ ? "" : " ") name "(" arguments ");" }
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
		$1 == ".Fc" { declare(list) }' "$1"
}

# For each function the errors that its comment in the header names: "FUNCTION CODE".
awk '
	function add(f, code) { if (!((f, code) in has)) { has[f, code] = 1; print f, "NATPMP_E_" code } }
	function read_errors(f, text,    i, n, word, words, from, except, other) {
		sub(/.*([Ee]rrors?:|negative natpmp_status:)/, "", text)
		if (match(text, /as natpmp_[a-z_]+/)) {
			other = substr(text, RSTART + 3, RLENGTH - 3)
			for (i = 1; i <= codes; i++) if ((other, code[i]) in has) add(f, code[i])
		}
		sub(/[.] .*/, "", text)
		from = except = ""
		n = split(text, words, /[^A-Z_a-z]+/)
		for (i = 1; i <= n; i++) {
			word = words[i]
			if (word == "except") except = words[i + 1]
		}
		for (i = 1; i <= n; i++) {
			word = words[i]
			if (!(word in number) || word == except) continue
			add(f, word)
			from = words[i + 1] == "down" ? number[word] : 0
			if (from) add_range(f, from, codes, except)
			if (words[i + 1] == "to") add_range(f, number[word], number[words[i + 2]], except)
		}
	}
	function add_range(f, i, last, except) { for (; i <= last; i++) if (code[i] != except) add(f, code[i]) }
	/^\tNATPMP_E_[A-Z_]+ =/ { sub(/NATPMP_E_/, "", $1); code[++codes] = $1; number[$1] = codes }
	/^\/\*/ { comment = "" }
	/^\/\*/, /\*\// {
		line = $0
		gsub(/^ *\/?\* ?| *\*\/$/, "", line)
		comment = comment " " line
		if (/\*\//) {
			if (comment ~ /[Ee]rrors?: [A-Zae]|negative natpmp_status:/) errors = comment
			comment = ""
		}
	}
	/^NATPMPC_API/ {
		match($0, /natpmp_[a-z_]+\(/)
		f = substr($0, RSTART, RLENGTH - 1)
		if (errors != "") read_errors(f, errors)
		errors = ""
	}' "$header" >"$tmp/errors"
[ "$(cut -d ' ' -f 1 "$tmp/errors" | sort -u | wc -l)" -ge 16 ] || fail "the header's errors were not understood"

for page in "$man"/natpmp_*.3; do
	name=${page##*/}
	names_of "$page" >"$tmp/functions"
	[ "$(sed -n 's/^[.]Dt \(.*\) 3$/\1/p' "$page" | tr '[:upper:]' '[:lower:]').3" = "$name" ] ||
		fail "$name has another title"
	grep -qx "${name%.3}" "$tmp/functions" || fail "$name is not the page of a function"
	for part in SYNOPSIS DESCRIPTION 'RETURN VALUES' EXAMPLES ERRORS 'SEE ALSO'; do
		[ -n "$(section "$part" "$page")" ] || fail "$name has no $part"
	done
	[ -n "$(sed -n '/^[.]Ss Threads/p' "$page")" ] || fail "$name says nothing of threads"

	synopsis_of "$page" >"$tmp/synopsis.c"
	# shellcheck disable=SC2086 # a command and its options
	$COMPILE -I "$top/include" -c "$tmp/synopsis.c" -o "$tmp/synopsis.o" ||
		fail "the synopsis of $name is not what natpmpc.h has"
	grep -v '^typedef' "$tmp/synopsis.c" | sed -n 's/.*\(natpmp_[a-z_]*\)(.*/\1/p' >"$tmp/synopsis"
	same "functions in the synopsis of $name" "$tmp/functions" "$tmp/synopsis"
	section DESCRIPTION "$page" | grep -oE '^[.]Fn natpmp_[a-z_]+' | cut -d ' ' -f 2 >"$tmp/explained"
	same "functions that $name explains" "$tmp/functions" "$tmp/explained"

	# What no comment says: natpmp_free() tells why a mapping may still be open, and BUSY, and FORKED.
	{
		grep -wFf "$tmp/functions" "$tmp/errors" | cut -d ' ' -f 2 || true
		[ "$name" != natpmp_new.3 ] || printf '%s\n' NATPMP_E_BUSY NATPMP_E_FORKED
	} >"$tmp/expected-errors"
	section ERRORS "$page" | sed -n 's/^[.]\(It \)\{0,1\}Dv \(NATPMP_E_[A-Z_]*\).*/\2/p' >"$tmp/page-errors"
	if [ -s "$tmp/expected-errors" ] || [ -s "$tmp/page-errors" ]; then
		same "errors in $name" "$tmp/expected-errors" "$tmp/page-errors"
	fi
done

# --- all of the header is somewhere ---

# The members of the structs.
awk '
	/^typedef struct natpmp_[a-z]+ \{/ { inside = 1; next }
	/^}/ { inside = 0 }
	{ sub(/\/\*.*/, "") }
	/^[ \t]*\*/ { next }
	inside && match($0, /[a-z_]+(\[[A-Z_a-z0-9]*\])*;/) {
		member = substr($0, RSTART, RLENGTH)
		gsub(/\[.*|;/, "", member)
		print member
	}
	inside && /natpmp_log_fn \*log;/ { print "log" }' "$header" | sort -u >"$tmp/members"
cat "$man"/natpmp_*.3 | grep -v '^[.]It Fa \(lease\|arg\)$' | # those of a natpmp_body
	sed -n 's/^[.]It Fa //p' | sed 's/ , /\n/g' >"$tmp/member-items"
same "members of structs" "$tmp/members" "$tmp/member-items"

grep -oE '^	NATPMP_E_[A-Z_]+' "$header" | tr -d '\t' >"$tmp/codes"
sed -n 's/^[.]It Dv \(NATPMP_E_[A-Z_]*\).*/\1/p' "$overview" >"$tmp/listed"
same "codes in natpmpc.3" "$tmp/codes" "$tmp/listed"
# A word that only looks like one of ours.
cat "$man"/*.3 | grep -v '^[.]Dt' | grep -oE 'NATPMPC?_[A-Z_]+' | sort -u | while read -r word; do
	grep -qw "$word" "$header" || echo "$word"
done >"$tmp/unknown"
[ ! -s "$tmp/unknown" ] || fail "not in natpmpc.h: $(cat "$tmp/unknown")"
exit "$failed"
