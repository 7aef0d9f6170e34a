#!/bin/sh
# SPDX-License-Identifier: MIT
# copy.sh COMMAND... - runs it in a copy of this system: what it writes anywhere is gone afterwards, and
# to be seen below /mnt until then. It finds no network but loopback, and no process but its own. What is
# on another file system than / is not there, but for the folders in SHOWN.
set -eu
if [ "${NATPMPC_COPY-}" != 1 ]; then
	NATPMPC_COPY=1 exec unshare --mount --net --pid --fork sh "$0" "$@"
fi
unset NATPMPC_COPY
mount -t tmpfs -o size=1g copy /mnt
mkdir /mnt/changes /mnt/work /mnt/root
mount -t overlay -o lowerdir=/,upperdir=/mnt/changes,workdir=/mnt/work overlay /mnt/root
mount -t proc proc /mnt/root/proc
mount --bind /mnt/changes /mnt/root/mnt
mount --rbind /dev /mnt/root/dev
for folder in ${SHOWN-}; do
	mkdir -p "/mnt/root$folder"
	mount --bind "$folder" "/mnt/root$folder"
done
ip link set lo up 2>/dev/null || :
exec chroot /mnt/root "$@"
