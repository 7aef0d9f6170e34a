#!/usr/bin/env fish
# SPDX-License-Identifier: MIT
# What fish offers at the end of a line, a candidate a line: complete.fish natpmp.fish 'natpmp --'
complete -c natpmp -e
source $argv[1]
complete -C $argv[2] | string replace -r '\t.*' '' | sort -u
