#!/bin/sh
# SPDX-License-Identifier: MIT
# --port-file: there from the first yes to the end, whole at any moment, kept
# through an outage; what cannot be written is said once and does not end the hold.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
gateway --profile rfc
file=$work/port
says() { [ "$(cat "$file" 2>/dev/null)" = "$1" ]; }

step "there before the command runs, gone after"
run -p 1660 -P 1760 --port-file "$file" "cat '$file'; stat -c %a '$file'"
expect_status 0
expect_line out 1760
expect_line out "$(printf '%o' $((0666 & ~$(umask))))"
expect_not test -e "$file"

step "follows a change, never half written, kept through an outage"
start hold -p 1661 --ttl 2 --hold --port-file "$file"
wait_for 5 says 1661
(
	while :; do
		read -r port <"$file" || exit 1
		case $port in 1661 | 1761) ;; *) exit 1 ;; esac
		[ ! -e "$work/enough" ] || exit 0
	done
) &
reader=$!
started="$started $reader"
tell port 1761
wait_for 5 says 1761
tell result 2 tcp
wait_for 8 has_text hold.err 'is down'
expect says 1761
: >"$work/enough"
expect wait "$reader"
tell result off
tell port 1762
tell restart
tell announce
wait_for 12 says 1762
kill -s TERM "$pid"
finish "$pid"
expect_not test -e "$file"
expect_lines hold.err 2
tell port off

step "no file of ours is left in its folder"
expect test -z "$(find "$work" -name 'port.*')"

step "several mappings: a line each, when all are up"
start several -p 1670/udp -p 1671:1771 --hold --port-file "$file"
wait_for 5 says "1670
1771"
kill -s TERM "$pid"
finish "$pid"

step "never there when the mapping is never open"
tell result 2 tcp
run -p 1672 --hold --port-file "$file"
expect_status 6
expect_not test -e "$file"
tell result off

step "ended by SIGKILL: the file is gone all the same"
start killed -p 1675 --hold --port-file "$file"
wait_for 5 says 1675
kill -s KILL "$pid"
finish "$pid"
wait_for 5 test ! -e "$file"

step "one that was left behind is gone before a mapping is open"
echo 1675 >"$file"
requests=$(grep -c 'drop request' "$work/log" || :)
tell drop 100000
start next -p 1676 --hold --retry --port-file "$file"
wait_for 5 seen $((requests + 1)) 'drop request'
expect_not test -e "$file"
tell reset
wait_for 10 says 1676
kill -s TERM "$pid"
finish "$pid"
expect_empty next.err

step "a command line with a mistake in it removes nothing"
echo 1677 >"$file"
status=0
"$NATPMP" -g 300.0.0.1 --hold --port-file "$file" 2>"$work/err" || status=$?
expect_status 2
expect says 1677
rm "$file"

step "a path that goes away: said once, held all the same, tried again"
mkdir "$work/not-there"
start missing -p 1673 --ttl 2 --hold --port-file "$work/not-there/port"
wait_for 5 grep -qx 1673 "$work/not-there/port"
rm -r "$work/not-there"
tell port 1773
wait_for 5 has_text missing.err "$work/not-there/port: No such file or directory"
wait_for 5 seen 4 'request map tcp internal 1673'
expect_lines missing.err 1
mkdir "$work/not-there"
wait_for 5 grep -qx 1773 "$work/not-there/port"
kill -s TERM "$pid"
finish "$pid"
expect_status 0
expect_not test -e "$work/not-there/port"
tell port off

# refuses REASON PATH: before anything is opened.
refuses() {
	requests=$(grep -c request "$work/log" || :)
	run -p 1678 --hold --port-file "$2"
	expect_status 2
	expect_lines err 1
	expect_text err "--port-file $2: $1"
	expect test "$(grep -c request "$work/log" || :)" = "$requests"
}

step "a file that is something else is left alone"
printf 'a letter\n' >"$work/letter"
refuses 'it holds something else than ports' "$work/letter"
expect grep -qx 'a letter' "$work/letter"
ln -s "$work/letter" "$work/link"
refuses 'it holds something else than ports' "$work/link"
printf '1\0' >"$work/letter"
refuses 'it holds something else than ports' "$work/letter"
mkfifo "$work/fifo"
refuses 'it is there and no ordinary file' "$work/fifo"
ln -s /dev/null "$work/null"
refuses 'it is there and no ordinary file' "$work/null"
expect test -c /dev/null -a -L "$work/null" -a -p "$work/fifo"
ln -s loop "$work/loop"
refuses 'Too many levels of symbolic links' "$work/loop"

