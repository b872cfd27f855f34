#!/usr/bin/env bash
# Sessions of several connections, which the listener deals out to two workers in turns.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires python3
start_gateway -i 127.0.0.1:0 --threads=2 --debug=conn mem:16M
[ "$(python3 "$srcdir/interop/connections.py" "${iscsi_uri#iscsi://}")" = ok ] || fail "see above"
# Half of those that join have come to the other worker.
[ "$(grep -c 'on to worker' "$tmp"/gateway.*.log)" -ge 8 ] || fail "no connection has moved"
kill $gateway_pid
wait $gateway_pid || fail "exit status $?"
