#!/usr/bin/env bash
# iSCSI initiators to qemu-nbd with a qcow2 image.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires qemu-img
qemu-img create -q -f qcow2 "$tmp/disk.qcow2" 64M
start_qemu_nbd -f qcow2 --discard=unmap "$tmp/disk.qcow2"
. "$srcdir/interop/iscsi-to-nbd.sh"
