#!/usr/bin/env bash
# iSCSI initiators to nbdkit with memory behind it.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
start_nbdkit memory 64M
. "$srcdir/interop/iscsi-to-nbd.sh"
