#!/usr/bin/env zsh
# SPDX-License-Identifier: MIT
# What zsh offers at the end of a line, a candidate a line: complete.zsh _natpmp 'natpmp --'
#
# Completion works only in a line editor, so there is one on a terminal of its own.
emulate -L zsh
zmodload zsh/zpty || exit 1
dir=$(mktemp -d) || exit 1
trap 'zpty -d line 2>/dev/null; rm -rf $dir' EXIT

cp $1 $dir/_natpmp
print -r -- '
	PS1=
	fpath=('$dir' $fpath)
	autoload -Uz compinit && compinit -D -u
	compadd() {
		local -a offered
		[[ ${(j: :)@[1,(i)(-|--)]} == *-[OAD]\ * ]] && { builtin compadd "$@"; return }
		builtin compadd -A offered "$@"
		print -rl -- $offered >>'$dir'/offered
		builtin compadd "$@"
	}
	offered-all() { print -r "that is"" all" }
	comppostfuncs=(offered-all)
	setopt no_beep
	zstyle ":completion:*" list-max 1
	bindkey "^I" list-choices
	zle -C list-choices .list-choices _main_complete
	print -r "can"" begin"
' >$dir/setup
zpty line TERM=dumb zsh -f -i
zpty -w line "source $dir/setup"
zpty -r line text '*can begin*' || exit 1
zpty -w -n line "$2"$'\t'
zpty -r line text '*that is all*' || exit 1
[[ ! -e $dir/offered ]] || sort -u $dir/offered | grep .
true
