#!/bin/sh
# SPDX-License-Identifier: MIT
# recipes.sh arch|alpine|openwrt|homebrew|container - follows that recipe of packaging/ as far as it can
# be followed on Debian, and uses what came of it. SOURCE, VERSION and GATEWAYD come from CMakeLists.txt.
set -eu
: "${SOURCE:?}" "${VERSION:?}" "${GATEWAYD:?}"
here=$SOURCE/tests/packaging
work=$(mktemp -d "${TMPDIR:-/tmp}/natpmpc-recipe.XXXXXX")
started='' # process ids to end
cleanup() {
	for pid in $started; do kill "$pid" 2>/dev/null || :; done
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM
unset CFLAGS CPPFLAGS LDFLAGS DESTDIR MAKEFLAGS MAKELEVEL

fail() {
	echo "FAILED: $*" >&2
	exit 1
}
skip() {
	echo "skipped: $*"
	[ "${NATPMPC_NO_SKIP:-}" != 1 ] || exit 1
	exit 77
}
need() { # need COMMAND...
	for tool in "$@"; do
		command -v "$tool" >/dev/null || skip "needs $tool"
	done
}
quietly() { # quietly COMMAND...: its output only if it fails
	"$@" >"$work/log" 2>&1 || { tail -n 60 "$work/log" >&2; fail "$*"; }
}
await() { # await COMMAND...: at most 10 s
	tries=0
	until "$@" >/dev/null 2>&1; do
		tries=$((tries + 1))
		[ "$tries" -lt 200 ] || fail "never came true: $*"
		sleep 0.05
	done
}
same_version() { # same_version RECIPE PATTERN-AROUND-IT
	grep -q "$2" "$SOURCE/packaging/$1" || fail "packaging/$1 is for another version than $VERSION"
}
# The release's tree in $work/natpmpc-VERSION.
unpack() {
	# shellcheck source-path=SCRIPTDIR source=../install/files.sh
	. "$SOURCE/tests/install/files.sh"
	mkdir "$work/natpmpc-$VERSION"
	(cd "$SOURCE" && files | tar -cf - -T -) | tar -xf - -C "$work/natpmpc-$VERSION"
}
# musl's compiler as $CC; Debian's knows no headers of the kernel.
use_musl() {
	need musl-gcc
	mkdir "$work/kernel"
	for part in linux asm-generic "$(gcc -print-multiarch)/asm"; do
		ln -s "/usr/include/$part" "$work/kernel/${part##*/}"
	done
	export CC=musl-gcc CFLAGS="-isystem $work/kernel"
}
# has ROOT FILE...: that is what there is, but for the manual, which may grow.
has() {
	root=$1
	shift
	printf '%s\n' "$@" | LC_ALL=C sort >"$work/expected"
	(cd "$root" && find . ! -type d ! -path '*/man/man3/*' | sed 's/^\.//') | LC_ALL=C sort |
		diff -u "$work/expected" - >&2 || fail "files that should not be there (+), or are missing (-)"
}
development="/usr/include/natpmpc.h /usr/lib/libnatpmpc.a /usr/lib/libnatpmpc.so
	/usr/lib/pkgconfig/natpmpc.pc /usr/lib/cmake/natpmpc/natpmpc-config.cmake
	/usr/lib/cmake/natpmpc/natpmpc-config-version.cmake
	/usr/lib/cmake/natpmpc/natpmpc-targets.cmake /usr/lib/cmake/natpmpc/natpmpc-targets-none.cmake"
library="/usr/lib/libnatpmpc.so.0 /usr/lib/libnatpmpc.so.$VERSION"
command="/usr/bin/natpmp /usr/share/man/man1/natpmp.1 /usr/share/doc/natpmpc/README.md
	/usr/share/bash-completion/completions/natpmp /usr/share/zsh/site-functions/_natpmp
	/usr/share/fish/vendor_completions.d/natpmp.fish"

# --- one function for each recipe ---

# With Debian's makepkg and pacman. Neither works for root.
recipe_arch() {
	need makepkg pacman bsdtar setpriv
	same_version arch/PKGBUILD "^pkgver=$VERSION\$"
	unpack
	mkdir "$work/recipe"
	tar -C "$work" -czf "$work/recipe/natpmpc-$VERSION.tar.gz" "natpmpc-$VERSION"
	cp "$SOURCE/packaging/arch/PKGBUILD" "$work/recipe"
	nobody=''
	if [ "$(id -u)" = 0 ]; then
		chown -R 65534:65534 "$work"
		nobody="setpriv --reuid=65534 --regid=65534 --clear-groups"
	fi
	# The packages it needs have other names here, and were installed before.
	# shellcheck disable=SC2086 # a list of words
	(cd "$work/recipe" && HOME=$work PKGEXT=.pkg.tar quietly $nobody makepkg --nodeps --nocheck)
	# shellcheck disable=SC2086
	[ "$(set -- "$work"/recipe/natpmpc-$VERSION-1-*.pkg.tar; echo $#)" = 1 ] || fail "which package?"
	mkdir -p "$work/root/var/lib/pacman"
	if [ "$(id -u)" = 0 ]; then
		quietly pacman --root "$work/root" --noconfirm -dd --noscriptlet -U "$work"/recipe/natpmpc-*.pkg.tar
		rm -rf "$work/root/var"
	else
		bsdtar -C "$work/root" -xf "$work"/recipe/natpmpc-*.pkg.tar --exclude '.*'
	fi
	gunzip -r "$work/root/usr/share/man" # makepkg has compressed it
	# shellcheck disable=SC2086 # lists of words
	has "$work/root" $development $library $command /usr/share/licenses/natpmpc/LICENSE \
		/usr/lib/systemd/system/natpmp@.service
	[ "$(LD_LIBRARY_PATH=$work/root/usr/lib "$work/root/usr/bin/natpmp" --version)" = "natpmp $VERSION" ] ||
		fail "natpmp --version"
}

# Its functions, as abuild calls them.
recipe_alpine() {
	use_musl
	same_version alpine/APKBUILD "^pkgver=$VERSION\$"
	unpack
	pkgdir=$work/root
	export pkgdir
	(
		cd "$work/natpmpc-$VERSION"
		# shellcheck disable=SC2317 # the recipe calls it
		want_check() { false; }
		# shellcheck disable=SC1091 # not a script of its own
		. "$SOURCE/packaging/alpine/APKBUILD"
		quietly build
		quietly package
	)
	# shellcheck disable=SC2086 # lists of words
	has "$pkgdir" $development $library $command /usr/share/doc/natpmpc/LICENSE
	loader=/lib/ld-musl-$(uname -m).so.1
	[ "$("$loader" --library-path "$pkgdir/usr/lib" "$pkgdir/usr/bin/natpmp" --version)" = \
		"natpmp $VERSION" ] || fail "natpmp --version"
}

# openwrt.mk is the little of OpenWrt's own rules that it takes to follow this.
recipe_openwrt() {
	use_musl
	same_version openwrt/natpmpc/Makefile "^PKG_VERSION:=$VERSION\$"
	mkdir "$work/top"
	for file in rules.mk package.mk cmake.mk; do cp "$here/openwrt.mk" "$work/top/$file"; done
	run_make() {
		quietly make --no-print-directory -f "$SOURCE/packaging/openwrt/natpmpc/Makefile" TOPDIR="$work/top" \
			INCLUDE_DIR="$work/top" SOURCE="$SOURCE" PKG_BUILD="$work/build" \
			PKG_INSTALL_DIR="$work/install" DESTINATION="$work/packages" "$1"
	}
	run_make compile
	run_make packages
	# shellcheck disable=SC2086 # a list of words
	has "$work/packages/libnatpmpc" $library
	has "$work/packages/natpmp" /usr/bin/natpmp
}

# homebrew.rb stands in for Homebrew's own classes.
recipe_homebrew() {
	need ruby
	same_version homebrew/natpmpc.rb "natpmpc-$VERSION\\.tar\\.gz"
	unpack
	mkdir "$work/test"
	(cd "$work/natpmpc-$VERSION" && quietly ruby "$here/homebrew.rb" \
		"$SOURCE/packaging/homebrew/natpmpc.rb" "$work/prefix" "$work/test")
}

# The image's build with Debian's musl; then the program as it is there, alone and nobody.
recipe_container() {
	need ruby chroot curl
	use_musl
	unshare --mount --net --pid --fork true 2>/dev/null || skip "needs root, for a root of its own"
	settings=$(sed -n 's/.*cmake -S [^ ]* -B [^ ]* \(.*\) \\$/\1/p; s/^\t\(-D.*\) && \\$/\1/p' \
		"$SOURCE/packaging/container/Containerfile")
	# shellcheck disable=SC2086 # a list of words
	quietly cmake -S "$SOURCE" -B "$work/build" $settings
	quietly cmake --build "$work/build" --target natpmp -j "$(nproc)"
	mkdir -p "$work/root/run/natpmp"
	strip -o "$work/root/natpmp" "$work/build/cli/natpmp"
	chmod 755 "$work" "$work/root"
	ruby -ryaml -rjson -e 'puts JSON.generate(YAML.safe_load(File.read(ARGV[0])))' \
		"$SOURCE/packaging/container/compose.yaml" >"$work/compose.json"
	# In a copy of this system, where nobody else has the ports or /run/natpmp.
	SHOWN="$SOURCE $work ${GATEWAYD%/*}" sh "$here/copy.sh" sh "$here/container-use.sh" "$work"
}

case ${1:?which recipe} in
arch | alpine | openwrt | homebrew | container) "recipe_$1" ;;
*) fail "no such recipe: $1" ;;
esac
echo "followed, and used"
