#!/bin/sh
# SPDX-License-Identifier: MIT
# trixie.sh - Debian's next release, with its compilers and its libc, in a root of its own below
# build/matrix/ that stays for the next time: gcc and clang as they come there. Called by matrix.sh.
set -eu
cd "$(dirname "$0")/../.."
. tests/packages.sh
root=$PWD/build/matrix/trixie
need_packages debootstrap
[ "$(id -u)" = 0 ] || { echo "trixie: needs root, for a root of its own" >&2; exit 1; }
mirror=$(sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/debian.sources | head -n 1)

if [ ! -e "$root.ready" ]; then
	rm -rf "$root"
	mkdir -p "$root"
	debootstrap --variant=minbase \
		--include=gcc,clang,libc6-dev,make,cmake,check,pkg-config,procps,socat,jq,python3,iproute2 \
		trixie "$root" "$mirror" >"$root.log" 2>&1 || { tail -n 20 "$root.log" >&2; exit 1; }
	: >"$root.ready"
fi

rm -rf "$root/natpmpc"
mkdir "$root/natpmpc"
tar --exclude=./build --exclude=./.git -cf - . | tar -xf - -C "$root/natpmpc"
cat >"$root/natpmpc.sh" <<'END'
set -eu
ip link set lo up
mount -t proc proc /proc
mount -t tmpfs tmpfs /dev/shm
cd /natpmpc
for compiler in gcc clang; do
	$compiler --version | head -n 1
	cmake -S . -B build/$compiler -DCMAKE_C_COMPILER=$compiler -DNATPMPC_WERROR=ON
	cmake --build build/$compiler -j "$(nproc)"
	ctest --test-dir build/$compiler --output-on-failure --no-tests=error -j $(($(nproc) * 4)) \
		-R '^(unit-|sim-found|gateway-model|api-|cli-unit|cli-map|cli-status|cli-command|cli-hold)'
	build/$compiler/tests/sim/sim --count 1000
done
END
began=$(date +%s)
if unshare --mount --net --pid --fork sh -c "mount --rbind /dev '$root/dev' && exec chroot '$root' sh /natpmpc.sh" \
	>"$root.log" 2>&1; then
	echo "trixie: $(grep -E -c 'Passed' "$root.log") tests passed with" \
		"$(grep -E '^(gcc|Debian clang)' "$root.log" | tr '\n' ' ')($(($(date +%s) - began)) s)"
else
	echo "trixie: FAILED, all of it is in $root.log; the end:" >&2
	tail -n 30 "$root.log" >&2
	exit 1
fi
