#!/usr/bin/env bash
# What the command line promises: names, several devices, read-only, --run, the pidfile, signals.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires nbdinfo qemu-io iscsi-ls iscsi-inq

# Several devices, both protocols, one process; a terabyte of memory starts at once
# (between a sanitizer's own memory there is not always room for so much).
size=1T bytes=1099511627776
[ -z "${SANITIZED:-}" ] || { size=64G bytes=68719476736; }
truncate -s 3M "$tmp/disk.img"
start_gateway -n 127.0.0.1:0 -i 127.0.0.1:0 -t iqn.2026-11.test:gw \
	big=mem:$size "file:$tmp/disk.img" third=mem:5M
[ "$(nbdinfo --size "$nbd_uri")" = $bytes ] || fail "the first device is not the default export"
[ "$(nbdinfo --size "$nbd_uri/big")" = $bytes ] || fail "export big"
[ "$(nbdinfo --size "$nbd_uri/lun1")" = 3145728 ] || fail "export lun1"
[ "$(nbdinfo --size "$nbd_uri/third")" = 5242880 ] || fail "export third"
! nbdinfo --size "$nbd_uri/none" 2>/dev/null || fail "an export that does not exist"
nbdinfo --list "$nbd_uri" >"$tmp/list.txt"
for name in big lun1 third; do
	grep -q "export=\"$name\"" "$tmp/list.txt" || fail "--list without $name"
done
[ "$iscsi_uri" = "iscsi://$(echo "$iscsi_uri" | cut -d/ -f3)/iqn.2026-11.test:gw/0" ] || fail "$iscsi_uri"
iscsi-ls -s "iscsi://$(echo "$iscsi_uri" | cut -d/ -f3)" >"$tmp/ls.txt"
[ "$(grep -c 'Lun:' "$tmp/ls.txt")" = 3 ] || fail "iscsi-ls: $(cat "$tmp/ls.txt")"

# Who would log in by CHAP is let in where nobody has to (libiscsi tells its names twice then).
iscsi-inq "iscsi://user%password-of-it@${iscsi_uri#iscsi://}" >"$tmp/inq.txt" || fail "with a password"

# SIGTERM ends it in good order, with clients connected and idle, and the pidfile goes.
kill -TERM $gateway_pid
wait $gateway_pid || fail "exit status $? after SIGTERM"
[ ! -e "$tmp/gateway.1.pid" ] || fail "the pidfile stays"

# A terminal that goes ends it likewise, where SIGHUP has nothing to reload; and does not under nohup,
# which these tests may be under themselves.
printf '#!/bin/sh\nexec env --default-signal=HUP "%s" "$@"\n' "$gateway" >"$tmp/without-nohup"
chmod +x "$tmp/without-nohup"
gateway=$tmp/without-nohup start_gateway -n "unix:$tmp/hup.sock" mem:1M
kill -HUP $gateway_pid
wait $gateway_pid || fail "exit status $? after SIGHUP"
[ ! -e "$tmp/hup.sock" ] && [ ! -e "$tmp/gateway.$gateways.pid" ] || fail "SIGHUP leaves files behind"

# Read-only on both sides.
start_gateway -r -n 127.0.0.1:0 -i 127.0.0.1:0 mem:1M
nbdinfo "$nbd_uri" | grep -q 'is_read_only: true' || fail "NBD is not read-only"
! qemu-io -f raw "$iscsi_uri" -c 'write 0 512' >"$tmp/write.log" 2>&1 || fail "written to a read-only LUN"
grep -q 'LUN is write protected' "$tmp/write.log" || fail "the LUN is not read-only"

# --run: the URIs, the exit status, and nothing left.
said=$("$gateway" -n 127.0.0.1:0 -i 127.0.0.1:0 mem:1M \
	--run='nbdinfo --size "$uri"; iscsi-inq "$iscsi_uri" | head -n 1; echo "$nbd_uri"' 2>/dev/null)
case $said in
1048576*CONNECTED*nbd://127.0.0.1:*) ;;
*) fail "--run: $said" ;;
esac
status=0
"$gateway" -n "unix:$tmp/run.sock" mem:1M --run='exit 7' 2>/dev/null || status=$?
[ $status = 7 ] || fail "--run: exit status $status, not 7"
[ ! -e "$tmp/run.sock" ] || fail "the unix socket stays"

# A socket that a killed process left behind is taken over.
start_gateway -n "unix:$tmp/stale.sock" mem:1M
kill -9 $gateway_pid
wait $gateway_pid 2>/dev/null || :
start_gateway -n "unix:$tmp/stale.sock" mem:2M
[ "$(nbdinfo --size "$nbd_uri")" = 2097152 ] || fail "the stale socket"

# Stopped while an initiator that has gone left a write at a slow device: it waits for that.
requires nbdkit iscsi-test-cu
start_nbdkit --filter=delay memory 64M wdelay=2
start_gateway -i 127.0.0.1:0 "$peer_uri"
timeout 1 iscsi-test-cu -d -n -t ALL.Write10 "$iscsi_uri" >/dev/null 2>&1 || :
kill -TERM $gateway_pid
wait $gateway_pid || fail "exit status $? with a write in flight"
