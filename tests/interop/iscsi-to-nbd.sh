# iSCSI initiators through the gateway to the export of $peer_uri. Sourced by the test of each
# NBD server, which has started it with 64 MiB behind it.
requires iscsi-ls iscsi-inq iscsi-readcapacity16 qemu-img qemu-io
size=64M
bytes=67108864

start_gateway -i 127.0.0.1:0 ${GATEWAY_OPTIONS:-} "$peer_uri"
portal=${iscsi_uri#iscsi://}
portal=iscsi://${portal%%/*}

iscsi-ls -s "$portal" >"$tmp/ls.log"
grep -q 'Target:iqn' "$tmp/ls.log" || fail "iscsi-ls finds no target"
grep -q 'Lun:0' "$tmp/ls.log" || fail "iscsi-ls finds no LUN"
iscsi-inq "$iscsi_uri" | grep -q 'DIRECT_ACCESS' || fail "not a disk"
iscsi-readcapacity16 "$iscsi_uri" | grep -q "Total size:$bytes" || fail "another size"

random_image "$tmp/in.img" $size
qemu-img convert -n -f raw -O raw "$tmp/in.img" "$iscsi_uri"
qemu-img compare -f raw -F raw "$tmp/in.img" "$iscsi_uri"
nbdcopy "$peer_uri" "$tmp/out.img"
cmp "$tmp/in.img" "$tmp/out.img"

requests_of_every_kind "$iscsi_uri"

# One suite per process: the tool carries state from suite to suite.
for suite in ${SUITES:-ReadCapacity10 ReadCapacity16 Inquiry Read10 Read16 Write10 Write16 \
	TestUnitReady ModeSense6 Unmap WriteSame10 WriteSame16}; do
	iscsi_suite "$suite" "$iscsi_uri"
done
