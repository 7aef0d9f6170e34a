#!/bin/sh
# SPDX-License-Identifier: MIT
# What a wrong command line gets: exit status 2, and a line that repeats the
# wrong value and says what to do.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"

# wrong REPEATED ARGUMENT...
wrong() {
	repeated=$1
	shift
	status=0
	timeout 10 "$NATPMP" "$@" >"$work/out" 2>"$work/err" || status=$?
	expect_status 2
	expect_empty out
	expect_lines err 1
	expect_text err "natpmp: "
	expect_text err "$repeated"
}

step "wrong values are repeated"
wrong '-p 70000' -p 70000
expect_text err '-p 70000: a port is a number from 1 to 65535'
for port in 12x -1 +80; do
	wrong "-p $port: give INTERNAL[:EXTERNAL][/TYPE], where a port is a number from 1 to 65535, or 0" -p $port
done
for digits in 20 300; do
	port=$(printf "%0${digits}d" 0 | tr 0 9)
	wrong "-p $port: a port is a number from 1 to 65535" -p "$port"
done
wrong '-p 80:70000: an external port is' -p 80:70000
wrong '-p 80/sctp' -p 80/sctp
wrong '-p 80:x' -p 80:x
wrong '-P 65536: an external port is' -P 65536
wrong '-t sctp' -t sctp
wrong '-g 300.1.1.1' -g 300.1.1.1
wrong '-g 300.1.1.1' -g 300.1.1.1 true
wrong '-g 224.0.0.1' -g 224.0.0.1
wrong '-g ::1' -g ::1
wrong '-g 10.0.0.1:99999' -g 10.0.0.1:99999
for ttl in 1w 0h 49711d 1hh h 1.5h; do wrong "--ttl $ttl: a lifetime is 1 to 4294967295 seconds, or like 90m, 2h or 1d" --ttl $ttl; done
for seconds in -1 1e3 1,5 0 . 5. 1.2345 0.0001 4294968; do
	wrong "--timeout $seconds: give seconds from 0.001 to 4294967" --timeout "$seconds"
done
wrong 'a-name-that-no-interface-has-0123456789' -i a-name-that-no-interface-has-0123456789
wrong '-x' -x
wrong '-x' -vx
wrong '-x is no option' --json -xv
wrong '--prot: no such option' --prot 1
wrong '--port needs a value' --port
wrong '--p could be --port or --public or --port-file or --print: ' --p 1
wrong '--p=1 could be --port or --public or --port-file or --print: ' --p=1
wrong '--json=1: --json takes no value' --json=1
wrong '--verbose=1: --verbose takes no value' --verbose=1

for ports in 8080-8090 80: 8080,8081 8080,8081,8082,8083,8084,8085,8086; do
	wrong "-p $ports: give INTERNAL[:EXTERNAL][/TYPE]" -p "$ports"
	expect_text err 'for several ports give -p several times'
done

step "a value with a line end stays on its line"
line='a
b'
wrong '-p a\x0ab: ' -p "$line"
wrong '-g a\x0ab: ' -g "$line"
wrong "--port-file $work/a\\x0ab/c: " --hold --port-file "$work/$line/c"
status=0
"$NATPMP" -g 127.0.0.1 -i "$line" -p 1 >"$work/out" 2>"$work/err" || status=$?
expect_status 3
expect_lines err 1
expect_text err '(-i a\x0ab): '

step "a value that is empty"
for option in -p -P -t -g -i --ttl --timeout --on-change --port-file --print; do
	wrong "$option \"\" is empty" "$option" ''
	wrong "$option \" \" is empty" "$option" ' '
done

step "a command that is none"
wrong '"8080" is taken for a command; for a port give -p 8080' 8080
wrong '"80" is taken for a command; for a port give -p 80' --close 80
wrong 'for a port give -p 80' 80 443
wrong 'for a port give -p 8080:80' 8080:80
wrong 'for a port give -p 8080/tcp' 8080/tcp
wrong 'for a port give -p 8080:80/u' 8080:80/u
for command in '' ' ' '	
'; do
	wrong 'is empty: leave it out' -p 80 "$command"
	wrong 'is empty: leave it out' --close -p 80 "$command"
done

step "what does not go together"
wrong '-P 80: with --vpn' --vpn -P 80
wrong '-P 5' -P 5 -p 1 -p 2
wrong '"sleep"' --hold sleep 1
wrong '--hold' --on-change true -p 1
wrong '-q and -v' -q -v
wrong '--ttl 5 does not go with --close' --close -p 1 --ttl 5
wrong '-t udp does not go with --address' --address -t udp
wrong '-p 5 does not go with --check' --check -p 5
wrong '--retry does not go with --close-all' --close-all --retry
wrong '--vpn does not go with --close' --close -p 1 --vpn
wrong '-p 80:90: a mapping is closed by its internal port: give -p 80' --close -p 80:90
wrong 'not 0' --close -p 0
for option in '-P 2' '-g 2.2.2.2' '-i b' '--ttl 2' '--timeout 2' '--print b' '--on-change b'; do
	# shellcheck disable=SC2086 # an option and its value
	wrong "$option: that is a second ${option% *}: give one" ${option% *} 1 $option
done
wrong '/dev/null' --hold --port-file /dev/null
wrong '/tmp' --hold --port-file /tmp
wrong "--port-file $work/none/x: no such directory" --hold --port-file "$work/none/x"

step "help and version go to stdout"
for option in '-?' --help; do
	status=0
	"$NATPMP" "$option" >"$work/out" 2>"$work/err" || status=$?
	expect_status 0
	expect_empty err
	expect_text out 'usage: natpmp [options] [command]'
done
expect test "$(awk '{ if (length > most) most = length } END { print most }' "$work/out")" -le 79
"$NATPMP" --version >"$work/out"
expect_line out 'natpmp [0-9]+\.[0-9]+\.[0-9]+'

step "the gem's options are there, first and as the gem has them"
"$NATPMP" --help | sed -n 's/^  \( *-.*\)   *[^ ].*/\1/p' | sed 's/  *$//' >"$work/options"
head -7 "$work/options" >"$work/first"
cat >"$work/wanted" <<'END'
-t, --type TYPE
-p, --port PORT
    --ttl TIME
-P, --public PORT
-v, --verbose
    --version
-?, --help
END
expect cmp "$work/first" "$work/wanted"
