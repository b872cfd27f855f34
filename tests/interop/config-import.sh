#!/usr/bin/env bash
# A targetcli saveconfig.json becomes a configuration file: the one expected, in order, and one
# that serves the disks to the initiators that LIO has served, by their credentials and LUNs.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires iscsi-ls iscsi-inq qemu-io

port1=$(free_port)
port2=$(free_port)
port3=$(free_port)
fill() {
	sed -e "s|@TMP@|$tmp|g; s|@PORT1@|$port1|g; s|@PORT2@|$port2|g; s|@PORT3@|$port3|g" "$srcdir/interop/$1"
}
fill saveconfig.json >"$tmp/saveconfig.json"
truncate -s 16M "$tmp/web.img" "$tmp/iso.img" "$tmp/db \"one\".img"

# Without --secrets-dir: which secrets are to be written, and none of them is told.
"$gateway" --import="$tmp/saveconfig.json" >"$tmp/first.conf" 2>"$tmp/notes.log" || fail "exit status $?"
for user in finder esx1 lio; do
	grep -q "write the secret of user \"$user\" to /etc/nbd-iscsi-gateway/secrets/$user (mode 0600)" \
		"$tmp/notes.log" || fail "no note about $user"
done
grep -q 'storage object tape: pscsi is not taken over' "$tmp/notes.log" || fail "nothing about pscsi"
grep -q 'x8664:sn.1: LUN 2 (/backstores/pscsi/tape) is not taken over' "$tmp/notes.log" || fail "nothing about LUN 2"
grep -q 'target naa.5001405aaaaaaaaa (loopback) is not taken over' "$tmp/notes.log" || fail "nothing about loopback"
! grep -q 'secret-1' "$tmp/first.conf" "$tmp/notes.log" || fail "a secret is told"

# With it, they are, for us alone, and never over others.
mkdir "$tmp/secrets"
"$gateway" --import="$tmp/saveconfig.json" --secrets-dir="$tmp/secrets" >"$tmp/gw.conf" 2>"$tmp/notes.log" ||
	fail "exit status $? with --secrets-dir"
[ "$(stat -c '%a %n' "$tmp"/secrets/* | sed "s|$tmp/||" | tr '\n' ' ')" = \
	"600 secrets/esx1 600 secrets/finder 600 secrets/lio " ] || fail "$(ls -l "$tmp/secrets")"
fill saveconfig.conf | diff - "$tmp/gw.conf" || fail "the configuration differs"
status=0
"$gateway" --import="$tmp/saveconfig.json" --secrets-dir="$tmp/secrets" >/dev/null 2>"$tmp/notes.log" || status=$?
[ $status = 1 ] && grep -q "secrets/esx1: File exists" "$tmp/notes.log" || fail "secrets are overwritten"

# It is right, and serves.
"$gateway" -c "$tmp/gw.conf" --check-config || fail "what was imported is wrong"
start_gateway -c "$tmp/gw.conf"
portal=127.0.0.1:$port1
esx=iqn.1998-01.com.vmware:esx1
sn1=iqn.2003-01.org.linux-iscsi.host.x8664:sn.1
sn2=iqn.2003-01.org.linux-iscsi.host.x8664:sn.2
mutual="target_user=lio&target_password=mutual-secret-123"
iscsi-ls -i $esx "iscsi://finder%discovery-secret-1@$portal" >"$tmp/ls.txt"
grep -q "Target:$sn1 " "$tmp/ls.txt" && grep -q "Target:$sn2 " "$tmp/ls.txt" || fail "$(cat "$tmp/ls.txt")"
! iscsi-ls -i $esx "iscsi://$portal" >/dev/null 2>&1 || fail "discovery without credentials"
iscsi-inq -i $esx -e 1 -c 128 "iscsi://esx1%chap-secret-12345@$portal/$sn1/0?$mutual" |
	grep -q '5f2a3f3e-7c8a-4b8f-9a57-0d8a1c0a7b11' || fail "the serial number of LUN 0"
iscsi-readcapacity16 -i $esx "iscsi://esx1%chap-secret-12345@$portal/$sn1/5?$mutual" |
	grep -qx 'LOGICAL BLOCK LENGTH IN BYTES:4096' || fail "the block size of LUN 5"
! iscsi-inq -i $esx "iscsi://esx1%chap-secret-12345@$portal/$sn1/1?$mutual" >/dev/null 2>&1 || fail "LUN 1 is mapped"
! iscsi-inq -i iqn.2026-11.test:other "iscsi://esx1%chap-secret-12345@$portal/$sn1/0?$mutual" >/dev/null 2>&1 ||
	fail "another initiator is let in"
qemu-io -f raw "iscsi://127.0.0.1:$port2/$sn2/0" -c 'write -P 7 0 4k' -c 'read -P 7 0 4k' >"$tmp/io.txt" 2>&1
grep -q 'read 4096/4096' "$tmp/io.txt" || fail "$(cat "$tmp/io.txt")"
end_process $gateway_pid

# A target with several TPGs: each has its LUNs, its maps and its rules, by its own portals.
fill saveconfig-tpgs.json >"$tmp/tpgs.json"
"$gateway" --import="$tmp/tpgs.json" >"$tmp/tpgs.conf" 2>"$tmp/notes.log" || fail "exit status $?"
fill saveconfig-tpgs.conf | diff - "$tmp/tpgs.conf" || fail "the configuration of several TPGs differs"
for note in "portal 127.0.0.1:$port3: iSER is not taken over, TCP is" \
	"storage object ceph: user is not taken over (rbd/pool/image): serve it to NBD" \
	"storage object web: ALUA group slow is not taken over"; do
	grep -qF "$note" "$tmp/notes.log" || fail "no note: $note"
done
"$gateway" -c "$tmp/tpgs.conf" --check-config || fail "what was imported is wrong"
start_gateway -c "$tmp/tpgs.conf"
iqn=iqn.2026-11.test
serial() {	# INITIATOR PORT LUN: the last digits of what it finds there
	iscsi-inq -i "$iqn:$1" -e 1 -c 128 "iscsi://127.0.0.1:$2/$iqn:tpgs/$3" 2>/dev/null |
		sed -n 's/.*-00000000000\([0-9]\).*/\1/p'
}
finds() {
	[ "$(serial "$1" "$2" "$3")" = "$4" ] || fail "$1 finds \"$(serial "$1" "$2" "$3")\" at LUN $3 by port $2, not \"$4\""
}
finds plain "$port1" 0 1
finds plain "$port1" 1 3
finds mapped "$port1" 7 1
finds mapped "$port1" 0 ''
finds other "$port1" 0 ''		# it has no ACL
finds other "$port2" 0 2
finds other "$port2" 4 3
finds other "$port2" 1 ''
finds other "$port3" 0 ''		# that TPG is not enabled
write() {	# INITIATOR PORT LUN
	qemu-io --image-opts -c 'write 0 4k' \
		"driver=iscsi,transport=tcp,portal=127.0.0.1:$2,target=$iqn:tpgs,lun=$3,initiator-name=$iqn:$1" 2>&1
}
write plain "$port1" 0 | grep -q 'wrote 4096/4096' || fail "LUN 0 by the first portal"
write mapped "$port1" 7 | grep -q 'write protected' || fail "a mapped LUN is not write protected"
write other "$port2" 4 | grep -q 'write protected' || fail "demo mode is not write protected"
