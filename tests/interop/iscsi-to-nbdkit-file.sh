#!/usr/bin/env bash
# iSCSI initiators to nbdkit with a file behind it.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
truncate -s 64M "$tmp/disk.img"
start_nbdkit file "$tmp/disk.img"
. "$srcdir/interop/iscsi-to-nbd.sh"
