#!/usr/bin/env bash
# One block, and writers of single bytes in it by every way there is: directly, and as clients of
# two gateways that are initiators to the same LUN. Nothing that was acknowledged is lost.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires python3
rounds=${ROUNDS:-40}

nbd_of() {	# NAME DEVICE: a gateway that serves it on $tmp/NAME
	start_gateway -T 2 -n "unix:$tmp/$1" "$2"
}

writers() {	# SOCKET...: each twice
	local sockets=
	for socket; do sockets="$sockets $tmp/$socket $tmp/$socket"; done
	timeout 120 python3 "$srcdir/interop/byte_writers.py" "$rounds" $sockets
}

# Two initiators on one LUN of our target, and NBD clients of the target's own gateway, whose blocks
# are bytes. The device takes its time, so that there is room between a read and a write.
start_nbdkit --filter=delay memory 1M wdelay=1ms
start_gateway -T 2 -i 127.0.0.1:0 -n "unix:$tmp/direct" "$peer_uri"
lun=$iscsi_uri
nbd_of one "$lun"
nbd_of two "$lun"
writers one two
writers one two direct

# tgtd says that it compares and writes, and refuses: there our own clients are all that is safe.
start_tgtd 1M
nbd_of three "$tgt_uri"
writers three

start_istgt 16M
nbd_of four "$istgt_uri"
nbd_of five "$istgt_uri"
writers four five
