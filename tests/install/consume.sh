#!/bin/sh
# SPDX-License-Identifier: MIT
# consume.sh cmake|subdirectory|fetch|meson|libdir|dlopen|peer - a program of somebody else finds the
# library in one of these ways, is built with it and runs. Settings come from CMakeLists.txt.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
here=$SOURCE/tests/install
versions="$VERSION $VERSION $VERSION" # program.c: of the library, and twice of the header

says_versions() { # says_versions COMMAND...
	said=$("$@") || fail "$* does not run"
	equal "versions of the library and of the header in $*" "$said" "$versions"
}
installed() {
	prefix=$work/prefix
	quietly cmake --install "$BUILD" --prefix "$prefix"
	pc=$(find "$prefix" -name natpmpc.pc)
	libdir=${pc%/pkgconfig/natpmpc.pc}
}

# --- one function for each way ---

# find_package(), shared and static, in C and in a project that knows C++ only.
consume_cmake() {
	installed
	for project in c c++; do
		quietly cmake -S "$here/cmake-$project" -B "$work/$project" -DVERSION="$VERSION" \
			-DPROGRAM="$here/program.c" -DCMAKE_PREFIX_PATH="$prefix"
		quietly cmake --build "$work/$project"
		says_versions "$work/$project/shared"
		says_versions "$work/$project/static"
		readelf -d "$work/$project/shared" | grep -q 'NEEDED.*\[libnatpmpc\.so\.0\]' ||
			fail "natpmpc::natpmpc is not the shared library"
		! readelf -d "$work/$project/static" | grep -q 'NEEDED.*natpmpc' ||
			fail "natpmpc::natpmpc_static is the shared library"
	done
	# The package moves with its folder; a version to come is not this one.
	mv "$prefix" "$work/elsewhere"
	quietly cmake -S "$here/cmake-c" -B "$work/moved" -DVERSION="$VERSION" \
		-DPROGRAM="$here/program.c" -DCMAKE_PREFIX_PATH="$work/elsewhere"
	quietly cmake --build "$work/moved"
	says_versions "$work/moved/shared"
	if cmake -S "$here/cmake-c" -B "$work/later" -DVERSION=99 -DPROGRAM="$here/program.c" \
		-DCMAKE_PREFIX_PATH="$work/elsewhere" >"$work/log" 2>&1; then
		fail "version 99 was found"
	fi
	grep -q "version: $VERSION" "$work/log" || fail "the version that was found is not told"
}

# alone BUILD: in that build, whose project has warnings of its own as errors, there is nothing of ours
# but the libraries.
alone() {
	quietly cmake --build "$1"
	says_versions "$1/shared"
	says_versions "$1/static"
	ctest --test-dir "$1" -N >"$work/tests" 2>&1
	grep -q 'Total Tests: 0' "$work/tests" || fail "tests came along"
	find "$1" -type f -perm -u+x ! -path '*/CMakeFiles/*' ! -path '*-src/*' ! -name '*.so*' \
		-exec basename {} \; | LC_ALL=C sort >"$work/programs"
	printf '%s\n' shared static >"$work/expected"
	same "programs that came along (+)" "$work/expected" "$work/programs"
	! grep -q -e '-Wconversion' "$1/compile_commands.json" || fail "warnings came along"
	! grep -q -e 'CMAKE_BUILD_TYPE:STRING=.' "$1/CMakeCache.txt" || fail "a build type came along"
	DESTDIR=$work/nothing quietly cmake --install "$1"
	[ -z "$(find "$work/nothing" ! -type d 2>/dev/null)" ] || fail "something was installed"
}
consume_subdirectory() {
	quietly cmake -S "$here/cmake-subdirectory" -B "$work/build" -DNATPMPC="$SOURCE" \
		-DPROGRAM="$here/program.c" -DCMAKE_EXPORT_COMPILE_COMMANDS=ON
	alone "$work/build"
}
# From a tarball, as from a release.
consume_fetch() {
	# shellcheck source=files.sh
	. "$here/files.sh"
	(cd "$SOURCE" && files | tar -czf "$work/natpmpc.tar.gz" --transform "s,^,natpmpc-$VERSION/," -T -)
	quietly cmake -S "$here/cmake-fetch" -B "$work/build" -DNATPMPC="$work/natpmpc.tar.gz" \
		-DPROGRAM="$here/program.c" -DCMAKE_EXPORT_COMPILE_COMMANDS=ON
	alone "$work/build"
}

consume_meson() {
	command -v meson >/dev/null || skip "needs meson"
	installed
	mkdir "$work/project"
	cp "$here/program.c" "$here/meson/meson.build" "$here/meson/meson_options.txt" \
		"$work/project"
	export PKG_CONFIG_PATH="$libdir/pkgconfig"
	for kind in shared static; do
		quietly meson setup -Dkind=$kind -Dversion="$VERSION" "$work/$kind" "$work/project"
		quietly meson compile -C "$work/$kind"
	done
	LD_LIBRARY_PATH=$libdir says_versions "$work/shared/program"
	says_versions "$work/static/program"
}

