# SPDX-License-Identifier: MIT
# Completion of natpmp(1) for fish.

# The command and its arguments, once they are there.
function __fish_natpmp_command
    set -l words (commandline -opc) (commandline -ct)
    set -e words[1]
    argparse -s t/type= p/port=+ ttl= P/public= v/verbose version g/gateway= i/interface= \
        timeout= hold retry on-change= port-file= print= json q/quiet close close-all \
        address check vpn h/help -- $words 2>/dev/null
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

set -l c complete -c natpmp -n __fish_natpmp_no_command

complete -c natpmp -f -a '(__fish_natpmp_complete_command)'
$c -s t -l type -x -a 'tcp udp both' -d 'Type of the mapping'
$c -s p -l port -x -d 'Internal port, or INTERNAL:EXTERNAL/TYPE'
$c -l ttl -x -d 'Lifetime to ask for, in seconds'
$c -s P -l public -x -d 'External port to ask for'
$c -s v -l verbose -d 'Tell what goes on'
$c -l version -d 'Show the version'
$c -s g -l gateway -x -d 'Gateway to ask'
$c -s i -l interface -x -a '(__fish_print_interfaces)' -d 'Use the routes of this interface only'
$c -l timeout -x -d 'Seconds to wait for an answer'
$c -l hold -d 'Hold until a signal, then close'
$c -l retry -d 'Keep trying if it cannot be opened yet'
$c -l on-change -x -a '(__fish_complete_command)' -d 'Run when a mapping comes up or changes'
$c -l port-file -r -F -d 'Keep the external port in this file'
$c -l print -x -d 'Print this instead of the usual line'
$c -l json -d 'Print one JSON object a line'
$c -s q -l quiet -d 'Tell of errors only'
$c -l close -d 'Close what -p names'
$c -l close-all -d 'Close every mapping of this host'
$c -l address -d 'Show the external address'
$c -l check -d 'Find out why it does not work'
$c -l vpn -d 'A VPN provider\'s gateway, which picks the port'
$c -s '?' -l help -d 'Show the options'
