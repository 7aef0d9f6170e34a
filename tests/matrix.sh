#!/bin/sh
# SPDX-License-Identifier: MIT
# matrix.sh [ROW...] - build with other compilers, C libraries, machines and settings, and run the tests
# there: those of the pure core, those over loopback sockets, some simulated weeks, the command.
#
#   sh tests/matrix.sh              all rows that Debian's packages give
#   sh tests/matrix.sh quick        a few of them, with fewer tests: what tests/run.sh has
#   sh tests/matrix.sh musl s390x   these
#   sh tests/matrix.sh trixie       not in "all": Debian's next release, in a root of its own (400 MB, root)
#   sh tests/matrix.sh list         their names
#
# Installs what is missing, as tests/run.sh does. Builds are in build/matrix/; a log beside each.
set -eu
cd "$(dirname "$0")/.."
. tests/packages.sh

quick="c23 musl-static i386-time64 s390x"
all="gcc-11 gcc-12 clang-13 clang-14 clang-16 clang-19
	O0 O1 O2 O3 Os lto lto-clang short-enums hardened c11 c17 c23
	musl musl-static i386 i386-time64 arm64 s390x"

base=$PWD/build/matrix
jobs=$(nproc)

# --- one row each: packages, compiler, settings of CMake ---

# row NAME: sets these. $emulator runs what is built, if this machine does not; $libcheck: there is none
# for that compiler, so it is built; $unable: tests it cannot do; $weeks: simulated ones.
row() {
	packages=gcc compiler=gcc flags='' settings='' emulator='' libcheck='' unable='^$' weeks=1000
	case $1 in
	gcc-* | clang-*) packages=$1 compiler=$1 ;;
	O?) settings=-DCMAKE_BUILD_TYPE=None flags="-$1" ;;
	# As rolling distributions do. (The library's objects are without it: objcopy needs machine code.)
	lto) flags=-flto=auto ;;
	lto-clang)
		packages="clang-19 lld-19 llvm-19" compiler=clang-19 flags=-flto
		settings="-DCMAKE_EXE_LINKER_FLAGS=-fuse-ld=lld -DCMAKE_SHARED_LINKER_FLAGS=-fuse-ld=lld
			-DCMAKE_AR=/usr/bin/llvm-ar-19 -DCMAKE_RANLIB=/usr/bin/llvm-ranlib-19"
		;;
	short-enums) flags=-fshort-enums ;; # ARM's bare ABI does so: nothing may count on the size of an enum
	hardened) # as distributions do, and a little more
		flags="-O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection"
		flags="$flags -fcf-protection -ftrivial-auto-var-init=pattern -Wformat -Wformat-security"
		settings="-DCMAKE_BUILD_TYPE=None -DCMAKE_POSITION_INDEPENDENT_CODE=ON"
		;;
	c11) settings=-DCMAKE_C_STANDARD=11 ;;
	c17) settings=-DCMAKE_C_STANDARD=17 ;;
	c23) packages=clang-19 compiler=clang-19 settings=-DCMAKE_C_STANDARD=23 ;;
	musl) musl ;;
	musl-static) musl && settings="-DNATPMPC_COMMAND_LINK=static -DCMAKE_BUILD_TYPE=MinSizeRel" ;;
	i386) i386 ;;
	i386-time64) i386 && flags="$flags -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64" ;;
	arm64) foreign aarch64 arm64 ;;
	s390x) foreign s390x s390x ;; # big-endian
	*) echo "no such row: $1 (try: sh tests/matrix.sh list)" >&2; exit 2 ;;
	esac
}
# musl-gcc knows no headers of the kernel, so these are linked where it looks.
musl() {
	packages="musl-tools linux-libc-dev" compiler=musl-gcc libcheck=musl
	flags="-isystem $base/kernel"
	mkdir -p "$base/kernel"
	for part in linux asm-generic "$(gcc -print-multiarch)/asm"; do
		ln -sfn "/usr/include/$part" "$base/kernel/${part##*/}"
	done
}
# Debian's cross compiler and libraries: this machine runs that by itself.
i386() {
	packages="gcc-i686-linux-gnu libc6-dev-i386-cross" libcheck=i686
	unable='^(api-confined|api-route6)$' # its filter would have to look behind the pointer of socketcall(2)
	compiler=i686-linux-gnu-gcc
	libc=/usr/i686-linux-gnu/lib
	settings="-DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=i686
		-DCMAKE_EXE_LINKER_FLAGS=-Wl,--dynamic-linker=$libc/ld-linux.so.2,-rpath,$libc"
}
foreign() { # PROCESSOR DEBIAN-ARCHITECTURE
	packages="gcc-$1-linux-gnu libc6-dev-$2-cross qemu-user" libcheck=$1
	compiler=$1-linux-gnu-gcc weeks=100
	emulator="qemu-$1 -L /usr/$1-linux-gnu"
	# It knows no IP_MULTICAST_IF, filters no system calls, and gives a command descriptors and signals
	# of its own.
	unable='^(api-announce|api-confined|cli-status|cli-command|cli-hold)$'
	settings="-DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=$1
		-DCMAKE_CROSSCOMPILING_EMULATOR=$(echo "$emulator" | tr ' ' ';')"
}

# --- libcheck for a compiler, from Debian's source package ---

