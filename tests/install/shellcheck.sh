#!/bin/sh
# SPDX-License-Identifier: MIT
# A rule of the house: shellcheck finds nothing in any script of the source tree for sh or bash, that
# is one with such a name or such a first line.
# shellcheck source-path=SCRIPTDIR source=files.sh
. "$(dirname "$0")/files.sh"
set -eu
cd "${1:?the source tree}"
if ! command -v shellcheck >/dev/null; then
	echo "shellcheck is not installed"
	[ "${NATPMPC_NO_SKIP:-}" != 1 ] || exit 1
	exit 77
fi

scripts() {
	files | while read -r file; do
		case $file in
		*.sh | *.bash) echo "$file" ;;
		*) if head -n 1 "$file" | grep -q -E '^#!.*[/ ](ba|da|k)?sh( |$)'; then echo "$file"; fi ;;
		esac
	done
}
scripts | xargs -d '\n' shellcheck -x
