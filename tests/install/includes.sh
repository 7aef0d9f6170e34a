#!/bin/sh
# SPDX-License-Identifier: MIT
# includes.sh SOURCE - who may include what; and every file says under which licence it is.
#
#   cli -> natpmpc.h      api, scope, notify -> drive, link -> context -> core/client, os
#   core -> core, natpmpc.h; nothing of a system         os -> os, and the system
#   inside the core: client -> lease, registry -> external, grant -> gateway -> speech -> natpmp, pcp -> dialect
# shellcheck source-path=SCRIPTDIR source=files.sh
. "$(dirname "$0")/files.sh"
set -eu
cd "${1:?the source tree}"
wrong=0

# only WHY FILES ALLOWED: all that the files (a pattern) include is like that (grep -E), a name in
# its quotes or brackets.
only() {
	only_why=$1 only_files=$2 only_allowed=$3
	# shellcheck disable=SC2086 # a pattern, to be expanded
	set -- $only_files
	[ -f "$1" ] || { echo "no such files: $only_files"; wrong=1; return; }
	found=$(grep -H '^[[:space:]]*#[[:space:]]*include' "$@" |
		sed 's/:[[:space:]]*#[[:space:]]*include[[:space:]]*/ /' |
		grep -v -E "^[^ ]* ($only_allowed)" || :)
	if [ -n "$found" ]; then
		echo "$only_why, but:"
		echo "$found"
		wrong=1
	fi
}

pure='<(stdint|stdbool|stddef|string|assert|stdlib)\.h>|"core/[a-z]*\.h"|"natpmpc\.h"'
for file in lib/core/*.[ch]; do
	case $file in
	lib/core/address.c) only "core has no system" "$file" "$pure|<arpa/inet\.h>" ;;
	*) only "core has no system" "$file" "$pure" ;;
	esac
done
# core_only FILE INCLUDES: what each file of the core may know of the others.
core_only() {
	only "the core runs one way" "lib/core/$1.[ch]" "<[a-z]*(/[a-z]*)?\.h>|\"natpmpc\.h\"|\"core/($1|$2)\.h\""
}
basics='instant|list|heap|status|address|ip'
only "the core runs one way" lib/core/dialect.h '<[a-z]*\.h>|"natpmpc\.h"|"core/(instant|ip)\.h"'
core_only natpmp "$basics|dialect|bytes"
core_only pcp "$basics|dialect|bytes|siphash"
core_only speech "$basics|dialect|natpmp|pcp"
core_only gateway "$basics|dialect|speech"
core_only grant "$basics|gateway"
core_only external "$basics|gateway"
core_only registry "$basics|grant"
core_only lease "$basics|grant|external"
core_only settle "$basics|client"
core_only answers "$basics|client|settle"
core_only client "$basics|lease|registry|settle|answers"
only "os knows nothing of NAT-PMP" 'lib/os/*.[ch]' '<[a-z0-9_/]*\.h>|"os/[a-z]*\.h"|"core/ip\.h"'
only "lib is made of core and os" 'lib/*.[ch]' \
	'<[a-z0-9_/]*\.h>|"core/[a-z]*\.h"|"os/[a-z]*\.h"|"natpmpc\.h"|"(context|link|drive|notify)\.h"'
only "context is below link and drive" 'lib/context.h' \
	'<[a-z0-9_/]*\.h>|"core/client\.h"|"os/[a-z]*\.h"|"natpmpc\.h"'
only "the public header stands alone" 'include/natpmpc.h' '<(stddef|stdint)\.h>'
own=$(for file in cli/*.h; do basename "$file"; done | tr '\n' '|')
only "the command knows the public header only" 'cli/*.[ch]' "<[a-z0-9_/]*\.h>|\"(${own%|})\""
only "examples know the public header only" 'examples/*.[ch]' '<[a-z0-9_/]*\.h>|"gateway\.h"'
if grep -n -E 'NATPMP|natpmp' lib/os/*.[ch]; then
	echo "os knows nothing of NAT-PMP, but see above"
	wrong=1
fi

# --- the licence, in the first line, or the second after #! ---

unlicensed=$(files | grep -E '\.(c|h|sh|py|cmake|map|in|[1-8])$|CMakeLists\.txt$' | while read -r file; do
	head -n 2 "$file" | grep -q 'SPDX-License-Identifier: MIT' || echo "$file"
done)
if [ -n "$unlicensed" ]; then
	echo "no licence in the first line of:"
	echo "$unlicensed"
	wrong=1
fi
exit "$wrong"
