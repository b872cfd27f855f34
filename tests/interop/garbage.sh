#!/usr/bin/env bash
# Random streams on both listeners, 500 on each or as many as STREAMS says: the process stays
# healthy, and small.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires python3 nbdinfo iscsi-inq
echo "user:$(printf %064d 0)" >"$tmp/keys.psk"
start_gateway -n 127.0.0.1:0 -i 127.0.0.1:0 --tls=on --tls-psk="$tmp/keys.psk" mem:16M

rss() { awk '/^Rss:/ { print $2 }' /proc/$gateway_pid/smaps_rollup; }
before=$(rss)
python3 "$srcdir/interop/garbage.py" "${nbd_uri#nbd://}" "${iscsi_uri#iscsi://}"
[ "$(nbdinfo --size "$nbd_uri")" = 16777216 ] || fail "NBD no longer serves"
iscsi-inq "$iscsi_uri" | grep -q DIRECT_ACCESS || fail "iSCSI no longer serves"
# Sanitizers hold on to what is freed.
[ -n "${SANITIZED:-}" ] || [ $(($(rss) - before)) -lt 16384 ] || fail "grew from $before to $(rss) KiB"
kill $gateway_pid
wait $gateway_pid || fail "exit status $?"
