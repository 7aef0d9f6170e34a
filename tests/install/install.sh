#!/bin/sh
# SPDX-License-Identifier: MIT
# install.sh - installs into an empty place, and is a stranger to the source tree from there on:
# finds the library by pkg-config, builds programs in C and C++, dynamic and static, looks at what
# is exported and at what else was put where. Settings come from CMakeLists.txt.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
: "${PREFIX:?}" "${BINDIR:?}" "${LIBDIR:?}" "${CONFIG:?}"
: "${INCLUDEDIR:?}" "${DOCDIR:?}" "${MANDIR:?}" "${DATADIR:?}"

root=$work/root
quietly env DESTDIR="$root" cmake --install "$BUILD"

# --- what was put where ---

functions=$(sed -n 's/^NATPMPC_API .*[ *]\(natpmp_[a-z_]*\)(.*/\1/p' "$SOURCE/include/natpmpc.h")
[ -n "$functions" ] || fail "no functions in natpmpc.h"
LC_ALL=C sort >"$work/expected" <<LIST
$BINDIR/natpmp
$INCLUDEDIR/natpmpc.h
$LIBDIR/libnatpmpc.a
$LIBDIR/libnatpmpc.so
$LIBDIR/libnatpmpc.so.0
$LIBDIR/libnatpmpc.so.$VERSION
$LIBDIR/cmake/natpmpc/natpmpc-config-version.cmake
$LIBDIR/cmake/natpmpc/natpmpc-config.cmake
$LIBDIR/cmake/natpmpc/natpmpc-targets-$CONFIG.cmake
$LIBDIR/cmake/natpmpc/natpmpc-targets.cmake
$LIBDIR/pkgconfig/natpmpc.pc
$DOCDIR/LICENSE
$DOCDIR/README.md
$MANDIR/man1/natpmp.1
$MANDIR/man3/natpmpc.3
$(for function in $functions; do echo "$MANDIR/man3/$function.3"; done)
$DATADIR/bash-completion/completions/natpmp
$DATADIR/zsh/site-functions/_natpmp
$DATADIR/fish/vendor_completions.d/natpmp.fish
$PREFIX/lib/systemd/system/natpmp@.service
LIST
(cd "$root" && find . ! -type d | sed 's/^\.//' | LC_ALL=C sort) >"$work/installed"
same "files that should not be there (+), or are missing (-)" "$work/expected" "$work/installed"
for function in $functions; do # in the page itself, or by way of a line that names the page
	page=$root$MANDIR/man3/$function.3
	other=$(sed -n '1s/^\.so //p' "$page")
	[ -z "$other" ] || page=$root$MANDIR/$other
	grep -q -x -E "\.Nm $function( ,)?" "$page" || fail "$function.3 leads to no page of $function()"
done
if grep -l -F -e "$BUILD" -e "$SOURCE" -r "$root$INCLUDEDIR" "$root$LIBDIR/pkgconfig" \
	"$root$LIBDIR/cmake" "$root$DATADIR"; then
	fail "the source or build tree is named in what was installed"
fi

# --- what names a path: where it is now, also if another prefix was configured ---

names_command() { # ROOT-OF-UNIT COMMAND
	grep -q "^ExecStart=$2 " "$1/lib/systemd/system/natpmp@.service" ||
		fail "natpmp@.service does not start $2: $(grep ^ExecStart= "$1"/lib/systemd/system/natpmp@.service)"
}
names_command "$root$PREFIX" "$BINDIR/natpmp"
quietly cmake --install "$BUILD" --prefix "$work/elsewhere"
names_command "$work/elsewhere" "$work/elsewhere${BINDIR#"$PREFIX"}/natpmp"
grep -qx "prefix=$work/elsewhere" "$work/elsewhere${LIBDIR#"$PREFIX"}/pkgconfig/natpmpc.pc" ||
	fail "natpmpc.pc names another prefix than it has"

# --- pkg-config ---

export PKG_CONFIG_LIBDIR="$root$LIBDIR/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$root"
export PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1
unset PKG_CONFIG_PATH
equal "natpmpc.pc, version" "$(pkg-config --modversion natpmpc)" "$VERSION"
cflags=$(pkg-config --cflags natpmpc)
libs=$(pkg-config --libs natpmpc)
static_libs=$(pkg-config --static --libs natpmpc)
case " $libs " in *" -lnatpmpc "*) ;; *) fail "no -lnatpmpc in: $libs" ;; esac
case " $libs " in *pthread*) fail "what only a static link needs is in: $libs" ;; *) ;; esac
case " $static_libs " in *pthread*) ;; *) fail "no threads for a static link: $static_libs" ;; esac

# --- programs ---

strict="-pedantic -Wall -Wextra -Werror"
if [ -n "${SANITIZE-}" ]; then strict="$strict -fsanitize=$SANITIZE"; fi
program=$SOURCE/tests/install/program.c
versions="$VERSION $VERSION $VERSION"

