#!/bin/sh
# SPDX-License-Identifier: MIT
# The example of each page of the library's manual is a whole program: it compiles without a warning,
# and does against the loopback gateway what the page says of it.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
: "${COMPILE:?the compiler and its options}" "${LIBRARY:?the path of libnatpmpc.so}"
top=$(cd "$(dirname "$0")/../.." && pwd)

mkdir "$work/bin"
# The examples ask the address that is their argument, at NAT-PMP's own port; this address is nobody else's.
gateway --listen "$gateway_address:5351" --profile rfc

# build PAGE: its example, the only one, as $work/example.
build() {
	page=$top/man/$1.3
	awk '
		/^[.]Sh/ { examples = $2 == "EXAMPLES" }
		/^[.]Ed/ { within = 0 }
		within
		/^[.]Bd/ && examples { within = 1 }' "$page" | sed 's/\\e/\\/g; s/\\&//g' >"$work/example.c"
	expect test "$(grep -c '^int main(' "$work/example.c")" = 1
	# shellcheck disable=SC2086 # a command and its options
	$COMPILE -I "$top/include" "$work/example.c" "$LIBRARY" -Wl,-rpath,"${LIBRARY%/*}" \
		-o "$work/bin/example" || fail "the example of $1(3)"
	echo "$1" >>"$work/built"
}
# example PAGE ARGUMENT...: built and run, with an input that is at its end; it succeeds.
example() {
	step "$1"
	build "$1"
	shift
	status=0
	timeout -k 1 20 "$work/bin/example" "$@" >"$work/out" 2>"$work/err" </dev/null || status=$?
	expect_status 0
}
# lasting PAGE REGEXP: the same, but its input ends once there is a line like that.
lasting() {
	step "$1"
	build "$1"
	mkfifo "$work/input"
	: >"$work/out"
	timeout -k 1 20 "$work/bin/example" "$gateway_address" <"$work/input" >"$work/out" 2>"$work/err" &
	pid=$!
	started="$started $pid"
	exec 9>"$work/input"
	wait_for 10 has_line out "$2"
	[ -z "${3-}" ] || expect has_mapping "$3" "$4" "$4"
	exec 9>&-
	finish "$pid"
	expect_status 0
	rm "$work/input"
}

# The example of natpmpc(3) asks the default gateway, so it is built and not run.
step natpmpc
build natpmpc

example natpmp_new "$gateway_address"
expect_line out '11\.22\.33\.44'
expect_text err 'example: sent, 2 bytes: 00 00'

example natpmp_external_address "$gateway_address"
expect_line out '11\.22\.33\.44'
tell address 100.64.1.1
example natpmp_external_address "$gateway_address"
expect_line out '100\.64\.1\.1, not reachable from the internet'
tell address 11.22.33.44

example natpmp_map "$gateway_address"
expect_line out '11\.22\.33\.44:6881 is 127\.0\.0\.1:6881 for 600 s'
expect seen 1 'mapping \+ tcp 6881 -> 6881'
expect has_mappings 0

"$NATPMP" -q -g "$gateway_address" -p 6881
expect has_mappings 1
example natpmp_start_unmap "$gateway_address"
expect_line out 'closing 6881: success'
expect has_mappings 0

example natpmp_get_link "$gateway_address"
expect_line out "$gateway_address port 5351, through lo from 127\.0\.0\.1"

example natpmp_get_probe "$gateway_address"
expect_line out 'NAT-PMP: success'
expect_line out 'answered after [0-9]+ us'
tell set pcp too
example natpmp_get_probe "$gateway_address"
expect_line out 'it speaks PCP'
tell set pcp none

example natpmp_strerror -23 1000
expect_line out 'library ([0-9.]+), header \1'
expect_line out '-23: no default route, so no gateway to ask'
expect_line out '1000: unknown status'

lasting natpmp_hold 'up, 11\.22\.33\.44:6881' udp 6881
expect_line out '7[12][0-9][0-9] s were left'
expect has_mappings 0

lasting natpmp_fd 'mapping: success' tcp 6881
expect_line out 'read 0 bytes'
expect has_mappings 0

lasting natpmp_watch "gateway $gateway_address, external address 11\.22\.33\.44: success"

step natpmp_with_mapping
build natpmp_with_mapping
echo | timeout -k 1 20 "$work/bin/example" "$gateway_address" >"$work/out" || fail "it does not succeed"
expect_line out 'listen on ([0-9]+), others connect to 11\.22\.33\.44:[0-9]+'
expect_line out 'it is up'
expect has_mappings 0

step "that was every page"
(cd "$top/man" && ls ./*.3) | sed 's,^[.]/,,; s/[.]3$//' >"$work/pages"
sort -u "$work/built" | diff -u "$work/pages" - || fail "a page without a test, or a test without a page"
