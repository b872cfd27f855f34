#!/usr/bin/env bash
# A thousand handshakes that stop half way, and clients that ask for much and read nothing: others
# are served, memory keeps its bounds, and who does not get to the point is dropped in time.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires python3
start_gateway -n 127.0.0.1:0 --handshake-timeout=5 mem:64M
timeout 200 python3 "$srcdir/interop/nbd_abuse.py" half-open $gateway_pid 5 "${nbd_uri#nbd://}" ||
	fail "half-open handshakes"
start_gateway -n 127.0.0.1:0 mem:64M
timeout 200 python3 "$srcdir/interop/nbd_abuse.py" slow $gateway_pid "${nbd_uri#nbd://}" || fail "slow readers"
kill $gateway_pid
wait $gateway_pid || fail "exit status $?"