check_source() {
	[ ! -d "$base/check/source" ] || return 0
	mkdir -p "$base/check/lists/partial" "$base/check/cache/archives/partial"
	# The machine's own list of packages stays as it is.
	list=/etc/apt/sources.list.d/debian.sources
	[ -f "$list" ] || list=/etc/apt/sources.list
	sed 's/^Types:.*/Types: deb-src/; s/^deb /deb-src /' "$list" >"$base/check/${list##*/}"
	(
		cd "$base/check"
		set -- -q -o APT::Sandbox::User=root -o Dir::State::Lists="$PWD/lists" \
			-o Dir::Cache="$PWD/cache" -o Dir::Etc::sourceparts=- \
			-o Dir::Etc::sourcelist="$PWD/${list##*/}"
		apt-get "$@" update
		apt-get "$@" source --download-only check
		dpkg-source --no-check -x check_*.dsc source
	)
}
check_build() { # NAME: $base/check/NAME is its prefix, with a check.pc
	[ ! -f "$base/check/$1/check.pc" ] || return 0
	check_source
	# shellcheck disable=SC2086 # lists of words
	cmake -S "$base/check/source" -B "$base/check/$1-build" -DCMAKE_C_COMPILER="$compiler" \
		-DCMAKE_BUILD_TYPE=Release -DHAVE_SUBUNIT=OFF -DCHECK_ENABLE_TESTS=OFF \
		-DCMAKE_INSTALL_PREFIX="$base/check/$1" -DCMAKE_SYSTEM_NAME=Linux
	cmake --build "$base/check/$1-build" -j "$jobs"
	cmake --install "$base/check/$1-build"
	rm -f "$base/check/$1/lib/"libcheck.so* # so that the archive is taken
	cat >"$base/check/$1/check.pc" <<PC
Name: check
Description: libcheck for $compiler
Version: 0.15
Libs: -L$base/check/$1/lib -lcheck -pthread -lm -lrt
Cflags: -I$base/check/$1/include
PC
}

# --- building and running ---

build() { # NAME
	if [ -n "$libcheck" ]; then
		check_build "$libcheck"
		export PKG_CONFIG_LIBDIR="$base/check/$libcheck"
	fi
	# shellcheck disable=SC2086 # lists of words
	cmake -S . -B "$base/$1" -DCMAKE_C_COMPILER="$compiler" -DCMAKE_C_FLAGS="$flags" \
		-DNATPMPC_WERROR=ON $settings
	cmake --build "$base/$1" -j "$jobs"
}
# Programs that the tests of the command start themselves get the emulator in front.
put_emulator() { # PROGRAM
	[ -n "$emulator" ] || return 0
	mv "$1" "$1.foreign"
	printf '#!/bin/sh\nexec %s %s "$@"\n' "$emulator" "$1.foreign" >"$1"
	chmod +x "$1"
}
is_static() { # PROGRAM
	! readelf -l "$1" | grep -q INTERP
}
# i386 code shares some small functions with the rest of a program.
shows_only_ours() { # ARCHIVE
	shown=$(nm -g --defined-only "$1" | awk 'NF == 3 && $3 !~ /^(natpmp_|__x86\.)/ { print $3 }')
	[ -z "$shown" ] || { echo "$1 shows: $shown"; return 1; }
	nm -g --defined-only "$1" | grep -q ' natpmp_map$'
}
build_and_test() { # NAME
	build "$1"
	shows_only_ours "$base/$1/lib/libnatpmpc.a"
	[ "$1" != musl-static ] || is_static "$base/$1/cli/natpmp"
	put_emulator "$base/$1/cli/natpmp"
	put_emulator "$base/$1/tests/gateway/gatewayd"
	[ -z "$emulator" ] || export CK_TIMEOUT_MULTIPLIER=10 # libcheck gives a test 4 s
	# Most of these wait, and not for a processor.
	ctest --test-dir "$base/$1" --output-on-failure --no-tests=error -j $((jobs * 4)) \
		-R "$tests" -E "$unable"
	$emulator "$base/$1/tests/sim/sim" --count "$weeks"
}

# This script calls itself for a row, for a shell that looks at what a function came to would not
# stop in it at the first failure.
if [ "${1-}" = --row ]; then
	tests=$3
	row "$2"
	build_and_test "$2"
	exit
fi

one() { # NAME
	row "$1"
	# shellcheck disable=SC2086 # a list of words
	need_packages $BUILD_PACKAGES check pkg-config dpkg-dev $packages
	mkdir -p "$base"
	rm -rf "${base:?}/$1"
	began=$(date +%s)
	if sh tests/matrix.sh --row "$1" "$selected" >"$base/$1.log" 2>&1; then
		passed=$(sed -n 's/.*tests passed, 0 tests failed out of //p' "$base/$1.log")
		echo "$1: ${passed:?} tests and $weeks simulated weeks passed ($(($(date +%s) - began)) s)"
		rm -rf "${base:?}/$1" # 30 MB each
	else
		echo "$1: FAILED, all of it is in $base/$1.log; the end:" >&2
		tail -n 30 "$base/$1.log" >&2
		failed="$failed $1"
	fi
}

selected='^(unit-|sim-found|gateway-(model|pcp)|api-|cli-unit|cli-map|cli-status|cli-command|cli-hold)'
failed=
[ $# -gt 0 ] || set -- all
for name in "$@"; do
	case $name in
	list) echo "$all trixie" | tr -s ' \t' '\n'; exit ;;
	all) for each in $all; do one "$each"; done ;;
	quick)
		selected='^(unit-|sim-found|gateway-(model|pcp)|api-(arguments|descriptors|memory)|cli-unit|cli-map)'
		for each in $quick; do one "$each"; done
		;;
	trixie) sh tests/matrix/trixie.sh || failed="$failed trixie" ;;
	*) one "$name" ;;
	esac
done
[ -z "$failed" ] || { echo "FAILED:$failed" >&2; exit 1; }
