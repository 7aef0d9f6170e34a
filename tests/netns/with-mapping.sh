#!/bin/sh
# SPDX-License-Identifier: MIT
# natpmp_with_mapping(), as in examples/with_mapping.c: the mapping lives as long as the function
# runs, here for two and a half of its lifetimes, at a gateway that speaks NAT-PMP only.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

world
daemon gateway
speaks gateway natpmp
serve 4000 tcp

feed program
start program client "$WITH_MAPPING" 4000 14000 4 tcp
wait_for 5 "mapping" says program 'up 11.22.33.44:14000 192.168.77.2:4000 4'
expect "mapping at the gateway" 'tcp 14000 192.168.77.2:4000' "$(mappings gateway)"

watch 11.22.33.44 14000
before=$(asked gateway natpmp)
pass 10
requests=$(($(asked gateway natpmp) - before))
echo >&3
wait_for 2 "the mapping as it is now" says_times program 'up 11.22.33.44:14000' 2
unwatch
expect "outages" 0 "$outages"
# At half the lifetime: after 2, 4, 6, 8, and maybe 10 s.
case $requests in
4 | 5 | 6 | 7) ;; # a busy machine retransmits
*) fail "$requests renewals in 10 s" ;;
esac

began=$(ms)
exec 3>&-
ended program
took=$(($(ms) - began))
expect "exit status" 0 "$status"
nothing_left gateway
say "a mapping of 4 s, held for 10 s: $requests renewals, $connections connections, $outages outages;" \
	"$(counted gateway refused) refused requests of PCP; closed in $took ms"