# build NAME COMPILER FLAGS... -- LIBRARIES...
build() {
	build_name=$1 build_compiler=$2 build_flags=''
	shift 2
	while [ "$1" != -- ]; do
		build_flags="$build_flags $1"
		shift
	done
	shift
	# shellcheck disable=SC2086 # lists of words
	"$build_compiler" $build_flags $strict $cflags -o "$work/$build_name" "$program" "$@" ||
		fail "$build_name does not compile"
}
runs() { # runs NAME
	said=$(LD_LIBRARY_PATH="$root$LIBDIR" "$work/$1") || fail "$1 does not run"
	equal "versions of the library and of the header in $1" "$said" "$versions"
}
has_shared() { # has_shared NAME
	readelf -d "$work/$1" | grep -q 'NEEDED.*\[libnatpmpc\.so\.0\]'
}

# all_ways LANGUAGE COMPILER FLAGS...
# shellcheck disable=SC2086 # lists of words
all_ways() {
	language=$1
	shift
	build "$language-dynamic" "$@" -- $libs
	runs "$language-dynamic"
	has_shared "$language-dynamic" || fail "$language-dynamic is not linked with the shared library"
	build "$language-static" "$@" -- -Wl,-Bstatic $static_libs -Wl,-Bdynamic
	runs "$language-static"
	if has_shared "$language-static"; then fail "$language-static needs the shared library"; fi
}
all_ways c "$CC" -std=c11
if [ -n "${CXX-}" ] && [ "${CXX%NOTFOUND}" = "$CXX" ]; then
	for standard in 11 17 20; do
		all_ways c++$standard "$CXX" -x c++ -std=c++$standard
	done
else
	echo "no C++ compiler: the header was not tried in C++"
fi
if [ -z "${SANITIZE-}" ]; then # nothing but the archive: is all it needs named?
	# shellcheck disable=SC2086 # a list of words
	build c-all-static "$CC" -std=c11 -static -- $static_libs
	runs c-all-static
fi

# The program that README.md shows.
awk '/^```/ { inside = /^```c$/ && !blocks++; next } inside' "$SOURCE/README.md" >"$work/readme.c"
grep -q natpmp_map "$work/readme.c" || fail "no program in README.md"
program=$work/readme.c
# shellcheck disable=SC2086 # a list of words
build readme "$CC" -std=c11 -- $libs

# --- the libraries themselves ---

library=$root$LIBDIR/libnatpmpc.so.$VERSION
readelf -d "$library" | grep -q 'SONAME.*\[libnatpmpc\.so\.0\]' || fail "SONAME"
equal "libnatpmpc.so.0" "$(readlink "$root$LIBDIR/libnatpmpc.so.0")" "libnatpmpc.so.$VERSION"
equal "libnatpmpc.so" "$(readlink "$root$LIBDIR/libnatpmpc.so")" libnatpmpc.so.0
if readelf -d "$library" "$root$BINDIR/natpmp" | grep -E 'RPATH|RUNPATH'; then
	fail "a path of the build tree is built in"
fi
sed -n '/global:/,/local:/s/^[[:space:]]*\([a-z_]*\);$/\1/p' "$SOURCE/lib/natpmpc.map" |
	LC_ALL=C sort >"$work/mapped"
nm -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' |
	LC_ALL=C sort >"$work/exported"
same "exported (+), in natpmpc.map (-)" "$work/mapped" "$work/exported"
if grep -v '^natpmp_' "$work/exported"; then fail "exported without our prefix"; fi
nm -g --defined-only "$root$LIBDIR/libnatpmpc.a" | awk 'NF == 3 && $3 !~ /^__x86\./ { print $3 }' |
	LC_ALL=C sort >"$work/archived"
same "to be seen in libnatpmpc.a (+), in natpmpc.map (-)" "$work/mapped" "$work/archived"
if nm -D --defined-only "$library" | grep ' natpmp_' | grep -v -E '@@NATPMPC_[0-9]+(\.[0-9]+)?$'; then
	fail "symbols without a version"
fi
sed -n 's/^NATPMPC_API .*[ *]\(natpmp_[a-z_]*\)(.*/\1/p' "$root$INCLUDEDIR/natpmpc.h" |
	LC_ALL=C sort >"$work/declared"
same "declared in natpmpc.h (+), in natpmpc.map (-)" "$work/mapped" "$work/declared"

# --- the command ---

said=$(LD_LIBRARY_PATH="$root$LIBDIR" "$root$BINDIR/natpmp" --version) || fail "natpmp --version"
case " $said " in *" $VERSION "*) ;; *) fail "natpmp --version says: $said" ;; esac
equal "version of the project in CMakeLists.txt" \
	"$(sed -n 's/^project(.*VERSION \([0-9.]*\).*/\1/p' "$SOURCE/CMakeLists.txt")" "$VERSION"
echo "installed, found, built with, run"
