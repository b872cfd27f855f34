#!/usr/bin/env bash
# NBD -> gateway -> iSCSI -> gateway -> NBD server: four clients' random load compares equal.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires qemu-img
truncate -s 64M "$tmp/disk.img"
start_nbdkit file "$tmp/disk.img"
start_gateway -i 127.0.0.1:0 "$peer_uri"
start_gateway -n 127.0.0.1:0 "$iscsi_uri"
"$nbd_model" -c 4 -d 32 -n "${OPERATIONS:-10000}" -o "$tmp/model.img" "$nbd_uri"
# What the clients know to be there is there at the far end, too.
cmp "$tmp/model.img" "$tmp/disk.img"
"$nbd_model" -c 4 -d 16 -g 1 -n "${OPERATIONS:-10000}" -o "$tmp/model.img" "$nbd_uri"
cmp "$tmp/model.img" "$tmp/disk.img"
