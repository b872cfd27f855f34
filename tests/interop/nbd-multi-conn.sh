#!/usr/bin/env bash
# An NBD server that takes one client only, served to many: all workers share the one connection,
# so that what the server does not promise is true of us.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires python3 nbdinfo nbdcopy

start_nbdkit --filter=multi-conn --filter=limit memory 64M multi-conn-mode=disable limit=1
start_gateway -T 4 -n 127.0.0.1:0 "$peer_uri"
nbdinfo "$nbd_uri" | grep -q 'can_multi_conn: true' || fail "multi-conn is not advertised"
python3 "$srcdir/interop/nbd_conformance.py" -s -k CAN_MULTI_CONN "${nbd_uri#nbd://}" ||
	fail "a flush does not cover other connections"
random_image "$tmp/in.img" 64M
nbdcopy --flush --connections=4 "$tmp/in.img" "$nbd_uri"
nbdcopy --connections=4 "$nbd_uri" "$tmp/out.img"
cmp "$tmp/in.img" "$tmp/out.img"
"$nbd_model" -c 4 -d 32 -n "${OPERATIONS:-4000}" "$nbd_uri"
