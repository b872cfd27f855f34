#!/usr/bin/env bash
# iSCSI initiators to nbd-server.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
start_nbd_server 64M
. "$srcdir/interop/iscsi-to-nbd.sh"
