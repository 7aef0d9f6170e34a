#!/bin/sh
# SPDX-License-Identifier: MIT
# debian-use.sh FOLDER - in a copy of a system (copy.sh): installs the packages of that folder, runs
# their own test, then purges them, and nothing of them is left.
set -eu
folder=${1:?}
fail() {
	echo "FAILED: $*" >&2
	exit 1
}
dpkg -i "$folder"/libnatpmpc0_*.deb "$folder"/libnatpmpc-dev_*.deb "$folder"/natpmp_*.deb >/tmp/log 2>&1 ||
	{ cat /tmp/log; fail "dpkg -i"; }
cp -r "$folder"/libnatpmpc-*/debian/tests /tmp/tests
/tmp/tests/build-and-run || fail "debian/tests/build-and-run"
case $(readelf -d /usr/bin/natpmp) in *'[libnatpmpc.so.0]'*) ;; *) fail "natpmp has the library built in" ;; esac

# A second time is an upgrade; a library that is needed is not let go.
dpkg -i "$folder"/libnatpmpc0_*.deb >/tmp/log 2>&1 || fail "dpkg -i once more"
if dpkg --purge libnatpmpc0 >/tmp/log 2>&1; then fail "libnatpmpc0 went, and natpmp needs it"; fi

dpkg --purge natpmp libnatpmpc-dev libnatpmpc0 >/tmp/log 2>&1 || { cat /tmp/log; fail "dpkg --purge"; }
! dpkg -s libnatpmpc0 natpmp libnatpmpc-dev 2>/dev/null | grep '^Status:' || fail "dpkg still knows them"
# dpkg's and the linker's own books are theirs. What was there before and is gone is no file in there.
left=$(find /mnt -type f ! -path "/mnt/tmp/*" ! -path '/mnt/var/lib/dpkg/*' ! -path '/mnt/var/cache/*' \
	! -path '/mnt/var/log/*' ! -path /mnt/etc/ld.so.cache)
[ -z "$left" ] || fail "left behind: $left"
if ldconfig -p | grep natpmpc; then fail "the linker still knows it"; fi
echo "installed, used, purged"
