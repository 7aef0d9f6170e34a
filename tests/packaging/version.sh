#!/bin/sh
# SPDX-License-Identifier: MIT
# version.sh SOURCE VERSION - a rule of the house: every place that names the version names the same.
set -eu
cd "${1:?the source tree}"
version=${2:?}
wrong=0

# names FILE PATTERN: which has the version in its group; every line that fits names this one.
names() {
	found=$(sed -n -E "s/$2/\\1/p" "$1" | sort -u)
	[ "$found" = "$version" ] || { echo "$1: '$found', not '$version'"; wrong=1; }
}
names CMakeLists.txt '^project\(natpmpc VERSION ([0-9.]+) .*'
names include/natpmpc.h '^#define NATPMPC_VERSION "(.*)"$'
names debian/changelog '^libnatpmpc \(([0-9.]+)-[0-9]+\) .*'
names packaging/alpine/APKBUILD '^pkgver=(.*)$'
names packaging/arch/PKGBUILD '^pkgver=(.*)$'
names packaging/openwrt/natpmpc/Makefile '^PKG_VERSION:=(.*)$'
names packaging/homebrew/natpmpc.rb '.*natpmpc-([0-9.]+)\.tar\.gz.*'
[ "$(sed -n -E 's/^## ([0-9.]+) .*/\1/p' CHANGELOG.md | head -n 1)" = "$version" ] ||
	{ echo "CHANGELOG.md does not begin with $version"; wrong=1; }
exit "$wrong"
