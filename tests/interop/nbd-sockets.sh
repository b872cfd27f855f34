#!/usr/bin/env bash
# TCP over IPv6, abstract unix sockets, vsock, sockets passed by systemd, and --single.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires python3 nbdinfo iscsi-inq

by() {	# WHAT [SERVER]
	timeout 60 python3 "$srcdir/interop/nbd_sockets.py" "$1" "$gateway" "${@:2}"
}

by single || fail "--single"
by activated || fail "LISTEN_FDS"
# libnbd starts servers so.
[ "$(nbdinfo --size -- [ "$gateway" mem:3M ] 2>"$tmp/nbdinfo.log")" = 3145728 ] || fail "nbdinfo [ ... ]"

# Sockets for another process are none.
status=0
LISTEN_FDS=1 LISTEN_PID=1 timeout 20 "$gateway" mem:1M 2>"$tmp/none.log" || status=$?
[ $status = 2 ] && grep -q 'nothing to listen on' "$tmp/none.log" || fail "LISTEN_PID of another: $status"

name=nbd-iscsi-test.$$
start_gateway -n "[::1]:0" -n "unix:@$name" mem:1M
by at "${nbd_uri#nbd://}" || fail "IPv6"
by at "@$name" || fail "abstract unix"
grep -q "serving nbd+unix:///?socket=%00$name\$" "$tmp/gateway.1.log" || fail "the URI of an abstract socket"

port=$((20000 + $$ % 10000))
if "$gateway" -n "vsock:$port" mem:1M --run=true 2>"$tmp/vsock.log"; then
	start_gateway -n "vsock:$port" mem:1M
	by vsock $port || [ $? = 77 ] || fail "vsock"
else
	echo "no vsock here: $(cat "$tmp/vsock.log")"
fi