step "through a symlink: what it names is written, and it stays"
mkdir "$work/deep"
rm "$work/link"
ln -s deep/port "$work/link"
for before in 'not there' 'there'; do
	echo "  $before before"
	run -p 1679 --port-file "$work/link" "cat '$work/deep/port' '$work/link'"
	expect_status 0
	expect test "$(sort -u "$work/out")" = 1679
	expect test -L "$work/link"
	expect_not test -e "$work/deep/port"
	echo 1 >"$work/deep/port"
done
run -p 1679 --port-file /dev/stdout true # ends up in the file that stdout is
expect test -L /dev/stdout

step "it may not be written: said before anything is opened"
mkdir "$work/locked"
chmod 555 "$work/locked"
if unshare -Urm true 2>/dev/null; then
	cat >"$work/inside" <<'END'
set -eu
mkdir "$1/mounts"
echo 1 >"$1/mounts/port"
mount --bind "$1/mounts/port" "$1/mounts/port"
"$NATPMP" -g "$2" -p 1680 --hold --port-file "$1/mounts/port" 2>"$1/mounted.err" || echo $? >"$1/code"
umount "$1/mounts/port"
mount --bind "$1/mounts" "$1/mounts"
mount -o remount,ro,bind "$1/mounts"
"$NATPMP" -g "$2" -p 1680 --hold --port-file "$1/mounts/none" 2>"$1/readonly.err" || echo $? >>"$1/code"
END
	unshare -Urm sh "$work/inside" "$work" "$gateway" || fail "mounts"
	expect test "$(tr '\n' ' ' <"$work/code")" = '2 2 '
	expect_text mounted.err 'it is mounted by itself, so it cannot be replaced; mount its directory'
	expect_text readonly.err 'Read-only file system'
fi
if [ "$(id -u)" != 0 ]; then
	refuses 'it may not be replaced; look at the permissions' "$work/locked/port"
else
	status=0
	setpriv --reuid 65534 --clear-groups "$NATPMP" -g "$gateway" -p 1680 --hold \
		--port-file "$work/locked/port" 2>"$work/err" || status=$?
	expect_status 2
	expect_text err 'it may not be replaced; look at the permissions of its directory'
fi

step "a disk that is busy does not hold up the end"
start busy -p 1681 --hold --port-file "$file"
wait_for 5 says 1681
keeper=$(pgrep -P "$pid")
kill -s STOP "$keeper" # as if it waited for the disk
kill -s TERM "$pid"
wait_for 3 gone "$pid"
finish "$pid"
expect_status 0
expect_not has_mapping tcp 1681 1681
kill -s CONT "$keeper"
wait_for 5 test ! -e "$file"

step "a full disk: the old port does not stay, the new one comes when there is room"
if unshare -Urm true 2>/dev/null; then
	mkdir "$work/disk"
	cat >"$work/inside" <<'END'
set -eu
mount -t tmpfs -o size=16k,nr_inodes=16 tmpfs "$1"
exec >"$1.log" 2>&1
wait_until() { i=0; until "$@" >/dev/null 2>&1; do i=$((i + 1)); [ $i -lt 160 ] || { echo "never: $*"; exit 1; }; sleep 0.05; done; }
"$NATPMP" -g "$2" -p 1674 --ttl 2 --hold --port-file "$1/port" & pid=$!
trap 'kill -9 $pid' EXIT
wait_until grep -qx 1674 "$1/port"
dd if=/dev/zero of="$1/filler" bs=4k 2>/dev/null || :
i=0; while touch "$1/inode$i"; do i=$((i + 1)); done 2>/dev/null
"$GATEWAYD" --tell "$3" port 1774
wait_until grep -q 'No space left on device' "$1.log"
[ ! -e "$1/port" ] || { echo "stale port"; exit 1; }
kill -0 $pid
rm "$1"/inode* "$1/filler"
wait_until grep -qx 1774 "$1/port"
trap - EXIT
kill -s TERM $pid
wait $pid
[ ! -e "$1/port" ]
echo 'all well'
END
	unshare -Urm sh "$work/inside" "$work/disk" "$gateway" "$work/control" ||
		fail "full disk"
	expect_line disk.log 'all well'
else
	skip "no mount namespace to be had"
fi
