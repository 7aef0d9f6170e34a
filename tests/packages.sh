# shellcheck shell=sh disable=SC2034 # used by those who source this
# SPDX-License-Identifier: MIT
# What must be installed, as Debian packages. Sourced by tests/run.sh and examples/demo.sh.

BUILD_PACKAGES="gcc libc6-dev make cmake"
TEST_PACKAGES="g++ clang libclang-rt-dev check pkg-config valgrind strace procps util-linux
	iproute2 nftables miniupnpd-nftables socat curl jq python3
	libevent-dev libnatpmp-dev meson abigail-tools ruby
	dpkg-dev debhelper lintian makepkg pacman-package-manager libarchive-tools fakeroot
	musl-tools gcovr cppcheck clang-tidy mandoc zsh fish bash-completion shellcheck"

is_installed() { # PACKAGE
	dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed
}

# Install what is missing of these, or say what that is and fail.
need_packages() {
	missing=
	for package in "$@"; do
		is_installed "$package" || missing="$missing $package"
	done
	[ -n "$missing" ] || return 0
	if ! command -v apt-get >/dev/null; then
		echo "No apt-get here. Install what these Debian packages hold, then try again:$missing" >&2
		return 1
	fi
	sudo=
	if [ "$(id -u)" != 0 ]; then
		if ! sudo -n true 2>/dev/null && ! [ -t 0 ]; then
			echo "Missing, and no right to install: run as root" >&2
			echo "    apt-get install --no-install-recommends$missing" >&2
			return 1
		fi
		sudo="sudo"
	fi
	echo "Installing:$missing"
	log=$(mktemp)
	# shellcheck disable=SC2086 # a list of words
	if $sudo apt-get update -q >"$log" 2>&1 &&
		$sudo env DEBIAN_FRONTEND=noninteractive \
			apt-get install -y -q --no-install-recommends $missing >>"$log" 2>&1; then
		rm -f "$log"
		return 0
	fi
	cat "$log" >&2
	rm -f "$log"
	echo "Could not install:$missing" >&2
	return 1
}
