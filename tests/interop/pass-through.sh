#!/usr/bin/env bash
# iSCSI in, iSCSI out: the far unit is seen as itself, and keeps what is written to it.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires iscsi-inq qemu-img qemu-io
start_tgtd 64M
start_gateway -i 127.0.0.1:0 "$tgt_uri"

for page in '' '-e 1 -c 0x80' '-e 1 -c 0x83'; do
	iscsi-inq $page "$tgt_uri" >"$tmp/direct.txt"
	iscsi-inq $page "$iscsi_uri" >"$tmp/through.txt"
	cmp "$tmp/direct.txt" "$tmp/through.txt" || fail "INQUIRY $page differs"
done
grep -q 'IET' "$tmp/direct.txt" || iscsi-inq "$iscsi_uri" | grep -q 'IET' ||
	fail "it is not tgtd that answers"

random_image "$tmp/in.img" 64M
qemu-img convert -n -f raw -O raw "$tmp/in.img" "$iscsi_uri"
qemu-img compare -f raw -F raw "$tmp/in.img" "$tgt_uri"
qemu-img compare -f raw -F raw "$tmp/in.img" "$iscsi_uri"

# The far unit's own refusals, with its sense data and residuals: suites that tgtd passes.
for suite in TestUnitReady ReadCapacity10 ReadCapacity16 Read10 Read16; do
	iscsi_suite $suite "$iscsi_uri"
done

# Read-only is for this side, too, although the far unit would take the write.
start_gateway -r -i 127.0.0.1:0 "$tgt_uri"
! qemu-io -f raw "$iscsi_uri" -c 'write -P 9 0 64k' >"$tmp/write.log" 2>&1 || fail "written through a read-only gateway"
grep -q 'LUN is write protected' "$tmp/write.log" || fail "the far unit is not read-only"
qemu-img compare -f raw -F raw "$tmp/in.img" "$iscsi_uri"
