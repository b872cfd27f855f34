#!/usr/bin/env bash
# Disks that grow and shrink: new clients are told at once, old ones are held to what there is. A
# file, the same file through our target, and a LUN of tgtd.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires python3 nbdinfo

truncate -s 1M "$tmp/disk.img"
start_gateway -T 2 -n "unix:$tmp/file" -i 127.0.0.1:0 "file:$tmp/disk.img"
start_gateway -T 2 -n "unix:$tmp/lun" "$iscsi_uri"
timeout 60 python3 "$srcdir/interop/nbd_resize.py" "$tmp/disk.img" "$tmp/file" "$tmp/lun" ||
	fail "a disk of another size"

# tgtd has no other way to change the size of a unit than to take it away meanwhile.
start_tgtd 64M
start_gateway -T 2 -n "unix:$tmp/tgtd" "$tgt_uri"
uri="nbd+unix:///?socket=$tmp/tgtd"
[ "$(nbdinfo --size "$uri")" = 67108864 ] || fail "the size before"
tgtadm -C $tgt_number --mode logicalunit --op delete --tid 1 --lun 1
truncate -s 128M "$tgt_file.1"
tgtadm -C $tgt_number --mode logicalunit --op new --tid 1 --lun 1 --backing-store "$tgt_file.1"
for i in 1 2 3 4; do
	[ "$(nbdinfo --size "$uri")" = 134217728 ] || fail "connection $i is told of the former size"
done
