#!/bin/sh
# SPDX-License-Identifier: MIT
# natpmp_with_mapping(), as in examples/with_mapping.c: the mapping lives as long as the function,
# which here is a server's life of several of its lifetimes.
. "$(dirname "$0")/lib.sh"

world
daemon gateway
serve 4000 tcp

feed program
start program client "$WITH_MAPPING" 4000 14000 4 tcp
wait_for 5 "mapping" says program 'up 11.22.33.44:14000 192.168.77.2:4000 4'
expect "mapping of the gateway" 'tcp 14000 192.168.77.2:4000' "$(mappings gateway)"

watch traffic 11.22.33.44 14000
sleep 10 # two lifetimes and a half
echo >&3
wait_for 2 "the mapping as it is now" says_times program 'up 11.22.33.44:14000' 2
expect "outages in 10 s of a 4 s mapping" '0 0' "$(outages traffic)"

began=$(ms)
exec 3>&-
ended program
took=$(($(ms) - began))
expect "exit status" 0 "$status"
expect "rules left over" 0 "$(rules gateway)"
say "held a 4 s mapping for 10 s: no outage in $(wc -l <"$work/traffic.probes") connections;" \
	"closed in $took ms"
