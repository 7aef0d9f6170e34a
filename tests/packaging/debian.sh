#!/bin/sh
# SPDX-License-Identifier: MIT
# debian.sh SOURCE VERSION [check] - builds the Debian packages from a release's tarball, asks lintian,
# then installs, uses and purges them in a copy of this system that ends with this test: an overlay in
# a mount namespace. With check the package's build runs its tests, too.
set -eu
source=${1:?the source tree} version=${2:?} check=${3-}
work=$(mktemp -d "${TMPDIR:-/tmp}/natpmpc-debian.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

fail() {
	echo "FAILED: $*" >&2
	exit 1
}
skip() {
	echo "skipped: $*"
	[ "${NATPMPC_NO_SKIP:-}" != 1 ] || exit 1
	exit 77
}
quietly() { # quietly COMMAND...: its output only if it fails
	"$@" >"$work/log" 2>&1 || { tail -n 200 "$work/log" >&2; fail "$*"; }
}
for tool in dpkg-buildpackage dh lintian; do
	command -v "$tool" >/dev/null || skip "needs $tool"
done
unshare --mount --net --pid --fork true 2>/dev/null || skip "needs root, for a copy of this system"

# --- build ---

# shellcheck source-path=SCRIPTDIR source=../install/files.sh
. "$source/tests/install/files.sh"
tree=$work/libnatpmpc-$version
mkdir "$tree"
(cd "$source" && files | tar -cf - -T -) | tar -xf - -C "$tree"
tar -C "$work" --exclude="${tree##*/}/debian" -cJf "$work/libnatpmpc_$version.orig.tar.xz" "${tree##*/}"
[ "$check" = check ] || export DEB_BUILD_OPTIONS=nocheck
jobs=$(nproc)
export DEB_BUILD_OPTIONS="${DEB_BUILD_OPTIONS-} parallel=$jobs"
unset CFLAGS CPPFLAGS LDFLAGS DESTDIR
(cd "$tree" && quietly dpkg-buildpackage -us -uc)
grep -q "^libnatpmpc ($version-" "$tree/debian/changelog" || fail "the version in debian/changelog is another"

# Nobody has asked Debian for this package, so there is no bug that its first upload would close.
lintian --allow-root --fail-on error,warning --suppress-tags initial-upload-closes-no-bugs \
	"$work"/*.changes || fail "lintian"

# --- hardened, as hardening=+all in debian/rules wants it: looked for in what came of it ---

mkdir "$work/unpacked"
for deb in "$work"/libnatpmpc0_*.deb "$work"/natpmp_*.deb; do dpkg-deb -x "$deb" "$work/unpacked"; done
is_so() { # is_so WHAT FILE COMMAND...: that prints a line that fits the pattern WHAT
	so_pattern=$1 so_file=$2
	shift 2
	"$@" "$so_file" | grep -q -E "$so_pattern" || fail "no $so_pattern in $* ${so_file##*/}"
}
for file in "$work/unpacked/usr/bin/natpmp" "$work"/unpacked/usr/lib/*/libnatpmpc.so."$version"; do
	is_so 'Type: +DYN' "$file" readelf -h       # loaded at an address that nobody knows
	is_so 'GNU_RELRO' "$file" readelf -lW       # what the loader has filled in cannot be changed,
	is_so 'FLAGS.* (BIND_)?NOW' "$file" readelf -dW # and that is all filled in at the start
	is_so 'GNU_STACK .* RW ' "$file" readelf -lW # no code on the stack
	is_so '__stack_chk_fail' "$file" readelf -W --dyn-syms
	is_so '__[a-z]+_chk@' "$file" readelf -W --dyn-syms # lengths that are known are looked at
done

# Everything is in one of the packages, and where it belongs.
for package in libnatpmpc0 libnatpmpc-dev natpmp; do
	dpkg-deb -c "$work/${package}_$version"-*.deb | awk '$1 !~ /^d/ { print $6 }' | sed 's/^\.//' |
		sed "s,/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH)/,/lib/MULTIARCH/," | sed "s/^/$package /"
done | grep -v /usr/share/doc/ | LC_ALL=C sort >"$work/contents"
LC_ALL=C sort >"$work/expected" <<LIST
libnatpmpc-dev /usr/include/natpmpc.h
libnatpmpc-dev /usr/lib/MULTIARCH/cmake/natpmpc/natpmpc-config-version.cmake
libnatpmpc-dev /usr/lib/MULTIARCH/cmake/natpmpc/natpmpc-config.cmake
libnatpmpc-dev /usr/lib/MULTIARCH/cmake/natpmpc/natpmpc-targets-none.cmake
libnatpmpc-dev /usr/lib/MULTIARCH/cmake/natpmpc/natpmpc-targets.cmake
libnatpmpc-dev /usr/lib/MULTIARCH/libnatpmpc.a
libnatpmpc-dev /usr/lib/MULTIARCH/libnatpmpc.so
libnatpmpc-dev /usr/lib/MULTIARCH/pkgconfig/natpmpc.pc
libnatpmpc0 /usr/lib/MULTIARCH/libnatpmpc.so.$version
libnatpmpc0 /usr/lib/MULTIARCH/libnatpmpc.so.0
natpmp /usr/bin/natpmp
natpmp /usr/lib/systemd/system/natpmp@.service
natpmp /usr/share/bash-completion/completions/natpmp
natpmp /usr/share/fish/vendor_completions.d/natpmp.fish
natpmp /usr/share/man/man1/natpmp.1.gz
natpmp /usr/share/zsh/vendor-completions/_natpmp
LIST
# The manual has a page for each function.
for page in natpmpc $(sed -n 's/^NATPMPC_API .*[ *]\(natpmp_[a-z_]*\)(.*/\1/p' "$source/include/natpmpc.h"); do
	grep -q "^libnatpmpc-dev /usr/share/man/man3/$page\.3\.gz\$" "$work/contents" || fail "no $page.3"
done
grep -v ' /usr/share/man/man3/' "$work/contents" | diff -u "$work/expected" - ||
	fail "files that should not be there (+), or are missing (-)"

# --- install, use, purge ---

SHOWN="$source $work" sh "$source/tests/packaging/copy.sh" sh "$source/tests/packaging/debian-use.sh" "$work"