# placed NAME LIBDIR SETTING...: with DESTDIR, the libraries come there, and are found there.
placed() {
	name=$1 expected=$2
	shift 2
	quietly cmake -S "$SOURCE" -B "$work/$name" -DNATPMPC_TESTS=OFF -DNATPMPC_EXAMPLES=OFF \
		-DNATPMPC_COMMAND=OFF "$@"
	quietly cmake --build "$work/$name"
	if grep -r -e -Werror --include=flags.make "$work/$name"; then
		fail "warnings are errors in a build that did not ask for it"
	fi
	root=$work/$name/root
	DESTDIR=$root quietly cmake --install "$work/$name"
	for file in libnatpmpc.a libnatpmpc.so pkgconfig/natpmpc.pc cmake/natpmpc/natpmpc-config.cmake; do
		[ -f "$root$expected/$file" ] || fail "$name: no $expected/$file"
	done
	export PKG_CONFIG_LIBDIR="$root$expected/pkgconfig"
	equal "$name: libdir in natpmpc.pc" "$(pkg-config --variable=libdir natpmpc)" "$expected"
	# shellcheck disable=SC2046 # lists of words
	"$CC" -o "$work/$name/program" "$here/program.c" $(PKG_CONFIG_SYSROOT_DIR=$root \
		PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 \
		pkg-config --cflags --libs natpmpc) || fail "$name: does not compile"
	LD_LIBRARY_PATH=$root$expected says_versions "$work/$name/program"
}
consume_libdir() {
	placed relative /opt/natpmpc/lib64 -DCMAKE_INSTALL_PREFIX=/opt/natpmpc -DCMAKE_INSTALL_LIBDIR=lib64
	placed absolute /else/where -DCMAKE_INSTALL_PREFIX=/opt/natpmpc \
		-DCMAKE_INSTALL_LIBDIR=/else/where -DCMAKE_INSTALL_INCLUDEDIR=/else/include
	multiarch=$("$CC" -print-multiarch)
	[ -z "$multiarch" ] || placed multiarch "/usr/lib/$multiarch" -DCMAKE_INSTALL_PREFIX=/usr \
		-DCMAKE_INSTALL_LIBDIR="lib/$multiarch"
}

# A plugin's life: loaded, used with a gateway, unloaded, again and again, and nothing stays.
consume_dlopen() {
	: "${GATEWAYD:?}"
	installed
	"$GATEWAYD" --listen "127.$(($$ / 250 % 250 + 1)).$(($$ % 250 + 1)).1" --no-relay \
		>"$work/listening" 2>&1 &
	started=$!
	tries=0
	until grep -q '^listening ' "$work/listening"; do
		tries=$((tries + 1))
		[ "$tries" -lt 200 ] || fail "no gateway"
		sleep 0.05
	done
	address=$(sed -n 's/^listening //p' "$work/listening")
	"$CC" -std=gnu11 -Wall -Wextra -Werror -I"$prefix/include" -o "$work/plugin" "$here/plugin.c" -ldl \
		-pthread || fail "plugin.c does not compile"
	"$work/plugin" "$libdir/libnatpmpc.so.0" "${address%:*}" "${address##*:}" || fail "plugin"
}

# libnatpmp, which is another library, in the same program.
consume_peer() {
	[ -f /usr/include/natpmp.h ] || skip "needs natpmp.h (libnatpmp-dev)"
	installed
	export PKG_CONFIG_PATH="$libdir/pkgconfig"
	equal "prefix in natpmpc.pc" "$(pkg-config --variable=prefix natpmpc)" "$prefix"
	cflags=$(pkg-config --cflags natpmpc)
	for order in LIBNATPMP LIBNATPMP_FIRST; do
		# shellcheck disable=SC2086,SC2046 # lists of words
		"$CC" -std=c11 -D"$order" $cflags -o "$work/shared" "$here/program.c" \
			$(pkg-config --libs natpmpc) -lnatpmp || fail "$order, shared"
		LD_LIBRARY_PATH=$libdir says_versions "$work/shared"
		# shellcheck disable=SC2086,SC2046 # lists of words
		"$CC" -std=c11 -D"$order" $cflags -o "$work/static" "$here/program.c" \
			-static $(pkg-config --static --libs natpmpc) -lnatpmp || fail "$order, static"
		says_versions "$work/static"
	done
	nm "$work/static" | grep -q ' initnatpmp$' || fail "libnatpmp is not in it"
}

case ${1:?which way} in
cmake | subdirectory | fetch | meson | libdir | dlopen | peer) "consume_$1" ;;
*) fail "no such way: $1" ;;
esac
echo "found, built with, run"
