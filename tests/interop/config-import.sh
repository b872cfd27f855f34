#!/usr/bin/env bash
# A targetcli saveconfig.json becomes a configuration file: the one expected, in order, and one
# that serves the disks to the initiators that LIO has served, by their credentials and LUNs.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires iscsi-ls iscsi-inq qemu-io

port1=$(free_port)
port2=$(free_port)
fill() {
	sed -e "s|@TMP@|$tmp|g; s|@PORT1@|$port1|g; s|@PORT2@|$port2|g" "$srcdir/interop/$1"
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
	grep -q 'Block Length *: *4096\|Block Size *: *4096\|4096' || fail "the block size of LUN 5"
! iscsi-inq -i $esx "iscsi://esx1%chap-secret-12345@$portal/$sn1/1?$mutual" >/dev/null 2>&1 || fail "LUN 1 is mapped"
! iscsi-inq -i iqn.2026-11.test:other "iscsi://esx1%chap-secret-12345@$portal/$sn1/0?$mutual" >/dev/null 2>&1 ||
	fail "another initiator is let in"
qemu-io -f raw "iscsi://127.0.0.1:$port2/$sn2/0" -c 'write -P 7 0 4k' -c 'read -P 7 0 4k' >"$tmp/io.txt" 2>&1
grep -q 'read 4096/4096' "$tmp/io.txt" || fail "$(cat "$tmp/io.txt")"
