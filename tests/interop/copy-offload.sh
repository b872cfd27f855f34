#!/usr/bin/env bash
# qemu has us copy from one LUN to another (EXTENDED COPY) instead of moving the data itself.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires qemu-img nbdcopy
random_image "$tmp/from.img" 64M
truncate -s 64M "$tmp/to.img"
start_gateway --debug=scsi.cdb -i 127.0.0.1:0 "file:$tmp/from.img" "file:$tmp/to.img"
portal=${iscsi_uri%/*}

qemu-img convert -C -n -f raw -O raw "$portal/0" "$portal/1"
cmp "$tmp/from.img" "$tmp/to.img"
grep -q 'EXTENDED COPY' "$tmp/gateway.1.log" || fail "nothing was copied by us"
! grep -q 'WRITE(' "$tmp/gateway.1.log" || fail "qemu has moved data itself"
