#!/usr/bin/env bash
# A LUN is sanitized while the NBD server behind it is killed and comes back, while its writes fail,
# and while the gateway is killed: it is never ready before all of it is erased, and a failure is
# told and kept.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires nbdkit python3

random_image "$tmp/disk" 16M
cleanup_fn kill_server
start_server() {	# 64 writes of 256 KiB, each of which takes its time; they fail while $tmp/fail is there
	rm -f "$tmp/server.sock" "$tmp/server.pid"
	nbdkit -f -U "$tmp/server.sock" -P "$tmp/server.pid" --filter=error --filter=delay \
		file "$tmp/disk" wdelay=30ms error-pwrite-rate=100% error-file="$tmp/fail" 2>>"$tmp/nbdkit.log" &
	server_pid=$!
	wait_for $server_pid test -s "$tmp/server.pid"
}
kill_server() {
	kill -9 $server_pid 2>/dev/null || :
	wait $server_pid 2>/dev/null || :
}
client() {
	python3 "$srcdir/interop/sanitize.py" "$iscsi_uri" "$@" || fail "$*"
}

start() {
	start_gateway -T 2 -i 127.0.0.1:0 -t iqn.2026-11.test:sanitize --state-dir="$tmp/state" \
		"nbd+unix:///?socket=$tmp/server.sock"
	log=$tmp/gateway.$gateways.log
}

mkdir "$tmp/state"
start_server
start
client erase $server_pid
client is-busy
kill -9 $gateway_pid
wait $gateway_pid 2>/dev/null || :
kill -CONT $server_pid
start
client fails
client erase $server_pid
client is-busy
kill_server
client is-busy
start_server
client becomes-ready
cmp -n $((16 << 20)) "$tmp/disk" /dev/zero
[ "$(stat -c %b "$tmp/disk")" -lt 1024 ] || fail "it has not been unmapped"

: >"$tmp/fail"
client erase
client fails
grep -q 'sanitize it has failed: ' "$log" || fail "nobody is told why"
rm "$tmp/fail"
client fails
client erase
client becomes-ready

# What has failed with AUSE can be left as it is.
: >"$tmp/fail"
client erase-leniently
client fails
client leaves-failure
rm "$tmp/fail"
client becomes-ready
