# shellcheck shell=sh
# SPDX-License-Identifier: MIT
# For the tests beside, to be sourced: the files of the source tree, from its top folder.

files() {
	if [ -e .git ]; then
		git ls-files --cached --others --exclude-standard
	else
		find . -name build -prune -o -type f -print
	fi | while read -r file; do
		[ ! -f "$file" ] || echo "$file" # git may know it still
	done
}
