# SPDX-License-Identifier: MIT
# Completion of natpmp(1) for fish. The options are those that natpmp lists.

# The command and its arguments, once they are there.
function __fish_natpmp_command
    set -l words (commandline -opc) (commandline -ct)
    set -e words[1]
    argparse -s $__fish_natpmp_options -- $words 2>/dev/null
    or return
    set -q argv[1]
    and not string match -q -- '-*' $argv[1]
    and string join0 -- $argv
end

function __fish_natpmp_no_command
    not __fish_natpmp_command >/dev/null
end

function __fish_natpmp_complete_command
    set -l words (__fish_natpmp_command | string split0)
    if set -q words[2]
        __fish_complete_subcommand --commandline $words
    else if set -q words[1]
        __fish_complete_command
    end
end

complete -c natpmp -f -a '(__fish_natpmp_complete_command)'

set -g __fish_natpmp_options
for line in (natpmp --list-options 2>/dev/null)
    set -l field (string split \t -- $line)
    set -l letter
    set -l value
    test $field[1] != -
    and set letter -s $field[1]
    switch $field[3]
        case -
        case type
            set value -x -a 'tcp udp both'
        case dialect
            set value -x -a 'auto natpmp pcp'
        case interface
            set value -x -a '(__fish_print_interfaces)'
        case file
            set value -r -F
        case command
            set value -x -a '(__fish_complete_command)'
        case '*'
            set value -x
    end
    complete -c natpmp -n __fish_natpmp_no_command $letter -l $field[2] $value -d $field[4]

    # As argparse has it: a letter of its own, or a name alone; =+ for a value, maybe several.
    set -l spec $field[2]
    string match -qr '^[A-Za-z]$' -- $field[1]
    and set spec $field[1]/$spec
    test $field[3] = -
    or set spec $spec=+
    set -a __fish_natpmp_options $spec
end
