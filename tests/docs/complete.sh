#!/bin/sh
# SPDX-License-Identifier: MIT
# What a shell offers: complete.sh bash|zsh|fish
set -eu
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
. ./lib.sh
shell=$1
here=$PWD
need "$shell"
case $shell in
zsh) file=$top/cli/completions/_natpmp ;;
*) file=$top/cli/completions/natpmp.$shell ;;
esac

# Nothing of whoever runs this; a command and a file that only we know, and natpmp, which lists its
# options itself.
mkdir "$tmp/home" "$tmp/bin"
ln -s "$NATPMP" "$tmp/bin/natpmp"
printf '#!/bin/sh\n' >"$tmp/bin/nonesuch-server"
chmod +x "$tmp/bin/nonesuch-server"
: >"$tmp/home/nonesuch-file"
cd "$tmp/home"

offers() { # LINE
	env -u XDG_CONFIG_HOME -u XDG_DATA_HOME -u ZDOTDIR HOME="$tmp/home" PATH="$tmp/bin:$PATH" \
		"$shell" "$here/complete.$shell" "$file" "$1" | sed 's/^-\\?$/-?/; /^-$/d'
}
expect() { # LINE WORD...
	line=$1
	shift
	printf '%s\n' "$@" >"$tmp/want"
	offers "$line" | sed 's/^--[a-z-]*=\([a-z]\)/\1/' >"$tmp/offered"
	same "offered for '$line'" "$tmp/want" "$tmp/offered"
}

options_of_help >"$tmp/help"
offers 'natpmp -' >"$tmp/offered"
same "offered for 'natpmp -'" "$tmp/help" "$tmp/offered"
grep '^--' "$tmp/help" >"$tmp/long"
offers 'natpmp --' >"$tmp/offered"
same "offered for 'natpmp --'" "$tmp/long" "$tmp/offered"
expect 'natpmp -v --port 80 -g 10.2.0.1:5351 --pu' --public

expect 'natpmp -t ' tcp udp both
expect 'natpmp -p 8080:80/tcp --type=' tcp udp both
expect 'natpmp -vt u' udp
expect 'natpmp --dialect ' auto natpmp pcp
expect 'natpmp -6 --dialect=p' pcp
ls /sys/class/net >"$tmp/interfaces"
offers 'natpmp -i ' >"$tmp/offered"
same "offered for 'natpmp -i '" "$tmp/interfaces" "$tmp/offered"
expect 'natpmp --port-file nonesuch-' nonesuch-file
expect 'natpmp --on-change nonesuch-s' nonesuch-server

# From the command on it is the command's turn.
expect 'natpmp nonesuch-s' nonesuch-server
expect 'natpmp -p 80:8080 --json nonesuch-s' nonesuch-server
expect 'natpmp -q -- nonesuch-s' nonesuch-server
expect 'natpmp -p 80 cat nonesuch-' nonesuch-file
[ -z "$(offers 'natpmp -p 80 nonesuch-server --pu')" ] || fail "options offered after the command"
exit "$failed"
