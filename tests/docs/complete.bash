#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What bash offers at the end of a line, a candidate a line: complete.bash natpmp.bash 'natpmp --'
set -euo pipefail
set +u # those of bash-completion are not made for it
if [[ -r /usr/share/bash-completion/bash_completion ]]; then
	# shellcheck source=/dev/null
	. /usr/share/bash-completion/bash_completion
fi
# shellcheck source=/dev/null
. "$1"

# Words as readline makes them: "=" and ":" stand alone.
COMP_LINE=$2
COMP_POINT=${#COMP_LINE}
mapfile -t COMP_WORDS < <(grep -oE '[=:]|[^ =:]+' <<<"$COMP_LINE")
[[ $COMP_LINE != *' ' ]] || COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))

compopt() { :; } # it may be called only while one really completes
"$(complete -p natpmp | sed 's/.*-F \([^ ]*\).*/\1/')" natpmp \
	"${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}" || true
printf '%s\n' "${COMPREPLY[@]}" | sort -u | grep . || true
